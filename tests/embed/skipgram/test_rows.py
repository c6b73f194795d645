"""Arithmetic on rows equals NumPy's at every width, and touches no other row."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from nearhop.embed.skipgram.logistic_cpu import BOUND, CELLS, cell, logistic_table
from nearhop.embed.skipgram.rows_cpu import (
    aligned_table,
    fetch_row,
    row_dot,
    row_exchange,
    row_move,
    row_pull,
    width_of,
)
from nearhop.graphlib.compute.alias_cpu import alias_pick


@numba.njit
def every(width, a, b, total, out):
    fetch_row(width, a, 1)
    out[0] = row_dot(width, a, 1, b, 2)
    row_exchange(width, np.float32(0.5), a, 1, b, 2, total, 0)
    row_pull(width, np.float32(0.75), np.float32(-0.25), a, 0, b, 1)
    row_move(width, total, 0, a, 2)


@pytest.mark.parametrize("dim", [1, 16, 40, 80, 128])
def test_rows(dim):
    rng = np.random.default_rng(dim)
    a, b, total = aligned_table(3, dim), aligned_table(3, dim), aligned_table(1, dim)
    assert a.shape[1] % 16 == 0
    assert a.ctypes.data % 64 == 0
    for table in (a, b, total):
        table[:, :dim] = rng.standard_normal((table.shape[0], dim))
    x, y, t = a.astype(np.float64), b.astype(np.float64), total.astype(np.float64)
    out = np.zeros(1)
    every(width_of(dim), a, b, total, out)
    assert out[0] == pytest.approx(x[1] @ y[2], rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(b[2], y[2] + 0.5 * x[1], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(a[0], 0.75 * x[0] - 0.25 * y[1], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(b[1], 0.75 * y[1] - 0.25 * x[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(a[2], x[2] + t[0] + 0.5 * y[2], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(a[1], x[1])
    np.testing.assert_array_equal(b[0], y[0])
    assert not total.any()
    assert not a[:, dim:].any()


def test_logistic_table():
    table = logistic_table()
    for x in (-9.0, -8.0, -7.99, -1.0, 0.0, 0.3, 7.99, 8.0, 50.0, np.inf, -np.inf):
        at = cell(np.float32(x))
        near = min(max(x, -BOUND), BOUND)
        assert table[at, 0] == pytest.approx(1 / (1 + np.exp(-near)), abs=16 / CELLS / 4)
        assert table[at, 1] == pytest.approx(np.log1p(np.exp(-near)), abs=16 / CELLS)
        assert table[CELLS - 1 - at, 1] == pytest.approx(np.log1p(np.exp(near)), abs=16 / CELLS)
    assert cell(np.float32(np.nan)) == 0


def test_alias_pick_keeps_the_ends():
    keep, alias = np.array([9.0, 0.5, 1.0], np.float32), np.array([9, 1, 1], np.int32)
    assert alias_pick(np.uint64(0), keep, alias, 1, 2) == 0
    assert alias_pick(np.uint64(2**62 - 1), keep, alias, 1, 2) == 0  # fraction just below one half
    assert alias_pick(np.uint64(2**62 + 2**61), keep, alias, 1, 2) == 1
    assert alias_pick(np.uint64(2**64 - 1), keep, alias, 1, 2) == 1
