"""Kernels of FastRP beside the sparse product: first power, merge, column statistics."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import parallel_kernel
from ...graphlib.sparse.spmm_cpu import finish_row

STAT_ROWS = 4096  # rows whose column sums form one partial sum, whatever the number of threads


@parallel_kernel
def row_sums(indptr, values, out):
    """`out[i]` = sum of row i's values, float64, in order."""
    for i in numba.prange(indptr.shape[0] - 1):
        total = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            total += values[k]
        out[i] = total


@parallel_kernel
def first_power(starts, rows, weight, entries, scale, out, ending):
    """`multiply` of graphlib/sparse/spmm_cpu.py for a matrix X given by its non-zeros.

    `rows` = (indptr, indices) and `entries` = (indptr, columns, values) of X.
    """
    indptr, indices = rows
    r_indptr, r_columns, r_values = entries
    for c in numba.prange(starts.shape[0] - 1):
        for i in range(starts[c], starts[c + 1]):
            o = out[i]
            o[:] = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                u = indices[k]
                if weight is None:
                    for e in range(r_indptr[u], r_indptr[u + 1]):
                        o[r_columns[e]] += r_values[e]
                else:
                    for e in range(r_indptr[u], r_indptr[u + 1]):
                        o[r_columns[e]] += weight[k] * r_values[e]
            finish_row(o, i, scale, ending)


@parallel_kernel
def merge_power(U, ending):
    """The end of `multiply` for a power that was computed before."""
    nothing = np.empty(0, np.float32)
    for i in numba.prange(U.shape[0]):
        finish_row(U[i], i, nothing, ending)


@parallel_kernel
def column_sums(X, used, center, squared, partial):
    """`partial[b]` = sums over the used rows of block b of `X - center`, or of its square, per column, float64."""
    for b in numba.prange(partial.shape[0]):
        sums = partial[b]
        sums[:] = 0.0
        for i in range(b * STAT_ROWS, min((b + 1) * STAT_ROWS, X.shape[0])):
            if used[i]:
                row = X[i]
                if squared:
                    for j in range(row.shape[0]):
                        sums[j] += (row[j] - center[j]) * (row[j] - center[j])
                else:
                    for j in range(row.shape[0]):
                        sums[j] += row[j] - center[j]


@parallel_kernel
def standardize(X, used, mean, factor):
    """`X = (X - mean) * factor` in the used rows, zeros in the others."""
    for i in numba.prange(X.shape[0]):
        row = X[i]
        if used[i]:
            for j in range(row.shape[0]):
                row[j] = (row[j] - mean[j]) * factor[j]
        else:
            row[:] = 0.0
