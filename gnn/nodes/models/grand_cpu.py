"""The mean of powers of a matrix times dense columns: a few columns at a time go through all powers, while in cache."""

from __future__ import annotations

import numba
import numpy as np

from ....graphlib.compute.jit import parallel_kernel

COLUMNS = 128  # of one turn


@parallel_kernel
def mean_of_powers(adjacency, values, x, order, out):
    """`out = (x + P x + ... + P^order x) / (order + 1)`, float32 (n, F); adjacency is (indptr, indices) of P."""
    indptr, indices = adjacency
    count, width = x.shape
    share = np.float32(1.0 / (order + 1))
    for turn in numba.prange((width + COLUMNS - 1) // COLUMNS):
        first = turn * COLUMNS
        size = min(COLUMNS, width - first)
        held, total = np.zeros((2, count, COLUMNS), np.float32), np.zeros((count, COLUMNS), np.float32)
        for i in range(count):
            for j in range(size):
                held[0, i, j] = x[i, first + j]
        for power in range(order):
            read, made = held[power % 2], held[1 - power % 2]
            for i in range(count):
                row, own, sums = made[i], read[i], total[i]
                for j in range(COLUMNS):
                    sums[j] += own[j]
                    row[j] = np.float32(0)
                for e in range(indptr[i], indptr[i + 1]):
                    weight, other = values[e], read[indices[e]]
                    for j in range(COLUMNS):
                        row[j] += weight * other[j]
        last = held[order % 2]
        for i in range(count):
            for j in range(size):
                out[i, first + j] = share * (last[i, j] + total[i, j])
