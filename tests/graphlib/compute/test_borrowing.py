"""Kernels count no references to arrays of their callers, and keep those that they return or allocate."""

from __future__ import annotations

import sys

import numba
import numpy as np
import pytest
from numba.core.caching import NullCache
from numba.core.runtime import _nrt_python, rtsys

from nearhop.graphlib.compute.jit import kernel, parallel_kernel


@kernel
def _add_row(out, k, x, r):
    to, row = out[k], x[r]
    for c in range(row.shape[0]):
        to[c] += row[c]


@kernel
def _sum_spans(tables, spans, out):
    left, right = tables
    for k in range(spans.shape[0]):
        first, last = spans[k]
        row = out[k]
        for c in range(row.shape[0]):
            row[c] = 0
        for r in range(first, last):
            _add_row(out, k, left if r % 2 else right, r)


@kernel
def _row(x, i):
    return x[i]


@kernel
def _both(x):
    return x[0], 1.0


@kernel
def _last_of_own(count):
    made = np.arange(count) * np.ones((3, 1), np.int64)
    row = _row(made, 2)
    made = np.zeros((3, count), np.int64)  # what it was before has no other owner left than its row
    return row[count - 1] + made[0, 0]


@kernel
def _replaced(x, count):
    for _ in range(count):
        x = x[1:] if x.shape[0] > 2 else np.full(4, 7.0)
    return x[0]


@parallel_kernel
def _first_columns(x, out):
    for i in numba.prange(out.shape[0]):
        row = x[i]
        out[i] = row[0]


def test_machine_code_of_a_kernel_counts_no_references():
    _sum_spans._cache = NullCache()  # what is read from a file has no text
    rows, out = np.arange(12.0).reshape(4, 3), np.full((2, 3), 9.0)
    _sum_spans((rows, 10 * rows), np.array([[0, 2], [2, 4]]), out)
    assert out.tolist() == [[3, 14, 25], [69, 80, 91]]
    (text,) = _sum_spans.inspect_asm().values()
    assert "_sum_s" in text
    assert "NRT_incref" not in text
    assert "NRT_decref" not in text


def test_arrays_of_the_caller_keep_their_counts():
    arrays = rows, spans, out = np.ones((4, 3)), np.array([[0, 4]]), np.zeros((1, 3))
    before = [sys.getrefcount(array) for array in arrays]
    for _ in range(5):
        _sum_spans((rows, rows), spans, out)
        _first_columns.at_once(rows, out[0])
    assert [sys.getrefcount(array) for array in arrays] == before


@pytest.mark.parametrize("taken", [lambda x: _row(x, 1), lambda x: _both(x)[0]])
def test_what_a_kernel_returns_keeps_its_memory(taken):
    x = np.full((2, 1 << 16), 5.0)
    row = taken(x)
    assert np.shares_memory(row, x)
    del x
    others = [np.zeros((2, 1 << 16)) for _ in range(8)]
    assert (row == 5).all()
    assert not any(other.any() for other in others)


@pytest.fixture
def counted():
    _nrt_python.memsys_enable_stats()
    yield
    _nrt_python.memsys_disable_stats()


@pytest.mark.usefixtures("counted")
def test_what_a_kernel_allocates_is_freed_once():
    before = rtsys.get_allocation_stats()
    for _ in range(10):
        assert _last_of_own(1000) == 999
        assert [_replaced(np.arange(3.0), count) for count in (0, 1, 2, 3, 4)] == [0, 1, 7, 7, 7]
    after = rtsys.get_allocation_stats()
    assert after.alloc - before.alloc == after.free - before.free > 0
    assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free
