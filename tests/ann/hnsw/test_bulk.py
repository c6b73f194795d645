"""Many first rows are linked together: graphs as good as those of searches, whole, and the same at any thread count."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.hnsw import index as hnsw_index
from nearhop.ann.hnsw.bulk import leaves, linking
from nearhop.ann.hnsw.bulk.leaves import FAN, nearest_in_leaves, partition
from nearhop.ann.storage.rows import rows_of

ROWS, DIM = 3000, 24


def clustered(count=ROWS, seed=0, spread=0.7):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, DIM))
    return (centres[rng.integers(40, size=count)] + spread * rng.normal(size=(count, DIM))).astype(np.float32)


def recall(index, queries, truth, **more):
    found = index.search(queries, truth.shape[1], **more).ids
    return np.mean([len(set(a) & set(b)) for a, b in zip(found, truth, strict=True)]) / truth.shape[1]


@pytest.fixture
def bulk(monkeypatch):
    monkeypatch.setattr(hnsw_index, "BULK_FROM", 1000)


KINDS = [
    {"storage": "float32"}, {"storage": "float32", "metric": "ip"}, {"storage": "float32", "metric": "cosine"},
    {"storage": "int8"}, {"storage": "int8", "layout": "packed"}, {"storage": "float16"}, {"storage": "int8-only"},
    {"storage": "int4"}, {"storage": "1bit"}, {"storage": "float32", "M": 8}, {"storage": "float32", "M": 40},
    {"storage": "float32", "ef_construction": 40}, {"storage": "int8-float16", "layout": "packed"},
]  # fmt: skip


@pytest.mark.parametrize("given", KINDS, ids=lambda given: "-".join(map(str, given.values())))
def test_a_graph_linked_together_finds_what_one_of_searches_finds(given, monkeypatch):
    rows, queries = clustered(), clustered(100, seed=1)
    truth = Exact(metric=given.get("metric", "l2")).add(rows).search(queries, 10).ids
    one_by_one = HNSW(**given).add(rows)
    monkeypatch.setattr(hnsw_index, "BULK_FROM", 1000)
    together = HNSW(**given).add(rows)
    assert together.graph.reached()[0].all()
    for ef in (20, 80):
        assert recall(together, queries, truth, ef_search=ef) >= recall(one_by_one, queries, truth, ef_search=ef) - 0.03


def test_packed_bits_are_linked_together(bulk):
    rng = np.random.default_rng(0)
    rows = np.packbits(rng.random((ROWS, 128)) < 0.5, axis=1)
    asked = rows[:50] ^ np.packbits(rng.random((50, 128)) < 0.05, axis=1)
    index = HNSW(metric="hamming").add(rows)
    assert (index.search(asked, 1, ef_search=200).ids[:, 0] == np.arange(50)).mean() > 0.95


@pytest.mark.parametrize("given", [{}, {"storage": "int8", "layout": "packed"}], ids=["float32", "packed"])
def test_the_graph_is_the_same_at_any_number_of_threads(given, bulk):
    made = [HNSW(threads=threads, **given).add(clustered()).graph for threads in (1, 2, 3)]
    for other in made[1:]:
        for name in ("links", "counts", "clean", "upper", "levels"):
            np.testing.assert_array_equal(getattr(made[0], name), getattr(other, name))
    assert not np.array_equal(made[0].links, HNSW(seed=1, **given).add(clustered()).graph.links)


def test_partitions_one_after_the_other_make_a_graph_as_good(bulk, monkeypatch):
    rows, queries = clustered(), clustered(100, seed=1)
    truth = Exact().add(rows).search(queries, 10).ids
    together = recall(HNSW().add(rows), queries, truth, ef_search=30)
    monkeypatch.setattr(linking, "_BYTES", 1)
    assert recall(HNSW().add(rows), queries, truth, ef_search=30) >= together - 0.02


def test_every_row_is_in_several_leaves_of_a_partition():
    kept = rows_of("float32", 0, DIM)
    kept.append(0, clustered())
    entries, starts = partition(kept.walk, np.arange(ROWS), np.random.default_rng(0))
    assert len(np.unique(entries)) == len(entries) == FAN * ROWS
    assert np.diff(starts).max() <= 256
    assert starts[-1] == len(entries)
    rows = entries // FAN
    assert all(len(set(rows[a:b])) == b - a for a, b in pairwise(starts))


def test_what_a_leaf_holds_nearest_is_found():
    rows = clustered(400)
    kept = rows_of("float32", 0, DIM)
    kept.append(0, rows)
    entries = FAN * np.random.default_rng(0).permutation(400)
    starts = np.array([0, 5, 5, 150, 400])
    near = np.full((400 * FAN, 8), -1, np.int32)
    nearest_in_leaves(kept.walk, entries, starts, near)
    for a, b in pairwise(starts):
        inside = entries[a:b] // FAN
        far = ((rows[inside, None] - rows[inside]) ** 2).sum(2)
        np.fill_diagonal(far, np.inf)
        for i, row in enumerate(inside):
            wanted = inside[np.argsort(far[i])][: min(8, b - a - 1)]
            assert near[FAN * row].tolist() == [*wanted, *[-1] * (8 - len(wanted))]


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("dim", [DIM, 150])
def test_codes_compared_by_sixteens_make_the_same_graph(metric, dim, bulk, monkeypatch):
    rows = np.tile(clustered(2000), (1, 7))[:, :dim] + np.random.default_rng(1).normal(size=(2000, dim))
    by_sixteens = HNSW(metric, storage="int8").add(rows).graph
    assert leaves._is_coded(by_sixteens.rows.walk)
    monkeypatch.setattr(leaves, "_is_coded", lambda walk: False)
    np.testing.assert_array_equal(HNSW(metric, storage="int8").add(rows).graph.links, by_sixteens.links)


@pytest.mark.parametrize("copies", [ROWS, ROWS - 40])
def test_copies_of_one_row_end_and_are_found(copies, bulk):
    rows = clustered()
    rows[:copies] = rows[0]
    index = HNSW().add(rows)
    assert index.graph.reached()[0].all()
    found = index.search(rows[copies:], 1, ef_search=100) if copies < ROWS else index.search(rows[:3], 5)
    np.testing.assert_allclose(found.distances[:, 0], 0, atol=1e-4)


def test_clusters_far_from_one_another_are_found(bulk):
    rows = clustered(spread=0.05)
    rows[:1500] += 1e3
    rows[-5:] = np.eye(5, DIM, dtype=np.float32) * 1e5
    index = HNSW().add(rows)
    assert (index.search(rows, 1, ef_search=64).ids[:, 0] == np.arange(ROWS)).mean() > 0.999
    assert (index.search(rows, 1, ef_search=200).ids[:, 0] == np.arange(ROWS)).all()


def test_what_is_interrupted_leaves_the_index_empty(bulk):
    told = []

    def stop(done, total):
        told.append((done, total))
        if len(told) > 3:
            raise KeyboardInterrupt

    index = HNSW()
    with pytest.raises(KeyboardInterrupt):
        index.add(clustered(), progress=stop)
    assert len(index) == 0
    assert (index.search(clustered(1), 1).ids == -1).all()
    index.add(clustered())
    np.testing.assert_array_equal(index.graph.links, HNSW().add(clustered()).graph.links)


def test_progress_rises_to_the_number_of_rows(bulk):
    told = []
    HNSW().add(clustered(), progress=lambda done, total: told.append((done, total)))
    done = [first for first, _ in told]
    assert done == sorted(done)
    assert done[-1] == ROWS
    assert {total for _, total in told} == {ROWS}


def test_the_graph_grows_shrinks_and_is_saved_like_any_other(bulk, tmp_path):
    rows, more, queries = clustered(), clustered(500, seed=2), clustered(50, seed=1)
    index = HNSW(storage="int8", layout="packed").add(rows, ids=np.arange(ROWS))
    index.add(more, ids=np.arange(ROWS, ROWS + 500))
    index.remove(np.arange(0, ROWS, 3))
    left = np.setdiff1d(np.arange(ROWS + 500), np.arange(0, ROWS, 3))
    truth = left[Exact().add(np.concatenate([rows, more])[left]).search(queries, 10).ids]
    assert recall(index, queries, truth, ef_search=100) > 0.95
    index.save(tmp_path / "index")
    again = ann.load(tmp_path / "index")
    np.testing.assert_array_equal(again.search(queries, 10).ids, index.search(queries, 10).ids)


def test_few_rows_and_later_ones_are_linked_by_searches(bulk, monkeypatch):
    def never(*given):
        raise AssertionError("linked together")

    monkeypatch.setattr(hnsw_index, "link_all", never)
    index = HNSW().add(clustered(999)).add(clustered(2000, seed=1))
    assert len(index) == 2999


def test_links_back_that_are_there_are_left_out():
    index = HNSW().add(clustered(50))
    graph = index.graph
    before = graph.links.copy(), graph.counts.copy()
    node = np.arange(50)
    sources = np.repeat(node, graph.counts[:50])
    targets = graph.links[:50][graph.links[:50] >= 0].astype(np.int64)
    graph.link_back(0, targets, sources)  # the links as they are
    np.testing.assert_array_equal(graph.links, before[0])
    np.testing.assert_array_equal(graph.counts, before[1])
