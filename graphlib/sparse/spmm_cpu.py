"""Kernels that multiply adjacency rows with a dense matrix, reading each neighbour's row once.

The product is bound by memory: neighbours' rows arrive from random places. So rows are prefetched into the second-level
cache many neighbours ahead, across row borders, four neighbours are added per pass over the output row, and everything
that can be done while that row is still in the first-level cache (scaling, its norm, the weighted sum of powers) is
done there.
Every output row is summed by one thread in one fixed order: results do not depend on threads, chunks or column tiles.
"""

from __future__ import annotations

import numba
import numpy as np

from ..compute.jit import kernel, parallel_kernel, prefetch_far

_AHEAD = 32  # neighbours; of 16, 24, 32, 48 and 64, 16 is slower and the others measure alike
_LINE = 16  # float32 values per cache line
_BLOCK = 32  # columns whose squares are added up before they join the row's norm


@kernel(forceinline=True)
def _prefetch_row(X, row, first, last):
    values = X[row]
    for j in range(first, last, _LINE):
        prefetch_far(values, j)
    prefetch_far(values, last - 1)  # rows seldom start where a cache line does


@kernel(forceinline=True)
def _set_four(o, a, b, c, d):
    for j in range(o.shape[0]):
        o[j] = (a[j] + b[j]) + (c[j] + d[j])


@kernel(forceinline=True)
def _add_four(o, a, b, c, d):
    for j in range(o.shape[0]):
        o[j] += (a[j] + b[j]) + (c[j] + d[j])


@kernel(forceinline=True)
def _add_one(o, a):
    for j in range(o.shape[0]):
        o[j] += a[j]


@kernel(forceinline=True)
def _set_four_weighted(o, a, b, c, d, wa, wb, wc, wd):
    for j in range(o.shape[0]):
        o[j] = (wa * a[j] + wb * b[j]) + (wc * c[j] + wd * d[j])


@kernel(forceinline=True)
def _add_four_weighted(o, a, b, c, d, wa, wb, wc, wd):
    for j in range(o.shape[0]):
        o[j] += (wa * a[j] + wb * b[j]) + (wc * c[j] + wd * d[j])


@kernel(forceinline=True)
def _add_one_weighted(o, a, w):
    for j in range(o.shape[0]):
        o[j] += w * a[j]


@kernel
def _multiply_by(o, factor):
    for j in range(o.shape[0]):
        o[j] *= factor


@kernel
def add_scaled(o, a, factor):
    """`o += factor * a`."""
    for j in range(o.shape[0]):
        o[j] += factor * a[j]


@kernel
def squared_norm(row, total):
    """`total` plus the squares of `row`, float64, in blocks of 32 columns.

    A row that is cut into tiles of whole blocks gives the same bits as the row in one piece.
    """
    for start in range(0, row.shape[0], _BLOCK):
        part = row[start : min(start + _BLOCK, row.shape[0])]
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        whole = part.shape[0] // 4 * 4
        for j in range(0, whole, 4):
            s0 += np.float64(part[j]) * np.float64(part[j])
            s1 += np.float64(part[j + 1]) * np.float64(part[j + 1])
            s2 += np.float64(part[j + 2]) * np.float64(part[j + 2])
            s3 += np.float64(part[j + 3]) * np.float64(part[j + 3])
        for j in range(whole, part.shape[0]):
            s0 += np.float64(part[j]) * np.float64(part[j])
        total += (s0 + s1) + (s2 + s3)
    return total


