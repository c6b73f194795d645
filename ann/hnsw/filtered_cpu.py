"""Beam search that meets only rows a filter passes, stepping over one that fails to those behind it."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ..distances.distances_cpu import insert, unpack_node
from ..distances.rows_cpu import HEAD, key_of, patience, prefetch_row, ranks, reaches
from .search_cpu import ONE, PATIENCE, ZERO, base, beam, descend, forget, rescore, write_result

_START = np.int64(10)


@kernel
def _offer(pool, size, ef, key):
    """Insert a key that may be in the pool already; the new size."""
    for o in range(size):
        if pool[o] == key:
            return size
    return min(size + 1, ef) if insert(pool, size, ef, key) >= 0 else size


@kernel
def passing_beam(walk, query, factor, links, passes, scratch, pool, size, ef, keys):
    """Best-first search of level 0 over passing rows from the sorted keys `pool[:size]`, all of passing rows.

    A failing neighbour stands for its own neighbours, until an expansion has met as many rows as `keys` has room for.
    Passing rows are listed at the front of `scratch.seen`, failing ones at its back.
    """
    bits, seen = scratch
    nodes = walk.data.shape[0]
    width, room, back = links.shape[1], keys.shape[0], seen.shape[0]
    reached = size
    for j in range(size):
        node = unpack_node(pool[j])
        seen[j] = node
        bits[node >> 3] |= np.uint8(1 << (node & 7))
    cursor = 0
    while cursor < size:
        at = unpack_node(pool[cursor])
        pool[cursor] |= ONE
        fresh = reached
        for j in range(width):
            node = links[at, j]
            if node < 0 or node >= nodes:
                break
            byte, bit = node >> 3, np.uint8(1 << (node & 7))
            if not passes[node]:
                prefetch_row(links, node, 0, HEAD)
            elif bits[byte] & bit == 0:
                bits[byte] |= bit
                seen[fresh] = node
                fresh += 1
        for j in range(width):
            node = links[at, j]
            if node < 0 or node >= nodes or fresh - reached >= room - width:
                break
            byte, bit = node >> 3, np.uint8(1 << (node & 7))
            if passes[node] or bits[byte] & bit != 0:
                continue
            bits[byte] |= bit
            back -= 1
            seen[back] = node
            for i in range(width):
                behind = links[node, i]
                if behind < 0 or behind >= nodes:
                    break
                byte, bit = behind >> 3, np.uint8(1 << (behind & 7))
                if passes[behind] and bits[byte] & bit == 0:
                    bits[byte] |= bit
                    seen[fresh] = behind
                    fresh += 1
        for j in range(reached, fresh):
            prefetch_row(walk, seen[j], 0, HEAD)
        for j in range(reached, fresh):
            keys[j - reached] = key_of(walk, query, factor, seen[j])
        for j in range(fresh - reached):
            at = insert(pool, size, ef, keys[j])
            if at >= 0:
                size = min(size + 1, ef)
                cursor = min(cursor, at)
        reached = fresh
        while cursor < size and pool[cursor] & ONE:
            cursor += 1
    forget(bits, seen, reached)
    for j in range(back, seen.shape[0]):
        bits[seen[j] >> 3] = 0
    for j in range(size):
        pool[j] &= ~ONE
    return size


@kernel
def search_passing(exact, walk, graph, asked, passing, first, last, scratch, found):
    """Answer the queries `chosen[first:last]` over the rows that `allowed` passes: one row for all or one per query.

    The walk starts from passing rows among the nearest of a narrow unfiltered beam and their neighbours, and from
    `seeds` (-1 padded), rows spread over those that pass.
    """
    allowed, seeds, chosen, ef, k = passing
    links, nodes = graph.links, walk.data.shape[0]
    pool, near = np.empty(ef + 1, np.int64), np.empty(_START, np.int64)
    keys = np.empty(3 * links.shape[1], np.int64)
    for i in range(first, last):
        q = chosen[i]
        mask = min(q, allowed.shape[0] - 1)
        passes, query, factor = allowed[mask], asked.walk[q], asked.factors[q]
        if not reaches(walk, query):
            write_result(pool, ZERO, q, k, found)
            continue
        near[0] = descend(walk, query, factor, graph, ZERO)[0]
        met = beam(walk, query, factor, base(graph), scratch, near, _START, keys, ONE, (passes, ZERO))
        size = 0
        for j in range(met):
            node = unpack_node(near[j])
            if passes[node]:
                size = _offer(pool, size, ef, near[j])
                continue
            for place in range(links.shape[1]):
                other = links[node, place]
                if other < 0 or other >= nodes:
                    break
                if passes[other]:
                    size = _offer(pool, size, ef, key_of(walk, query, factor, other))
        for j in range(seeds.shape[1]):
            node = seeds[mask, j]
            if node < 0:
                break
            size = _offer(pool, size, ef, key_of(walk, query, factor, node))
        size = passing_beam(walk, query, factor, links, passes, scratch, pool, size, ef, keys)
        if ranks(walk):
            size = rescore(exact, asked.exact[q], factor, pool, size, k, max(PATIENCE, k, patience(walk, ef)))
        write_result(pool, size, q, k, found)
