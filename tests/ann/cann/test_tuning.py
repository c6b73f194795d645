"""Radius and shape chosen from labelled queries."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop.ann import CANN
from nearhop.ann.cann.tuning import average_precision
from nearhop.graphlib.errors import InvalidInput


def labelled(metric="l2", seed=0):
    """Colours whose points are near a query at distance about 0.4, among others at about 3."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(30, 50, 8)).astype(np.float32) * 2
    queries, answers = [], []
    for s in range(4):
        right = [3 * s, 3 * s + 1]
        queries.append(np.concatenate([points[c, :12] + 0.15 * rng.normal(size=(12, 8)) for c in right]))
        answers.append(right)
    return list(points), [q.astype(np.float32) for q in queries], answers


@pytest.mark.parametrize("method", ["grids", "exact"])
@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_the_right_colours_come_first_afterwards(method, metric):
    points, queries, answers = labelled()
    index = CANN(metric, 1e-4, method=method).add(points)
    before = index.search(queries, 2, exact=True)
    assert sum(sorted(b) == a for b, a in zip(before.colors.tolist(), answers, strict=True)) < 4
    told = index.tune(queries, answers)
    assert (index.radius, index.shape) == (told.radius, told.shape)
    assert told.precision == max(one[2] for one in told.tried) > 0.99
    assert len(told.tried) == 80
    for exact in (True, False):
        found = index.search(queries, 2, exact=exact)
        assert [sorted(row) for row in found.colors.tolist()] == answers
    if method == "grids":
        dim, euclidean = 16, index._rule().euclidean
        assert np.isclose(index._grids.width, 2.5 * euclidean / np.sqrt(dim))
        fresh = CANN(metric, told.radius, shape=told.shape).add(points).search(queries, 2)
        assert fresh.scores.tobytes() == index.search(queries, 2).scores.tobytes()


def test_filters_given_radii_and_average_precision():
    points, queries, answers = labelled()
    index = CANN("l2", 5.0, cell_width=1.0).add(points)
    allowed = np.ones((4, 30), bool)
    allowed[np.arange(4), [a[0] for a in answers]] = False
    told = index.tune(queries, [[a[1]] for a in answers], filter=allowed, radii=[0.5, 1.0, 9.0], shapes=[0.5])
    assert [one[:2] for one in told.tried] == [(0.5, 0.5), (1.0, 0.5), (9.0, 0.5)]
    assert told.precision == 1.0
    assert index._grids.width == 1.0
    assert average_precision(np.array([3.0, 2, 1, 0]), np.array([True, False, True, True])) == (1 + 2 / 3) / 3


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([[0]], "got 1 for 4 sets"),
        ([[0], [], [2], [3]], "right colours of set 1 must be"),
        ([[0], [1], [99], [3]], "right colours of set 2 must be"),
    ],
)
def test_answers_that_do_not_fit(answers, message):
    points, queries, _ = labelled()
    with pytest.raises(InvalidInput, match=message):
        CANN("l2", 5.0).add(points).tune(queries, answers)
