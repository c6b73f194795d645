"""What a search for colours returns: matches by place, and pairs by colour."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop.ann import CANN
from nearhop.graphlib.errors import InvalidInput, NotFound

POINTS = {"a": [[0.0], [10.0], [20.0]], "b": [[1.0], [30.0]]}
QUERIES = [np.array([[9.5], [0.25], [-0.5], [10.25]], np.float32), np.array([[30.0]], np.float32)]


def found(**options):
    index = CANN("l2", radius=3.0, method="exact")
    return index.add([np.array(rows, np.float32) for rows in POINTS.values()], list(POINTS)).search(
        QUERIES, 2, **options
    )


def test_pairs_are_the_matches_of_a_colour_nearest_first():
    result = found()
    assert [part.tolist() for part in result.matches[0, 0]] == [[0, 1, 2, 3], [1, 0, 0, 1], [0.5, 0.25, 0.5, 0.25]]
    queries, points, distances = result.pairs("a")
    assert (queries.tolist(), points.tolist()) == ([1, 3, 0, 2], [0, 1, 1, 0])
    assert distances.tolist() == [0.25, 0.25, 0.5, 0.5]
    assert result.pairs("b")[0].tolist() == [1, 2]
    assert [part.tolist() for part in result.pairs("b", np.int64(1))] == [[0], [1], [0.0]]


def test_one_to_one_keeps_the_nearest_query_vector_of_a_point():
    queries, points, distances = found().pairs("a", one_to_one=True)
    assert (queries.tolist(), points.tolist(), distances.tolist()) == ([1, 3], [0, 1], [0.25, 0.25])


@pytest.mark.parametrize("method", ["grids", "range", "exact"])
def test_one_to_one_pairs_of_many_matches(method):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 4)).astype(np.float32)
    result = CANN("l2", radius=1.0, method=method).add(points, 7).search(points[::2] + np.float32(0.2), 3)
    every, single = result.pairs(7), result.pairs(np.int64(7), one_to_one=True)
    assert sorted(zip(*map(np.ndarray.tolist, every), strict=True)) == sorted(
        zip(*map(np.ndarray.tolist, result.matches[0, 0]), strict=True)
    )
    nearest: dict[int, tuple[float, int]] = {}
    for query, point, distance in zip(*map(np.ndarray.tolist, every), strict=True):
        nearest[point] = min(nearest.get(point, (np.inf, 0)), (distance, query))
    assert 0 < len(nearest) < len(every[0])
    assert (
        dict(zip(single[1].tolist(), zip(single[2].tolist(), single[0].tolist(), strict=True), strict=True)) == nearest
    )
    assert (np.diff(single[2]) >= 0).all()


def test_what_has_no_pairs_is_named():
    result = found()
    with pytest.raises(NotFound, match="colour 'c' is not among the 2 found for set 0: 'a', 'b'"):
        result.pairs("c")
    with pytest.raises(NotFound, match="not among the 1 found for set 1: 'b'"):
        result.pairs("", 1)  # what stands in a place without a result
    with pytest.raises(InvalidInput, match="2 sets of queries, numbered from 0; got 2"):
        result.pairs("a", 2)
    with pytest.raises(InvalidInput, match="one colour; got"):
        result.pairs(result.colors[0])
    with pytest.raises(InvalidInput, match="search the index with matches=True"):
        found(matches=False).pairs("a")


def test_a_place_beyond_the_result_is_no_place_of_the_next_set():
    matches = found().matches
    for place in ((0, 2), (0, -1), (2, 0), (-1, 0)):
        with pytest.raises(IndexError, match=f"set {place[0]} and place {place[1]}, of 2 sets and 2 places"):
            matches[place]
    with pytest.raises(InvalidInput, match="a set and a place, as in"):
        matches[0]
