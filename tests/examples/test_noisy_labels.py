"""The example with noisy labels runs in its short form; labels help, also those that a classifier made."""

from __future__ import annotations

from nearhop.tests.examples.running import rows_of
from nearhop.tests.support import data_file, needs


@needs("sklearn")
def test_short_form():
    data = data_file("gnn_benchmark/amazon_electronics_photo.npz").parent.parent
    data_file("planetoid/ind.cora.graph")
    rows = rows_of("noisy_labels.py", "--short", "--datasets", "cora", data=data)
    for protocol in ("flips", "25 samples"):
        with_labels, without = (rows["cora", f"{protocol}: {m}, F1 of the support"]["ours"] for m in ("LFD", "FD"))
        assert with_labels > without + 0.05
