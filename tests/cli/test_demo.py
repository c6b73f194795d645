"""The demo ends with a report that stands alone and figures that make sense."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

import nearhop
from nearhop.cli import demo
from nearhop.cli.demo import run, steps
from nearhop.cli.demo.data import one_class, share_label
from nearhop.cli.demo.progress import Stages
from nearhop.graphlib.errors import StoreExists
from nearhop.tests.support import data_file, needs

pytestmark = [needs("sklearn"), needs("matplotlib")]


class Page(HTMLParser):
    """Notes headings, addresses of other files, and tags that were not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.headings = 0

    def handle_starttag(self, tag, attrs):
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.headings += tag == "h2"
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    for address in page.addresses:  # pictures are inside; a fragment names a part of the same drawing
        assert address.startswith(("data:image/png;base64,", "#")), address[:80]
    return page


def test_digits(tmp_path):
    result = run("digits", tmp_path / "out")
    assert result.store.num_nodes == 1797
    assert result.curve[-1]["recall"] > 0.99
    assert result.scores["graph embedding"][0] > 0.95
    assert result.agreement is not None
    assert result.agreement > 0.7
    store = nearhop.open(tmp_path / "out" / "digits.nh")
    assert store.verify()
    assert {"x", "y", "fastrp"} <= set(store.nodes)
    page = read(tmp_path / "out" / "report.html")
    assert page.headings == 6
    assert len([a for a in page.addresses if a.startswith("data:")]) == 10 * 11 + 2
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org|purl\.org|creativecommons\.org)", text)
    assert "all of it" in text
    again = run("digits", tmp_path / "out")
    assert again.curve[-1]["recall"] == result.curve[-1]["recall"]
    assert again.scores == result.scores


def test_a_graph_without_vectors_or_labels_has_the_panels_that_apply(tmp_path):
    data_file("linkpred/USAir.mat")
    result = run("usair", tmp_path / "out")
    assert result.scores == {}
    assert result.agreement is None
    assert read(tmp_path / "out" / "report.html").headings == 5
    assert read(tmp_path / "out" / "links.html").headings == 2
    links = result.links
    assert links.by_time is False
    assert links.scores["common neighbours"]["auc"] > 0.9
    assert links.scores["graph embedding"]["auc"] > 0.8
    assert 150 < links.tested + links.left_out < 280  # a tenth of 2,126
    assert all(linked in (True, False) for *_, linked in links.best)


def test_a_stream_is_split_by_time(tmp_path, capsys):
    data_file("temporal/ml_enron.csv.gz")
    result = run("enron", tmp_path / "out")
    assert result.links.by_time
    assert result.links.again is not None
    assert 0 < result.links.again < 1
    assert set(result.links.new_scores) == {"graph embedding", "common neighbours", "degrees"}
    assert read(tmp_path / "out" / "links.html").headings == 4
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "[1] load enron"
    assert [line.partition("]")[0] for line in told[1:]] == [f"[{i}/8" for i in range(2, 9)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["blogcatalog", "mutag", "epfl-ctrl", "iscas85-c17", "glove-twitter-25", "cora"])
def test_datasets_of_every_kind(tmp_path, name):
    from nearhop.datasets import info

    data_file(info(name).files[0])
    run(name, tmp_path / "out")
    assert read(tmp_path / "out" / "report.html").headings >= 5


def test_pins_of_several_types_are_one_graph(tmp_path):
    data_file("circuits")
    result = run("tau2015-c17", tmp_path / "out")
    assert (result.store.num_nodes, result.store.num_edges) == (25, 26)
    assert "2 types (net, cell)" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_labels_in_common():
    several = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], np.uint8)
    assert [share_label(several, 0, other) for other in (1, 2, 3)] == [True, False, None]
    assert one_class(several).tolist() == [1, 1, 2, -1]  # of its labels the one that most nodes have
    single = np.array([4, 4, 2, -1])
    assert [share_label(single, 0, other) for other in (1, 2, 3)] == [True, False, None]


def test_what_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "classify", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("karate", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    monkeypatch.undo()
    run("karate", tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"karate.nh", "report.html", ".nearhop-demo.json"}


def test_time_left(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("nearhop.cli.demo.progress.time.perf_counter", lambda: now[0])
    stages = Stages()
    stages.expect(["index", "search", "report"])
    for kind, seconds in (("index", 20.0), ("search", 12.0), ("report", 28.0)):
        with stages.stage(kind, kind):
            now[0] += seconds
    told = capsys.readouterr().err.splitlines()
    assert told == ["[1/3] index", "[2/3] search (about 40 s left)", "[3/3] report (about 30 s left)"]
    assert stages.seconds == {"index": 20.0, "search": 12.0, "report": 28.0}


def test_other_files_are_not_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreExists, match=r"holds other things \(thesis\.txt\)"):
        run("karate", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def stopped(*_, **__):
    raise InterruptedError("before the work")


@pytest.mark.parametrize("change", ["made by hand", "changed since", "report changed", "not a store"])
def test_nothing_is_removed_that_a_demo_did_not_leave(tmp_path, monkeypatch, change):
    store = nearhop.datasets.load("karate").save(tmp_path / "karate.nh")
    (tmp_path / "report.html").write_text("a demo's")
    if change != "made by hand":
        demo._write_marks(tmp_path, {name: demo._mark_of(tmp_path / name) for name in ("karate.nh", "report.html")})
    if change == "report changed":
        (tmp_path / "report.html").write_text("mine")
    elif change == "not a store":
        shutil.rmtree(tmp_path / "karate.nh")
        (tmp_path / "karate.nh").mkdir()
        (tmp_path / "karate.nh" / "thesis.txt").write_text("mine")
    else:
        store.nodes["mine"] = np.arange(34)
        store.commit("a week of work")
    before = sorted((p.relative_to(tmp_path), p.is_file() and p.read_bytes()) for p in tmp_path.rglob("*"))
    monkeypatch.setattr(demo, "measure", stopped)
    with pytest.raises(StoreExists, match=r"holds other things .*changed since; nothing was removed"):
        run("karate", tmp_path)
    assert sorted((p.relative_to(tmp_path), p.is_file() and p.read_bytes()) for p in tmp_path.rglob("*")) == before


def test_what_a_demo_left_is_replaced(tmp_path, monkeypatch):
    nearhop.datasets.load("karate").save(tmp_path / "karate.nh")
    nearhop.GraphStore.from_edges([0], [1]).save(tmp_path / "other.nh")
    (tmp_path / "report.html").write_text("a demo's")
    demo._write_marks(tmp_path, {name: demo._mark_of(tmp_path / name) for name in ("karate.nh", "report.html")})
    monkeypatch.setattr(demo, "measure", stopped)
    with pytest.raises(InterruptedError):
        run("karate", tmp_path)
    assert not (tmp_path / "karate.nh").exists()
    assert nearhop.open(tmp_path / "other.nh").num_edges == 1
