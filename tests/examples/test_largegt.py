"""The example on LargeGT runs in its short form, every model beside the others."""

from __future__ import annotations

from nearhop.tests.examples.running import rows_of
from nearhop.tests.support import data_file, needs


@needs("torch")
def test_short_form():
    data = data_file("heterophilous/chameleon_filtered.npz").parent.parent
    rows = rows_of("largegt.py", "--short", data=data)
    assert len(rows) == 7
    found = {what.partition(",")[0]: row["ours"] for (_, what), row in rows.items()}
    assert found["gcn"] > 27  # the largest class has 27 % of the nodes
    assert found["largegt"] > 15
    assert found["largegt-local"] > 15
