"""The life of an HNSW index: places filled again, links around deleted rows, compaction, interrupts, row order."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest

import nearhop
from nearhop import ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.hnsw import deletes as life
from nearhop.ann.hnsw.graph import HNSWGraph
from nearhop.ann.locking import SharedLock
from nearhop.tests.reference import hnsw as reference
from nearhop.tests.support import data_file, kept_as

STORAGES = ("float32", "int8", "packed")


def rows_of(count=2000, dim=16, seed=0):
    first = np.random.default_rng(3).normal(size=(6, dim))
    inside = np.random.default_rng(seed).normal(size=(count, 6))
    return np.tanh(inside @ first).astype(np.float32)


def made(rows, storage="float32", **options):
    return HNSW(M=8, ef_construction=60, **kept_as(storage), **options).add(rows)


def live_rows(index):
    """Ids and vectors of what is not deleted, in row order."""
    live = ~index._rows.dead
    return index.ids[live], np.asarray(index.graph.vectors[: len(live)])[live]


def recall_of(index, queries, ef=40):
    ids, vectors = live_rows(index)
    truth = Exact(index.metric).add(vectors, ids=ids).search(queries, 10)
    return ann.recall(index.search(queries, 10, ef_search=ef), truth)


def targets(index):
    graph = index.graph
    return set(graph.links[: graph.count].ravel().tolist()) | set(graph.upper.ravel().tolist())


def bits(index):
    graph = index.graph
    return [a[: graph.count].tobytes() for a in (graph.links, graph.counts, graph.levels)] + [
        graph.upper[: graph.upper_rows(graph.count)].tobytes(),
        index.ids.tobytes(),
        graph.entry,
    ]


def churned(rows, storage="float32", threads=None, steps=4):
    index = made(rows[:1000], storage, threads=threads)
    rng = np.random.default_rng(5)
    for step in range(steps):
        index.remove(rng.choice(live_rows(index)[0], 100, replace=False))
        start = 1000 + 100 * step
        index.add(rows[start : start + 100], ids=np.arange(start, start + 100))
    return index


@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_links_are_led_around_deleted_nodes_as_the_reference_does(metric):
    rng = np.random.default_rng(2)
    vectors = rng.integers(-30, 30, (600, 6)).astype(np.float32)  # distances are exact in float32
    index = HNSW(metric, M=5, ef_construction=30).add(vectors)
    graph = index.graph
    links = [graph.links[v, : graph.counts[v]].tolist() for v in range(600)]
    gone = set(rng.choice(600, 250, replace=False).tolist())
    index.remove(sorted(gone))
    changed = gained = 0
    for nodes, table, counts, _ in life._around(graph, index._rows.dead, 0, 2):
        for place, node in enumerate(nodes.tolist()):
            wanted = reference.relinked(vectors, links, gone, node, life._CANDIDATES, metric)
            found = None if counts[place] < 0 else table[place, : counts[place]].tolist()
            assert found == wanted
            changed += found is not None
            gained += len(set(found or []) - set(links[node]))
    assert changed > 300
    assert gained > 300


@pytest.mark.parametrize("storage", STORAGES)
def test_new_rows_take_the_places_of_deleted_ones(storage):
    rows, queries = rows_of(2600), rows_of(100, seed=9)
    index = made(rows[:2000], storage)
    before = index.stats()
    index.remove(np.arange(0, 1200, 2))
    index.add(rows[2000:], ids=np.arange(5000, 5600))
    after = index.verify()
    assert (after.live, after.deleted, after.unreachable) == (2000, 0, 0)
    assert after.nbytes == before.nbytes
    assert index.graph.count == 2000
    assert (index.ids[0:1200:2] >= 5000).all()
    assert index.ids[1::2].tolist() == list(range(1, 2000, 2))
    found = index.search(rows[2000:], 1, ef_search=60)
    assert (found.ids[:, 0] == np.arange(5000, 5600)).mean() > 0.99
    assert found.distances.max() < 1e-4
    assert recall_of(index, queries) >= recall_of(made(live_rows(index)[1], storage), queries) - 0.01
    if storage == "int8":
        codes = index.graph.codes
        kept = codes.codes.copy()
        codes._encode(index.graph.vectors, index.graph.scale, 0, 2000)
        assert np.array_equal(kept, codes.codes)


@pytest.mark.parametrize("storage", STORAGES)
def test_churn_holds_memory_and_recall(storage):
    rows, queries = rows_of(5000), rows_of(200, seed=9)
    index = churned(rows, storage, steps=30)
    stats = index.verify()
    assert (stats.live, stats.unreachable) == (1000, 0)
    assert stats.dead_fraction <= 0.11  # one step of a tenth
    assert index.graph.count <= 1100
    ids, vectors = live_rows(index)
    assert np.array_equal(vectors, rows[ids])
    assert recall_of(index, queries) >= recall_of(made(vectors, storage), queries) - 0.01


def test_small_changes_gather_before_links_are_led_around_them():
    rows = rows_of(1400)
    index = made(rows[:1000])
    index.add(rows[1000:1001])  # arrays now have room to spare
    index.remove([5])
    index.add(rows[1001:1002])
    assert (index.stats().deleted, index.graph.count) == (1, 1002)
    index.remove(np.arange(100, 150))
    assert 100 in targets(index)
    index.add(rows[1002:1003])
    assert index.stats().deleted == 50
    assert not targets(index) & set(np.flatnonzero(index._rows.dead).tolist())
    index.add(rows[1003:1053])
    assert (index.stats().deleted, index.graph.count) == (0, 1002)


@pytest.mark.parametrize("storage", STORAGES)
def test_same_bits_at_any_thread_count(storage):
    rows = rows_of(1400)
    one, two = churned(rows, storage, threads=1), churned(rows, storage, threads=2)
    assert bits(one) == bits(two)
    for index in (one, two):
        index.remove(live_rows(index)[0][::5])
        index.compact()
    assert bits(one) == bits(two)


def test_parts_of_any_size_make_the_same_graph(monkeypatch):
    rows, made_of = rows_of(1000), []
    for size in (16_384, 7):
        monkeypatch.setattr(life, "_ROWS_PER_PART", size)
        index = made(rows)
        index.remove(np.arange(0, 1000, 4))
        index.add(rows[:5], ids=np.arange(1000, 1005))
        made_of.append(bits(index))
    assert made_of[0] == made_of[1]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_compact_gives_memory_back_and_keeps_recall(storage, share):
    rows, queries = rows_of(3000), rows_of(200, seed=9)
    index = made(rows, storage)
    index.remove(np.random.default_rng(1).choice(3000, int(3000 * share), replace=False))
    ids, vectors = live_rows(index)
    calls = []
    index.compact(progress=lambda done, total: calls.append((done, total)))
    stats, fresh = index.verify(), made(vectors, storage)
    assert (stats.live, stats.deleted, stats.unreachable) == (len(ids), 0, 0)
    assert calls[-1] == (len(ids), len(ids))
    assert stats.nbytes <= 1.02 * fresh.stats().nbytes
    assert index.ids.tolist() == ids.tolist()
    assert np.array_equal(index.graph.vectors, vectors)
    assert recall_of(index, queries) >= recall_of(fresh, queries) - 0.005
    assert (index.search(vectors, 1, ef_search=60).ids[:, 0] == ids).mean() > 0.99
    mask = np.arange(len(ids)) % 2 == 0
    assert set(index.search(queries, 5, filter=mask).ids.ravel()) <= set(ids[::2].tolist())
    index.add(rows[:10], ids=np.arange(10_000, 10_010))
    assert index.verify().live == len(ids) + 10


@pytest.mark.parametrize(
    ("metric", "storage"),
    [
        ("cosine", "float16"), ("l2", "int8-only"), ("hamming", "float32"), ("l2", "int4"), ("cosine", "1bit"),
        ("cosine", "int4-only"), ("l2", "1bit-only"), ("cosine", "int8-float16"), ("l2", "packed-float16"),
    ],
)  # fmt: skip
def test_rows_of_every_form_live_alike(metric, storage, tmp_path):
    rows = rows_of(1500, dim=64)
    rows = np.packbits(rows > 0, axis=1) if metric == "hamming" else rows
    index = HNSW(metric, M=8, ef_construction=60, seed=1, **kept_as(storage)).add(rows[:1000])
    index.remove(np.arange(0, 600, 2))
    index.add(rows[1000:1300], ids=np.arange(1000, 1300))
    stats = index.verify()
    assert (stats.live, stats.deleted, stats.unreachable, index.graph.count) == (1000, 0, 0, 1000)
    index.remove(index.ids[:300])
    small = index.compact().verify()
    assert (small.live, small.deleted, small.unreachable) == (700, 0, 0)
    assert small.nbytes < 0.75 * stats.nbytes
    index.remove(index.ids[:100])
    index.save(tmp_path / "a.nh")
    loaded = ann.load(tmp_path / "a.nh")
    for one in (index, loaded):
        one.add(rows[1300:1400], ids=np.arange(5000, 5100))
        assert (one.verify().live, one.verify().deleted, one.graph.count) == (700, 0, 700)
    assert loaded.search(rows[1400:], 5).ids.tolist() == index.search(rows[1400:], 5).ids.tolist()
    ids = index.ids % 5000 + 1300 * (index.ids >= 5000)
    truth = Exact(metric).add(rows[ids], ids=index.ids).search(rows[1400:], 10)
    found = index.search(rows[1400:], 10, ef_search=60)
    reach = truth.distances[:, -1:] * 1.05 + 0.02  # of rounded vectors
    assert (found.distances <= reach).mean() > (0.95 if storage == "1bit-only" else 0.98)


def test_compact_gives_back_spare_room_too():
    rows = rows_of(1100)
    index = made(rows[:1000]).add(rows[1000:])
    assert len(index.graph.vectors) > 1100
    queries = rows_of(50, seed=4)
    before = index.search(queries, 10).ids.tolist()
    assert len(index.compact().graph.vectors) == 1100
    assert index.search(queries, 10).ids.tolist() == before
    graph = index.graph
    assert index.compact().graph is graph  # nothing left to give back


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_an_interrupted_compaction_changes_nothing(share):
    index = made(rows_of())
    index.remove(np.arange(int(2000 * share)))
    before = bits(index)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.compact(progress=stop)
    assert bits(index) == before
    assert index.verify().deleted == int(2000 * share)


def test_an_interrupted_add_into_free_places_keeps_what_was_linked():
    rows = rows_of(3000)
    index = made(rows[:2000])
    index.remove(np.arange(500))

    def stop(done, total):
        if done >= 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.add(rows[2000:], ids=np.arange(2000, 3000), progress=stop)
    done = len(index) - 1500
    assert 100 <= done < 200
    assert index.verify().deleted == 500 - done
    assert set(index.ids[~index._rows.dead].tolist()) == set(range(500, 2000 + done))
    assert (index.search(rows[2000 : 2000 + done], 1, ef_search=60).distances < 1e-4).mean() > 0.98
    index.add(rows[2000 + done :], ids=np.arange(2000 + done, 3000))
    stats = index.verify()
    assert (stats.live, stats.deleted, stats.unreachable) == (2500, 0, 0)
    ids, vectors = live_rows(index)
    assert np.array_equal(vectors, rows[ids])


def test_an_interrupted_upsert_loses_no_row():
    rows = rows_of(3000)
    index = made(rows[:2000])

    def stop(done, total):
        if done >= 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.upsert(rows[2000:2500], np.arange(500), progress=stop)
    assert len(index) == 2000
    ids, vectors = live_rows(index)
    assert sorted(ids.tolist()) == list(range(2000))
    new = (vectors == rows[(ids + 2000) % 3000]).all(axis=1)
    assert 50 <= new.sum() < 500
    assert (vectors[~new] == rows[ids[~new]]).all()


def test_upsert_in_a_loop_does_not_grow_the_index():
    rows = rows_of(3000)
    index = made(rows[:1000])
    for start in range(0, 2000, 40):
        index.upsert(rows[1000 + start : 1040 + start], np.arange(start, start + 40) % 1000)
    assert len(index) == 1000
    assert index.graph.count <= 1100
    ids, vectors = live_rows(index)
    assert np.array_equal(vectors, rows[2000 + ids])


def test_the_entry_and_whole_levels_may_be_deleted():
    rows = rows_of(1500)
    index = made(rows[:1000])
    graph = index.graph
    high = np.flatnonzero(graph.levels[:1000] > 0)
    assert graph.entry in high
    index.remove(high)
    index.add(rows[1000:1010], ids=np.arange(1000, 1010))
    assert index.verify().unreachable == 0
    assert recall_of(index, rows_of(100, seed=9)) > 0.97
    assert (index.search(rows[1000:1010], 1, ef_search=60).ids[:, 0] >= 1000).all()
    assert index.compact().verify().live == 1000 - len(high) + 10
    assert recall_of(index, rows_of(100, seed=9)) > 0.97


def test_an_index_emptied_by_remove_starts_anew():
    rows = rows_of(600)
    index = made(rows[:300])
    index.remove(index.ids)
    assert (index.search(rows[:2], 3).counts == 0).all()
    index.add(rows[300:], ids=np.arange(300))
    assert (len(index), index.graph.count, index.verify().unreachable) == (300, 300, 0)
    index.remove(index.ids)
    assert len(index.compact()) == 0
    assert (index.search(rows[:2], 3).counts == 0).all()
    assert len(index.add(rows[:7])) == 7


@pytest.mark.parametrize("way", ["in place", "compacted"])
def test_what_deletes_cut_off_is_reached_again(way, monkeypatch):
    rows = rows_of(2000)
    index = HNSW(M=2, ef_construction=10).add(rows)
    index.remove(np.flatnonzero(np.random.default_rng(0).random(2000) < 0.9))
    graph, dead = index.graph, index._rows.dead
    if way == "in place":
        life.relink(graph, dead, 10, 2)
        assert index.stats().unreachable == 0
    else:
        small = life.compacted(graph, dead, 10, 2, None)
        assert small.reached()[0].all()
        monkeypatch.setattr(type(graph), "repair", lambda *_: 0)
        assert not life.compacted(graph, dead, 10, 2, None).reached()[0].all()  # so there was something to do


def test_a_row_without_links_that_others_link_to_is_not_free():
    index = made(rows_of(300))
    first, second = np.flatnonzero(np.arange(300) != index.graph.entry)[7:9].tolist()
    index.remove([first, second])
    graph = index.graph
    for row in (first, second):
        graph.links[row], graph.counts[row] = -1, 0
    graph.links[:300][graph.links[:300] == second] = 20
    graph.upper[graph.upper == second] = -1
    graph.free = None  # as after opening a file
    assert life.free_places(graph, index._rows.dead).tolist() == [second]


def test_a_failure_while_a_batch_is_published_leaves_its_places_empty(monkeypatch):
    rows = rows_of(2600)
    index = made(rows[:2000])
    index.remove(np.arange(500))
    place, calls = index._rows.place, []

    def failing(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError
        place(*arguments, **options)

    monkeypatch.setattr(index._rows, "place", failing)
    with pytest.raises(MemoryError):
        index.add(rows[2000:], ids=np.arange(2000, 2600))
    graph = index.graph
    assert len(graph.free) == index.verify().deleted > 400
    assert (graph.counts[graph.free] == 0).all()
    monkeypatch.undo()
    index.add(rows[2000 + len(index) - 1500 :], ids=np.arange(500 + len(index), 2600))
    assert (index.verify().live, index.verify().deleted, index.stats().unreachable) == (2100, 0, 0)


def test_default_ids_never_name_a_row_that_was():
    index = made(rows_of(100))
    index.add(rows_of(60, seed=3), ids=np.arange(200, 260))
    index.remove(np.arange(200, 260))
    index.add(rows_of(60, seed=5), ids=np.arange(100, 160))  # in their places
    assert index.ids.max() < 259
    index.add(rows_of(2, seed=4))
    assert sorted(index.ids[~index._rows.dead].tolist())[-2:] == [260, 261]
    index.remove([260, 261])
    assert index.compact().add(rows_of(1, seed=6)).ids.max() == 262
    index.remove(index.ids)
    assert index.add(rows_of(1, seed=7)).ids.tolist() == [263]


def test_two_compactions_at_once_are_one_after_the_other():
    rows = rows_of(1000)
    index = made(rows)
    index.remove(np.arange(300))
    ended = []
    second = threading.Thread(target=lambda: ended.append(index.compact()))

    def progress(done, total):
        if not second.ident:
            second.start()
            second.join(0.05)  # it waits for this one

    index.compact(progress=progress)
    second.join()
    assert ended == [index]
    assert (index.verify().live, index.graph.count) == (700, 700)
    assert (index.search(rows[300:], 1, ef_search=60).ids[:, 0] == np.arange(300, 1000)).mean() > 0.99


def test_ctrl_c_waits_until_a_change_is_whole():
    lock, done = SharedLock(), []

    def change():
        with lock.writing(), lock.changing():
            signal.raise_signal(signal.SIGINT)
            done.append("changed")

    with pytest.raises(KeyboardInterrupt):
        change()
    with lock.reading():
        done.append("read")
    assert done == ["changed", "read"]


def test_searches_before_the_first_batch_find_nothing(monkeypatch):
    rows, index = rows_of(20), HNSW()
    with monkeypatch.context() as broken:
        broken.setattr(HNSWGraph, "insert", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            index.add(rows)
    for where in (None, [3, 4], range(10)):
        assert index.search(rows[:2], 3, filter=where).counts.tolist() == [0, 0]
    assert len(index.search_within(rows[0], 1e9).ids) == 0
    index.add(rows)
    assert index.verify().live == 20
    assert index.search(rows, 1).ids[:, 0].tolist() == list(range(20))


@pytest.mark.parametrize("storage", STORAGES)
def test_free_places_survive_saving(storage, tmp_path):
    rows = rows_of(1500)
    index = made(rows[:1000], storage)
    index.remove(np.arange(200))
    index.add(rows[1000:1050], ids=np.arange(1000, 1050))
    assert index.stats().deleted == 150
    index.save(tmp_path / "a.nh")
    loaded = ann.load(tmp_path / "a.nh")
    assert loaded.verify().unreachable == 0
    for one in (index, loaded):
        one.add(rows[1050:1200], ids=np.arange(1050, 1200))
        assert (one.stats().deleted, one.graph.count, one.verify().unreachable) == (0, 1000, 0)
    queries = rows_of(50, seed=4)
    assert loaded.search(queries, 10).ids.tolist() == index.search(queries, 10).ids.tolist()
    again = ann.load(tmp_path / "a.nh")
    assert sorted(live_rows(again)[0].tolist()) == list(range(200, 1050))  # the file was not written to


def test_a_store_keeps_its_column_and_its_conditions_follow_the_ids():
    rows = rows_of(700)
    store = nearhop.GraphStore.from_edges(np.arange(499), np.arange(1, 500))
    store.nodes["x"] = rows[:500].copy()
    store.nodes["even"] = (np.arange(500) % 2 == 0).astype(np.int32)
    index = HNSW.from_store(store, "x", M=8)
    index.remove(np.arange(100))
    index.add(rows[500:560], ids=np.arange(500, 560))
    assert np.array_equal(store.nodes["x"], rows[:500])
    for _ in range(2):
        found = index.search(rows[:50], 10, filter="even = 1")
        assert (found.counts == 10).all()
        assert ((found.ids % 2 == 0) & (found.ids >= 100) & (found.ids < 500)).all()
        index.compact()
    assert index.graph.count == 460


def test_recall_after_updates_is_a_fresh_builds_on_descriptors():
    with np.load(data_file("cann/herz-jesus-p25.npz")) as held:
        points = held["desc"].astype(np.float32)
    points = points[np.random.default_rng(0).permutation(len(points))]
    queries, rows = points[:500], points[500:]
    rng, count = np.random.default_rng(1), 4000
    index = HNSW(M=12, ef_construction=80).add(rows[:count])
    for start in range(count, 4 * count, count // 2):
        index.remove(rng.choice(live_rows(index)[0], count // 2, replace=False))
        index.add(rows[start : start + count // 2], ids=np.arange(start, start + count // 2))
    fresh = HNSW(M=12, ef_construction=80).add(live_rows(index)[1])
    for ef in (15, 40):
        assert recall_of(index, queries, ef) >= recall_of(fresh, queries, ef) - 0.005
    for end in (lambda: index.add(rows[:1], ids=[9 * count]), index.compact):
        index.remove(rng.choice(live_rows(index)[0], count // 3, replace=False))
        end()
        assert not targets(index) & set(np.flatnonzero(index._rows.dead).tolist()) - {index.graph.entry}
        fresh = HNSW(M=12, ef_construction=80).add(live_rows(index)[1])
        for ef in (15, 40):
            assert recall_of(index, queries, ef) >= recall_of(fresh, queries, ef) - 0.005
