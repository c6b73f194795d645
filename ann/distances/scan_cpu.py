"""Kernels of exact search: every distance, computed in register blocks of four queries by two rows.

A tile of rows stays in the cache while all queries of a task pass over it, so the vectors are read from memory once per
task rather than once per query. The differences are summed directly; the shortcut |q|^2 - 2 q.x + |x|^2 would lose the
digits that decide between near ties.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from .distances_cpu import _REDUCTION, insert, pack, unpack_distance, unpack_node
from .numbers import COSINE, L2
from .rows_cpu import distance

_ZERO, _ONE = np.float32(0), np.float32(1)
_EMPTY = np.int64(0x7FFFFFFFFFFFFFFF)
_TILE_BYTES = 128 << 10
_TASK_QUERIES = 64


@kernel(fastmath=_REDUCTION)
def l2_block(q0, q1, q2, q3, a, b, out):
    s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = np.float32(0)
    for j in range(a.shape[0]):
        x, y = a[j], b[j]
        d0, d1, d2, d3 = q0[j] - x, q1[j] - x, q2[j] - x, q3[j] - x
        e0, e1, e2, e3 = q0[j] - y, q1[j] - y, q2[j] - y, q3[j] - y
        s0 += d0 * d0
        s1 += d1 * d1
        s2 += d2 * d2
        s3 += d3 * d3
        t0 += e0 * e0
        t1 += e1 * e1
        t2 += e2 * e2
        t3 += e3 * e3
    out[0, 0], out[0, 1], out[0, 2], out[0, 3] = s0, s1, s2, s3
    out[1, 0], out[1, 1], out[1, 2], out[1, 3] = t0, t1, t2, t3


@kernel(fastmath=_REDUCTION)
def _dot_block(q0, q1, q2, q3, a, b, out):
    s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = np.float32(0)
    for j in range(a.shape[0]):
        x, y = a[j], b[j]
        s0 += q0[j] * x
        s1 += q1[j] * x
        s2 += q2[j] * x
        s3 += q3[j] * x
        t0 += q0[j] * y
        t1 += q1[j] * y
        t2 += q2[j] * y
        t3 += q3[j] * y
    out[0, 0], out[0, 1], out[0, 2], out[0, 3] = s0, s1, s2, s3
    out[1, 0], out[1, 1], out[1, 2], out[1, 3] = t0, t1, t2, t3


@kernel
def _scan_task(floats, rows, queries, query_scale, labels, pools, sizes):
    """The k nearest of the rows chosen for some queries, a block of two rows and four queries at a time."""
    end = queries.shape[0]
    vectors, scale, metric, k = floats.data, floats.scale, floats.metric, pools.shape[1]
    block = np.empty((2, 4), np.float32)
    tile = max(2, _TILE_BYTES // (4 * vectors.shape[1]))
    for start in range(0, rows.shape[0], tile):
        stop = min(start + tile, rows.shape[0])
        for q in range(0, end, 4):
            # The last block repeats its last query, so that all queries are summed by the same machine code.
            q0, q1 = queries[q], queries[min(q + 1, end - 1)]
            q2, q3 = queries[min(q + 2, end - 1)], queries[min(q + 3, end - 1)]
            for r in range(start, stop, 2):
                a = rows[r]
                b = rows[min(r + 1, stop - 1)]
                if metric == L2:
                    l2_block(q0, q1, q2, q3, vectors[a], vectors[b], block)
                else:
                    _dot_block(q0, q1, q2, q3, vectors[a], vectors[b], block)
                for i in range(min(2, stop - r)):
                    node = rows[r + i]
                    for j in range(min(4, end - q)):
                        d = block[i, j]
                        if metric == COSINE:
                            d = _ONE - d * (scale[node] * query_scale[q + j])
                        elif metric != L2:
                            d = _ZERO - d  # see `distances_cpu.distance`
                        key = pack(d, labels[node])
                        if insert(pools[q + j], sizes[q + j], k, key) >= 0 and sizes[q + j] < k:
                            sizes[q + j] += 1


@parallel_kernel
def scan(floats, rows, queries, query_scale, labels, parts, pools, sizes):
    """The k nearest of the chosen `rows` of float32 for every query, from each of `parts` slices of them.

    `pools` int64 (parts, num_queries, k) receives sorted keys of (distance, labels[row]); `sizes` (parts, num_queries),
    zero on entry, their numbers.
    """
    num_queries = queries.shape[0]
    blocks = (num_queries + _TASK_QUERIES - 1) // _TASK_QUERIES
    for task in numba.prange(blocks * parts):
        part, begin = task % parts, task // parts * _TASK_QUERIES
        end = min(begin + _TASK_QUERIES, num_queries)
        first, last = rows.shape[0] * part // parts, rows.shape[0] * (part + 1) // parts
        _scan_task(
            floats, rows[first:last], queries[begin:end], query_scale[begin:end], labels, pools[part, begin:end],
            sizes[part, begin:end],
        )  # fmt: skip


@parallel_kernel
def scan_each(any_rows, rows, queries, query_scale, labels, parts, pools, sizes):
    """`scan` for rows of any kind (see `rows_cpu`), one query and one row at a time."""
    num_queries = queries.shape[0]
    for task in numba.prange(num_queries * parts):
        part, q = task % parts, task // parts
        query, factor, pool, k = queries[q], query_scale[q], pools[part, q], pools.shape[2]
        size = 0
        for r in range(rows.shape[0] * part // parts, rows.shape[0] * (part + 1) // parts):
            node = rows[r]
            key = pack(distance(any_rows, node, query, factor), labels[node])
            if insert(pool, size, k, key) >= 0 and size < k:
                size += 1
        sizes[part, q] = size


@parallel_kernel
def merge(pools, sizes, k, distances, labels, counts):
    """Merge the parts' sorted pools into distances, labels (-1 past the end) and counts per query."""
    parts, num_queries = sizes.shape
    for q in numba.prange(num_queries):
        at = np.zeros(parts, np.int64)
        filled = 0
        while filled < k:
            best, which = _EMPTY, -1
            for part in range(parts):
                if at[part] < sizes[part, q] and pools[part, q, at[part]] < best:
                    best, which = pools[part, q, at[part]], part
            if which < 0:
                break
            at[which] += 1
            distances[q, filled] = unpack_distance(best)
            labels[q, filled] = unpack_node(best)
            filled += 1
        counts[q] = filled
        for j in range(filled, k):
            distances[q, j] = np.float32(np.inf)
            labels[q, j] = -1
