"""Kernels of bags of ego networks: which pairs of nodes share one, copies listed by what they copy, means of copies."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel


@parallel_kernel
def count_entries(mates_ptr, mates, indptr, members, mark, ends):
    """`ends[a + 1]` is how many nodes share an ego network with node a; `mark` has a row per part, all below 0."""
    parts = mark.shape[0]
    for part in numba.prange(parts):
        seen = mark[part]
        for a in range(part, ends.shape[0] - 1, parts):
            found = np.int64(0)
            for k in range(mates_ptr[a], mates_ptr[a + 1]):
                for p in range(indptr[mates[k]], indptr[mates[k] + 1]):
                    b = members[p]
                    if seen[b] != a:
                        seen[b] = a
                        found += 1
            ends[a + 1] = found


@parallel_kernel
def fill_entries(mates_ptr, mates, places, indptr, members, entry_ptr, mark, ends, other, pair):
    """Number the pairs (a, b) of each node a by b, and write the number of every entry in row a of an ego network.

    `ends[a]` is the first pair of a. Entry (i, j) of ego network e lies at `entry_ptr[e] + i * size + j`.
    """
    parts = mark.shape[0]
    for part in numba.prange(parts):
        seen = mark[part]
        for a in range(part, ends.shape[0] - 1, parts):
            first, count = ends[a], np.int64(0)
            for k in range(mates_ptr[a], mates_ptr[a + 1]):
                for p in range(indptr[mates[k]], indptr[mates[k] + 1]):
                    b = members[p]
                    if seen[b] != a:
                        seen[b] = a
                        at = first + count
                        while at > first and other[at - 1] > b:
                            other[at] = other[at - 1]
                            at -= 1
                        other[at] = b
                        count += 1
            for i in range(count):
                seen[other[first + i]] = first + i
            for k in range(mates_ptr[a], mates_ptr[a + 1]):
                e = mates[k]
                size = indptr[e + 1] - indptr[e]
                row = entry_ptr[e] + (places[k] - indptr[e]) * size
                for j in range(size):
                    pair[row + j] = seen[members[indptr[e] + j]]
            for i in range(count):
                seen[other[first + i]] = -1


@kernel
def sum_of_rows(x, copies, first, last, o):
    """`o` = sum of the rows of x that copies first..last-1 name, in their order."""
    for c in range(o.shape[0]):
        o[c] = 0
    for k in range(first, last):
        row = x[copies[k]]
        for c in range(o.shape[0]):
            o[c] += row[c]


@parallel_kernel
def mean_rows(x, ptr, copies, out):
    """`out[r]` is the mean of the rows of x that copy r, or zero where none does."""
    for r in numba.prange(out.shape[0]):
        o = out[r]
        sum_of_rows(x, copies, ptr[r], ptr[r + 1], o)
        count = ptr[r + 1] - ptr[r]
        if count > 1:
            for c in range(o.shape[0]):
                o[c] /= count


@parallel_kernel
def mean_rows_gradient(grad, ptr, copies, out):
    """The gradient of `mean_rows`: every copy gets its share; each row of x copies one r."""
    for r in numba.prange(grad.shape[0]):
        g = grad[r]
        count = ptr[r + 1] - ptr[r]
        for k in range(ptr[r], ptr[r + 1]):
            o = out[copies[k]]
            for c in range(o.shape[0]):
                o[c] = g[c] / count
