"""The retriever finds known matches, and its vectors are what their docstring says."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np

from nearhop.tests.support import ROOT, data_file

SCRIPT = ROOT / "examples" / "text_retriever.py"


def run(*words):
    data = data_file("er/abt_buy/gt.csv.gz").parent.parent.parent
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--tables", "abt_buy", *words],
        env={**os.environ, "NEARHOP_DATA": str(data)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_known_matches_are_found():
    row = json.loads(run("--json"))["rows"][0]
    assert (row["queries"], row["records"], row["matches"]) == (1076, 1076, 1076)
    assert row["recall@1"] > 0.6
    assert row["recall@10"] > 0.85
    assert abs(row["recall@10"] - row["exact"]["recall@10"]) < 0.01
    assert row["recall@10"] > row["before_projection"]["recall@10"] - 0.06
    assert "Linksys" in run("--ask", "linksys etherfast switch")


def test_vectors_hold_the_ngrams_of_words():
    spec = importlib.util.spec_from_file_location("text_retriever", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
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
