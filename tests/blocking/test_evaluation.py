"""What evaluations of pairs take for the truth, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop.blocking import (
    CandidatePairs,
    EmbeddingBlocker,
    MinHashBlocker,
    NGramBlocker,
    Records,
    Union,
    at_recall,
    by_margin,
    by_score,
    curve,
    lost,
    quality,
)
from nearhop.graphlib.errors import InvalidInput, InvalidType

KEYS, OTHERS = np.arange(2), np.arange(3)
PAIRS = CandidatePairs(np.array([0, 1]), np.array([0, 2]), np.array([0.9, 0.8], "f"), np.zeros(2, "i"), KEYS, OTHERS)
JUDGES = {
    "quality": quality,
    "curve": lambda pairs, truth: curve(pairs, truth)[-1],
    "at_recall": lambda pairs, truth: at_recall(pairs, truth, 0.5),
    "by_score": lambda pairs, truth: by_score(pairs, truth, 0.5),
    "by_margin": lambda pairs, truth: by_margin(pairs, truth, 0.5),
    "lost": lost,
}


@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
@pytest.mark.parametrize(
    ("truth", "error", "message"),
    [
        ([[0, 3]], InvalidInput, "pair 0 names row 3 of the right table, whose rows are 0..2; match_rows gives"),
        ([[0, 0], [2, 0]], InvalidInput, "pair 1 names row 2 of the left table, whose rows are 0..1"),
        ([[0, -1]], InvalidInput, "names row -1 of the right table"),
        (
            [("a", "b")],
            InvalidType,
            "truth must be row numbers, which match_rows gives of pairs of keys; got dtype <U1",
        ),
        ([[0.0, 1.0]], InvalidType, "got dtype float64"),
        ([[True, False]], InvalidType, "got dtype bool"),
        ([0, 1], InvalidInput, r"row pairs \(matches, 2\), at least one; got shape \(2,\)"),
        ([[0, 1, 1]], InvalidInput, r"got shape \(1, 3\)"),
        ([[0, 1], [1]], InvalidInput, "truth must be an array, lists of equal lengths"),
        (None, InvalidInput, "row pairs"),
    ],
)
def test_what_is_no_truth(judge, truth, error, message):
    with pytest.raises(error, match=message):
        judge(PAIRS, truth)


@pytest.mark.parametrize("empty", [[], np.empty((0, 2), int)])
def test_no_truth(empty):
    for name, judge in JUDGES.items():
        if name != "lost":
            with pytest.raises(InvalidInput, match="at least one"):
                judge(PAIRS, empty)
    assert lost(PAIRS, empty).shape == (0, 2)


@pytest.mark.parametrize("recall", [0, -0.5, 1.5, 95, float("nan"), "0.5", None, True])
@pytest.mark.parametrize("judge", [at_recall, by_score, by_margin])
def test_recalls_that_are_none(judge, recall):
    with pytest.raises(InvalidInput, match=r"recall must be in \(0, 1\]; got"):
        judge(PAIRS, [[0, 0]], recall)


def test_depths_that_are_none():
    for k in (0, -1, 1.5, "2", None):
        with pytest.raises(InvalidInput, match="k must be an integer >= 1; got"):
            curve(PAIRS, [[0, 0]], [k])
        with pytest.raises(InvalidInput, match="k must be an integer >= 1; got"):
            PAIRS.best(k)
    with pytest.raises(InvalidType, match=r"ks must be a sequence of depths; got 3; give \[3\]"):
        curve(PAIRS, [[0, 0]], 3)
    for margin in ("a", None, float("nan"), [0.1], True):
        with pytest.raises(InvalidInput, match="margin must be a number of at least 0; got"):
            PAIRS.within(margin)


def test_truth_as_lists_and_small_integers():
    wide = CandidatePairs(
        np.array([299]), np.array([299]), np.ones(1, "f"), np.zeros(1, "i"), *[np.arange(300)] * 2, False
    )
    for truth in (
        [(0, 0), (1, 1), (1, 1)],
        np.array([[0, 0], [1, 1]], np.uint8),
        np.array([[0, 0], [1, 1]], np.uint64),
    ):
        assert (quality(PAIRS, truth).pc, quality(PAIRS, truth).matches) == (0.5, 2)
        assert by_margin(PAIRS, truth, 1e-12).candidates == by_score(PAIRS, truth, 0.5).candidates == 1
        assert at_recall(PAIRS, truth, 1.0) is by_score(PAIRS, truth, 1.0) is None
        assert lost(PAIRS, truth).tolist() == [[1, 1]]
        assert lost(wide, truth).tolist() == [[0, 0], [1, 1]]
    assert quality(wide, np.array([[299, 299]], np.int16)).pc == 1


def test_one_table_in_either_order():
    table = Records.of({"id": [1, 2, 3], "name": ["sony radio", "sony radio x", "lamp"]}, key="id")
    pairs = NGramBlocker().block(table, k=1)
    for truth in ([[0, 1]], [[1, 0]], [[1, 0], [0, 1]]):
        assert [judge(pairs, truth).pc for name, judge in JUDGES.items() if name != "lost"] == [1.0] * 5
        assert quality(pairs, truth).matches == 1
        assert lost(pairs, truth).tolist() == []
    assert lost(pairs, [[2, 0]]).tolist() == [[0, 2]]
    with pytest.raises(InvalidInput, match="truth: pair 1 matches row 2 of one table with itself"):
        quality(pairs, [[0, 1], [2, 2]])


@pytest.mark.parametrize(
    "make",
    [
        NGramBlocker,
        MinHashBlocker,
        EmbeddingBlocker,
        lambda: EmbeddingBlocker(lambda texts: np.ones((len(texts), 4))),
        lambda: Union([EmbeddingBlocker(), NGramBlocker()]),
    ],
)
def test_tables_without_records(make):
    table, empty = Records.of({"id": [1, 2], "name": ["radio", "lamp"]}, key="id"), Records.of({"name": []})
    for tables in ((table, empty), (empty, table), (empty,)):
        assert len(make().block(*tables, k=2)) == 0
    assert make().index(empty).add(table).query(table, k=1).rank.min() == 0