@kernel(forceinline=True)
def _sum_neighbours(o, X, indices, begin, end, stop, first, last):
    k = begin
    if end - begin >= 4:
        for m in range(k + _AHEAD, min(k + _AHEAD + 4, stop)):
            _prefetch_row(X, indices[m], first, last)
        _set_four(
            o,
            X[indices[k], first:last],
            X[indices[k + 1], first:last],
            X[indices[k + 2], first:last],
            X[indices[k + 3], first:last],
        )
        k += 4
        while k + 4 <= end:
            for m in range(k + _AHEAD, min(k + _AHEAD + 4, stop)):
                _prefetch_row(X, indices[m], first, last)
            _add_four(
                o,
                X[indices[k], first:last],
                X[indices[k + 1], first:last],
                X[indices[k + 2], first:last],
                X[indices[k + 3], first:last],
            )
            k += 4
    else:
        o[:] = 0.0
    while k < end:
        if k + _AHEAD < stop:
            _prefetch_row(X, indices[k + _AHEAD], first, last)
        _add_one(o, X[indices[k], first:last])
        k += 1


@kernel(forceinline=True)
def _sum_weighted(o, X, indices, weight, begin, end, stop, first, last):
    k = begin
    if end - begin >= 4:
        for m in range(k + _AHEAD, min(k + _AHEAD + 4, stop)):
            _prefetch_row(X, indices[m], first, last)
        _set_four_weighted(
            o,
            X[indices[k], first:last],
            X[indices[k + 1], first:last],
            X[indices[k + 2], first:last],
            X[indices[k + 3], first:last],
            weight[k],
            weight[k + 1],
            weight[k + 2],
            weight[k + 3],
        )
        k += 4
        while k + 4 <= end:
            for m in range(k + _AHEAD, min(k + _AHEAD + 4, stop)):
                _prefetch_row(X, indices[m], first, last)
            _add_four_weighted(
                o,
                X[indices[k], first:last],
                X[indices[k + 1], first:last],
                X[indices[k + 2], first:last],
                X[indices[k + 3], first:last],
                weight[k],
                weight[k + 1],
                weight[k + 2],
                weight[k + 3],
            )
            k += 4
    else:
        o[:] = 0.0
    while k < end:
        if k + _AHEAD < stop:
            _prefetch_row(X, indices[k + _AHEAD], first, last)
        _add_one_weighted(o, X[indices[k], first:last], weight[k])
        k += 1


@kernel
def finish_row(o, i, scale, ending):
    """Scale row i of a product and do what follows from it while it is in the cache; see `multiply`."""
    squares, total = ending.squares, ending.total
    if scale.shape[0] > 0:
        _multiply_by(o, scale[i])
    if ending.measure:
        squares[i] = squared_norm(o, squares[i])
    if total.shape[0] > 0:
        factor = ending.alpha
        if ending.normalize:
            factor = ending.alpha / np.sqrt(squares[i]) if squares[i] > 0.0 else 0.0
        add_scaled(total[i, ending.at : ending.at + o.shape[0]], o, np.float32(factor))


@parallel_kernel
def multiply(starts, rows, weight, X, scale, out, columns, ending):
    """`out[i] = scale[i] * sum_k weight[k] X[indices[k]]` on columns first..last-1, and what follows from the row.

    `rows` = (indptr, indices), `columns` = (first, last). `weight` None means ones, and then the weighted sums are not
    compiled, nor the others where there are weights; an empty `scale` is no scaling. With `ending.measure`, `squares`
    (rows,) gains the row's squared norm. A non-empty `total` gains `alpha * out[i]` from column `at` on, over
    sqrt(squares[i]) with `normalize`. Chunk c of the work is rows starts[c]..starts[c + 1] - 1.
    """
    indptr, indices = rows
    first, last = columns
    finishes = scale.shape[0] > 0 or ending.measure or ending.total.shape[0] > 0
    for c in numba.prange(starts.shape[0] - 1):
        stop = indptr[starts[c + 1]]
        for i in range(starts[c], starts[c + 1]):
            o = out[i, first:last]
            if weight is None:
                _sum_neighbours(o, X, indices, indptr[i], indptr[i + 1], stop, first, last)
            else:
                _sum_weighted(o, X, indices, weight, indptr[i], indptr[i + 1], stop, first, last)
            if finishes:  # the call costs a tenth of a product even where it finds nothing to do
                finish_row(o, i, scale, ending)
