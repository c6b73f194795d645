"""Around a search: filters of every kind, upsert, range search, tuning, explanations, readers beside a writer."""

from __future__ import annotations

import gzip
import signal
import threading

import numpy as np
import pytest

import nearhop
from nearhop import ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.hnsw import tuning
from nearhop.ann.hnsw.plan import NAMES, make_plan
from nearhop.ann.ids import RowIds
from nearhop.ann.locking import SharedLock
from nearhop.ann.storage import scalar_codes
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, NotFitted
from nearhop.tests.support import data_file, kept_as

STORAGES = ("float32", "int8", "packed")


def rows_of(count=3000, dim=24, seed=0):
    first = np.random.default_rng(3).normal(size=(8, dim))
    inside = np.random.default_rng(seed).normal(size=(count, 8))
    return np.tanh(inside @ first).astype(np.float32)


@pytest.fixture(scope="module", params=STORAGES)
def sift(request):
    """Real descriptors: 20,000 rows and 100 queries, their pictures as labels."""
    with np.load(data_file("cann/herz-jesus-p25.npz")) as held:
        points = held["desc"].astype(np.float32)
    order = np.random.default_rng(0).permutation(len(points))
    rows, queries = points[order[:20_000]], points[order[20_000:20_100]]
    return HNSW(**kept_as(request.param)).add(rows), Exact().add(rows), rows, queries, order[:20_000] // 2500


@pytest.mark.parametrize("share", [0.001, 0.01, 0.04, 0.1, 0.15, 0.25, 0.5, 0.9, 1.0])
def test_recall_under_random_filters_on_descriptors(sift, share):
    index, exact, rows, queries, _ = sift
    mask = np.random.default_rng(1).random(len(rows)) < share
    truth = exact.search(queries, 10, filter=mask)
    for given in (mask, np.tile(mask, (len(queries), 1))):
        found = index.search(queries, 10, filter=given)
        assert ann.recall(found, truth) >= 0.95
        assert mask[found.ids[found.ids >= 0]].all()
        assert (found.counts == truth.counts).all()


def test_recall_under_filters_that_follow_the_vectors(sift):
    index, exact, rows, queries, picture = sift
    total = rows.sum(axis=1)
    for mask in (
        picture == 3,
        picture < 3,
        picture > 20,
        total > np.quantile(total, 0.8),
        total < np.quantile(total, 0.1),
    ):
        truth = exact.search(queries, 10, filter=mask)
        for given in (mask, np.tile(mask, (len(queries), 1))):
            assert ann.recall(index.search(queries, 10, filter=given), truth) >= 0.95


def test_all_three_methods_are_planned():
    masks = np.zeros((4, 200_000), bool)
    for row, passing in enumerate((50, 20_000, 100_000, 200_000)):
        masks[row, :passing] = True
    plan = make_plan(64, 16, masks, 4, 200_000)
    assert [NAMES[m] for m in plan.method] == ["scan", "step over", "walk", "walk"]
    assert plan.beam[2:].tolist() == [151, 64]
    # few rows are met by a beam of the width of k: it has some to spare
    assert make_plan(10, 16, masks[2:], 2, 200_000, 10).beam.tolist() == [29, 10]
    # scans of wide rows beside walks over narrow codes are put off
    assert NAMES[make_plan(40, 16, masks[1:2], 1, 200_000, 10, (128, 16_384)).method[0]] == "step over"
    assert NAMES[make_plan(160, 16, masks[1:2], 1, 200_000, 10, (512, 128)).method[0]] == "scan"


def test_mnist_digits_as_filters():
    def read(name, offset):
        return np.frombuffer(gzip.decompress(data_file(f"ann/{name}").read_bytes()), np.uint8, offset=offset)

    images = read("mnist-train-images-idx3-ubyte.gz", 16).reshape(-1, 784)[:12_000].astype(np.float32)
    digits = read("mnist-train-labels-idx1-ubyte.gz", 8)[:12_000]
    index, exact = HNSW(storage="int8").add(images[:11_900]), Exact().add(images[:11_900])
    for digit in (1, 4, 8):
        mask = digits[:11_900] == digit
        truth = exact.search(images[11_900:], 10, filter=mask)
        for given in (mask, np.tile(mask, (100, 1))):
            assert ann.recall(index.search(images[11_900:], 10, filter=given), truth) >= 0.95


