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
def _scan_one(exact, walk, lists, asked, q, probes, allowed, k, width, found):
    """Query q's k nearest into its places of `found`."""
    starts, sizes, members = lists
    query, factor, ask = asked.exact[q], asked.factors[q], asked.walk[q]
    mask = min(np.int64(q), allowed.shape[0] - 1)
    pool = np.empty(width, np.int64)
    size = 0
    for p in range(probes.shape[1]):
        which = probes[q, p]
        if which < 0:
            continue
        end = starts[which] + sizes[which]
        for at in range(starts[which], end):
            if at + AHEAD < end:
                prefetch_row(walk, members[at + AHEAD], 0, HEAD)
            row = members[at]
            if mask >= 0 and not allowed[mask, row]:
                continue
            if insert(pool, size, width, key_of(walk, ask, factor, row)) >= 0 and size < width:
                size += 1
    if ranks(walk):
        size = rescore(exact, query, factor, pool, size, k, max(PATIENCE, k, width // 3))
    count = min(size, k)
    for j in range(count):
        found.distances[q, j] = unpack_distance(pool[j])
        found.rows[q, j] = unpack_node(pool[j])
    found.counts[q] = count


@parallel_kernel
def scan_lists(exact, walk, lists, asked, probes, allowed, k, width, found):
    """The k nearest rows of the lists `probes[q]` (-1: none) for every query q.

    `lists` are (starts, sizes, members): list l holds the rows `members[starts[l] : starts[l] + sizes[l]]`. `allowed`
    is a boolean table with zero rows (everything), one row, or a row per query. Where `walk` are codes, the `width`
    rows of lowest rank are ordered by the distances of `exact`. Of `found`, the first `counts[q]` places are written.
    """
    for q in numba.prange(probes.shape[0]):
        _scan_one(exact, walk, lists, asked, q, probes, allowed, k, width, found)


@parallel_kernel
def list_sums(vectors, starts, members, sums):
    """The float64 sum of the rows of every list, each in the order of its members."""
    for which in numba.prange(starts.shape[0] - 1):
        for at in range(starts[which], starts[which + 1]):
            row = vectors[members[at]]
            for j in range(row.shape[0]):
                sums[which, j] += row[j]
