"""Exact search: the definitions of the metrics, ties, filters, short results and refused input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop.ann import HNSW, Exact, IVFFlat, SearchResult, recall
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType, NotFound
from nearhop.tests.support import examples

METRICS = ("l2", "ip", "cosine")


def by_definition(metric, vectors, queries):
    x, q = vectors.astype(np.float64), queries.astype(np.float64)
    if metric == "l2":
        return ((q[:, None] - x[None]) ** 2).sum(-1)
    if metric == "cosine":
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
        q = q / np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1e-300)
    return 1 - q @ x.T


def data(rows=300, dim=19, queries=13, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, dim)).astype(np.float32), rng.normal(size=(queries, dim)).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [1, 7, 32, 100])
def test_distances_follow_the_definition(metric, dim):
    vectors, queries = data(dim=dim)
    result = Exact(metric).add(vectors).search(queries, 10)
    wanted = by_definition(metric, vectors, queries)
    assert np.allclose(result.distances, np.sort(wanted, axis=1)[:, :10], atol=1e-4)
    assert np.allclose(np.take_along_axis(wanted, result.ids, 1), result.distances, atol=1e-4)
    assert (result.counts == 10).all()
    assert (np.diff(result.distances, axis=1) >= 0).all()


@examples(40)
@given(st.integers(0, 40), st.integers(1, 6), st.integers(1, 9), st.integers(1, 50), st.integers(0, 2**31))
def test_small_integers_give_the_exact_order_with_ties_by_id(rows, dim, queries, k, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (rows, dim)).astype(np.float32)
    asked = rng.integers(-2, 3, (queries, dim)).astype(np.float32)
    ids = rng.permutation(1000)[:rows] - 500
    result = Exact().add(vectors, ids).search(asked, k)
    assert result.counts.tolist() == [min(rows, k)] * queries
    for q in range(queries):
        distances = ((vectors - asked[q]) ** 2).sum(1)
        order = np.lexsort((ids, distances))[:k]
        assert result.ids[q, : len(order)].tolist() == ids[order].tolist()
        assert result.distances[q, : len(order)].tolist() == distances[order].tolist()
        assert np.isinf(result.distances[q, len(order) :]).all()
        assert (result.ids[q, len(order) :] == -1).all()


def test_results_do_not_depend_on_threads_or_batches():
    vectors, queries = data(rows=9000, queries=70)
    index = Exact("cosine").add(vectors)
    whole = index.search(queries, 5, threads=2)
    parts = [index.search(q, 5, threads=1) for q in queries]
    assert whole.ids.tolist() == [p.ids[0].tolist() for p in parts]
    assert whole.distances.tobytes() == b"".join(p.distances.tobytes() for p in parts)


def test_filters_ids_bitmaps_and_one_bitmap_per_query():
    vectors, queries = data()
    index = Exact().add(vectors, ids=np.arange(300) + 1000)
    mask = np.arange(300) % 7 == 0
    wanted = Exact().add(vectors[mask], ids=np.flatnonzero(mask) + 1000).search(queries, 60)
    for allowed in (mask, np.flatnonzero(mask) + 1000, np.tile(mask, (13, 1)), [*(np.flatnonzero(mask) + 1000), 5]):
        result = index.search(queries, 60, filter=allowed)
        assert result.ids.tolist() == wanted.ids.tolist()
        assert (result.counts == 43).all()
    assert (index.search(queries, 3, filter=[]).counts == 0).all()
    assert (
        index.search(queries, 60, filter=set((np.flatnonzero(mask) + 1000).tolist())).ids.tolist()
        == wanted.ids.tolist()
    )
    with pytest.raises(InvalidType, match="and no function; got function"):
        index.search(queries, 3, filter=lambda row: row > 3)
    with pytest.raises(InvalidInput, match="masked array"):
        index.search(queries, 3, filter=np.ma.masked_equal([1000, 1001], 1001))


def test_recall_is_of_two_searches():
    vectors, queries = data()
    found = Exact().add(vectors).search(queries, 5)
    with pytest.raises(InvalidType, match=r"truth must be what a search returned.*numpy's ndarray"):
        recall(found, found.ids)


def test_removed_rows_are_not_found_and_their_ids_are_free_again():
    vectors, _ = data()
    index = Exact().add(vectors)
    assert index.remove([3, 4]) == 2
    assert index.search(vectors[3], 1).ids[0, 0] != 3
    with pytest.raises(NotFound, match="id 3 is not in the index"):
        index.remove([3])
    index.add(vectors[3:4], ids=[3])
    assert index.search(vectors[3], 1).ids[0, 0] == 3
    before = index.search(vectors[:20], 5)
    assert index.compact().search(vectors[:20], 5).ids.tolist() == before.ids.tolist()
    assert len(index) == 299


def test_a_zero_vector_has_cosine_distance_one():
    result = Exact("cosine").add(np.array([[0, 0], [1, 0]])).search([[2, 0], [0, 0]], 2)
    assert result.distances.tolist() == [[0, 1], [1, 1]]


def test_empty_index_and_result_object():
    result = Exact().search(np.zeros((2, 5)), 3)
    assert isinstance(result, SearchResult)
    assert (result.ids == -1).all()
    assert result.counts.tolist() == [0, 0]
    assert "2 queries, k=3, 2 rows short of k" in repr(result)
    assert [a.dtype.name for a in (result.distances, result.ids, result.counts)] == ["float32", "int64", "int32"]
    assert Exact().add(np.ones((2, 3))).search(np.empty((0, 3)), 4).ids.shape == (0, 4)


def test_refused_input_names_what_was_given():
    vectors, queries = data()
    index = Exact().add(vectors)
    with pytest.raises(IndexMismatch, match="width 18 but the index has dim 19"):
        index.search(queries[:, :18], 1)
    with pytest.raises(IndexMismatch, match="width 5 but the index has dim 19"):
        index.add(np.zeros((2, 5)))
    with pytest.raises(InvalidInput, match=r"vectors\[1, 2\] is nan"):
        index.add(np.where(np.arange(38).reshape(2, 19) == 21, np.nan, 0))
    with pytest.raises(InvalidInput, match="is inf"):
        index.search(np.full(19, 1e300), 1)
    with pytest.raises(InvalidType, match="complex"):
        index.add(np.zeros((1, 19), complex))
    with pytest.raises(InvalidInput, match="id 7 is in the index already"):
        index.add(vectors[:1], ids=[7])
    with pytest.raises(InvalidInput, match="id 900 is given twice"):
        index.add(vectors[:2], ids=[900, 900])
    with pytest.raises(InvalidInput, match="k must be an integer >= 1; got 0"):
        index.search(queries, 0)
    with pytest.raises(InvalidInput, match="metric must be one of"):
        Exact("jaccard").add(vectors)
    with pytest.raises(IndexMismatch, match="filter has shape"):
        index.search(queries, 1, filter=np.ones(299, bool))
    with pytest.raises(InvalidType, match="boolean bitmap"):
        index.search(queries, 1, filter=np.ones(300, np.float32))
    assert len(index) == 300


def test_read_only_and_strided_arrays_are_taken_and_left_alone():
    vectors, queries = data()
    wide = np.repeat(vectors, 2, axis=1)
    strided = wide[:, ::2]
    strided.flags.writeable = False
    before = wide.copy()
    index = Exact("cosine").add(strided)
    assert index.search(queries, 4).ids.tolist() == Exact("cosine").add(vectors).search(queries, 4).ids.tolist()
    assert (wide == before).all()


@pytest.mark.parametrize("make", [Exact, lambda: HNSW(M=4), lambda: IVFFlat(nlist=2)])
def test_a_result_larger_than_the_machine_is_refused(make):
    rows = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    with pytest.raises(
        InvalidInput, match=r"k = 10,000,000,000,000 results for each of 2 queries .* than the index has"
    ):
        make().add(rows).search(rows[:2], 10**13)
    assert make().add(rows).search(rows[:2], 1000).counts.tolist() == [30, 30]
