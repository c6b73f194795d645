"""Kernels that walk an HNSW graph: greedy descent, beam search of one level, and whole queries on threads.

The beam is one sorted pool of packed (distance, node) keys; the lowest bit of a key marks that the node was expanded.
Equal distances are ordered by node, so the outcome does not depend on the order of links.
"""

from __future__ import annotations

import numba
import numpy as np

from ..graphlib.jit import kernel, parallel_kernel, prefetch
from .distances_cpu import distance, insert, pack, unpack_distance, unpack_node

_MOST_EPOCHS = 65535
_ONE = np.int64(1)


@kernel
def next_epoch(tags, epoch):
    """The next visit mark; tags are cleared when the marks of 16 bits are used up."""
    if epoch >= _MOST_EPOCHS:
        tags[:] = 0
        return 1
    return epoch + 1


@kernel
def descend(metric, vectors, scale, query, query_scale, upper_row, upper, upper_count, entry, top, level):
    """Walk greedily from `entry` at level `top` down to just above `level`; the key of the nearest node found."""
    best = pack(distance(metric, vectors, scale, entry, query, query_scale), entry)
    for at in range(top, level, -1):
        moved = True
        while moved:
            moved = False
            row = upper_row[unpack_node(best)] + at - 1
            links = upper[row]
            for j in range(upper_count[row]):
                prefetch(vectors, links[j])
            for j in range(upper_count[row]):
                key = pack(distance(metric, vectors, scale, links[j], query, query_scale), links[j])
                if key < best:
                    best = key
                    moved = True
    return best


@kernel
def beam(metric, vectors, scale, query, query_scale, row_of, shift, table, counts, tags, epoch, pool, ef, near):
    """Best-first search of one level from the one key in `pool[0]`; returns the pool's size.

    The links of a node are `table[row_of[node] + shift]`; level 0 passes an empty `row_of`, for which the row is the
    node. `near` is scratch as wide as the table. Marks on the pool's keys are cleared before returning.
    """
    direct = row_of.shape[0] == 0
    size = 1
    tags[unpack_node(pool[0])] = epoch
    cursor = 0
    while cursor < size:
        node = unpack_node(pool[cursor])
        pool[cursor] |= _ONE
        row = node if direct else row_of[node] + shift
        links = table[row]
        degree = counts[row]
        for j in range(degree):
            prefetch(tags, links[j])
        fresh = 0
        for j in range(degree):
            neighbor = links[j]
            if tags[neighbor] != epoch:
                tags[neighbor] = epoch
                near[fresh] = neighbor
                fresh += 1
                vector = vectors[neighbor]
                prefetch(vector, 0)
                prefetch(vector, 16)
                prefetch(vector, 32)
                prefetch(vector, 48)
        lowest = size
        for j in range(fresh):
            neighbor = near[j]
            key = pack(distance(metric, vectors, scale, neighbor, query, query_scale), neighbor)
            at = insert(pool, size, ef, key)
            if at >= 0:
                size = min(size + 1, ef)
                lowest = min(lowest, at)
        if lowest <= cursor:
            cursor = lowest
        else:
            while cursor < size and pool[cursor] & _ONE:
                cursor += 1
    for j in range(size):
        pool[j] &= ~_ONE
    return size


@parallel_kernel
def search(
    metric, vectors, scale, queries, query_scale, row_of, upper, upper_count, links, counts, entry, top,
    allowed, ef, k, tags, epochs, distances, found, filled,
):  # fmt: skip
    """Fill `distances`, `found` (-1 past the end) and `filled` per query, worker t taking queries t, t + T, ...

    `ef[q]` is the width of query q's beam (queries with ef 0 are left alone). `allowed` is a boolean table with zero
    rows (everything), one row, or a row per query; nodes that are not allowed are walked through but not returned.
    `tags` (T, nodes) and `epochs` (T,) are the workers' visit marks.
    """
    workers = tags.shape[0]
    no_rows = np.empty(0, row_of.dtype)
    for worker in numba.prange(workers):
        near = np.empty(links.shape[1], np.int32)
        pool = np.empty(max(1, ef.max()), np.int64)
        epoch = epochs[worker]
        marks = tags[worker]
        for q in range(worker, queries.shape[0], workers):
            if ef[q] == 0:
                continue
            query = queries[q]
            factor = query_scale[q]
            pool[0] = descend(metric, vectors, scale, query, factor, row_of, upper, upper_count, entry, top, 0)
            epoch = next_epoch(marks, epoch)
            size = beam(
                metric, vectors, scale, query, factor, no_rows, 0, links, counts, marks, epoch, pool, ef[q], near
            )  # fmt: skip
            count = 0
            mask = min(q, allowed.shape[0] - 1)
            for j in range(size):
                node = unpack_node(pool[j])
                if mask < 0 or allowed[mask, node]:
                    distances[q, count] = unpack_distance(pool[j])
                    found[q, count] = node
                    count += 1
                    if count == k:
                        break
            filled[q] = count
            for j in range(count, k):
                distances[q, j] = np.float32(np.inf)
                found[q, j] = -1
        epochs[worker] = epoch
