"""Kernels of the inverted-file index: scans of chosen lists, and the sums of a k-means step."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ..distances.distances_cpu import insert, unpack_distance, unpack_node
from ..distances.rows_cpu import HEAD, key_of, prefetch_row, ranks
from ..hnsw.search_cpu import PATIENCE, rescore

AHEAD = 4  # rows asked for before they are compared


@kernel
def _scan_one(exact, walk, lists, query, factor, asked, probes, allowed, mask, pool, k, distances, found):
    starts, sizes, members = lists
    width = pool.shape[0]
    size = 0
    for p in range(probes.shape[0]):
        which = probes[p]
        if which < 0:
            continue
        end = starts[which] + sizes[which]
        for at in range(starts[which], end):
            if at + AHEAD < end:
                prefetch_row(walk, members[at + AHEAD], 0, HEAD)
            row = members[at]
            if mask >= 0 and not allowed[mask, row]:
                continue
            if insert(pool, size, width, key_of(walk, asked, factor, row)) >= 0 and size < width:
                size += 1
    if ranks(walk):
        size = rescore(exact, query, factor, pool, size, k, max(PATIENCE, k, width // 3))
    count = min(size, k)
    for j in range(count):
        distances[j] = unpack_distance(pool[j])
        found[j] = unpack_node(pool[j])
    return count


@parallel_kernel
def scan_lists(exact, walk, lists, queries, factors, asked, probes, allowed, k, width, distances, found, filled):
    """The k nearest rows of the lists `probes[q]` (-1: none) for every query q.

    `lists` are (starts, sizes, members): list l holds the rows `members[starts[l] : starts[l] + sizes[l]]`. `allowed`
    is a boolean table with zero rows (everything), one row, or a row per query. Where `walk` are codes, the `width`
    rows of lowest rank are ordered by the distances of `exact`. The first `filled[q]` places of `distances[q]` and
    `found[q]` are written.
    """
    for q in numba.prange(queries.shape[0]):
        filled[q] = _scan_one(
            exact, walk, lists, queries[q], factors[q], asked[q], probes[q], allowed,
            min(np.int64(q), allowed.shape[0] - 1), np.empty(width, np.int64), k, distances[q], found[q],
        )  # fmt: skip


@parallel_kernel
def list_sums(vectors, starts, members, sums):
    """The float64 sum of the rows of every list, each in the order of its members."""
    for which in numba.prange(starts.shape[0] - 1):
        for at in range(starts[which], starts[which + 1]):
            row = vectors[members[at]]
            for j in range(row.shape[0]):
                sums[which, j] += row[j]
