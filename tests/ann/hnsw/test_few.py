"""Searches of a few queries: what a batch of them answers, to the bit, and refused input is refused as before."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from nearhop.ann import HNSW, Exact
from nearhop.ann.hnsw import few as hnsw_few
from nearhop.ann.hnsw.few_cpu import search_few as kernel
from nearhop.ann.storage.rows import storages
from nearhop.graphlib.compute.jit import plain_view
from nearhop.graphlib.errors import IndexMismatch, InvalidInput
from nearhop.tests.support import kept_as

METRICS = ("l2", "ip", "cosine")


def rows_of(count=1500, dim=20, seed=0):
    first = np.random.default_rng(3).normal(size=(8, dim))
    return np.tanh(np.random.default_rng(seed).normal(size=(count, 8)) @ first).astype(np.float32)


@pytest.fixture
def answers(monkeypatch):
    """How searches were answered: True by the short way, False by the general one."""
    log = []
    plain = hnsw_few.search_few

    def watched(*arguments):
        log.append(plain(*arguments))
        return log[-1]

    monkeypatch.setattr("nearhop.ann.hnsw.index.search_few", watched)
    return lambda: [found is not None for found in log]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("storage", [*storages(), "packed"])
def test_a_query_alone_is_answered_as_in_a_batch(metric, storage, answers):
    rows, queries = rows_of(), rows_of(70, seed=1)
    ids = np.random.default_rng(0).permutation(9000)[:1500] - 4000
    index = HNSW(metric, **kept_as(storage)).add(rows, ids)
    batch = index.search(queries, 7, ef_search=30)
    assert answers() == [False]
    singles = [index.search(query, 7, ef_search=30) for query in queries]
    threes = index.search(queries[:3], 7, ef_search=30)
    assert answers()[1:] == [True] * 71
    for name in ("distances", "ids", "counts"):
        wanted = getattr(batch, name)
        got = np.concatenate([getattr(found, name) for found in singles])
        assert got.dtype == wanted.dtype
        assert got.tobytes() == wanted.tobytes()
        assert getattr(threes, name).tobytes() == wanted[:3].tobytes()


@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
@pytest.mark.parametrize("storage", ["float32", "int8", "packed"])
def test_deleted_rows_are_walked_over_as_in_general(storage, share, answers):
    rows, queries = rows_of(12_000), rows_of(80, seed=1)
    index = HNSW(M=8, ef_construction=40, threads=2, **kept_as(storage)).add(rows)
    gone = np.random.default_rng(0).permutation(12_000)[: int(12_000 * share)]
    index.remove(gone)
    for count, ef in ((1, 10), (1, 64), (7, 20)):
        for at in range(0, 80 - count, count):
            found = index.search(queries[at : at + count], 5, ef_search=ef)
            general = index._search(queries[at : at + count], 5, ef_search=ef)
            assert not np.isin(found.ids, gone).any()
            for name in ("distances", "ids", "counts"):
                assert getattr(found, name).tobytes() == getattr(general, name).tobytes()
    assert set(answers()) == {share < 0.8}  # where fewer than a fifth are left, the walk steps over the others


@pytest.mark.parametrize("storage", ["int8", "packed", "float32"])
def test_what_the_short_way_does_not_know_is_answered_by_the_general_one(storage, answers):
    rows = rows_of(300)
    index = HNSW("l2", **kept_as(storage)).add(rows)
    for found in (
        index.search(rows[0].astype(np.float64), 3),
        index.search(rows[0].tolist(), 3),
        index.search(np.asfortranarray(rows[:4])[:3], 3),
        index.search(rows[0], np.int64(3)),
        index.search(rows[0], 3, ef_search=np.int64(20)),
        index.search(rows[0], 3, filter=np.arange(50)),
    ):
        assert found.ids[0, 0] == 0
    assert not any(answers())
    index.remove([0])
    assert index.search(rows[0], 300).counts.tolist() == [299]
    assert not any(answers())
    assert index.search(rows[0], 1).ids[0, 0] != 0
    texts = HNSW().add(rows[:5], ids=list("abcde"))
    assert texts.search(rows[2], 1).ids.tolist() == [["c"]]
    assert HNSW().search(rows[0], 2).counts.tolist() == [0]


def test_refused_input_is_refused_as_before():
    rows = rows_of(300)
    index = HNSW(storage="int8").add(rows)
    for value in (np.nan, np.inf, -np.inf):
        bad = rows[0].copy()
        bad[-1] = value
        with pytest.raises(InvalidInput, match=r"queries\[0, 19\]"):
            index.search(bad, 3)
    with pytest.raises(IndexMismatch, match="width 19"):
        index.search(rows[0, :19].copy(), 3)
    for k in (0, -1, 2.0, True):
        with pytest.raises(InvalidInput, match="k must be"):
            index.search(rows[0], k)
    for ef in (0, 1.5, True):
        with pytest.raises(InvalidInput, match="ef_search must be"):
            index.search(rows[0], 3, ef_search=ef)
    with pytest.raises(InvalidInput, match="threads"):
        index.search(rows[0], 3, threads=0)
    index.ef_search = 0  # found by the next search, though parameters are checked once
    with pytest.raises(InvalidInput, match="ef_search"):
        index.search(rows[0], 3)
    index.ef_search, index.metric = 64, "ip"
    with pytest.raises(IndexMismatch, match="metric and M cannot change"):
        index.search(rows[0], 3)
    index.metric = "l2"
    assert index.search(rows[0], 1).ids.tolist() == [[0]]


def test_rows_that_a_walk_does_not_reach_are_found(answers):
    rows = np.ones((40, 4), np.float32)
    rows[20:] = 5
    index = HNSW(M=4).add(rows)
    index.graph.links[:] = -1
    index.graph.counts[:] = 0
    assert index.search(rows[0], 30).counts.tolist() == [30]
    assert answers() == [False]


@pytest.mark.parametrize("storage", ["int8", "packed", "float32"])
def test_a_change_of_the_index_is_seen_and_gives_old_memory_back(storage, answers):
    rows = rows_of(900)
    index = HNSW(M=8, **kept_as(storage)).add(rows[:400])

    def nearest(row):
        return index.search(rows[row], 1, ef_search=40).ids.item()

    assert nearest(5) == 5
    assert nearest(700) < 400
    index.add(rows[400:])
    assert nearest(700) == 700
    index.upsert(rows[5][None] + 9, [5])
    assert nearest(5) != 5
    index.remove(np.arange(100))
    assert nearest(50) >= 100
    index.compact()
    assert nearest(700) == 700
    assert answers()[:3] == [True] * 3
    assert answers()[-1]  # in between a scan may take less time
    old = weakref.ref(index.graph.vectors)
    index.remove(np.arange(100, 700))
    index.compact()
    gc.collect()
    assert old() is None
    assert nearest(700) == 700


def test_read_only_arguments_compile_nothing_anew():
    rows = rows_of(400)
    index, exact = HNSW().add(rows), Exact().add(rows)
    wanted = index.search(rows[:2], 3), index.search(rows[:50], 3), exact.search(rows[:2], 3)
    before = len(kernel.signatures)
    locked = rows.copy()
    locked.flags.writeable = False
    found = index.search(locked[:2], 3), index.search(locked[:50], 3), exact.search(locked[:2], 3)
    assert len(kernel.signatures) == before
    for one, other in zip(found, wanted, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
    view = plain_view(locked)
    assert view.flags.writeable
    assert view.ctypes.data == locked.ctypes.data
    assert view.shape == locked.shape
    assert plain_view(rows) is rows
    del locked
    assert view.tolist() == rows.tolist()  # the memory is held
