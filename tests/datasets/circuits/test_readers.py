"""Readers of circuit files: against other readers, against what the files say, and on files that are damaged."""

from __future__ import annotations

import gzip
import random

import numpy as np
import pytest

from nearhop import datasets
from nearhop.datasets import circuits
from nearhop.graphlib.errors import IngestError, InvalidType, NearhopError
from nearhop.graphlib.sparse import topological_levels
from nearhop.tests.support import data_file, data_folder, needs

CIRCUITS = [name for name in datasets.names() if datasets.info(name).kind == "circuit"]
LARGE = ("epfl-div", "epfl-log2", "epfl-mem-ctrl", "epfl-multiplier", "epfl-sqrt", "epfl-square", "epfl-voter")
LARGE += ("iscas89-s38417", "iscas89-s38584", "tau2015-wb-dma", "tau2015-c6288")


def content(path):
    return gzip.decompress(data_file(f"circuits/{path}.gz").read_bytes())


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in CIRCUITS])
def test_every_circuit_is_acyclic_and_has_its_counts(name):
    card = datasets.info(name)
    for path in card.files:
        data_file(path)
    store = datasets.load(name, data_folder())
    assert (store.num_nodes, store.num_edges) == (card.nodes, card.edges)
    assert store.attributes["dataset"] == name
    levels = topological_levels(store)
    assert levels.num_levels > 3
    node_type = "pin" if "pin" in store.node_types else "node"
    starts = levels.nodes(0)
    if node_type == "node":
        assert np.isin(
            np.asarray(store.attributes["kinds"])[store.nodes["kind"][starts]], ["input", "constant", "flip-flop"]
        ).all()
        assert store.nodes["is_output"].any()
    else:
        assert np.array_equal(store.nodes("pin")["level"], levels.level)


def test_known_sizes():
    """Gates and cells as the sets' own pages count them."""
    hyp = circuits.read_aiger(data_file("circuits/epfl/hyp.aig").read_bytes())
    assert (hyp.num_inputs, len(hyp.ands), len(hyp.outputs)) == (256, 214335, 128)
    assert len(circuits.read_verilog(content("iscas85/c6288.v")).instances) == 2353
    assert len(circuits.read_verilog(content("tau2015/wb_dma.v")).instances) == 4195
    assert len(circuits.read_blif(content("epfl/adder.blif")).instances) == 1020


@pytest.mark.parametrize("name", ["c17", "c432", "c5315", "c6288", "s27", "s344", "s1494"])
def test_sdc_and_the_contest_s_own_format_say_the_same(name):
    ours, theirs = (
        read(content(f"tau2015/{name}.{suffix}"))
        for read, suffix in ((circuits.read_timing, "timing"), (circuits.read_sdc, "sdc"))
    )
    for table in ("arrival", "slew", "required"):
        one, two = getattr(ours, table), getattr(theirs, table)
        assert one.keys() == two.keys()
        for port in one:
            assert one[port] == pytest.approx(two[port])
    assert ours.load == theirs.load


@needs("liberty")
def test_liberty_agrees_with_liberty_parser():
    from liberty.parser import parse_liberty

    text = content("tau2015/tau2015_Late.lib").decode()
    ours, theirs = circuits.read_liberty(text), parse_liberty(text)
    cells = {cell.args[0]: cell for cell in theirs.get_groups("cell")}
    assert ours.cells.keys() == cells.keys()
    for name in list(cells)[::10]:
        for pin in cells[name].get_groups("pin"):
            mine = ours.cells[name][pin.args[0]]
            assert mine.capacitance["rise"] == float(pin["capacitance"])
            for arc, timing in zip(mine.arcs, pin.get_groups("timing"), strict=True):
                for kind, table in arc.tables.items():
                    np.testing.assert_array_equal(table.values, timing.get_group(kind).get_array("values"))


@needs("spydrnet")
def test_verilog_agrees_with_spydrnet(tmp_path, monkeypatch):
    import logging

    import spydrnet

    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)  # its messages have faulty arguments
    (tmp_path / "c.v").write_bytes(content("tau2015/c432.v"))
    theirs = spydrnet.parse(str(tmp_path / "c.v")).top_instance.reference
    ours = circuits.read_verilog(content("tau2015/c432.v"))
    mine = {i.name: (i.cell, i.pins) for i in ours.instances}
    found = {}
    for child in theirs.children:
        pins = {p.inner_pin.port.name: p.wire.cable.name for p in child.pins if p.wire is not None}
        found[child.name] = (child.reference.name, pins)
    assert mine == found


