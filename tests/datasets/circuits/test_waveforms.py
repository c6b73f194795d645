"""Waveforms of cells against the circuit that they stand for, integrated step by step."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop.datasets import circuits
from nearhop.datasets.circuits import waveforms_cpu as kernels
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.datasets.circuits.test_timing import AT_A, CHAIN, graph_of, text, tiny_library

LEVELS = kernels.Levels(0.1, 0.5, 0.9)
# Arrival times, ps, at the outputs of c17 by OpenSTA's calculator dmp_ceff_elmore
OPENSTA_C17 = {"nx22": [15.9579, 15.8775, 35.2031, 36.3214], "nx23": [16.8507, 16.8388, 33.8153, 34.8618]}


def tables(delay, slew):
    """Tables of one arc at all corners, of linear functions of slew and load."""
    slews, loads = np.array([1.0, 100.0]), np.array([1.0, 200.0])
    grids = [f(slews[:, None], loads[None, :]) for f in (delay, slew)]
    values = np.stack([grids[0]] * 4 + [grids[1]] * 4)[None]
    return np.full((1, 8, 2), 2), np.tile(slews, (1, 8, 1)), np.tile(loads, (1, 8, 1)), values


def driven(given, wires, slew=20.0):
    waves = np.empty((len(wires), kernels.WAVE))
    arcs = np.zeros(len(wires), np.int64)
    kernels.drive_all(given, arcs, 2, np.full(len(wires), slew), np.asarray(wires, float), LEVELS, waves)
    return waves


def integrated(wave, drive, wire, elmore, steps=200_000):
    """Times at which the near end and a sink pass the three levels: a ramp behind `drive` into the pi model."""
    near, resistance, far = wire
    end = wave[kernels.BEGIN] + wave[kernels.SPAN] + 12 * (drive + resistance) * (near + far) + 8 * elmore
    times = np.linspace(wave[kernels.BEGIN], end, steps)
    step = times[1] - times[0]
    system = np.array([
        [-(1 / drive + 1 / resistance) / near, 1 / (resistance * near), 0],
        [1 / (resistance * far), -1 / (resistance * far), 0],
        [1 / elmore, 0, -1 / elmore],
    ])  # fmt: skip
    half = np.linalg.inv(np.eye(3) - step / 2 * system)  # the trapezoidal rule
    forward = half @ (np.eye(3) + step / 2 * system)
    push = half[:, 0] * step / (drive * near)
    ramp = np.clip((times + step / 2 - times[0]) / wave[kernels.SPAN], 0, 1)
    state, seen = np.zeros(3), np.empty((steps, 3))
    for k in range(steps):
        seen[k] = state
        state = forward @ state + push * ramp[k]
    return np.array([[np.interp(level, seen[:, end], times) for level in LEVELS] for end in (0, 2)])


@pytest.mark.parametrize(
    ("wire", "elmore"), [((4.0, 0.3, 12.0), 4.0), ((10.0, 0.05, 6.0), 0.5), ((2.0, 0.8, 9.0), 8.0)]
)
def test_waveforms_are_those_of_the_circuit(wire, elmore):
    given = tables(lambda s, c: 5 + s / 5 + 1.2 * c, lambda s, c: 3 + s / 10 + 2.2 * c)
    wave = driven(given, [wire])[0]
    assert wave[kernels.END] > 0
    drive = 1.2  # the tables' own: delay by load
    near_end, sink = integrated(wave, drive, wire, elmore)
    assert wave[kernels.CROSSING] == pytest.approx(near_end[1], rel=0.02)
    assert wave[kernels.SLEW] == pytest.approx(near_end[2] - near_end[0], rel=0.03)
    delay, slew = np.empty(1), np.empty(1)
    kernels.reach_all(wave[None], np.zeros(1, np.int64), np.array([elmore]), LEVELS, delay, slew)
    assert delay[0] == pytest.approx(sink[1] - near_end[1], rel=0.05, abs=0.05)
    assert slew[0] == pytest.approx(max(sink[2] - sink[0], wave[kernels.SLEW]), rel=0.03)
    hidden = driven(given, [(sum(wire[::2]), 0.0, 0.0)])[0]
    assert wave[kernels.DELAY] < hidden[kernels.DELAY]  # resistance hides part of the load


def test_wires_without_resistance_and_ramps_that_do_not_fit_follow_the_tables():
    given = tables(lambda s, c: 5 + s / 5 + 1.2 * c, lambda s, c: 3 + s / 10 + 2.2 * c)
    for wire in ((16.0, 0.0, 0.0), (16.0, 1e-4, 4.0), (16.0, 3.0, 0.01)):
        wave, load = driven(given, [wire])[0], wire[0] + wire[2]
        assert wave[: kernels.SLEW + 1] == pytest.approx([5 + 4 + 1.2 * load, 3 + 2 + 2.2 * load])
        assert wave[kernels.END] == 0
    steep = tables(lambda s, c: 5 + 3 * c, lambda s, c: 1 + 0 * c)  # no ramp behind 3 a load rises within 1
    wave = driven(steep, [(4.0, 0.3, 12.0)])[0]
    assert wave[: kernels.SLEW + 1] == pytest.approx([5 + 3 * 16, 1])
    delay, slew = np.empty(1), np.empty(1)
    kernels.reach_all(wave[None], np.zeros(1, np.int64), np.array([2.5]), LEVELS, delay, slew)
    assert (delay[0], slew[0]) == (2.5, wave[kernels.SLEW])


def test_c17_is_timed_as_opensta_times_it():
    libraries = [circuits.read_liberty(text(f"tau2015_{mode}.lib")) for mode in ("Early", "Late")]
    graph = graph_of("c17", libraries, circuits.read_timing(text("c17.timing")))
    timing = circuits.analyse(graph, inputs="step", cells="waveform")
    ends = {graph.names[pin]: timing.arrival[pin] for pin in np.flatnonzero(np.isfinite(graph.required).any(axis=1))}
    for name, arrival in OPENSTA_C17.items():
        assert ends[name] == pytest.approx(arrival, rel=2e-4)
    assert timing.cell_delay.shape == (graph.cell_src.size, 4)


def test_only_known_names_are_taken():
    library = tiny_library()
    graph = circuits.timing_graph(
        circuits.read_verilog(CHAIN), library, library, circuits.read_spef(""), circuits.read_timing(AT_A)
    )
    with pytest.raises(InvalidInput, match="cells must be 'ramp' or 'waveform'; got 'step'"):
        circuits.analyse(graph, cells="step")
    lumped, waves = (circuits.analyse(graph, cells=cells) for cells in ("ramp", "waveform"))
    np.testing.assert_allclose(waves.arrival, lumped.arrival)
    np.testing.assert_allclose(waves.required, lumped.required)
