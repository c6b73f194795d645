"""Exact timing against OpenSTA on every TAU circuit, and against sums by hand."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest

from nearhop.datasets import circuits, names
from nearhop.graphlib.errors import CycleFound, IngestError, InvalidInput, NotFound
from nearhop.tests.datasets.circuits import opensta
from nearhop.tests.support import data_file

NAMES = sorted(name.removeprefix("tau2015-").replace("-", "_") for name in names() if name.startswith("tau2015-"))
QUICK = ("c17", "s27", "c432", "s344", "c6288")
needs_opensta = pytest.mark.skipif(shutil.which("sta") is None, reason="needs OpenSTA (Debian's package opensta)")


def text(name):
    return gzip.decompress(data_file(f"circuits/tau2015/{name}.gz").read_bytes()).decode()


@pytest.fixture(scope="module")
def libraries():
    return [circuits.read_liberty(text(f"tau2015_{mode}.lib")) for mode in ("Early", "Late")]


def graph_of(name, libraries, constraints):
    return circuits.timing_graph(
        circuits.read_verilog(text(f"{name}.v")), *libraries, circuits.read_spef(text(f"{name}.spef")), constraints
    )


def both(name, libraries, folder, calculator):
    """Our graph, and OpenSTA's arrival, slew and slack; a clock falls in the middle of its period for both."""
    constraints = circuits.read_timing(text(f"{name}.timing"))
    graph = graph_of(name, libraries, constraints)
    if graph.clock is not None:
        pin, period = graph.clock
        graph.arrival[pin] = [0, period / 2, 0, period / 2]
    files = {suffix: text(f"{name}.{suffix}") for suffix in ("v", "spef")}
    files |= {"early.lib": text("tau2015_Early.lib"), "late.lib": text("tau2015_Late.lib")}
    return graph, opensta.times(folder, name, files, constraints, graph.names, calculator)


def circuits_marked():
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


@needs_opensta
@pytest.mark.parametrize("name", circuits_marked())
def test_without_resistance_every_time_is_opensta_s(name, libraries, tmp_path):
    """Tables, unateness, merging, clocks and flip-flops: arrival times and slews of every pin, to a millionth."""
    graph, (arrival, slew, slack) = both(name, libraries, tmp_path, "lumped_cap")
    graph.net_elmore[:] = 0
    graph.pi[..., 0], graph.pi[..., 1:] = graph.load, 0
    ours = circuits.analyse(graph)
    assert np.array_equal(np.isfinite(arrival), np.isfinite(ours.arrival))
    known = np.isfinite(arrival)
    assert known.mean() > 0.9
    np.testing.assert_allclose(ours.arrival[known], arrival[known], rtol=2e-6, atol=2e-5)
    np.testing.assert_allclose(ours.slew[known], slew[known], rtol=5e-6, atol=2e-5)
    if not graph.checks:  # of the two libraries one has setup times and the other hold times, so OpenSTA checks neither
        np.testing.assert_allclose(ours.slack[np.isfinite(slack)], slack[np.isfinite(slack)], rtol=1e-5, atol=1e-3)
        assert np.isfinite(slack).all()


@needs_opensta
@pytest.mark.parametrize("name", circuits_marked())
def test_with_wires_arrival_times_are_near_opensta_s(name, libraries, tmp_path):
    """Late arrival times at outputs. OpenSTA's own two models of wires differ by up to a tenth there."""
    graph, (arrival, _, _) = both(name, libraries, tmp_path, "arnoldi")
    ends = np.isfinite(graph.required).any(axis=1)
    for inputs, apart in (("ramp", ("c2670", "c5315", "wb_dma")), ("step", ("c5315", "wb_dma"))):
        error = np.abs(circuits.analyse(graph, inputs=inputs).arrival - arrival)[ends, 2:] / arrival[ends, 2:]
        assert error.mean() < 0.01
        assert error.max() < (0.03 if name in apart else 0.01)


@needs_opensta
@pytest.mark.parametrize("name", circuits_marked())
def test_waveforms_are_opensta_s_default(name, libraries, tmp_path):
    """All arrival times at outputs, with the calculator that OpenSTA takes unless told otherwise."""
    graph, (arrival, slew, _) = both(name, libraries, tmp_path, "dmp_ceff_elmore")
    ends = np.isfinite(graph.required).any(axis=1)
    ours = circuits.analyse(graph, inputs="step", cells="waveform")
    assert (np.abs(ours.arrival - arrival)[ends] / arrival[ends]).max() < 0.002
    assert np.abs(ours.arrival - arrival)[np.isfinite(arrival)].max() < 1
    assert np.nanquantile(np.abs(ours.slew - slew) / slew, 0.99) < 0.02


