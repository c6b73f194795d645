"""The example on link prediction runs in its short form and writes its report."""

from __future__ import annotations

from nearhop.tests.support import data_file, needs, run_example


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
