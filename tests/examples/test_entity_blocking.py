"""Blocking in its short form: what is trained finds more than MinHash, and every method is judged."""

from __future__ import annotations

from nearhop.tests.support import data_file, needs, run_example


@needs("torch")
def test_short_form():
    folder = data_file("er/abt_buy/abt.csv.gz").parents[2]
    rows = run_example("entity_blocking.py", folder, "--datasets", "abt_buy", "--threads", "1")
    assert rows["TF-IDF, all: PC@10"] > 97
    assert rows["TF-IDF, all: k"] <= 3
    assert rows["NLSHBlock ngrams, unseen: PC@5"] > rows["MinHash, unseen: PC@5"]
