"""Exact timing of a circuit: arrival times, slews, delays and slacks of every pin.

Delays of cells come from non-linear tables over slew and load, where a wire's resistance hides part of its load; wires
answer a ramp with one time constant, their Elmore delay; slews behind wires follow the PERI rule (Kashyap et al.,
TAU 2002). Slews and arrival times merge by the worst of each, as graph-based timing
engines do. Clocks are propagated through their buffers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import CycleFound, InvalidInput
from ...graphlib.sparse.levels import topological_levels
from ...graphlib.store.adjacency import build_adjacency
from .tables import value
from .waveforms import Nets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.sparse.levels import Levels
    from .pins import TimingGraph

_RISE, _FALL = 0, 1
_ROUNDS = 4  # of the effective capacitance; the fifth changes it by less than 1e-4


@dataclass(frozen=True, eq=False)
class Timing:
    """Times at every pin, float64, in the graph's unit. Corners are early rise, early fall, late rise, late fall.

    Attributes
    ----------
    arrival, slew : (num_pins, 4)
        NaN at pins that no transition reaches.
    required, slack : (num_pins, 4)
        Early corners must not arrive before, late ones not after; slack is >= 0 where that holds, NaN where nothing is
        required.
    cell_delay : (num_cell_edges, 4)
        By the output's corner; the worst over the input's transitions.
    net_delay : (num_net_edges, 4)
    levels : Levels
        Of the pins, over net and cell edges.
    """

    arrival: NDArray[np.float64]
    slew: NDArray[np.float64]
    required: NDArray[np.float64]
    slack: NDArray[np.float64]
    cell_delay: NDArray[np.float64]
    net_delay: NDArray[np.float64]
    levels: Levels


def analyse(graph: TimingGraph, *, inputs: str = "ramp", cells: str = "ramp") -> Timing:
    """Propagate arrival times and slews forward and required times backward.

    Parameters
    ----------
    graph : TimingGraph
    inputs : {"ramp", "step"}, default "ramp"
        How wires respond that an input of the circuit drives: to the ramp that its slew says, as all others do; or, as
        OpenSTA has it, to a step, with ln 2 of the Elmore delay, and a slew to which that of the step's response is
        added whole.
    cells : {"ramp", "waveform"}, default "ramp"
        What wires answer that a cell drives: a ramp of the slew that its table says at the effective load; or, as
        OpenSTA's calculator dmp_ceff_elmore has it, the waveform of a ramp behind the cell's resistance, from which the
        cell's own slew is read, too (after Dartu, Menezes and Pileggi, "Performance computation for precharacterized
        CMOS gates with RC loads", IEEE TCAD 1996), with its rules where no ramp fits.

    Raises
    ------
    CycleFound
        A combinational loop, named by its pins.
    InvalidInput
        An unknown name.

    Notes
    -----
    O(pins + edges) time in NumPy calls, some dozens per level.
    """
    for name, given, other in (("inputs", inputs, "step"), ("cells", cells, "waveform")):
        if given not in ("ramp", other):
            raise InvalidInput(f"analyse: {name} must be 'ramp' or {other!r}; got {given!r}")
    levels = pin_levels(graph)
    low, high = graph.thresholds
    factor = float(np.log((1 - low) / (1 - high)))  # slew of a step behind a wire, in Elmore delays
    arrival, slew = graph.arrival.copy(), graph.slew.copy()
    nets = _by_level(levels, graph.net_dst)
    by_cells = _by_level(levels, graph.cell_dst)
    waves = Nets(graph) if cells == "waveform" else None
    cell_delay = np.full((graph.cell_src.size, 4), np.nan)
    net_delay = np.zeros_like(graph.net_elmore)
    cases: list[tuple[NDArray[np.int64], int, int, NDArray[np.float64]]] = []
    with np.errstate(invalid="ignore"):
        for level in range(1, levels.num_levels):
            edges = nets[level]
            src, dst, elmore = graph.net_src[edges], graph.net_dst[edges], graph.net_elmore[edges]
            net_delay[edges] = wire_delay(elmore, slew[src] / (high - low))
            slew[dst] = np.hypot(slew[src], factor * elmore)
            if inputs == "step":
                stepped = graph.is_port[src]
                net_delay[edges[stepped]] = np.log(2) * elmore[stepped]
                slew[dst[stepped]] = slew[src[stepped]] + factor * elmore[stepped]
            if waves is not None:
                driven = ~graph.is_port[src]
                net_delay[edges[driven]], slew[dst[driven]] = waves.delay[edges[driven]], waves.slew[edges[driven]]
            arrival[dst] = arrival[src] + net_delay[edges]
            cases += _fire_cells(graph, by_cells[level], arrival, slew, cell_delay, waves)
        required = _required(graph, arrival, slew, net_delay, levels, nets, cases)
        slack = np.concatenate([arrival[:, :2] - required[:, :2], required[:, 2:] - arrival[:, 2:]], axis=1)
    return Timing(arrival, slew, required, slack, cell_delay, net_delay, levels)


def pin_levels(graph: TimingGraph) -> Levels:
    """Levels of the pins over net and cell edges together; a loop is named by its pins."""
    src, dst = (np.concatenate([getattr(graph, f"net_{end}"), getattr(graph, f"cell_{end}")]) for end in ("src", "dst"))
    try:
        return topological_levels(build_adjacency(src, dst, graph.num_pins, graph.num_pins))
    except CycleFound as error:
        shown = " -> ".join(graph.names[pin] for pin in error.nodes[:12])
        raise CycleFound(
            f"{graph.name} has a combinational loop of {len(error.nodes)} pins: {shown}", error.nodes
        ) from None


def _by_level(levels: Levels, dst: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Edges by the level that they end in."""
    level = levels.level[dst]
    order = np.argsort(level, kind="stable")
    return np.split(order, np.searchsorted(level[order], np.arange(1, max(levels.num_levels, 1))))