def test_verilog_forms():
    text = r"""
    /* two modules */ (* keep *) module cell_x (CK, D, Q);
    input CK, D; output Q; reg Q; always @(posedge CK) Q <= D; endmodule
    module top (input [1:0] a, input \b[0] , output y, output [0:1] z);
      wire n1, n2; supply0 gnd;
      nand #0 ;
    endmodule
    """
    with pytest.raises(IngestError, match="line 6: parameters of 'nand' are not supported"):
        circuits.read_verilog(text)
    net = circuits.read_verilog(
        text.replace(
            "nand #0 ;",
            r"""
      nand (n1, a[0], \b[0] ), g2 (n2, a[1], 1'b1);
      cell_x f (.CK(n1), .D(n2), .Q(y));
      assign z = {n1, gnd};
    """,
        )
    )
    assert net.inputs == ["a[1]", "a[0]", "b[0]"]
    assert net.outputs == ["y", "z[0]", "z[1]"]
    assert [(i.cell, list(i.pins.values())) for i in net.instances] == [
        ("nand", ["n1", "a[0]", "b[0]"]),
        ("nand", ["n2", "a[1]", "1"]),
        ("cell_x", ["n1", "n2", "y"]),
    ]
    assert net.driver_of("z[1]") == "0"
    assert net.driver_of("z[0]") == "n1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modul a;", "line 1: expected a module"),
        ("module a (x); input x;", "ends too early"),
        ("module a (x); input [99999999:0] x; endmodule", "wider than 65536 bits"),
        ("module a (x); input x; INV i (x); endmodule", "pins of 'INV' are not named"),
        ("module a (x); input x; INV i (.A(x), .A(x)); endmodule", "pin 'A' is connected twice"),
        ("module a (x); input [1:0] x; INV i (.A(x)); endmodule", "pin 'A' is 2 bits wide"),
        ("module a (x); input x; assign x = 2'bxx; endmodule", "undefined bits"),
        ("module b (); endmodule module a (); b i (); endmodule", "a is not flat"),
        ("", "no structural module at all; modules: none"),
        (f"module a (x); input [{'9' * 5000}:0] x; endmodule", "a range needs numbers, found '999"),
        (f"module a (x); input x; assign y = x[{'9' * 5000}]; endmodule", "a bit of 'x' needs a number"),
        (f"module a (x); assign x = {'{' * 5000}", "concatenations lie more than 32 deep"),
        (f"module a (x); assign x = {{{'65536&d0, ' * 9}1}};".replace("&", "'"), "wider than 65536 bits"),
        (f"module a (x);{''.join(f' input [65535:0] p{k};' for k in range(65))}", "more than 4,194,304 bits"),
        ("module a (x); input x; not g (y, x); not g (z, x); endmodule", "two instances of a are named 'g'"),
        ("module a (x); input x; endmodule module a (y); input y; endmodule", "a second module is named 'a'"),
        ("module a (x); input x; assign y = x; assign y = w; endmodule", "a second assignment drives 'y'"),
        ("module a (x); always " + "/*" * 50_000, "the comment that begins with '/.' has no end"),
    ],
)
def test_verilog_faults_are_named(text, message):
    with pytest.raises(IngestError, match=message):
        circuits.read_verilog(text, "x.v")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell (a) { }", "holds a 'cell' group"),
        ("library (a) { cell (b) {", "ends too early"),
        ("library (a) { x y }", "expected ':' or '\\(' after 'x'"),
        ("library (a) { time_unit : 1parsec; }", "time_unit '1parsec'"),
        (
            "library (a) { cell (b) { pin (p) { capacitance : much; } } }",
            "cell b, pin p: 'much' is not a finite number",
        ),
        ("library (a) { " + "g () { " * 40 + "} " * 41, "more than 32 deep"),
        (
            'library (a) { cell (b) { pin (p) { timing () { related_pin : "q"; cell_rise (s) { values ("1, 2"); }}}}}',
            "cell b, pin p, cell_rise: 2 values do not fit",
        ),
        ("library (a) { } more", "text after the end"),
        ('library (a) { b : "x', "is not understood"),
        ("library (a) { /* b", "has no end"),
        ("library (a) { cell (b) { pin (p) { } pin (p) { } } }", "cell b: two pins are named 'p'"),
        ("library (a) { lu_table_template (t) { } lu_table_template (t) { } }", "two table templates are named 't'"),
        ("library (a) { cell (b) { pin (p) { capacitance : 1; capacitance : 2; } } }", "capacitance is given twice"),
        ("library (a) { cell (b) { pin (p) { capacitance : 1_0; } } }", "'1_0' is not a finite number"),
        ('library (a) { time_unit : "0ns"; }', "time_unit must be above zero"),
        ("library (a) { capacitive_load_unit (0, pf); }", "capacitive_load_unit must be above zero"),
    ],
)
def test_liberty_faults_are_named(text, message):
    with pytest.raises(IngestError, match=message):
        circuits.read_liberty(text, "x.lib")


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (circuits.read_spef, "*D_NET a 1\n*CAP\n1 a x\n*END", "line 3: .*'x' is not a finite number"),
        (circuits.read_spef, "*D_NET a 1\n*RES\n1 a\n*END", "line 3: '1 a' is not understood"),
        (circuits.read_spef, "*D_NET a 1\n*CAP\n", "net 'a' has no \\*END"),
        (circuits.read_spef, "*END", "there is no net to end"),
        (circuits.read_spef, "*D_NET a 1\n*CAP\n1 a 1\n*D_NET b 1\n*END", "line 4: net 'a' has no \\*END before"),
        (circuits.read_spef, "*D_NET a 1\n*END\n*D_NET a 1\n*END", "line 3: a second net is named 'a'"),
        (circuits.read_spef, "*NAME_MAP\n*1 a\n*1 b", "line 3: '\\*1' is mapped twice"),
        (circuits.read_spef, "*D_NET *7 1\n*END", "'\\*7' is not in the name map"),
        (circuits.read_spef, "*C_UNIT nan PF", "'nan' is not a finite number"),
        (circuits.read_spef, "*D_NET a 1\n*END\n*C_UNIT 1 FF", "\\*C_UNIT comes after the first net"),
        (circuits.read_spef, "*D_NET a 1\n*RES\n1 a b -5\n*END", "the resistance -5 is below zero"),
        (circuits.read_spef, "*R_NET a 1\n*END", "\\*R_NET is not supported"),
        (circuits.read_timing, "at a 1 2 3 4\nat a 5 6 7 8", "line 2: a second 'at' of 'a'"),
        (circuits.read_timing, "load a 4 5", "more than 3 words"),
        (circuits.read_sdc, "set_load \\\n 4 [get_ports a]\nexit", "line 3: the command 'exit'"),
        (circuits.read_sdc, "create_clock -period 5\ncreate_clock -period 6", "line 2: a second clock"),
        (circuits.read_blif, ".model a\n.names x y\n11 1\n.end", "not a row of a truth table for 1 inputs"),
        (circuits.read_blif, ".model a\n.end\n.inputs x", "line 3: '.inputs x' follows the .end"),
        (circuits.read_timing, "at a 1 2 3", "line 1: 'at a 1 2 3' ends too early"),
        (circuits.read_timing, "when a 1", "'when' is none of at, slew"),
        (circuits.read_timing, "load a nan", "'nan' is not a finite number"),
        (circuits.read_sdc, "set_false_path -to a", "command 'set_false_path' is not supported"),
        (circuits.read_sdc, "set_load 4 [all_outputs [x]]", "only plain"),
        (circuits.read_sdc, "create_clock -period [get_ports x]", "is not a finite number"),
        (circuits.read_blif, ".names a b", "before any .model"),
        (circuits.read_blif, ".model a\n.subckt x", "'.subckt' is not supported"),
        (circuits.read_blif, ".model a\n.inputs x\n", "ends without .end"),
        (circuits.read_blif, ".model a\n.names x y\n2 1\n.end", "not a row of a truth table"),
    ],
)
def test_other_faults_are_named(read, text, message):
    with pytest.raises(IngestError, match=message):
        read(text)
    assert read(b"" if read is not circuits.read_blif else b".model a\n.end") is not None
    with pytest.raises(IngestError, match="not text: byte 2"):
        read(b"ab\xff")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"aag 1 1 0 0 0\n2\n", "not 'aig M I L O A'"),
        (b"aig 5 1 0 0 1\n", "M is 5, but I \\+ L \\+ A is 2"),
        (b"aig 300000000 1 0 0 299999999\n", "at most"),
        (b"aig 1000 1 0 0 999\n\x02\x02", "cannot hold 999 gates"),
        (b"aig 1 1 0 1 0\n9\n", "literal 0 of the latches and outputs"),
        (b"aig 2 1 0 0 1\n\x00\x01", "gate 0 reads a literal that does not come before"),
        (b"aig 2 1 0 0 1\n\x05\x80", "cannot hold|reads a literal"),
        (b"aig " + b"9" * 5000 + b" 1 0 0 0\n", "not 'aig M I L O A'"),
        (b"aig 1 1 0 0 0\nzzz", "b'zzz' follows the last gate"),
        (b"aig 2 1 0 0 1\n\x81\x80\x80\x80\x80\x80\x01", "too long"),
    ],
)
def test_aiger_faults_are_named(data, message):
    with pytest.raises(IngestError, match=message):
        circuits.read_aiger(data)


