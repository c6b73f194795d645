"""Learned partitions in the short form: at equal candidates no worse than k-means lists."""

from __future__ import annotations

from nearhop.tests.support import data_file, needs, run_example


@needs("torch")
def test_short_form():
    folder = data_file("ann/glove-twitter-25d.txt.gz").parents[1]
    rows = run_example("neural_lsh.py", folder, "--datasets", "glove")
    ours = {what: value for what, value in rows.items() if not what.endswith("of k-means")}
    assert len(ours) == 5
    for what, value in ours.items():
        if "min_share" in what:
            assert value > rows[f"{what} of k-means"], what
