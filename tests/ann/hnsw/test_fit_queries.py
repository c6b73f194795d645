"""Codes chosen for given queries: other directions than those of the rows are kept, and the choice stays."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from nearhop import GraphStore, ann
from nearhop.ann import HNSW, Exact
from nearhop.graphlib.errors import IndexMismatch, InvalidInput

DIM, BEAM = 90, 30


@pytest.fixture(scope="module")
def elsewhere():
    """Rows that vary along 20 of 90 directions most, and queries that vary along the last 30."""
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    of_rows, of_queries = np.where(np.arange(DIM) < 20, 1.0, 0.15), np.where(np.arange(DIM) < 60, 0.05, 1.0)
    rows = (rng.normal(size=(3000, DIM)) * of_rows @ turned).astype(np.float32)
    queries = (rng.normal(size=(400, DIM)) * of_queries @ turned).astype(np.float32)
    return rows, queries[:200], queries[200:]


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_ranks_for_queries_from_elsewhere_are_better(elsewhere, metric):
    rows, given, queries = elsewhere
    truth = Exact(metric).add(rows).search(queries, 10)
    before = given.copy()
    plain, fitted = (HNSW(metric, storage="int8", fit_queries=asked).add(rows) for asked in (None, given))
    assert np.array_equal(given, before)
    one, two = (ann.recall(index.search(queries, 10, ef_search=BEAM), truth) for index in (plain, fitted))
    assert two > one + 0.01
    assert fitted.graph.codes.width <= plain.graph.codes.width + 64


def test_the_queries_stay_with_the_index(elsewhere, tmp_path):
    rows, given, queries = elsewhere
    index = HNSW(storage="int8", layout="packed", fit_queries=given).add(rows)
    assert np.array_equal(index.fit_queries, given)
    index.save(tmp_path / "index")
    opened = ann.load(tmp_path / "index")
    assert np.array_equal(opened.fit_queries, given)
    assert np.array_equal(opened.search(queries, 5).ids, index.search(queries, 5).ids)
    copied = pickle.loads(pickle.dumps(HNSW(storage="int8", fit_queries=given)))  # noqa: S301
    assert np.array_equal(copied.fit_queries, given)
    opened.remove(opened.ids[: len(rows) * 3 // 4])
    opened.compact()  # built anew
    assert np.array_equal(opened.fit_queries, given)


def test_an_index_inside_a_store_leaves_nothing_else_there(elsewhere):
    rows, given, _ = elsewhere
    store = GraphStore()
    store.add_node_type("row", 600)
    store.nodes("row")["x"] = rows[:600]
    HNSW.from_store(store, "x", storage="int8", fit_queries=given).save_into(store, "near")
    assert np.array_equal(HNSW.attach(store, "near").fit_queries, given)
    store.drop(index="near")
    assert (list(store.node_types), list(store.nodes("row"))) == (["row"], ["x"])


def test_what_cannot_be_fitted_is_refused(elsewhere):
    rows, given, _ = elsewhere
    for storage in ("float32", "int8-only", "int4"):
        with pytest.raises(InvalidInput, match="fit_queries choose the directions of 8-bit codes"):
            HNSW(storage=storage, fit_queries=given).add(rows[:300])
    with pytest.raises(InvalidInput, match="at least one row"):
        HNSW(storage="int8", fit_queries=given[:0]).add(rows[:300])
    with pytest.raises(IndexMismatch, match="fit_queries"):
        HNSW(storage="int8", fit_queries=given[:, :9]).add(rows[:300])
    bad = given.copy()
    bad[3, 4] = np.nan
    with pytest.raises(InvalidInput, match="fit_queries"):
        HNSW(storage="int8", fit_queries=bad).add(rows[:300])
    assert HNSW(storage="auto", fit_queries=given).add(rows[:300]).storage == "int8"
    assert HNSW(storage="auto", fit_queries=given[:, :4]).add(rows[:300, :4]).storage == "float32"