def test_filters_as_ranges_conditions_and_lists():
    rows = rows_of()
    store = nearhop.GraphStore.from_edges(np.arange(2999), np.arange(1, 3000))
    store.nodes["x"] = rows
    store.nodes["year"] = np.arange(3000) % 100 + 1950
    index = HNSW.from_store(store, "x")
    early = np.flatnonzero(np.arange(3000) % 100 < 20)
    by_sql = index.search(rows[:5], 10, filter="year < 1970")
    assert by_sql.ids.tolist() == index.search(rows[:5], 10, filter=early).ids.tolist()
    within = index.search(rows[:5], 10, filter=range(100, 300)).ids
    assert ((within >= 100) & (within < 300)).all()
    odd = index.search(rows[:5], 10, filter=range(301, 99, -2)).ids
    assert ((odd % 2 == 1) & (odd > 99) & (odd < 302)).all()
    assert (index.search(rows[:2], 3, filter=range(0)).counts == 0).all()
    mixed = index.search(rows[:4], 10, filter=["year < 1970", None, range(100, 300), [7, 8]])
    assert mixed.ids[0].tolist() == by_sql.ids[0].tolist()
    assert mixed.ids[1].tolist() == index.search(rows[1], 10).ids[0].tolist()
    assert set(mixed.ids[3][:2].tolist()) == {7, 8}
    assert mixed.counts.tolist() == [10, 10, 10, 2]
    with pytest.raises(IndexMismatch, match="a list of 1 but there are 2 queries"):
        index.search(rows[:2], 1, filter=["year < 1970"])
    with pytest.raises(InvalidInput, match="needs the columns of a store"):
        HNSW().add(rows[:5]).search(rows[0], 1, filter="year < 1970")


@pytest.mark.parametrize("storage", STORAGES)
def test_upsert_replaces_and_adds(storage):
    rows = rows_of(600)
    index = HNSW(**kept_as(storage)).add(rows[:500], ids=np.arange(500) * 2)
    index.upsert(rows[500:], ids=np.arange(450, 550) * 2)
    assert len(index) == 550
    assert index.search(rows[500], 1, ef_search=100).ids.tolist() == [[900]]
    assert index.search(rows[450], 1, ef_search=100).distances[0, 0] > 0
    with pytest.raises(InvalidInput, match="id 3 is given twice"):
        index.upsert(rows[:2], ids=[3, 3])
    assert len(index) == 550


@pytest.mark.parametrize("storage", STORAGES)
def test_range_search_finds_all_rows_within(storage):
    rows, queries = rows_of(), rows_of(30, seed=5)
    index = HNSW(**kept_as(storage)).add(rows)
    true = ((rows[None] - queries[:, None]) ** 2).sum(-1)
    radius = float(np.quantile(true, 0.1))
    result = index.search_within(queries, radius)
    for q in range(30):
        distances, ids = result[q]
        assert (distances <= radius).all()
        assert (np.diff(distances) >= 0).all()
        assert len(ids) >= 0.99 * (true[q] <= radius).sum() > 64
    assert index.search_within(queries[:2], -1.0).ids.tolist() == []
    assert len(index.search_within(np.empty((0, 24)), 1.0)) == 0
    for radius in (np.inf, None, [0.5], "1"):
        with pytest.raises(InvalidInput, match="radius must be a finite number, one for all queries"):
            index.search_within(queries, radius)


def test_tune_sets_a_beam_that_reaches_the_recall(tmp_path):
    rows, queries = rows_of(), rows_of(200, seed=5)
    index, truth = HNSW(M=4, ef_construction=20).add(rows), Exact().add(rows).search(queries, 10)
    low, high = index.tune(0.8, queries=queries), index.tune(0.99, queries=queries)
    assert 10 <= low < high
    assert ann.recall(index.search(queries, 10), truth) >= 0.99
    assert ann.recall(index.search(queries, 10, ef_search=low), truth) < 0.99
    index.save(tmp_path / "tuned.nh")
    assert ann.load(tmp_path / "tuned.nh").ef_search == high
    assert index.tune(0.95) >= 10
    with pytest.raises(InvalidInput, match=r"target_recall must be in \(0, 1\]; got 95"):
        index.tune(95)
    with pytest.raises(NotFitted):
        HNSW().tune()


def test_explanations_name_what_was_missed():
    rows = rows_of()
    index = HNSW(M=4, ef_construction=20).add(rows)
    whole = index.explain(rows[5], k=10, ef_search=10)
    assert (whole.method, whole.beam, whole.passing, whole.rows) == ("walk", 10, 3000, 3000)
    truth = Exact().add(rows).search(rows[5], 10)
    assert set(whole.missed.tolist()) == set(truth.ids[0].tolist()) - set(whole.result.ids[0].tolist())
    few = index.explain(rows[5], k=10, filter=np.arange(20))
    assert (few.method, few.beam, few.recall) == ("scan", 0, 1.0)
    assert "20 of 3,000 rows pass" in repr(few)


def test_explain_and_tune_read_one_state(monkeypatch):
    rows = rows_of(600)
    index = HNSW(M=4, ef_construction=20).add(rows)
    index.remove(np.arange(400))
    for name, call in (("make_plan", lambda: index.explain(rows[500], 5)), ("least_effort", lambda: index.tune(0.9))):
        plain, others = getattr(tuning, name), []

        def meanwhile(*given, plain=plain, others=others, **named):
            others.append(threading.Thread(target=index.compact, daemon=True))
            others[0].start()
            others[0].join(0.1)
            assert others[0].is_alive(), "the index was compacted meanwhile"
            return plain(*given, **named)

        with monkeypatch.context() as patched:
            patched.setattr(tuning, name, meanwhile)
            call()
        others[0].join(20)
        assert len(index) == index.graph.count == 200
        index.add(rows[:50], ids=np.arange(50))
        index.remove(np.arange(50))