def _inputs(sense: int, output: int) -> tuple[int, ...]:
    """Transitions of an arc's input that cause a transition of its output."""
    return ((output,), (1 - output,), (_RISE, _FALL), (_RISE,), (_FALL,))[sense]


def _fire_cells(
    graph: TimingGraph,
    edges: NDArray[np.int64],
    arrival: NDArray[np.float64],
    slew: NDArray[np.float64],
    cell_delay: NDArray[np.float64],
    waves: Nets | None,
) -> list[tuple[NDArray[np.int64], int, int, NDArray[np.float64]]]:
    """New arrival times and slews behind one level's cell edges; returns (edges, input, output corner, delays)."""
    senses = graph.tables.sense[graph.cell_arc[edges]]
    cases = []
    for corner in range(4):
        mode, output = divmod(corner, 2)
        worst = np.fmin if mode == 0 else np.fmax
        for sense in np.unique(senses):
            some = edges[senses == sense]
            src, dst, arc = graph.cell_src[some], graph.cell_dst[some], graph.cell_arc[some]
            for transition in _inputs(int(sense), output):
                given = 2 * mode + transition
                if waves is not None:
                    delay, ramp = waves.drive(arc, corner, slew[src, given], dst, worst)
                else:
                    load = effective_load(graph, arc, corner, slew[src, given], dst)
                    delay = graph.tables.lookup(arc, corner, slew[src, given], load)
                    ramp = graph.tables.lookup(arc, 4 + corner, slew[src, given], load)
                worst.at(arrival[:, corner], dst, arrival[src, given] + delay)
                worst.at(slew[:, corner], dst, ramp)
                cell_delay[some, corner] = worst(cell_delay[some, corner], delay)
                cases.append((some, given, corner, delay))
    return cases


