"""Kernels over the rows of one sparse matrix."""

from __future__ import annotations

import numba
import numpy as np

from ..compute.jit import kernel, parallel_kernel


@kernel
def count_columns(indices, counts):
    """`counts[j + 1]` += how often column j occurs."""
    for e in range(indices.shape[0]):
        counts[indices[e] + 1] += 1


@kernel
def transpose(indptr, indices, values, cursor, out_indices, out_values):
    """Place every entry behind the cursor of its column; an empty `values` stands for a pattern."""
    for i in range(indptr.shape[0] - 1):
        for e in range(indptr[i], indptr[i + 1]):
            at = cursor[indices[e]]
            cursor[indices[e]] = at + 1
            out_indices[at] = i
            if values.shape[0]:
                out_values[at] = values[e]


@kernel
def rows_rise(indptr, indices, least):
    """Whether columns rise by `least` at least within every row: 1 strictly, 0 with repeats."""
    for i in range(indptr.shape[0] - 1):
        for e in range(indptr[i] + 1, indptr[i + 1]):
            if indices[e] < indices[e - 1] + least:
                return False
    return True


@kernel(forceinline=True)
def lower_bound(indices, first, last, column):
    """The first place in the sorted slice first:last (unsigned) whose column is not below `column`."""
    one = np.uint64(1)
    while first < last:
        middle = (first + last) >> one
        if indices[middle] < column:
            first = middle + one
        else:
            last = middle
    return first


@parallel_kernel
def mirror_counts(indptr, indices, bounds, counts):
    """`counts[j]` = entries above the diagonal in column j; worker w counts columns bounds[w]:bounds[w + 1]."""
    for w in numba.prange(bounds.shape[0] - 1):
        low, high = bounds[w], bounds[w + 1]
        for i in range(min(indptr.shape[0] - 1, high)):
            first = lower_bound(indices, np.uint64(indptr[i]), np.uint64(indptr[i + 1]), max(low, i + 1))
            for e in range(first, np.uint64(indptr[i + 1])):
                j = np.int64(indices[e])
                if j >= high:
                    break
                counts[j] += 1


@parallel_kernel
def mirror(indptr, indices, values, bounds, cursor, full_indptr, full_indices, full_values):
    """Fill a symmetric matrix from its sorted upper triangle: the mirrored part of every row, then the row itself."""
    for w in numba.prange(bounds.shape[0] - 1):
        low, high = bounds[w], bounds[w + 1]
        for i in range(min(indptr.shape[0] - 1, high)):
            first = lower_bound(indices, np.uint64(indptr[i]), np.uint64(indptr[i + 1]), max(low, i + 1))
            for e in range(first, np.uint64(indptr[i + 1])):
                j = np.int64(indices[e])
                if j >= high:
                    break
                at = cursor[j]
                cursor[j] = at + 1
                full_indices[at] = i
                if values.shape[0]:
                    full_values[at] = values[e]
        for i in range(low, high):
            length = indptr[i + 1] - indptr[i]
            at = full_indptr[i + 1] - length
            for s in range(length):
                full_indices[at + s] = indices[indptr[i] + s]
                if values.shape[0]:
                    full_values[at + s] = values[indptr[i] + s]


@parallel_kernel
def count_distinct(indptr, indices, counts):
    """`counts[i + 1]` = distinct columns of row i, which is sorted."""
    for i in numba.prange(indptr.shape[0] - 1):
        found = 0
        for e in range(indptr[i], indptr[i + 1]):
            found += e == indptr[i] or indices[e] != indices[e - 1]
        counts[i + 1] = found


@parallel_kernel
def merge_repeated(indptr, indices, values, into, columns, sums):
    """Each column of sorted rows once, from `into[i]` on; where there are values, their sums in their order."""
    for i in numba.prange(indptr.shape[0] - 1):
        at = into[i] - 1
        for e in range(indptr[i], indptr[i + 1]):
            is_new = e == indptr[i] or indices[e] != indices[e - 1]
            at += is_new
            columns[at] = indices[e]
            if values is not None:
                sums[at] = values[e] if is_new else sums[at] + values[e]
