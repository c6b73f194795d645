"""Topics along citations in its short form: what is cited by the cited helps."""

from __future__ import annotations

from nearhop.tests.support import data_file, needs, run_example


@needs("torch")
def test_short_form():
    folder = data_file("temporal/pubmed_edge_time.npy").parents[1]
    rows = run_example("citations.py", folder, "--threads", "1")
    assert rows["accuracy, level propagation"] > rows["accuracy, most frequent kind"] + 0.3