def test_a_small_aig():
    """a and not b, with the gate as output: literals 2, 5 -> gate 6 = deltas 6 - 5, 5 - 2."""
    aig = circuits.read_aiger(b"aig 3 2 0 1 1\n6\n" + bytes([1, 3]))
    assert aig.ands.tolist() == [[5, 2]]
    store = circuits.logic_store(aig)
    assert store.csc().neighbors(3).tolist() == [1, 2]
    assert store.edges["inverted"].tolist() == [True, False]
    assert np.flatnonzero(store.nodes["is_output"]).tolist() == [3]


def test_logic_faults_are_named():
    with pytest.raises(IngestError, match="nothing drives 1 nets: q"):
        circuits.logic_store(circuits.read_verilog("module a (x, y); input x; output y; and g (y, x, q); endmodule"))
    with pytest.raises(IngestError, match="net 'y' is driven by h and by something"):
        circuits.logic_store(
            circuits.read_verilog("module a (x, y); input x; output y; not g (y, x), h (y, x); endmodule")
        )
    with pytest.raises(IngestError, match="g is a 'INV', neither a gate"):
        circuits.logic_store(
            circuits.read_verilog("module a (x, y); input x; output y; INV g (.A(x), .Z(y)); endmodule")
        )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("output y; not g ();", "g: the gate 'not' has no input"),
        ("output y, z; not g (y, z, x);", "the gate 'not' has several outputs"),
        ("output y; FF f (.D(x), .Q());", "a pin of the 'FF' is not connected"),
        ("output y; assign y = x; buf b (y, x);", "net 'y' is driven by an assignment and by something else"),
    ],
)
def test_gates_that_are_not_whole(body, message):
    with pytest.raises(IngestError, match=message):
        circuits.logic_store(circuits.read_verilog(f"module a (x, y); input x; {body} endmodule"))


