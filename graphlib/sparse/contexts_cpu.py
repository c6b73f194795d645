"""Kernels of hop contexts: rows of a normalised adjacency times a table of float32 or float16 rows.

Weights of a neighbour are looked up and not stored, so a row costs no memory beside its sum, however many neighbours.
Rows of the table are asked for many neighbours ahead. Every row is summed by one thread in one order: the bits depend
neither on threads nor on how rows are cut into chunks.
"""

from __future__ import annotations

import numba
import numpy as np

from ..compute.half_cpu import as_float, half_bits
from ..compute.jit import kernel, parallel_kernel, prefetch_far

_AHEAD = 24  # neighbours
_LINE = 64  # bytes


@kernel(forceinline=True)
def _fetch(X, row, step):
    values = X[row]
    for j in range(0, values.shape[0], step):
        prefetch_far(values, j)


@kernel(forceinline=True)
def _add(total, row, w):
    for j in range(total.shape[0]):
        total[j] += w * as_float(row[j])


@kernel(forceinline=True)
def _add_four(total, a, b, c, d, wa, wb, wc, wd):
    for j in range(total.shape[0]):
        total[j] += (wa * as_float(a[j]) + wb * as_float(b[j])) + (wc * as_float(c[j]) + wd * as_float(d[j]))


@kernel(forceinline=True)
def _weight(k, indices, weight, right):
    w = right[indices[k]]
    return w * weight[k] if weight.shape[0] > 0 else w


@kernel(forceinline=True)
def _sum_row(i, indptr, indices, weight, own, right, X, stop, step, total):
    for j in range(total.shape[0]):
        total[j] = np.float32(0)
    if own:
        _add(total, X[i], right[i])
    k, end = indptr[i], indptr[i + 1]
    while k + 4 <= end:
        for m in range(k + _AHEAD, min(k + _AHEAD + 4, stop)):
            _fetch(X, indices[m], step)
        _add_four(
            total,
            X[indices[k]],
            X[indices[k + 1]],
            X[indices[k + 2]],
            X[indices[k + 3]],
            _weight(k, indices, weight, right),
            _weight(k + 1, indices, weight, right),
            _weight(k + 2, indices, weight, right),
            _weight(k + 3, indices, weight, right),
        )
        k += 4
    while k < end:
        if k + _AHEAD < stop:
            _fetch(X, indices[k + _AHEAD], step)
        _add(total, X[indices[k]], _weight(k, indices, weight, right))
        k += 1


@parallel_kernel
def contexts(starts, indptr, indices, weight, own, left, right, X, sums, out):
    """`out[i - starts[0]] = left[i] * (own * right[i] X[i] + sum_k weight[k] right[j] X[j])`, j = indices[k].

    X holds float32, or halves as uint16; empty `weight` means ones. `sums` is a row of float32 per thread. Piece c of
    the work is rows starts[c]..starts[c + 1] - 1.
    """
    step = 16 if X.itemsize == 4 else 32
    for c in numba.prange(starts.shape[0] - 1):
        total = sums[numba.get_thread_id()]  # type: ignore[attr-defined]
        stop = indptr[starts[c + 1]]
        for i in range(starts[c], starts[c + 1]):
            _sum_row(i, indptr, indices, weight, own, right, X, stop, step, total)
            row, factor = out[i - starts[0]], left[i]
            for j in range(row.shape[0]):
                row[j] = factor * total[j]


@parallel_kernel
def contexts_as_halves(starts, indptr, indices, weight, own, left, right, X, sums, out):
    """As `contexts`, with sums rounded to halves, whose bits are written to a uint16 `out`."""
    step = 16 if X.itemsize == 4 else 32
    for c in numba.prange(starts.shape[0] - 1):
        total = sums[numba.get_thread_id()]  # type: ignore[attr-defined]
        stop = indptr[starts[c + 1]]
        for i in range(starts[c], starts[c + 1]):
            _sum_row(i, indptr, indices, weight, own, right, X, stop, step, total)
            row, factor = out[i - starts[0]], left[i]
            for j in range(row.shape[0]):
                row[j] = half_bits(factor * total[j])


@parallel_kernel
def weight_sums(indptr, weight, own, sums):
    """`sums[i]` is the sum of row i's weights (ones where `weight` is empty) plus `own`, float64."""
    for i in numba.prange(sums.shape[0]):
        total = np.float64(own)
        if weight.shape[0] == 0:
            total += indptr[i + 1] - indptr[i]
        else:
            for k in range(indptr[i], indptr[i + 1]):
                total += weight[k]
        sums[i] = total
