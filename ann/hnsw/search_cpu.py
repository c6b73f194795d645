"""Kernels that walk an HNSW graph: greedy descent, beam search of one level, and whole queries.

The beam is one sorted pool of packed (distance, node) keys; the lowest bit of a key marks that the node was expanded.
Equal distances are ordered by node, so the outcome does not depend on the order of links. Rows of links end at -1.
Visited nodes are bits, and a list of them, by which the bits are cleared again: nothing is swept between queries.
"""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ..distances.distances_cpu import distance, insert, pack, unpack_distance, unpack_node
from ..storage.space_cpu import HEAD, key_of, prefetch_row

_ONE = np.int64(1)
PATIENCE = 20
_AHEAD = 2
_FAR = 1 << 20


@kernel
def forget(bits, seen, count):
    """Clear the visit bits of `seen[:count]`."""
    for j in range(count):
        bits[seen[j] >> 3] = 0


@kernel
def descend(metric, rows, terms, query, factor, upper_row, upper, entry, top, level):
    """Walk greedily from `entry` at level `top` down to just above `level`; the key of the nearest node found."""
    best = key_of(metric, rows, terms, query, factor, entry)
    for at in range(top, level, -1):
        moved = True
        while moved:
            moved = False
            row = upper_row[unpack_node(best)] + at - 1
            if row >= upper.shape[0] or row < 0:
                break
            count = 0
            while count < upper.shape[1] and 0 <= upper[row, count] < rows.shape[0]:
                prefetch_row(rows, upper[row, count], 0, HEAD)
                count += 1
            for j in range(count):
                if j + 1 < count:
                    prefetch_row(rows, upper[row, j + 1], HEAD, _FAR)
                key = key_of(metric, rows, terms, query, factor, upper[row, j])
                if key < best:
                    best = key
                    moved = True
    return best


@kernel
def beam(
    metric, rows, terms, query, factor, row_of, shift, table, bits, seen, pool, ef, keys, together, passes, wanted
):
    """Best-first search of one level from the one key in `pool[0]`; returns the pool's size.

    With `wanted` > 0 it ends once that many rows that `passes` holds true are nearer than every node not yet expanded.

    The links of a node are `table[row_of[node] + shift]`; level 0 passes an empty `row_of`, for which the row is the
    node. `bits` is clear on entry and on return; `seen` has room for every node and a row of links more, `keys` for a
    row of links. Marks on the pool's keys are cleared before returning.
    """
    direct = row_of.shape[0] == 0
    width = table.shape[1]
    size, cursor, reached = 1, 0, 1
    met, counted = 0, 0  # passing rows among the first keys of the pool, all expanded
    start = unpack_node(pool[0])
    seen[0] = start
    bits[start >> 3] |= np.uint8(1 << (start & 7))
    while cursor < size:
        fresh, taken, i = reached, 0, cursor
        while i < size and taken < together:
            i += 1
            if pool[i - 1] & _ONE == 0:
                node = unpack_node(pool[i - 1])
                pool[i - 1] |= _ONE
                taken += 1
                row = node if direct else row_of[node] + shift
                if row < 0 or row >= table.shape[0]:
                    continue
                for j in range(width):
                    neighbor = table[row, j]
                    if neighbor < 0 or neighbor >= rows.shape[0]:
                        break
                    byte, bit = neighbor >> 3, np.uint8(1 << (neighbor & 7))
                    before = bits[byte]
                    # No branch: whether a neighbour was visited is a coin toss that the processor cannot learn.
                    seen[fresh] = neighbor
                    fresh += (before & bit) == 0
                    bits[byte] = before | bit
        for j in range(reached, fresh):
            prefetch_row(rows, seen[j], 0, HEAD)
        for j in range(reached, min(fresh, reached + _AHEAD)):
            prefetch_row(rows, seen[j], HEAD, _FAR)
        for j in range(reached, fresh):
            if j + _AHEAD < fresh:
                prefetch_row(rows, seen[j + _AHEAD], HEAD, _FAR)
            keys[j - reached] = key_of(metric, rows, terms, query, factor, seen[j])
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
            if pool[i] & _ONE == 0:
                node = unpack_node(pool[i])
                row = node if direct else row_of[node] + shift
                prefetch_row(table, row, 0, _FAR)
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
        pool[j] &= ~_ONE
    return size