def test_names_that_look_like_something_else():
    """Nets called 1 and \\0, `@(*)` that begins no attribute, pins of one group, and a byte-order mark."""
    kind = {name: place for place, name in enumerate(circuits.logic.KINDS)}
    gates = circuits.logic_store(circuits.read_blif(".model m\n.inputs 1 2\n.outputs y\n.names 1 2 y\n11 1\n.end"))
    assert gates.nodes["kind"].tolist() == [kind["input"], kind["input"], kind["names"]]
    gates = circuits.logic_store(circuits.read_verilog("module a (); input \\0 ; output y; not g (y, \\0 ); endmodule"))
    assert gates.nodes["kind"].tolist() == [kind["input"], kind["not"]]
    cell = "module m{0} (q, d); always @(*) q = d; endmodule "
    top = circuits.read_verilog(cell.format(0) + "module top (x); not g (y, x); endmodule " + cell.format(1))
    assert (top.name, len(top.instances)) == ("top", 1)
    library = circuits.read_liberty("library (l) { cell (A) { pin (a, b) { capacitance : 2; } } }".encode("utf-8-sig"))
    assert [pin.capacitance["rise"] for pin in library.cells["A"].values()] == [2, 2]

    with pytest.raises(InvalidType, match="must be given as its content, bytes; got int"):
        circuits.read_spef(7)


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("tau2015/c17.v", circuits.read_verilog),
        ("tau2015/c17.spef", circuits.read_spef),
        ("tau2015/s27.spef", circuits.read_spef),
        ("tau2015/c17.sdc", circuits.read_sdc),
        ("tau2015/c17.timing", circuits.read_timing),
        ("epfl/ctrl.blif", circuits.read_blif),
        ("tau2015/tau2015_Late.lib", circuits.read_liberty),
    ],
)
def test_damaged_files_give_named_errors_or_a_result(path, read):
    """Cut off and with bytes changed at random places: never anything but a result or an error of ours."""
    whole = content(path)[:20_000]
    dice = random.Random(7)
    failed = 0
    for _ in range(60):
        data = bytearray(whole[: dice.randrange(len(whole))] if dice.random() < 0.3 else whole)
        for _ in range(dice.randrange(1, 6)):
            if data:
                data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            read(bytes(data))
        except NearhopError:
            failed += 1
    assert failed > 5


def test_damaged_aigs():
    whole = data_file("circuits/epfl/hyp.aig").read_bytes()[:40]
    dice = random.Random(3)
    base = b"aig 12 4 0 2 8\n10\n25\n" + bytes(dice.randrange(1, 3) for _ in range(16))
    circuits.read_aiger(base)
    for _ in range(300):
        data = bytearray(base if dice.random() < 0.8 else whole)
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            aig = circuits.read_aiger(bytes(data[: dice.randrange(len(data)) + 1]))
        except NearhopError:
            continue
        assert (aig.ands >> 1 < 4 + aig.latches.size + 1 + np.arange(len(aig.ands))[:, None]).all()
