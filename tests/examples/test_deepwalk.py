"""The DeepWalk example runs in its short form."""

from __future__ import annotations

import pytest

from nearhop.tests.examples.running import rows_of
from nearhop.tests.support import data_file, needs


@needs("sklearn")
@pytest.mark.parametrize("method", ["deepwalk", "node2vec"])
def test_short_form(method):
    data = data_file("embedding/PPI.ungraph.gz").parent.parent
    words = ["--short", "--dataset", "ppi", "--method", method, "--compare"]
    rows = rows_of("deepwalk.py", *words, data=data)
    what = f"{method}: micro-F1 at 20 %"
    assert rows["ppi", what]["ours"] > 0.12
    assert abs(rows["ppi", f"{what}, shared less fresh"]["ours"]) < 0.04