@kernel
def rescore(metric, vectors, scale, query, factor, pool, size, k, patience):
    """Replace keys of `pool[:size]` by those of exact float32 distances, sorted; how many were replaced.

    The rest of the pool is given up once `patience` keys in turn were no better than the k-th exact one.
    """
    ahead = 4
    for j in range(min(ahead, size)):
        prefetch_row(vectors, unpack_node(pool[j]), 0, HEAD)
    worse = 0
    for j in range(size):
        if j + ahead < size:
            prefetch_row(vectors, unpack_node(pool[j + ahead]), 0, HEAD)
        node = unpack_node(pool[j])
        key = pack(distance(metric, vectors, scale, node, query, factor), node)
        # Nearly sorted already: insertion from the back.
        i = j
        while i > 0 and pool[i - 1] > key:
            pool[i] = pool[i - 1]
            i -= 1
        pool[i] = key
        worse = worse + 1 if i >= k else 0
        if worse >= patience:
            return j + 1
    return size


@kernel
def write_result(pool, size, q, k, distances, found, filled):
    """The nearest k of `pool[:size]` as the result of query q; places past its end hold inf and -1."""
    count = min(size, k)
    for j in range(count):
        distances[q, j] = unpack_distance(pool[j])
        found[q, j] = unpack_node(pool[j])
    filled[q] = count
    for j in range(count, k):
        distances[q, j] = np.float32(np.inf)
        found[q, j] = -1


@kernel
def search(
    metric, vectors, scale, rows, terms, row_of, upper, links, entry, top, queries, factors, asked,
    allowed, ef, wanted, k, together, first, last, bits, seen, distances, found, filled,
):  # fmt: skip
    """Answer queries first..last-1: fill `distances`, `found` (-1 past the end) and `filled`.

    `rows`, `terms` and `asked` (a row per query) are what the walk compares; where they are not the vectors themselves,
    the pool is rescored with float32 distances. `ef[q]` is the width of query q's beam (queries with ef 0 are left
    alone). `allowed` is a boolean table with zero rows (everything), one row, or a row per query; nodes that are not
    allowed are walked through but not returned, and a walk ends once `wanted` allowed ones are nearer than all others.
    """
    no_rows, everything = np.empty(0, row_of.dtype), np.empty(0, np.bool_)
    widest = 1
    for q in range(first, last):
        widest = max(widest, ef[q])
    pool = np.empty(widest, np.int64)
    keys = np.empty(together * max(links.shape[1], upper.shape[1]), np.int64)
    for q in range(first, last):
        if ef[q] == 0:
            continue
        query, factor = asked[q], factors[q]
        pool[0] = descend(metric, rows, terms, query, factor, row_of, upper, entry, top, 0)
        mask = min(q, allowed.shape[0] - 1)
        passes = allowed[mask] if mask >= 0 else everything
        size = beam(
            metric, rows, terms, query, factor, no_rows, 0, links, bits, seen, pool, ef[q], keys, together, passes,
            wanted if mask >= 0 else 0,
        )  # fmt: skip
        if mask >= 0:
            kept = 0
            for j in range(size):
                if passes[unpack_node(pool[j])]:
                    pool[kept] = pool[j]
                    kept += 1
            size = kept
        if asked.itemsize == 1:
            size = rescore(metric, vectors, scale, queries[q], factor, pool, size, k, max(PATIENCE, k, ef[q] // 3))
        write_result(pool, size, q, k, distances, found, filled)
