"""Kernels that turn an edge list into adjacency rows by counting, in O(nodes + edges)."""

from __future__ import annotations

import numba
import numpy as np

from ..compute.jit import kernel, parallel_kernel
from ..compute.moves_cpu import reorder
from ..compute.sorting_cpu import stable_order


@kernel
def count_rows(rows, counts):
    """`counts[v + 1]` += how often v occurs in `rows`."""
    for i in range(rows.shape[0]):
        counts[rows[i] + 1] += 1


@kernel
def count_other_ends(src, dst, counts):
    """As `count_rows` for the reverse of every edge that is not a self-loop."""
    for i in range(src.shape[0]):
        if src[i] != dst[i]:
            counts[dst[i] + 1] += 1


@kernel
def place_edges(rows, cols, first, cursor, indices, edge_ids):
    """Write every edge behind `cursor` of its row, in edge order; the edges are number `first` and those after it."""
    for i in range(rows.shape[0]):
        at = cursor[rows[i]]
        indices[at] = cols[i]
        edge_ids[at] = first + i
        cursor[rows[i]] = at + 1


@kernel
def place_both_ends(src, dst, first, cursor, indices, edge_ids):
    """As `place_edges`, into both rows of every edge, a self-loop once."""
    for i in range(src.shape[0]):
        at = cursor[src[i]]
        indices[at] = dst[i]
        edge_ids[at] = first + i
        cursor[src[i]] = at + 1
        if src[i] != dst[i]:
            at = cursor[dst[i]]
            indices[at] = src[i]
            edge_ids[at] = first + i
            cursor[dst[i]] = at + 1


@parallel_kernel
def sort_rows(indptr, indices, edge_ids):
    """Sort every row by (neighbour, edge id); edges arrive in edge order, so a stable sort by neighbour is enough."""
    for v in numba.prange(indptr.shape[0] - 1):
        start, stop = indptr[v], indptr[v + 1]
        if stop - start < 2:
            continue
        ordered = True
        for e in range(start + 1, stop):
            if indices[e - 1] > indices[e]:
                ordered = False
                break
        if ordered:
            continue
        row, ids = indices[start:stop], edge_ids[start:stop]
        if stop - start <= 24:
            for i in range(1, row.shape[0]):
                neighbor, edge = row[i], ids[i]
                j = i - 1
                while j >= 0 and row[j] > neighbor:
                    row[j + 1] = row[j]
                    ids[j + 1] = ids[j]
                    j -= 1
                row[j + 1] = neighbor
                ids[j + 1] = edge
        else:
            order = stable_order(row)
            reorder(row, order)
            reorder(ids, order)


@parallel_kernel
def sort_rows_by_time(indptr, indices, edge_ids, time):
    """Sort every row by (time, edge id); `time` is in row order and is permuted along."""
    for v in numba.prange(indptr.shape[0] - 1):
        start, stop = indptr[v], indptr[v + 1]
        if stop - start < 2:
            continue
        by_edge = stable_order(edge_ids[start:stop])
        reorder(indices[start:stop], by_edge)
        reorder(edge_ids[start:stop], by_edge)
        reorder(time[start:stop], by_edge)
        by_time = stable_order(time[start:stop])
        reorder(indices[start:stop], by_time)
        reorder(edge_ids[start:stop], by_time)
        reorder(time[start:stop], by_time)


@parallel_kernel
def merge_rows(indptr_a, indices_a, ids_a, indptr_b, indices_b, ids_b, indptr, indices, edge_ids):
    """Merge two adjacencies row by row; every edge id of b is greater than every one of a."""
    rows_a, rows_b = indptr_a.shape[0] - 1, indptr_b.shape[0] - 1
    for v in numba.prange(indptr.shape[0] - 1):
        a = indptr_a[v] if v < rows_a else np.int64(0)
        end_a = indptr_a[v + 1] if v < rows_a else np.int64(0)
        b = indptr_b[v] if v < rows_b else np.int64(0)
        end_b = indptr_b[v + 1] if v < rows_b else np.int64(0)
        for at in range(indptr[v], indptr[v + 1]):
            if b >= end_b or (a < end_a and indices_a[a] <= indices_b[b]):
                indices[at] = indices_a[a]
                edge_ids[at] = ids_a[a]
                a += 1
            else:
                indices[at] = indices_b[b]
                edge_ids[at] = ids_b[b]
                b += 1


@parallel_kernel
def take(values, positions, out):
    """`out[i] = values[positions[i]]`."""
    for i in numba.prange(positions.shape[0]):
        out[i] = values[positions[i]]
