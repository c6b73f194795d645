"""The example on link prediction runs in its short form and writes its report."""

from __future__ import annotations

import importlib

import numpy as np

from nearhop import GraphStore
from nearhop.tests.support import ROOT, data_file, needs, run_example


@needs("torch")
def test_short_form(tmp_path):
    data = data_file("planetoid/ind.cora.graph").parent.parent
    options = ("--report", str(tmp_path / "links"), "--models", "gae", "ncn", "buddy")
    rows = run_example("link_topology.py", data, *options)
    assert 25 < rows["common_neighbors Hits@100"] < 42  # published: 33.92
    assert rows["katz Hits@100"] > rows["common_neighbors Hits@100"]
    assert rows["ncn Hits@100"] > 15  # a random order gives 9.5
    assert 0.05 < rows["TC^Tr"] < rows["TC^Te"] < 0.3
    assert "recall@20 ~ tc_test" in rows
    assert "<svg" in (tmp_path / "links-cora.html").read_text()


@needs("torch")
def test_features_that_a_few_nodes_lack_are_read(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    features_in = importlib.import_module("link_topology").features_in
    store = GraphStore.from_edges([0, 1], [1, 2], num_nodes=20)
    assert features_in(store) is None
    store.nodes["x"] = np.eye(20, dtype=np.float32)
    assert (features_in(store) == np.eye(20)).all()
    for lacking, read in ((1, True), (3, False)):
        store.nodes["has_x"] = np.arange(20) >= lacking
        assert (features_in(store) is not None) == read
