"""Indexes that are fed row by row: the same answers, and no row copied more than a few times."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact, IVFFlat
from nearhop.ann.growing import Growing
from nearhop.ann.ivf.lists import Lists
from nearhop.ann.storage.rows import storages
from nearhop.tests.support import kept_as

ROWS = np.random.default_rng(0).normal(size=(700, 8)).astype(np.float32)


def one_by_one(index, rows):
    for row in rows:
        index.add(row[None])
    return index


def test_a_growing_array_copies_each_row_a_few_times():
    held, copied = Growing(np.empty((0, 2))), 0
    for at in range(2000):
        before = held.values.__array_interface__["data"]
        held.append(np.full((1, 2), at))
        copied += at if held.values.__array_interface__["data"] != before else 0
    assert held.values[:, 1].tolist() == list(range(2000))
    assert copied < 4 * 2000


def test_what_is_given_is_not_written_to():
    rows = ROWS[:10].copy()
    room = np.zeros((20, 8), np.float32)
    room[:10] = rows
    index = Exact().add(room[:10])
    index.add(rows + 1)
    assert not room[10:].any()


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_exact_and_ivf_answer_as_when_they_are_fed_at_once(metric, tmp_path):
    many, once = one_by_one(Exact(metric), ROWS), Exact(metric).add(ROWS)
    assert many.search(ROWS[:20], 7).ids.tolist() == once.search(ROWS[:20], 7).ids.tolist()
    fed = one_by_one(IVFFlat(metric, nlist=9, nprobe=3).fit(ROWS), ROWS)
    whole = IVFFlat(metric, nlist=9, nprobe=3).fit(ROWS).add(ROWS)
    assert fed.list_sizes.tolist() == whole.list_sizes.tolist()
    for each in (fed, whole):
        each.remove(np.arange(0, 700, 3))
    assert fed.search(ROWS[:20], 7).ids.tolist() == whole.search(ROWS[:20], 7).ids.tolist()
    fed.compact().save(tmp_path / "a.nh")
    opened = one_by_one(ann.load(tmp_path / "a.nh"), ROWS[:30] + 1)
    assert opened.search(ROWS[:20], 7).ids.tolist() == one_by_one(fed, ROWS[:30] + 1).search(ROWS[:20], 7).ids.tolist()


def test_lists_keep_their_order_while_they_move():
    rng = np.random.default_rng(1)
    every = rng.integers(0, 5, 60)
    lists = Lists(every, 5)
    for _ in range(200):
        first, every = len(every), np.concatenate([every, rng.integers(0, 5, rng.integers(1, 4))])
        lists.append(every, first)
    assert len(lists) == len(every)
    for which in range(5):
        assert lists.of(which).tolist() == np.flatnonzero(every == which).tolist()
    assert len(lists.members) < 6 * len(every)


@pytest.mark.parametrize("storage", [*storages(), "packed"])
@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_a_row_alone_makes_the_graph_that_a_batch_of_one_makes(storage, metric):
    rows = np.random.default_rng(2).normal(size=(420, 24)).astype(np.float32)
    alone, batches = (HNSW(metric, M=6, ef_construction=40, **kept_as(storage)).add(rows[:350]) for _ in range(2))
    for at in range(350, 420):
        alone.add(rows[at : at + 1])
        graph = batches._graph
        behind = batches._behind(graph, rows[at : at + 1])
        with batches._lock.changing():
            members = batches._make_room(graph, np.empty(0, np.int64), rows[at : at + 1], behind)
        graph.insert(members, 40, 1, lambda first, last: None, lambda last: None)
        graph.mend(40, 1)
    for name in ("links", "counts", "clean", "upper", "upper_count", "upper_clean"):
        first, second = getattr(alone.graph, name), getattr(graph, name)
        used = 420 if len(first) == len(alone.graph.vectors) else alone.graph.upper_rows(420)
        assert first[:used].tobytes() == second[:used].tobytes(), name
    assert (alone.graph.entry, alone.graph.top) == (graph.entry, graph.top)
    assert alone.verify().unreachable <= 4
    own = alone.search(rows[350:], 1, ef_search=30).ids[:, 0] == np.arange(350, 420)
    assert own.all() or metric == "ip" or (storage == "1bit-only" and own.mean() > 0.9)


def test_few_rows_neither_wake_threads_nor_walk_the_whole_graph(monkeypatch):
    index = HNSW(ef_construction=40).add(ROWS[:600])
    walks, shared = [], []
    reached = type(index.graph).reached
    monkeypatch.setattr(type(index.graph), "reached", lambda graph: walks.append(1) or reached(graph))
    monkeypatch.setattr("nearhop.graphlib.compute.threads._Pool.put", lambda *_: shared.append(1))
    one_by_one(index, ROWS[600:])
    assert len(walks) <= 100 * 100 / 600
    assert not shared
