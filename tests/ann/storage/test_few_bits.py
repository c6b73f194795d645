"""Storages of few bits in an index: any width, drift, few rows, files and what may be wrong with them, recall."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.storage.following import ENOUGH
from nearhop.ann.storage.rabitq.layout import row_bytes_of
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, StoreCorrupt
from nearhop.tests.support import data_file

BESIDE, ALONE = ("int4", "1bit"), ("int4-only", "1bit-only")


def rows_of(count, dim=48, seed=0, inner=8):
    """Rows on a smooth surface of few dimensions."""
    rng = np.random.default_rng(100)
    first, second = rng.normal(size=(inner, 64)) / 2, rng.normal(size=(64, dim)) / 8
    return (np.tanh(np.random.default_rng(seed).normal(size=(count, inner)) @ first) @ second).astype(np.float32)


def found(index, queries, truth, ef=100):
    """The share of true neighbours: by ids, since estimates do not tell."""
    ids = index.search(queries, truth.ids.shape[1], ef_search=ef).ids
    return float((ids[:, :, None] == truth.ids[:, None, :]).any(axis=1).mean())


def same(first, second):
    return first.ids.tolist() == second.ids.tolist() and first.distances.tobytes() == second.distances.tobytes()


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 64, 384, 784, 1536])
@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_vectors_of_any_width(dim, metric):
    rows, queries = rows_of(500, dim) + 0.1, rows_of(30, dim, seed=1) + 0.1
    for storage in BESIDE:
        index = HNSW(metric, M=8, storage=storage, ef_construction=60).add(rows)
        given = index.search(queries, 5, ef_search=100)
        exact = Exact(metric).add(index.vectors()).search(queries, 500)
        order = np.argsort(exact.ids, axis=1)
        wanted = np.take_along_axis(np.take_along_axis(exact.distances, order, axis=1), given.ids, axis=1)
        assert np.allclose(
            given.distances, wanted, rtol=1e-5, atol=1e-6
        )  # of the float16 vectors, whatever is compared
        assert ann.recall(given, Exact(metric).add(index.vectors()).search(queries, 5)) > 0.9
        assert index.graph.rows.codes.row_bytes == row_bytes_of(dim, 4 if storage == "int4" else 1)
        assert index.estimate_memory(500, dim).codes == 500 * index.graph.rows.codes.row_bytes


def test_bytes_per_row_are_those_of_the_manual():
    wanted = {
        128: (352, 288, 96, 32),
        384: (992, 832, 224, 64),
        768: (1952, 1664, 416, 128),
        1536: (3872, 3296, 800, 224),
    }
    for dim, sizes in wanted.items():
        for storage, size in zip((*BESIDE, *ALONE), sizes, strict=True):
            estimate = HNSW(storage=storage).estimate_memory(1000, dim)
            assert estimate.vectors + estimate.codes == 1000 * size


@pytest.mark.parametrize("storage", ALONE)
def test_codes_alone_give_rounded_rows_and_estimates(storage):
    rows, queries = rows_of(1500, 256), rows_of(60, 256, seed=1)
    index = HNSW(storage=storage, ef_construction=80).add(rows)
    assert index.graph.vectors.dtype == np.uint8
    centred, given = rows - rows.mean(axis=0), index.vectors() - rows.mean(axis=0)
    cosines = (centred * given).sum(axis=1) / np.linalg.norm(centred, axis=1) / np.linalg.norm(given, axis=1)
    assert cosines.mean() > (0.99 if storage == "int4-only" else 0.78)
    result = index.search(queries, 10, ef_search=200)
    true = ((queries[:, None] - rows[result.ids]) ** 2).sum(axis=2)
    away = np.linalg.norm(queries - rows.mean(axis=0), axis=1)[:, None] * np.linalg.norm(centred, axis=1)[result.ids]
    assert (np.abs(result.distances - true) < (0.1 if storage == "int4-only" else 0.6) * away).all()
    assert (result.distances >= 0).all()
    assert (np.diff(result.distances) >= 0).all()
    truth = Exact().add(rows).search(queries, 10)
    many = index.search(queries, 100, ef_search=200).ids
    assert (many[:, :, None] == truth.ids[:, None, :]).any(axis=1).mean() > (0.99 if storage == "int4-only" else 0.8)


@pytest.mark.parametrize("storage", [*BESIDE, *ALONE])
@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_constant_and_copied_rows(storage, metric):
    rows = rows_of(600)
    rows[:, 5:9] = 3
    rows[100:180] = rows[99]
    index = HNSW(metric, M=6, storage=storage, ef_construction=60).add(rows)
    assert index.verify().unreachable <= 2
    if metric != "ip":
        result = index.search(rows[99], 20, ef_search=200)
        assert set(result.ids[0]) <= set(range(99, 180)) or storage == "1bit-only"
    constant = HNSW(metric, M=6, storage=storage).add(np.ones((300, 12), np.float32))
    assert np.allclose(constant.search(np.ones(12), 5).distances, {"l2": 0, "ip": -11, "cosine": 0}[metric], atol=1e-2)


@pytest.mark.parametrize("storage", [*BESIDE, *ALONE])
def test_the_mean_is_taken_again_where_rows_lie_elsewhere(storage):
    first, later = rows_of(700), rows_of(1800, seed=1) + 5
    queries = rows_of(100, seed=2) + 5
    truth = Exact().add(later, ids=np.arange(700, 2500)).search(queries, 10)
    index, whole = HNSW(storage=storage, ef_construction=60).add(first), HNSW(storage=storage, ef_construction=60)
    codes = index.graph.rows.codes if storage in BESIDE else index.graph.rows.coder
    assert codes.fitted_rows == 700
    for start in range(0, 1800, 90):
        index.add(later[start : start + 90])
    codes = index.graph.rows.codes if storage in BESIDE else index.graph.rows.coder
    assert np.abs(codes.centre).mean() > 1
    reached = found(whole.add(np.concatenate([first, later])), queries, truth)
    lost = {"int4-only": 0.35, "1bit-only": 0.25}  # rows that were coded about the old mean and from their codes again
    assert found(index, queries, truth) > reached - lost.get(storage, 0.02)
    assert index.verify().unreachable == 0


@pytest.mark.parametrize("storage", BESIDE)
def test_far_rows_and_tight_groups(storage):
    rows, queries = rows_of(1500), rows_of(80, seed=9)
    truth = Exact().add(rows[10:], ids=np.arange(10, 1500)).search(queries, 10)
    clean = found(HNSW(storage=storage, ef_construction=60).add(rows), queries, truth)
    for size in (1e2, 1e4):
        spoilt = rows.copy()
        spoilt[:9] *= size
        spoilt[9, 5] = size
        assert found(HNSW(storage=storage, ef_construction=60).add(spoilt), queries, truth) > clean - 0.02
    groups = (np.repeat(1000 * rows_of(10), 150, axis=0) + rows_of(1500, seed=3)).astype(np.float32)
    index = HNSW(storage=storage, ef_construction=60).add(groups)
    assert not index.graph.rows.is_coded
    halves = groups.astype(np.float16).astype(np.float32)
    assert (
        ann.recall(index.search(halves[::20], 10, ef_search=100), Exact().add(halves).search(halves[::20], 10)) > 0.97
    )
    with pytest.raises(InvalidInput, match=f"storage='{storage}' holds values up to 65,504; row 1 has 70000"):
        index.add(np.eye(48, dtype=np.float32)[:2] * np.array([[1], [7e4]], np.float32))


@pytest.mark.parametrize("storage", BESIDE)
def test_walks_compare_vectors_until_there_are_enough(storage, tmp_path):
    rows = rows_of(ENOUGH + 20)
    index, plain = (
        HNSW(M=6, storage=storage).add(rows[: ENOUGH - 1]),
        HNSW(M=6, storage="float16").add(rows[: ENOUGH - 1]),
    )
    assert not index.graph.rows.is_coded
    assert same(index.search(rows[-9:], 4), plain.search(rows[-9:], 4))
    index.save(tmp_path / "a.nh")
    again = ann.load(tmp_path / "a.nh").add(rows[ENOUGH - 1 :])
    assert again.graph.rows.is_coded
    assert same(again.search(rows, 1), index.add(rows[ENOUGH - 1 :]).search(rows, 1))
    assert (again.search(rows, 1).ids[:, 0] == np.arange(len(rows))).mean() > 0.99


@pytest.fixture(scope="module")
def kept():
    return {
        storage: HNSW("cosine", M=4, storage=storage, ef_construction=40).add(rows_of(400))
        for storage in (*BESIDE, *ALONE)
    }


def stored(index, **tables):
    """An index as a store in memory, with some of its tables changed."""
    rows = index.graph.rows
    rows.tables = lambda: {**type(rows).tables(rows), **tables}
    return index._stored()


@pytest.mark.parametrize("storage", [*BESIDE, *ALONE])
def test_files_that_do_not_fit_are_refused(kept, storage):
    HNSW._opened(stored(kept[storage]))

    def refused(store, message):
        with pytest.raises((IndexMismatch, StoreCorrupt), match=message):
            HNSW._opened(store)

    def field(name, value):
        store = stored(kept[storage])
        store.attributes["index"][name] = value
        return store

    def table(name, value):
        return stored(kept[storage], **{name: value})

    column = "code" if storage in BESIDE else "vector"
    refused(field("code_rows", "many"), "code_rows and code_ill must be integers")
    refused(field("code_reach", None), "code_reach and code_away numbers")
    refused(table("code_centre", np.zeros((1, 47), np.float32)), "centre of the codes is float32 .1, 47.")
    refused(table("code_centre", np.full((1, 48), np.nan, np.float32)), "finite")
    refused(table("code_signs", np.zeros((3, 64), np.int8)), "of 1 and -1")
    refused(table("code_signs", np.ones((3, 128), np.int8)), "signs of the codes are int8 .3, 128.")
    wide = np.zeros((400, 96), np.uint8)
    store = stored(kept[storage])
    store.nodes("node")[column] = wide
    refused(store, "codes are uint8 .400, 96.")


@pytest.mark.parametrize("storage", [*BESIDE, *ALONE])
def test_whatever_codes_hold_a_search_stays_within_bounds(kept, storage):
    rng = np.random.default_rng(0)
    column = "code" if storage in BESIDE else "vector"
    for share in (1.0, 0.1):
        store = stored(kept[storage])
        codes = np.array(store.nodes("node")[column])
        spoilt = rng.random(codes.shape) < share
        codes[spoilt] = rng.integers(0, 256, spoilt.sum())
        store.nodes("node")[column] = codes
        index = HNSW._opened(store)
        for queries in (rows_of(50, seed=1), rows_of(1, seed=2)):
            result = index.search(queries, 7)
            assert ((result.ids >= 0) & (result.ids < 400)).all()
            assert np.isfinite(result.distances).all()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["mnist", "minilm"])
def test_recall_on_real_rows(what):
    if what == "mnist":
        raw = gzip.decompress(data_file("ann/mnist-train-images-idx3-ubyte.gz").read_bytes())
        rows, metric = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784)[:20_500].astype(np.float32), "l2"
    else:
        rows = np.load(data_file("ann/minilm-100k.npz"))["base"][:20_500].astype(np.float32)
        metric = "cosine"
    rows, queries = rows[:-500], rows[-500:]
    truth = Exact(metric).add(rows).search(queries, 10)
    reached = {}
    for storage in ("float32", *BESIDE, *ALONE):
        index = HNSW(metric, storage=storage).add(rows)
        reached[storage] = [found(index, queries, truth, ef) for ef in (50, 200)]
    plain = reached["float32"]
    assert reached["int4"][0] > plain[0] - 0.01, reached
    assert reached["1bit"][0] > plain[0] - 0.04, reached
    assert reached["int4"][1] > plain[1] - 0.005, reached
    assert reached["1bit"][1] > plain[1] - 0.01, reached
    least = {"mnist": (0.9, 0.55), "minilm": (0.85, 0.4)}[what]
    assert reached["int4-only"][1] > least[0], reached
    assert reached["1bit-only"][1] > least[1], reached
