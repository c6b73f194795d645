"""Kernels of the inverted-file index: scans of chosen lists, and the sums of a k-means step."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ..distances.distances_cpu import insert, pack, unpack_distance, unpack_node
from ..distances.rows_cpu import distance


@kernel
def _scan_one(rows, lists, query, query_scale, probes, allowed, mask, pool, distances, found):
    starts, sizes, members = lists
    k = pool.shape[0]
    size = 0
    for p in range(probes.shape[0]):
        which = probes[p]
        if which < 0:
            continue
        for at in range(starts[which], starts[which] + sizes[which]):
            row = members[at]
            if mask >= 0 and not allowed[mask, row]:
                continue
            key = pack(distance(rows, row, query, query_scale), row)
            if insert(pool, size, k, key) >= 0 and size < k:
                size += 1
    for j in range(size):
        distances[j] = unpack_distance(pool[j])
        found[j] = unpack_node(pool[j])
    return size


@parallel_kernel
def scan_lists(rows, lists, queries, query_scale, probes, allowed, k, distances, found, filled):
    """The k nearest rows of the lists `probes[q]` (-1: none) for every query q.

    `lists` are (starts, sizes, members): list l holds the rows `members[starts[l] : starts[l] + sizes[l]]`. `allowed`
    is a boolean table with zero rows (everything), one row, or a row per query. The first `filled[q]` places of
    `distances[q]` and `found[q]` are written.
    """
    for q in numba.prange(queries.shape[0]):
        filled[q] = _scan_one(
            rows, lists, queries[q], query_scale[q], probes[q], allowed, min(np.int64(q), allowed.shape[0] - 1),
            np.empty(k, np.int64), distances[q], found[q],
        )  # fmt: skip


@parallel_kernel
def list_sums(vectors, starts, members, sums):
    """The float64 sum of the rows of every list, each in the order of its members."""
    for which in numba.prange(starts.shape[0] - 1):
        for at in range(starts[which], starts[which + 1]):
            row = vectors[members[at]]
            for j in range(row.shape[0]):
                sums[which, j] += row[j]
