"""8-bit storages follow the data: whatever comes in whatever order, they find what float32 does at the same beam."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.metrics import L2
from nearhop.ann.storage.rows import storage_class, storages
from nearhop.ann.storage.scalar_codes import ENOUGH

DIM = 64


def surface(rows, kind=0, seed=0, dim=DIM, inner=10):
    """Rows on a smooth surface of few dimensions; surfaces of different kinds lie in different directions."""
    rng = np.random.default_rng(100 + kind)
    first, second = rng.normal(size=(inner, 48)) / 2, rng.normal(size=(48, dim)) / 8
    return (np.tanh(np.random.default_rng(seed).normal(size=(rows, inner)) @ first) @ second).astype(np.float32)


def blocks(rows, dims, seed):
    """Normal rows in a few coordinates only."""
    out = np.zeros((rows, 96), np.float32)
    out[:, dims] = np.random.default_rng(seed).normal(size=(rows, len(dims)))
    return out


def found(index, queries, truth, ef=64):
    """The share of true neighbours: by ids, since distances of rounded rows do not tell."""
    ids = index.search(queries, truth.ids.shape[1], ef_search=ef).ids
    return float((ids[:, :, None] == truth.ids[:, None, :]).any(axis=1).mean())


DRIFTS = ("none", "directions", "offset", "wider", "narrower", "placeholder", "zeros")


def drifting(drift, seed):
    """Rows that come first, rows that come later, and queries."""
    rng = np.random.default_rng(seed)
    first, later = surface(int(rng.integers(300, 700)), 0, seed), surface(int(rng.integers(400, 1100)), 1, seed + 1)
    queries = np.concatenate([surface(50, 0, seed + 2), surface(50, 1, seed + 3)])
    if drift == "none":
        later, queries = surface(len(later), 0, seed + 1), surface(100, 0, seed + 2)
    elif drift == "offset":
        later, queries[50:] = later + 2, queries[50:] + 2
    elif drift in ("wider", "narrower"):
        by = np.float32(6 if drift == "wider" else 1 / 6)
        later, queries[50:] = by * later, by * queries[50:]
    elif drift == "placeholder":
        first, queries = (rng.random(first.shape) < 0.5).astype(np.float32), queries[50:]
    elif drift == "zeros":
        first, queries = np.zeros_like(first[:40]), queries[50:]
    return first, later, queries


@pytest.mark.parametrize("drift", DRIFTS)
@pytest.mark.parametrize(("metric", "seed"), [("l2", 1), ("cosine", 2), ("ip", 3)])
def test_any_order_any_split_few_outliers_and_drift(drift, metric, seed):
    first, later, queries = drifting(drift, seed)
    rng = np.random.default_rng(seed)
    rows = np.concatenate([first, later])
    if metric != "ip":  # for inner products the longest rows are the nearest to half of the queries
        bad = rng.choice(len(rows), 3, replace=False)
        rows[bad] *= (10.0 ** rng.integers(2, 15, (3, 1))).astype(np.float32)
    if rng.random() < 0.3:
        rows = rows[rng.permutation(len(rows))]
    cuts = np.unique([0, 1, 2, *rng.integers(0, len(rows), 5), len(rows)])
    truth = Exact(metric).add(rows).search(queries, 10)
    recalls = {}
    for storage in ("float32", "int8", "int8-float16", "int8-only", "int4", "1bit", "int4-only"):
        index = HNSW(metric, storage=storage, ef_construction=80)
        given = np.clip(rows, -6e4, 6e4) if storage in ("int8-float16", "int4", "1bit") and metric != "cosine" else rows
        for start, stop in itertools.pairwise(cuts):
            index.add(given[start:stop])
        recalls[storage] = found(index, queries, truth)
    assert recalls["int8"] >= recalls["float32"] - 0.01, recalls
    assert recalls["int8-float16"] >= recalls["float32"] - 0.01, recalls
    assert recalls["int8-only"] >= recalls["float32"] - 0.08, recalls  # rounding itself changes the order of near rows
    assert recalls["int4"] >= recalls["float32"] - 0.01, recalls
    assert recalls["int4-only"] >= recalls["float32"] - 0.13, recalls
    assert recalls["1bit"] >= recalls["float32"] - 0.13, recalls  # rows of very different lengths: a wider beam is due


@pytest.mark.parametrize("size", [1e2, 1e5, 1e20, 1e36])
@pytest.mark.parametrize("storage", ["int8", "int8-only"])
def test_one_row_of_any_size_spoils_nothing(storage, size):
    rows, queries = surface(1500), surface(100, seed=9)
    clean = found(HNSW(storage=storage, ef_construction=60).add(rows), queries, Exact().add(rows).search(queries, 10))
    for place in (3, (3, 5)):
        spoilt = rows.copy()
        spoilt[place] = size * (rows[place] if place == 3 else 1)
        truth = Exact().add(np.delete(spoilt, 3, axis=0), ids=np.delete(np.arange(1500), 3)).search(queries, 10)
        assert found(HNSW(storage=storage, ef_construction=60).add(spoilt), queries, truth) > clean - 0.01


def test_rows_in_new_directions_are_told_apart_and_compact_mends_what_was_linked_badly(monkeypatch):
    first, later = blocks(900, np.arange(16), 0), blocks(2000, np.arange(60, 76), 1)
    queries = blocks(100, np.arange(60, 76), 2)
    truth = Exact().add(later, ids=np.arange(900, 2900)).search(queries, 10)
    assert found(HNSW(storage="int8").add(first).add(later), queries, truth) > 0.98
    monkeypatch.setattr("nearhop.ann.storage.scalar_codes.ScalarCodes.too_many_ill", lambda *_: False)
    bad = HNSW(storage="int8").add(first).add(later)
    assert found(bad, queries, truth) < 0.3
    monkeypatch.undo()
    bad.remove([0])
    assert found(bad.compact(), queries, truth) > 0.98
    assert bad.verify().unreachable == 0


def test_an_index_of_a_file_is_looked_at_before_it_changes(monkeypatch, tmp_path):
    first, later = blocks(900, np.arange(16), 0), blocks(2000, np.arange(60, 76), 1)
    monkeypatch.setattr("nearhop.ann.storage.scalar_codes.ScalarCodes.too_many_ill", lambda *_: False)
    HNSW(storage="int8").add(first).add(later).save(tmp_path / "a.nh")
    monkeypatch.undo()
    index = ann.load(tmp_path / "a.nh")
    index.add(later[:1] + 1)
    queries = blocks(100, np.arange(60, 76), 2)
    truth = Exact().add(later, ids=np.arange(900, 2900)).search(queries, 10)
    assert found(index, queries, truth) > 0.98


def test_single_rows_of_a_new_kind_make_the_codes_be_chosen_anew():
    first, later = blocks(900, np.arange(16), 0), blocks(150, np.arange(60, 76), 1)
    index = HNSW(storage="int8", ef_construction=60).add(first)
    width = index.graph.codes.width
    for row in later:
        index.add(row[None])
    assert index.graph.codes.width > width
    assert not len(index.graph.codes.mend)
    truth = Exact().add(later, ids=np.arange(900, 1050)).search(later, 5)
    assert found(index, later, truth, ef=20) > 0.98


CODED = [name for name in storages() if storage_class(name, L2).has_codes]


@pytest.mark.parametrize("storage", CODED)
def test_searches_go_on_while_codes_are_chosen_anew_and_ctrl_c_leaves_the_old_ones(storage, monkeypatch):
    first, later, queries, met = surface(400), 50 * surface(1600, 1, 1), surface(20, 0, 2), []
    index, whole = (HNSW(storage=storage, M=8, ef_construction=40, seed=0, threads=1).add(first) for _ in range(2))
    before, rows = index.search(queries, 5), index.graph.rows
    kind = type(rows.codes if hasattr(rows, "codes") else rows.coder)

    def fit(*given):
        plain(*given)
        reader = threading.Thread(target=lambda: met.append(index.search(queries, 5)), daemon=True)
        reader.start()
        reader.join(20)
        raise KeyboardInterrupt

    plain = kind._fit
    with monkeypatch.context() as patch:
        patch.setattr(kind, "_fit", fit)
        with pytest.raises(KeyboardInterrupt):
            index.add(later)
    for seen in (met[0], index.search(queries, 5)):
        assert (seen.ids == before.ids).all()
        assert (seen.distances == before.distances).all()
    ours, theirs = (one.add(later).search(queries, 5) for one in (index, whole))
    assert (ours.ids == theirs.ids).all()
    assert (ours.distances == theirs.distances).all()


def test_codes_that_do_not_keep_the_order_are_not_walked_on(tmp_path):
    rng = np.random.default_rng(0)
    rows = (np.repeat(1000 * rng.normal(size=(10, 32)), 150, axis=0) + rng.normal(size=(1500, 32))).astype(np.float32)
    truth = Exact().add(rows).search(rows[::15], 10)
    index, plain = (HNSW(storage=storage, ef_construction=60).add(rows) for storage in ("int8", "float32"))
    assert not index.graph.codes.sound
    assert found(index, rows[::15], truth) >= found(plain, rows[::15], truth) - 0.01
    index.save(tmp_path / "a.nh")
    assert found(ann.load(tmp_path / "a.nh"), rows[::15], truth) == found(index, rows[::15], truth)


@pytest.mark.parametrize("storage", storages())
def test_zero_rows_are_at_distance_one_from_everything(storage, tmp_path):
    rows = np.concatenate([np.zeros((300, DIM), np.float32), np.abs(surface(600))])
    queries = np.abs(surface(40, seed=5))
    index = HNSW("cosine", storage=storage).add(rows)
    index.save(tmp_path / "a.nh")
    for held in (index, ann.load(tmp_path / "a.nh"), HNSW("cosine", storage=storage).add(rows).compact()):
        result = held.search(queries, 10)
        assert (result.ids >= 300).all()
        everything = held.search(queries[:2], 900, ef_search=900)
        assert np.allclose(everything.distances[:, -300:], 1)
        assert (np.sort(everything.ids[:, -300:]) == np.arange(300)).all()
        assert (held.search(np.zeros((1, DIM)), 5).distances == 1).all()


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("first", ["one row", "zeros", "one-hot", "0/1", "wide", "whole numbers for long"])
def test_int8_only_does_not_fit_its_step_to_the_first_rows(metric, first):
    rows, queries = surface(1500), surface(100, seed=7)
    rng = np.random.default_rng(0)
    before = {
        "one row": rows[:1] + 1, "zeros": np.zeros((3, DIM)), "one-hot": np.eye(DIM)[:1], "wide": 1000 * rows[:10],
        "0/1": rng.random((100, DIM)) < 0.5, "whole numbers for long": rng.random((400, DIM)) < 0.5,
    }[first]  # fmt: skip
    truth = Exact(metric).add(rows).search(queries, 10)
    alone = found(HNSW(metric, storage="int8-only").add(rows), queries, truth)
    index = HNSW(metric, storage="int8-only").add(before, ids=10**6 + np.arange(len(before)))
    index.add(rows, ids=np.arange(1500))
    index.remove(10**6 + np.arange(len(before)))
    assert found(index, queries, truth) > alone - (0.02 if len(before) < ENOUGH else 0.1)
    assert alone > 0.9


def test_int8_only_rows_are_vectors_until_there_are_enough(tmp_path):
    rows = surface(ENOUGH)
    index = HNSW("cosine", storage="int8-only")
    for start in range(0, ENOUGH - 1, 85):
        index.add(rows[start : start + 85])
    assert index.graph.vectors.dtype == np.float32
    index.save(tmp_path / "a.nh")
    opened = ann.load(tmp_path / "a.nh")
    assert opened.storage == "int8-only"
    assert opened.search(rows[:5], 3).ids.tolist() == index.search(rows[:5], 3).ids.tolist()
    for each in (opened, index):
        each.add(rows[ENOUGH - 1 :] + 1)
        assert each.graph.vectors.dtype == np.uint8
        assert each.verify().unreachable == 0
        assert (each.search(rows[:50], 1).ids[:, 0] == np.arange(50)).all()
    assert opened.graph.vectors[:ENOUGH].tobytes() == index.graph.vectors[:ENOUGH].tobytes()


def test_products_of_rows_far_from_the_origin():
    rows, queries = surface(1500) + 20, surface(100, seed=3) + 20
    truth = Exact("ip").add(rows).search(queries, 10)
    plain = found(HNSW("ip", ef_construction=80).add(rows), queries, truth)
    assert found(HNSW("ip", storage="int8", ef_construction=80).add(rows), queries, truth) > plain - 0.01


@pytest.mark.parametrize("scale", [1, 1e-3, 1e-5, 1e-12])
def test_small_products_are_told_apart(scale):
    rng = np.random.default_rng(0)
    rows, queries = (scale * rng.normal(size=(n, 32)).astype(np.float32) for n in (800, 40))
    true = np.argsort(-(queries.astype(np.float64) @ rows.astype(np.float64).T), axis=1)[:, :10]
    indexes = [Exact("ip"), ann.IVFFlat("ip", nlist=4, nprobe=4)]
    indexes += [HNSW("ip", storage=s) for s in ("float32", "int8", "int8-only")] + [HNSW("ip", storage="float16")] * (
        scale > 1e-4
    )
    for index in indexes:
        result = index.add(rows).search(queries, 10)
        hits = (result.ids[:, :, None] == true[:, None, :]).any(axis=1).mean()
        assert hits > (0.999 if isinstance(index, Exact | ann.IVFFlat) else 0.97), index
        dots = 1 - (queries.astype(np.float64)[:, None] * rows[result.ids]).sum(axis=2)
        assert np.allclose(result.distances, dots, atol=0.05 * scale**2 * 32 + 1e-6)
        one = index.search(queries[0], 10)  # answered by the kernel for few queries
        assert one.ids.tolist() == result.ids[:1].tolist()
        assert one.distances.tobytes() == result.distances[:1].tobytes()


@pytest.mark.parametrize("make", [lambda: Exact("cosine"), lambda: ann.IVFFlat("cosine", nlist=1)] + [
    lambda s=s: HNSW("cosine", storage=s) for s in storages()
])  # fmt: skip
def test_cosines_of_tiny_and_huge_rows(make):
    rng = np.random.default_rng(0)
    rows, queries = rng.normal(size=(40, 8)), rng.normal(size=(6, 8))
    sizes = 10.0 ** np.resize([-38, -30, -20, -3, 0, 3, 20, 37], 40)
    index = make().add(rows * sizes[:, None])
    true = 1 - (queries @ rows.T) / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(rows, axis=1)
    for size in (1e-38, 1e-25, 1, 1e18, 1e37):
        result = index.search(queries * size, 40)
        assert np.abs(np.take_along_axis(true, result.ids, axis=1) - result.distances).max() < 0.01, size
        assert (np.diff(result.distances) >= 0).all()
        assert index.search(queries[0] * size, 3).ids.tolist() == result.ids[:1, :3].tolist()
    mine = index.search(rows * sizes[:, None], 1)
    assert mine.ids[:, 0].tolist() == list(range(40))
    assert not np.signbit(mine.distances).any()
