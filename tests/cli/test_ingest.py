"""nearhop ingest: every option of the API, and the report."""

from __future__ import annotations

import inspect
from pathlib import Path

import nearhop
from nearhop.cli.ingest_command import ingest as command
from nearhop.graphlib.ingest.api import ingest


def test_every_option_of_the_api_is_one_of_the_command():
    here = {name.rstrip("_") for name in inspect.signature(command).parameters}
    there = set(inspect.signature(ingest).parameters) - {"progress"}
    assert (there - {"types"}) | {"type"} <= here


def test_the_report_is_told(told, run):
    Path("e.csv").write_text("# made today\nfrom;to;km;zip\n1;2;0,5;012\n2;3;1,25;345\n")
    made = told("ingest", "e.csv", "s.nh", "--weight", "km")
    assert made["report"]["roles"]["weight"] == "km (float)"
    assert made["report"]["kept"] == {"zip": "text"}
    code, out, _ = run("info", "s.nh")
    assert code == 0
    assert "made from e.csv (delimiter semicolon, with header, comment #, 1 comment line skipped)" in out
    code, out, _ = run("ingest", "e.csv", "t.nh", "--columns", "", "--type", "km=text", "--ids", "text", "--directed")
    assert code == 0
    assert "directed, as asked for" in out
    assert nearhop.open("t.nh").ids().tolist() == ["1", "2", "3"]


def test_the_source_says_whether_edges_have_a_direction(told):
    Path("g.mtx").write_text("%%MatrixMarket matrix coordinate pattern general\n3 3 2\n1 2\n2 3\n")
    told("ingest", "g.mtx", "g.nh")
    assert nearhop.open("g.nh").directed
    told("ingest", "g.mtx", "u.nh", "--undirected")
    assert not nearhop.open("u.nh").directed


def test_options_reach_the_reader(told, run):
    Path("f").mkdir()
    Path("f/a.csv").write_text("user,item,t\n1,1,5\n", encoding="utf-16-le")
    Path("f/b.csv").write_text("2,1,6\n", encoding="utf-16-le")
    words = ["--header-first", "--encoding", "utf-16-le", "--bipartite", "--time", "t", "--sorted", "--threads", "1"]
    told("ingest", "f", "s.nh", *words)
    assert nearhop.open("s.nh").ids().tolist() == ["user:1", "user:2", "item:1"]
    Path("t.txt").write_text("//x\n'a b'|c\n'd e'|f\n")
    told("ingest", "t.txt", "t.nh", "--delimiter", "|", "--quote", "'", "--comment", "//", "--no-header")
    assert nearhop.open("t.nh").ids().tolist() == ["a b", "c", "d e", "f"]
    Path("n.txt").write_text("0|x\n1|y\n3|z\n")
    Path("p.csv").write_text("0,1\n1,3\n")
    told("ingest", "p.csv", "p.nh", "--nodes", "n.txt", "--node-text", "header=no", "--node-text", "delimiter=|")
    assert nearhop.open("p.nh").nodes["column1"].tolist() == ["x", "y", "z"]
    told("ingest", "p.csv", "q.nh", "--ids", "positions", "--num-nodes", 9, "--src", 1, "--dst", 0)
    assert nearhop.open("q.nh").edge_list().src.tolist() == [1, 3]
    for words, message in (
        (["--type", "zip"], "--type takes NAME=VALUE"),
        (["--header-first", "--header"], "goes without"),
    ):
        code, _, err = run("ingest", "p.csv", "z.nh", *words)
        assert code == 3
        assert message in err


def test_warnings_are_notes(run):
    Path("e.csv").write_text("user,item\n1,1\n2,1\n")
    code, _, err = run("ingest", "e.csv", "s.nh")
    assert code == 0
    assert "note: ingest: ids that stand in both columns 'user' and 'item' (1 of them)" in err


def test_nothing_steers_the_terminal(run):
    Path("e\x1b[31m[bold].csv").write_text("1\n2,3\n4,5\n")
    code, _, err = run("ingest", "e\x1b[31m[bold].csv", "s.nh")
    assert code == 3
    assert "\x1b" not in err
    assert "e\\x1b[31m[bold].csv, line 1" in err
    code, _, err = run("info", "no\x1b[2J.nh")
    assert "\x1b" not in err
    Path("plain.csv").write_text("0,1\n1,2\n")
    assert run("ingest", "plain.csv", "n\x1b[31m.nh")[0] == 0
    code, out, _ = run("info", "n\x1b[31m.nh")
    assert code == 0
    assert "\x1b" not in out


def test_no_threads_are_refused(run):
    Path("e.csv").write_text("src,dst\n1,2\n2,3\n")
    code, _, error = run("ingest", "e.csv", "s.nh", "--threads", 0)
    assert (code, "threads must be an integer >= 1; got 0" in error) == (3, True), error
    assert not Path("s.nh").exists()