def tiny_library(factor=1.0, extra=""):
    """An inverter and a flip-flop with linear tables: delay = 10 + slew / 10 + 2 load; slew = 4 + load."""

    def table(kind, base, slew, load):
        rows = ", ".join(
            f'"{factor * (base + slew * s + load * 1)}, {factor * (base + slew * s + load * 9)}"' for s in (1, 11)
        )
        return f'{kind} (t) {{ index_1 ("1, 11"); index_2 ("1, 9"); values ({rows}); }}'

    kinds = {"cell_rise": (10, 0.1, 2), "cell_fall": (10, 0.1, 2), "rise_transition": (4, 0, 1)}
    delays = " ".join(table(kind, *numbers) for kind, numbers in {**kinds, "fall_transition": (4, 0, 1)}.items())
    return circuits.read_liberty(f"""
    library (tiny) {{
      time_unit : "1ps"; capacitive_load_unit (1, ff);
      slew_lower_threshold_pct_rise : 10; slew_upper_threshold_pct_rise : 90;
      lu_table_template (t) {{ variable_1 : input_net_transition; variable_2 : total_output_net_capacitance; }}
      cell (INV) {{
        pin (A) {{ direction : input; capacitance : 1.5; }}
        pin (Z) {{ direction : output; timing () {{ related_pin : "A"; timing_sense : negative_unate; {delays} }} }}
      }} {extra}
    }}""")


CHAIN = "module chain (a, z); input a; output z; wire m; INV i1 (.A(a), .Z(m)); INV i2 (.A(m), .Z(z)); endmodule"
AT_A = "at a 0 0 0 0\nslew a 5 5 5 5\nrat z 0 0 100 90\nload z 3\n"


def test_a_chain_by_hand():
    library = tiny_library()
    graph = circuits.timing_graph(circuits.read_verilog(CHAIN), library, library, None, circuits.read_timing(AT_A))
    timing = circuits.analyse(graph)
    place = graph.names.index
    first = 10 + 0.5 + 2 * 1.5  # slew 5, load 1.5
    second = 10 + 0.55 + 2 * 3  # slew 4 + 1.5, load 3
    assert timing.arrival[place("i1:Z")].tolist() == pytest.approx([first] * 4)
    assert timing.arrival[place("z")].tolist() == pytest.approx([first + second] * 4)
    assert timing.slew[place("z")].tolist() == pytest.approx([7] * 4)
    late = np.array([100, 90]) - first - second
    assert timing.slack[place("z")].tolist() == pytest.approx([first + second, first + second, *late])
    assert timing.slack[place("i1:Z")][2:].tolist() == pytest.approx(late[::-1])  # through an inverter
    assert timing.slack[place("a")][2:].tolist() == pytest.approx(late)


def test_wires_delay_by_elmore_and_hide_capacitance():
    library = tiny_library()
    wire = """*SPEF "IEEE 1481-1998"
*C_UNIT 1 FF
*R_UNIT 1 KOHM
*D_NET m 4
*CONN
*I i1:Z O
*I i2:A I
*CAP
1 i1:Z 1
2 i2:A 1
3 m:1 2
*RES
1 i1:Z m:1 0.5
2 m:1 i2:A 1
*END"""
    netlist, constraints = circuits.read_verilog(CHAIN), circuits.read_timing(AT_A)
    graph = circuits.timing_graph(netlist, library, library, circuits.read_spef(wire), constraints)
    edge = graph.net_dst.tolist().index(graph.names.index("i2:A"))
    assert graph.net_elmore[edge, 2] == pytest.approx(0.5 * (2 + 1 + 1.5) + 1 * 2.5)
    driver = graph.names.index("i1:Z")
    assert graph.load[driver, 2] == pytest.approx(1 + 2 + 2.5)
    near, resistance, far = graph.pi[driver, 2]
    assert near + far == pytest.approx(5.5)
    assert resistance > 0
    timing = circuits.analyse(graph)
    delay = timing.net_delay[edge, 2]
    assert np.log(2) * graph.net_elmore[edge, 2] < delay < graph.net_elmore[edge, 2]
    unhidden = 10 + 0.5 + 2 * 5.5
    assert unhidden - 2 * far < timing.arrival[driver, 2] < unhidden