@pytest.mark.parametrize(
    ("metric", "storage"), [("l2", "float32"), ("cosine", "float32"), ("l2", "int8"), ("l2", "packed")]
)
def test_memory_is_as_estimated(metric, storage):
    index = HNSW(metric, M=8, **kept_as(storage)).add(rows_of())
    estimate = index.estimate_memory(3000, 24)
    held = index.stats().nbytes + (index.graph.scale.nbytes if metric == "cosine" else 0)
    assert 0.97 * held <= estimate.total <= 1.03 * held


def test_row_ids_grow_without_losing_marks():
    rows = RowIds()
    for start in range(0, 100, 7):
        rows.append(np.arange(start, start + 7))
        rows.remove([start])
    assert rows.values.tolist() == list(range(105))
    assert np.flatnonzero(rows.dead).tolist() == list(range(0, 105, 7))
    assert rows.positions(np.array([7, 8, 200])).tolist() == [-1, 8, -1]


def test_readers_share_and_a_change_is_alone():
    lock, both, leave, log = SharedLock(), threading.Barrier(3, timeout=20), threading.Event(), []

    def read():
        with lock.reading():
            both.wait()
            leave.wait(20)
            log.append("read")

    def change():
        with lock.writing(), lock.changing():
            log.append("changed")

    readers = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    both.wait()  # broken where readers do not share
    writer = threading.Thread(target=change, daemon=True)
    writer.start()
    writer.join(0.1)
    assert log == []  # it waits for those inside
    leave.set()
    for thread in (*readers, writer):
        thread.join(20)
    assert log == ["read", "read", "changed"]


@pytest.mark.parametrize("storage", STORAGES)
def test_searches_beside_a_writer_see_whole_states(storage):
    rows = rows_of(4000)
    index = HNSW(M=8, ef_construction=40, **kept_as(storage)).add(rows[:500])
    failures, stop = [], threading.Event()
    gone: list[int] = []

    def search():
        rng = np.random.default_rng(threading.get_ident() % 1000)
        while not stop.is_set():
            removed, size = len(gone), len(index)
            picked = rng.integers(0, 400, 20)
            found = index.search(rows[picked], 5, ef_search=50)
            if (found.counts < 5).any() or (found.ids >= 4000).any():
                failures.append("short or foreign rows")
            if not np.allclose(((rows[found.ids] - rows[picked][:, None]) ** 2).sum(-1), found.distances, atol=1e-4):
                failures.append("a distance does not belong to its id")
            if np.isin(found.ids, gone[:removed]).any():
                failures.append("a removed row came back")
            if len(index) + len(gone) < size:
                failures.append("rows were lost")

    readers = [threading.Thread(target=search) for _ in range(3)]
    for reader in readers:
        reader.start()
    for start in range(500, 4000, 500):
        index.add(rows[start : start + 500])
        fresh = list(range(start, start + 20))
        index.remove(fresh)
        gone.extend(fresh)
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert index.verify().live == 4000 - len(gone)
    kept = np.setdiff1d(np.arange(4000), gone)
    assert (index.search(rows[kept], 1, ef_search=50).ids[:, 0] == kept).mean() > 0.999


def test_codes_rank_as_vectors_do_at_the_narrowest_beam():
    """The last of k rows are nearly level, and codes confuse them: a beam of k alone lost up to three points here."""
    rng = np.random.default_rng(1)
    inner, outer = rng.normal(size=(3400, 12)), rng.normal(size=(12, 96))
    rows = (np.tanh(inner @ outer / 2) + 0.05 * rng.normal(size=(3400, 96))).astype(np.float32)
    queries, rows = rows[:400], rows[400:]
    indexes = [HNSW(storage=kind, M=12, ef_construction=60).add(rows) for kind in ("float32", "int8")]
    for k in (10, 60):
        truth = Exact().add(rows).search(queries, k)
        plain, coded = (ann.recall(index.search(queries, k, ef_search=1), truth) for index in indexes)
        assert coded > plain - 0.01
        for index in indexes:  # one query a call takes another way to the same beam
            one = index.search(queries[:1], k, ef_search=1)
            np.testing.assert_array_equal(one.ids, index.search(queries[:40], k, ef_search=1).ids[:1])


def test_ctrl_c_is_obeyed_while_codes_are_chosen(monkeypatch):
    """Codes of the first rows take seconds where rows are wide; nobody reads the graph yet, so nothing holds Ctrl-C."""
    went_on, whole = [], scalar_codes.bases

    def interrupted(*given):
        signal.raise_signal(signal.SIGINT)
        went_on.append(given)
        return whole(*given)

    rows = np.random.default_rng(0).normal(size=(600, 40)).astype(np.float32)
    index = HNSW(storage="int8", ef_construction=20)
    with monkeypatch.context() as patched:
        patched.setattr(scalar_codes, "bases", interrupted)
        with pytest.raises(KeyboardInterrupt):
            index.add(rows)
    assert went_on == []
    assert len(index) == 0
    assert index.search(rows[:1], 3).counts[0] == 0
    assert index.add(rows).search(rows[:1], 3).ids[0, 0] == 0
