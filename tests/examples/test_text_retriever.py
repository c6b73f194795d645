"""The retriever finds known matches, and its vectors are what their docstring says."""

from __future__ import annotations

import numpy as np

from nearhop.tests.examples.running import finish, imported, named, start, told
from nearhop.tests.support import data_file


def run(*words):
    data = data_file("er/abt_buy/gt.csv.gz").parent.parent.parent
    return finish(start("text_retriever.py", "--datasets", "abt_buy", *words, data=data))


def test_known_matches_are_found():
    found = told(run("--json"))
    assert found["asked"]["abt_buy"] == {"queries": 1076, "records": 1076, "matches": 1076}
    ours = {what: row["ours"] for (_, what), row in named(found).items()}
    assert ours["HNSW: recall@1"] > 0.6
    assert ours["HNSW: recall@10"] > 0.85
    assert abs(ours["HNSW: recall@10"] - ours["exact: recall@10"]) < 0.01
    assert ours["HNSW: recall@10"] > ours["before projection: recall@10"] - 0.06
    assert "Linksys" in run("--ask", "linksys etherfast switch")


def test_vectors_hold_the_ngrams_of_words():
    module = imported("text_retriever.py")
    texts = ["the red house", "the  RED house", "a blue car", "", "e"]
    made = module.HashedNgrams(dim=256).fit(texts)
    counts = made._counts(texts)
    # " red ": 3 of three letters, 2 of four, 1 of five; " house ": 5, 4, 3; " the ": 3, 2, 1
    assert counts.sum(axis=1)[:2].tolist() == [24, 24]
    rows = made.weights(texts)
    np.testing.assert_allclose(np.asarray(rows.multiply(rows).sum(axis=1)).ravel(), [1, 1, 1, 0, 1], atol=1e-6)
    dense = made.transform(texts)
    np.testing.assert_array_equal(dense[0], dense[1])
    assert dense[0] @ dense[1] > 0.7 > 0.4 > abs(dense[0] @ dense[2])
