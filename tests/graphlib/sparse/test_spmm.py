"""Sparse times dense: equal to SciPy, whatever the threads, tiles and degrees."""

from __future__ import annotations

import importlib

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.graphlib.sparse.spmm import Finish, balanced_starts, multiply_into, spmm
from nearhop.tests.reference.fastrp import adjacency
from nearhop.tests.support import examples


def random_store(n, m, *, seed=0, weighted=True):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n, (2, m))
    weight = rng.random(m).astype(np.float32) if weighted else None
    store = GraphStore.from_edges(src, dst, num_nodes=n, directed=True, weight=weight)
    return store, adjacency(n, src, dst, weight=weight, directed=True)


@examples(60)
@given(
    n=st.integers(1, 30), m=st.integers(0, 200), d=st.integers(1, 70), weighted=st.booleans(), seed=st.integers(0, 99)
)
def test_equals_scipy(n, m, d, weighted, seed):
    store, S = random_store(n, m, seed=seed, weighted=weighted)
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)).astype(np.float32)
    scale = rng.random(n).astype(np.float32)
    np.testing.assert_allclose(spmm(store.csr(), X), S @ X.astype(np.float64), rtol=1e-5, atol=1e-5)
    scaled = spmm(store.csr(), X, scale=scale)
    np.testing.assert_allclose(scaled, scale[:, None] * (S @ X.astype(np.float64)), rtol=1e-5, atol=1e-5)


def test_weights_can_be_left_out():
    store, S = random_store(40, 300)
    X = np.ones((40, 3), np.float32)
    np.testing.assert_array_equal(spmm(store.csr(), X, use_weights=False)[:, 0], store.csr().degrees())
    assert not np.allclose(S @ X, spmm(store.csr(), X, use_weights=False))


def test_same_bits_for_any_threads_tile_and_chunk(monkeypatch):
    module = importlib.import_module("nearhop.graphlib.sparse.spmm")

    store, _ = random_store(500, 6000)
    X = np.random.default_rng(0).standard_normal((500, 100)).astype(np.float32)
    whole = spmm(store.csr(), X, threads=1)
    for threads, tile in [(2, None), (1, 32), (2, 7), (None, 1000)]:
        np.testing.assert_array_equal(whole, spmm(store.csr(), X, threads=threads, tile=tile))
    monkeypatch.setattr(module, "balanced_starts", lambda indptr: np.arange(0, 501, 5))
    np.testing.assert_array_equal(whole, spmm(store.csr(), X))


def test_finish_measures_and_accumulates():
    store, S = random_store(60, 400)
    X = np.random.default_rng(0).standard_normal((60, 50)).astype(np.float32)
    product = S @ X.astype(np.float64)
    squares, total = np.zeros(60), np.ones((60, 60), np.float32)
    out = np.empty_like(X)
    multiply_into(store.csr(), X, out, finish=Finish(squares, True, total, 10, 3.0, True))
    np.testing.assert_allclose(squares, (product**2).sum(axis=1), rtol=1e-5)
    norm = np.linalg.norm(product, axis=1, keepdims=True)
    np.testing.assert_allclose(total[:, 10:], 1 + 3 * product / np.where(norm > 0, norm, 1), rtol=1e-4, atol=1e-5)
    assert (total[:, :10] == 1).all()


def test_norms_of_tiles_of_32_columns_are_the_norms_of_all():
    from nearhop.graphlib.sparse.spmm_cpu import squared_norm

    row = np.random.default_rng(0).standard_normal(150).astype(np.float32)
    total = 0.0
    for first in range(0, 150, 64):
        total = squared_norm(row[first : first + 64], total)
    assert total == squared_norm(row, 0.0)
    assert total == pytest.approx(np.square(row, dtype=np.float64).sum(), rel=1e-12)


def test_pieces_of_work_cover_all_rows_once():
    indptr = np.array([0, 0, 100, 100, 101, 300, 301])
    for chunk in (1, 50, 10**6):
        starts = balanced_starts(indptr, chunk)
        assert starts[0] == 0
        assert starts[-1] == 6
        assert (np.diff(starts) > 0).all()
    assert balanced_starts(np.zeros(1, np.int64)).tolist() == [0]


def test_inner_loop_uses_wide_registers():
    from nearhop.graphlib.sparse import spmm_cpu

    rows = [np.ones(64, np.float32) for _ in range(5)]
    fresh = numba.njit(spmm_cpu._add_four.py_func)  # compiled code from the cache cannot be inspected
    fresh(*rows)
    assert (rows[0] == 5).all()
    listing = "".join(fresh.inspect_asm().values())
    assert "ymm" in listing or "zmm" in listing or "4s" in listing


def test_errors_name_what_was_given():
    store, _ = random_store(10, 20)
    rows, X = store.csr(), np.ones((10, 4), np.float32)
    with pytest.raises(InvalidType, match="X must be a float32 array; got float64"):
        spmm(rows, X.astype(np.float64))
    with pytest.raises(InvalidInput, match=r"X must have shape \(10, d\); got \(9, 4\)"):
        spmm(rows, X[:9])
    with pytest.raises(InvalidInput, match="C-contiguous"):
        spmm(rows, np.asfortranarray(X))
    with pytest.raises(InvalidInput, match="shares memory"):
        spmm(rows, X, out=X)
    with pytest.raises(InvalidInput, match=r"out must have shape \(10, 4\)"):
        spmm(rows, X, out=np.empty((10, 5), np.float32))
    with pytest.raises(InvalidInput, match="scale must be float32"):
        spmm(rows, X, scale=np.ones(10))
    for tile in (0, "a", 1.5):
        with pytest.raises(InvalidInput, match="tile must be a positive number"):
            spmm(rows, X, tile=tile)
    with pytest.raises(InvalidType, match="scale must be a float32 array; got list"):
        spmm(rows, X, scale=[1.0] * 10)
    for wrong in (store, np.eye(10), None):
        with pytest.raises(InvalidType, match=r"rows must be an Adjacency, such as store\.csr\(\)"):
            spmm(wrong, X)
