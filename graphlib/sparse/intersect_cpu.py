"""Kernels that intersect rows of two matrices along given pairs: the masked product by inner products.

Pairs are grouped by their row u. The columns of row u are marked once in a bitmap, a bit per column, and the rows v of
its pairs are scanned against it; a long row v is searched for the columns of a short row u instead. Columns are met in
rising order either way, so sums do not depend on which.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ..compute.jit import kernel, parallel_kernel, prefetch
from .csr_cpu import lower_bound
from .products.row_cpu import U

COUNT, PRODUCT, SUM, MIN, LARGEST_PRODUCT, SMALLEST_SUM = range(6)
_FAR, _NEAR = 16, 8  # pairs ahead: of offsets, and of rows and results
_LINE = 16  # columns
_SEARCH = U(16)  # from this ratio of lengths on the long row is searched


@kernel(forceinline=True)
def _term(combine, a_values, b_values, e, f, factor):
    if combine == COUNT:
        return factor
    if combine in (PRODUCT, LARGEST_PRODUCT):
        return a_values[e] * b_values[f] * factor
    if combine == MIN:
        return min(a_values[e], b_values[f]) * factor
    return (a_values[e] + b_values[f]) * factor


@kernel(forceinline=True)
def _add(combine, total, term, met):
    if met == 0:
        return term
    if combine == LARGEST_PRODUCT:
        return max(total, term)
    if combine == SMALLEST_SUM:
        return min(total, term)
    return total + term


@kernel
def _searched(combine, A, B, u, v, factors, met):
    """Row u of A looked up in row v of B."""
    a_indptr, a_indices, a_values = A
    b_indptr, b_indices, b_values = B
    total = factors.dtype.type(0)
    f, last = U(b_indptr[v]), U(b_indptr[v + U(1)])
    for e in range(U(a_indptr[u]), U(a_indptr[u + U(1)])):
        k = a_indices[e]
        f = lower_bound(b_indices, f, last, k)
        if f == last:
            break
        if b_indices[f] == k:
            factor = factors[k] if factors.shape[0] else factors.dtype.type(1)
            total = _add(combine, total, _term(combine, a_values, b_values, e, f, factor), met)
            met += 1
    return total, met


@kernel
def _scanned(combine, A, B, v, factors, bits, place, met):
    """Row v of B scanned against the marked row of A, whose columns stand at `place`."""
    b_indptr, b_indices, b_values = B
    total = factors.dtype.type(0)
    if combine == COUNT and factors.shape[0] == 0:
        found = U(0)
        for f in range(U(b_indptr[v]), U(b_indptr[v + U(1)])):
            k = U(b_indices[f])
            found += (bits[k >> U(6)] >> (k & U(63))) & U(1)
        return factors.dtype.type(found), np.int64(found)
    for f in range(U(b_indptr[v]), U(b_indptr[v + U(1)])):
        k = U(b_indices[f])
        if (bits[k >> U(6)] >> (k & U(63))) & U(1):
            factor = factors[k] if factors.shape[0] else factors.dtype.type(1)
            e = place[k] if place.shape[0] else 0
            total = _add(combine, total, _term(combine, A[2], b_values, U(e), f, factor), met)
            met += 1
    return total, met


@parallel_kernel
def longer_first(indptr, src, dst, longer, shorter):
    """Every pair with the node of more neighbours first; as they come where both have as many."""
    for p in numba.prange(src.shape[0]):
        u, v = U(src[p]), U(dst[p])
        if indptr[u + U(1)] - indptr[u] < indptr[v + U(1)] - indptr[v]:
            u, v = v, u
        longer[p] = u
        shorter[p] = v


@parallel_kernel
def intersect(combine, A, B, factors, pairs, starts, marks, out, counts):
    """`out[p]` = merged terms over the columns that row u of A and row v of B share, for the pairs of every u.

    `pairs` is (indptr, v, p) by u; `factors` (columns or none) multiplies the terms of a column, and its dtype is that
    of the sums; `counts[p]`, where there is room, is how many columns are shared. A turn takes the rows
    starts[t]:starts[t + 1]; `marks` are (bits, place) with one row per worker, `place` without columns where no
    values are read.
    """
    p_indptr, p_rows, p_ids = pairs
    bits, place = marks
    for task in numba.prange(starts.shape[0] - 1):
        worker = get_thread_id()
        own, own_place = bits[worker], place[worker]
        end = p_indptr[starts[task + 1]] - 1
        for row in range(starts[task], starts[task + 1]):
            if p_indptr[row] == p_indptr[row + 1]:
                continue
            u = U(row)
            first, last = U(A[0][u]), U(A[0][u + U(1)])
            for e in range(first, last):
                k = U(A[1][e])
                own[k >> U(6)] |= U(1) << (k & U(63))
                if own_place.shape[0]:
                    own_place[k] = e
            for p in range(p_indptr[row], p_indptr[row + 1]):
                prefetch(B[0], p_rows[min(p + _FAR, end)])
                ahead = p_rows[min(p + _NEAR, end)]
                prefetch(B[1], B[0][ahead])
                prefetch(B[1], B[0][ahead] + _LINE)
                prefetch(out, p_ids[min(p + _NEAR, end)])
                v = U(p_rows[p])
                length = U(B[0][v + U(1)] - B[0][v])
                if length > _SEARCH * (last - first):
                    total, met = _searched(combine, A, B, u, v, factors, 0)
                else:
                    total, met = _scanned(combine, A, B, v, factors, own, own_place, 0)
                out[p_ids[p]] = total
                if counts.shape[0]:
                    counts[p_ids[p]] = met
            for e in range(first, last):
                own[U(A[1][e]) >> U(6)] = U(0)


@parallel_kernel
def shared(a_indptr, a_indices, b_indptr, b_indices, src, dst, offsets, out):
    """The columns that rows src[p] and dst[p] share, from offsets[p] on; with empty `out`, only their number.

    Columns of the shorter row are looked up in the longer one.
    """
    for p in numba.prange(src.shape[0]):
        e, e_end = U(a_indptr[src[p]]), U(a_indptr[src[p] + 1])
        f, f_end = U(b_indptr[dst[p]]), U(b_indptr[dst[p] + 1])
        found = 0
        first = offsets[p]
        if e_end - e <= f_end - f:
            while e < e_end and f < f_end:
                k = a_indices[e]
                f = lower_bound(b_indices, f, f_end, k)
                if f < f_end and b_indices[f] == k:
                    if out.shape[0]:
                        out[first + found] = k
                    found += 1
                e += U(1)
        else:
            while f < f_end and e < e_end:
                k = b_indices[f]
                e = lower_bound(a_indices, e, e_end, k)
                if e < e_end and a_indices[e] == k:
                    if out.shape[0]:
                        out[first + found] = k
                    found += 1
                f += U(1)
        if out.shape[0] == 0:
            offsets[p + 1] = found