def wire_delay(elmore: NDArray[np.float64], ramp: NDArray[np.float64]) -> NDArray[np.float64]:
    """From half of a ramp's rise to half of the rise behind a wire of one time constant, its Elmore delay.

    Between ln 2 time constants, for a step, and one, for a slow ramp. Behind a ramp of length T the voltage is
    t / T - (c / T) (1 - exp(-t / c)) while the ramp lasts, and decays to 1 afterwards.
    """
    c, length = np.fmax(elmore, 1e-12), np.fmax(ramp, 1e-12)
    step = c * -np.expm1(-length / c)
    after = length + c * np.log(np.fmax(2 * step / length, 1e-300))
    within = length / 2 + c
    for _ in range(_ROUNDS + 4):  # Newton's method from above, on a convex function
        excess = within + c * np.expm1(-within / c) - length / 2
        within = within - excess / -np.expm1(-within / c)
    delay = np.where(length - step < length / 2, after, within) - length / 2
    return np.where(elmore > 0, delay, 0.0)


def effective_load(
    graph: TimingGraph, arc: NDArray[np.int64], corner: int, slew: NDArray[np.float64], pins: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The capacitance that takes the charge of a driver's wire during its transition.

    Resistance hides part of the far capacitance from a fast driver. For a ramp of length T at the near end of a wire
    with far capacitance C and time constant t = R C, the part seen is 1 - t / T (1 - exp(-T / t)); T follows from the
    slew, which follows from the capacitance (after Qian, Pullela and Pillage, "Modeling the effective capacitance for
    the RC interconnect of CMOS gates", 1994, doi:10.1109/43.331409).
    """
    near, resistance, far = np.moveaxis(graph.pi[pins, corner], -1, 0)
    load = near + far
    low, high = graph.thresholds
    constant = resistance * far
    hidden = constant > 0
    for _ in range(_ROUNDS):
        length = graph.tables.lookup(arc, 4 + corner, slew, load) / (high - low)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = constant / np.fmax(length, 1e-12)
            seen = np.where(hidden, 1 - share * -np.expm1(-1 / share), 1.0)
        load = near + seen * far
    return load


def _required(
    graph: TimingGraph,
    arrival: NDArray[np.float64],
    slew: NDArray[np.float64],
    net_delay: NDArray[np.float64],
    levels: Levels,
    nets: list[NDArray[np.int64]],
    cases: list[tuple[NDArray[np.int64], int, int, NDArray[np.float64]]],
) -> NDArray[np.float64]:
    """Required times: at outputs as constrained, at flip-flops by their checks, elsewhere by what follows."""
    required = graph.required.copy()
    _check_flops(graph, arrival, slew, required)
    by_level: list[list[tuple[NDArray[np.int64], int, int, NDArray[np.float64]]]] = [[] for _ in nets]
    for case in cases:
        if case[0].size:
            by_level[int(levels.level[graph.cell_dst[case[0][0]]])].append(case)
    for level in range(levels.num_levels - 1, 0, -1):
        for edges, given, corner, delay in by_level[level]:
            worst = np.fmax if corner < 2 else np.fmin
            worst.at(required[:, given], graph.cell_src[edges], required[graph.cell_dst[edges], corner] - delay)
        edges = nets[level]
        for corner in range(4):
            worst = np.fmax if corner < 2 else np.fmin
            needed = required[graph.net_dst[edges], corner] - net_delay[edges, corner]
            worst.at(required[:, corner], graph.net_src[edges], needed)
    return required


def _check_flops(
    graph: TimingGraph, arrival: NDArray[np.float64], slew: NDArray[np.float64], required: NDArray[np.float64]
) -> None:
    """Setup: data before the next, early edge of the clock; hold: not before the same, late one has passed."""
    if graph.clock is None:
        return
    for data, clock, kind, edge, arc in graph.checks:
        mode = 0 if kind == "setup" else 1
        clock_corner = 2 * mode + (_RISE if edge == "rising" else _FALL)
        for transition, name in enumerate(("rise_constraint", "fall_constraint")):
            corner = 2 * (1 - mode) + transition
            table = arc.tables.get(name)
            if table is None:
                continue
            margin = value(table, slew[data, corner], slew[clock, clock_corner])
            if kind == "setup":
                limit = graph.clock[1] + arrival[clock, clock_corner] - margin
                required[data, corner] = np.fmin(required[data, corner], limit)
            else:
                limit = arrival[clock, clock_corner] + margin
                required[data, corner] = np.fmax(required[data, corner], limit)