def test_wires_behind_inputs_answer_a_ramp_or_a_step():
    library = tiny_library()
    wire = circuits.read_spef("*C_UNIT 1 FF\n*R_UNIT 1 KOHM\n*D_NET a 4\n*CAP\n1 i1:A 4\n*RES\n1 a i1:A 2\n*END")
    graph = circuits.timing_graph(circuits.read_verilog(CHAIN), library, library, wire, circuits.read_timing(AT_A))
    sink, elmore = graph.names.index("i1:A"), 2 * (4 + 1.5)
    ramp, step = (circuits.analyse(graph, inputs=kind) for kind in ("ramp", "step"))
    assert step.arrival[sink].tolist() == pytest.approx([np.log(2) * elmore] * 4)
    assert step.slew[sink].tolist() == pytest.approx([5 + np.log(9) * elmore] * 4)
    assert step.arrival[sink, 2] < ramp.arrival[sink, 2] < elmore
    assert ramp.slew[sink].tolist() == pytest.approx([np.hypot(5, np.log(9) * elmore)] * 4)
    with pytest.raises(InvalidInput, match="inputs must be 'ramp' or 'step'; got 'fall'"):
        circuits.analyse(graph, inputs="fall")


def test_names_of_what_does_not_fit():
    library = tiny_library()

    def graph(text, constraints=None, wires=None):
        return circuits.timing_graph(circuits.read_verilog(text), library, library, wires, constraints)

    with pytest.raises(NotFound, match="instance 'i2' is a 'NAND9', which the library tiny does not have"):
        graph(CHAIN.replace("INV i2", "NAND9 i2"))
    with pytest.raises(NotFound, match="instance 'i2' connects pin 'B', which cell 'INV' has not"):
        graph(CHAIN.replace(".A(m)", ".B(m)"))
    with pytest.raises(IngestError, match="net 'm' is driven by i1:Z and by i2:Z"):
        graph(CHAIN.replace(".Z(z)", ".Z(m)"))
    with pytest.raises(NotFound, match="name port 'q', which circuit 'chain' does not have"):
        graph(CHAIN, circuits.read_timing("at q 0 0 0 0"))
    loop = "module r (a); input a; wire x, y; INV i1 (.A(x), .Z(y)); INV i2 (.A(y), .Z(x)); endmodule"
    with pytest.raises(CycleFound, match="r has a combinational loop of 4 pins: i1:A -> i1:Z -> i2:A -> i2:Z"):
        circuits.analyse(graph(loop))
    loose = graph(CHAIN.replace(".A(a)", ".A()").replace(".Z(z)", ".Z()"))
    assert loose.unconnected == ["i1:A", "i2:Z", "z"]
    timing = circuits.analyse(loose)
    assert np.isnan(timing.arrival[loose.names.index("i1:Z")]).all()


def test_wires_that_are_no_trees_are_named():
    library, netlist = tiny_library(), circuits.read_verilog(CHAIN)
    wire = circuits.read_spef("*D_NET m 1\n*RES\n1 i1:Z m:1 1\n2 m:1 i2:A 1\n3 i2:A i1:Z 1\n*END")
    with pytest.raises(IngestError, match="net 'm': its resistors form a loop at"):
        circuits.timing_graph(netlist, library, library, wire)
    wire = circuits.read_spef("*D_NET m 1\n*CAP\n1 i2:A 1\n*RES\n1 i1:Z m:1 1\n*END")
    with pytest.raises(IngestError, match="net 'm': no resistors lead from i1:Z to i2:A"):
        circuits.timing_graph(netlist, library, library, wire)
    wire = circuits.read_spef("*D_NET m 1\n*RES\n1 i1:Z m:1 1\n*END")
    with pytest.raises(IngestError, match="net 'm': its wire does not reach i2:A"):
        circuits.timing_graph(netlist, library, library, wire)


def test_store_of_a_circuit(libraries):
    constraints = circuits.read_timing(text("s27.timing"))
    store = circuits.timing_store(graph_of("s27", libraries, constraints))
    pins = store.nodes("pin")
    assert pins["x"].shape == (78, 10)
    assert len(store.attributes["features"]) == 10
    assert store.attributes["unconnected"] == ["inst_14:Q", "inst_15:Q", "inst_16:Q"]
    net, cell = ("pin", "net", "pin"), ("pin", "cell", "pin")
    for name, edge_type in (("net", net), ("cell", cell)):
        ends, delay = store.edge_list(edge_type), store.edges(edge_type)["delay"]
        assert (pins["level"][ends.src] < pins["level"][ends.dst]).all()
        late = pins["arrival"][:, 2:]
        assert (late[ends.dst].max(1) >= late[ends.src].min(1)).all(), name
        assert (delay >= 0).all()
    src, dst = store.edge_list(net).src, store.edge_list(net).dst
    np.testing.assert_allclose(pins["arrival"][dst], pins["arrival"][src] + store.edges(net)["delay"], rtol=1e-5)
    tables = store.nodes("table")
    assert tables["values"].shape[1:] == (8, np.prod(store.attributes["table_shape"]))
    assert store.edges(cell)["table"].max() < tables["values"].shape[0]
    assert pins["is_end"].sum() == 1 + 3
