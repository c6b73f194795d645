"""Kernels that walk an HNSW graph: greedy descent, beam search of one level, and what orders its result.

The beam is one sorted pool of packed (distance, node) keys; the lowest bit of a key marks that the node was expanded.
Equal distances are ordered by node, so the outcome does not depend on the order of links. Rows of links end at -1.
Visited nodes are bits, and a list of them, by which the bits are cleared again: nothing is swept between queries.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graphlib.compute.jit import kernel
from ..distances.distances_cpu import insert, pack, unpack_distance, unpack_node
from ..distances.rows_cpu import FAR, HEAD, distance, key_of, prefetch_row, prefetch_row_ahead
from .parts_cpu import Level

ZERO: Any = np.int64(0)  # a literal would make Numba compile for it apart
ONE: Any = np.int64(1)
PATIENCE = 20
_AHEAD = 2


@kernel
def forget(bits, seen, count):
    """Clear the visit bits of `seen[:count]`."""
    for j in range(count):
        bits[seen[j] >> 3] = 0


@kernel
def descend(walk, query, factor, graph, level):
    """Walk greedily from the graph's entry down to just above `level`.

    The key of the nearest node found, and the node from which the last of these levels was entered.
    """
    upper, nodes = graph.upper, walk.data.shape[0]
    best = key_of(walk, query, factor, graph.entry)
    above = unpack_node(best)
    for at in range(graph.top, level, -1):
        moved, above = True, unpack_node(best)
        while moved:
            moved = False
            row = graph.upper_row[unpack_node(best)] + at - 1
            if row >= upper.shape[0] or row < 0:
                break
            count = 0
            while count < upper.shape[1] and 0 <= upper[row, count] < nodes:
                prefetch_row(walk, upper[row, count], 0, HEAD)
                prefetch_row(graph.upper_row, upper[row, count], 0, FAR)
                count += 1
            for j in range(count):
                if j + 1 < count:
                    prefetch_row(walk, upper[row, j + 1], HEAD, FAR)
                key = key_of(walk, query, factor, upper[row, j])
                if key < best:
                    best = key
                    moved = True
                    prefetch_row(upper, graph.upper_row[upper[row, j]] + at - 1, 0, FAR)
    return best, above


@kernel
def base(graph):
    """Level 0."""
    return Level(graph.upper_row[:0], np.int64(0), graph.links)


@kernel
def above(graph, level):
    """A level above 0."""
    return Level(graph.upper_row, level - 1, graph.upper)


@kernel
def beam(walk, query, factor, level, scratch, pool, ef, keys, together, stop):
    """Best-first search of one level from the one key in `pool[0]`; returns the pool's size.

    `stop` is (passes, wanted): with `wanted` > 0 it ends once that many rows that `passes` holds true are nearer than
    every node not yet expanded.

    `scratch.bits` is clear on entry and on return; `keys` has room for a row of links. Marks on the pool's keys are
    cleared before returning.
    """
    row_of, shift, table = level
    bits, seen = scratch
    passes, wanted = stop
    nodes = walk.data.shape[0]
    direct = row_of.shape[0] == 0
    width = table.shape[1]
    size, cursor, reached = ONE, ZERO, ONE
    met, counted = 0, 0  # passing rows among the first keys of the pool, all expanded
    start = unpack_node(pool[0])
    seen[0] = start
    bits[start >> 3] |= np.uint8(1 << (start & 7))
    while cursor < size:
        fresh, taken, i = reached, 0, cursor
        while i < size and taken < together:
            i += 1
            if pool[i - 1] & ONE == 0:
                node = unpack_node(pool[i - 1])
                pool[i - 1] |= ONE
                taken += 1
                row = node if direct else row_of[node] + shift
                if row < 0 or row >= table.shape[0]:
                    continue
                for j in range(width):
                    neighbor = table[row, j]
                    if neighbor < 0 or neighbor >= nodes:
                        break
                    byte, bit = neighbor >> 3, np.uint8(1 << (neighbor & 7))
                    before = bits[byte]
                    # No branch: whether a neighbour was visited is a coin toss that the processor cannot learn.
                    seen[fresh] = neighbor
                    fresh += (before & bit) == 0
                    bits[byte] = before | bit
        for j in range(reached, fresh):
            prefetch_row(walk, seen[j], 0, HEAD)
        for j in range(reached, min(fresh, reached + _AHEAD)):
            prefetch_row_ahead(walk, seen[j], HEAD, FAR)
        for j in range(reached, fresh):
            if j + _AHEAD < fresh:
                prefetch_row_ahead(walk, seen[j + _AHEAD], HEAD, FAR)
            keys[j - reached] = key_of(walk, query, factor, seen[j])
        cursor = min(i, size)
        for j in range(fresh - reached):
            at = insert(pool, size, ef, keys[j])
            if at >= 0:
                size = min(size + 1, ef)
                cursor = min(cursor, at)
                if at < counted:
                    for moved in range(at + 1, min(counted + 1, size)):
                        met -= passes[unpack_node(pool[moved])]
                    counted = at
        reached = fresh
        taken = 0
        i = cursor
        while i < size and taken < together:
            if pool[i] & ONE == 0:
                node = unpack_node(pool[i])
                row = node if direct else row_of[node] + shift
                prefetch_row(table, row, 0, FAR)
                taken += 1
                if taken == 1:
                    cursor = i
            i += 1
        if taken == 0:
            break
        if wanted > 0:
            while counted < cursor:
                met += passes[unpack_node(pool[counted])]
                counted += 1
            if met >= wanted:
                break
    forget(bits, seen, reached)
    for j in range(size):
        pool[j] &= ~ONE
    return size


@kernel
def rescore(exact, query, factor, pool, size, k, most):
    """Replace keys of `pool[:size]` by those of distances, sorted; how many were replaced.

    The rest of the pool is given up once `most` keys in turn were no better than the k-th exact one.
    """
    ahead = 4
    for j in range(min(ahead, size)):
        prefetch_row_ahead(exact, unpack_node(pool[j]), 0, FAR)
    worse = 0
    for j in range(size):
        if j + ahead < size:
            prefetch_row_ahead(exact, unpack_node(pool[j + ahead]), 0, FAR)
        node = unpack_node(pool[j])
        key = pack(distance(exact, node, query, factor), node)
        # Nearly sorted already: insertion from the back.
        i = j
        while i > 0 and pool[i - 1] > key:
            pool[i] = pool[i - 1]
            i -= 1
        pool[i] = key
        worse = worse + 1 if i >= k else 0
        if worse >= most:
            return j + 1
    return size


@kernel
def write_result(pool, size, q, k, found):
    """The nearest k of `pool[:size]` as the result of query q; places past its end hold inf and -1."""
    count = min(size, k)
    for j in range(count):
        found.distances[q, j] = unpack_distance(pool[j])
        found.rows[q, j] = unpack_node(pool[j])
    found.counts[q] = count
    for j in range(count, k):
        found.distances[q, j] = np.float32(np.inf)
        found.rows[q, j] = -1
