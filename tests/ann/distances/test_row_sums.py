"""Sums over a row and a query of every dtype, and pools, against NumPy and Python, at widths around every vector's."""

from __future__ import annotations

import platform

import numba
import numpy as np
import pytest

from nearhop.ann.distances.distances_cpu import insert
from nearhop.ann.distances.rows_cpu import distance
from nearhop.ann.storage.alone_cpu import Codes
from nearhop.ann.storage.bits_cpu import Bits
from nearhop.ann.storage.floats_cpu import Floats
from nearhop.ann.storage.halves_cpu import Halves

WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 25, 31, 33, 47, 63, 64, 65, 80, 127, 128, 129, 784]
L2, IP, COSINE, HAMMING = range(4)


NOTHING = np.empty(0, np.float32)


def _rows(metric, rows, scale):
    """Rows of the kind that their dtype says."""
    if rows.dtype == np.uint8:  # for which cosine is compared like squares
        kind = IP if metric == IP else L2
        return Codes(rows, scale[0], kind, NOTHING, NOTHING[None], np.float32(1), rows.shape[1] - 4)
    if rows.dtype == np.uint64:
        return Bits(rows, metric)
    return (Floats if rows.dtype == np.float32 else Halves)(rows, scale, metric)


@numba.njit
def _of_rows(rows, query, node, factor):
    return distance(rows, node, query, factor)


def _distance(metric, rows, scale, query, node, factor):
    return _of_rows(_rows(metric, rows, scale), query, node, factor)


@numba.njit
def _insert(pool, size, limit, key):
    return insert(pool, size, limit, key)


@pytest.mark.parametrize("form", ["float32", "float16", "code"])
def test_distances_of_rows_equal_numpys(form: str) -> None:
    rng = np.random.default_rng(0)
    for width in WIDTHS:
        query = rng.normal(size=width).astype(np.float32)
        scale = rng.uniform(0.5, 2, size=3).astype(np.float32)
        if form == "code":
            rows = rng.integers(0, 256, size=(3, width + 5)).astype(np.uint8)
            rows[:, -4:] = 0  # the term, which could say that the row has no length
            values = rows[:, :width] - 128.0
        else:
            rows = rng.normal(size=(3, width)).astype(form)
            values = rows.astype(np.float64)
            rows = rows.view(np.uint16) if form == "float16" else rows
        for node in range(3):
            squares, product = ((values[node] - query) ** 2).sum(), values[node] @ query
            room = 1e-5 * (np.abs(values[node]) @ np.abs(query) + 1)
            factor = scale[0] if form == "code" else 1
            assert _distance(L2, rows, scale, query, node, 1.0) == pytest.approx(factor * squares, rel=1e-5)
            assert _distance(IP, rows, scale, query, node, 1.0) == pytest.approx(-factor * product, abs=room * 2)
            cosine = factor * squares if form == "code" else 1 - 0.5 * scale[node] * product
            assert _distance(COSINE, rows, scale, query, node, 0.5) == pytest.approx(cosine, rel=1e-5, abs=room)


def test_halves_are_widened_exactly() -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    every = every[np.isfinite(every.view(np.float16))]
    table = every[: len(every) // 64 * 64].reshape(-1, 64)
    zero = np.zeros(64, np.float32)
    for row in range(0, len(table), 7):
        want = (table[row].view(np.float16).astype(np.float64) ** 2).sum()
        assert _distance(L2, table, zero, zero, row, 1.0) == pytest.approx(want, rel=1e-6)


def test_bits_that_differ_are_counted() -> None:
    rng = np.random.default_rng(0)
    scale = np.ones(1, np.float32)
    for width in WIDTHS[:20]:
        rows = rng.integers(0, 1 << 63, size=(4, width), dtype=np.uint64)
        bits = np.unpackbits(rows.view(np.uint8), axis=1).reshape(4, -1)
        for node in range(4):
            assert _distance(HAMMING, rows, scale, rows[2], node, 1.0) == (bits[node] != bits[2]).sum()


def test_a_pool_keeps_the_smallest_keys_in_order() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        limit = int(rng.integers(1, 20))
        pool, kept = np.zeros(limit, np.int64), []
        for key in rng.permutation(40) - 20:
            place = _insert(pool, len(kept), limit, key)
            kept = sorted([*kept, key])[:limit]
            assert place == (kept.index(key) if key in kept else -1)
            assert pool[: len(kept)].tolist() == kept


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names an instruction of x86-64")
def test_the_place_of_a_key_is_found_without_branches() -> None:
    """By conditional moves: half of such branches would be mispredicted."""
    _insert(np.zeros(8, np.int64), 3, 8, 5)
    assert all("cmov" in assembly for assembly in _insert.inspect_asm().values())
