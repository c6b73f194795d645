"""Kernels that build an HNSW graph in batches, so that the outcome does not depend on threads.

All members of a batch search the graph as it was before the batch; each also considers the batch's earlier members.
Then the reverse links are applied, grouped by the row they change: one thread writes a row, from sources in order.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import stream, uniform
from ..distances.distances_cpu import distance, insert, pack, scale_of, unpack_distance, unpack_node
from ..distances.numbers import IP
from ..storage.space_cpu import as_query, as_row, scratch_query, scratch_row
from .search_cpu import beam, descend, rescore

_TOP = 30
_HALF, _ONE = np.float32(0.5), np.float32(1)


@kernel
def draw_levels(root, first, M, out):
    """Levels of the items first, first + 1, ...: floor(-ln(U) / ln(M)) with U in (0, 1] drawn per item."""
    for i in range(out.shape[0]):
        u = 1.0 - uniform(stream(root, first + i, 0, 0), 0)
        out[i] = min(_TOP, int(-math.log(u) / math.log(M)))


@kernel
def select(metric, vectors, scale, owner, pool, size, M, out):
    """The heuristic (Algorithm 4): keep a candidate unless one kept before is strictly nearer to it than its owner.

    At most M / 4 candidates may equal the owner: ties are kept, so copies would fill each other's rows, and a beam that
    enters such a clique would not find out of it.
    """
    kept = 0
    copies = max(1, M // 4)
    room = scratch_row(vectors)
    own = as_row(vectors, owner, room)
    same = distance(metric, vectors, scale, owner, own, scale_of(metric, scale, owner))
    for i in range(size):
        if kept == M:
            break
        node = unpack_node(pool[i])
        if node == owner:  # it is in the graph, and looks for its links again
            continue
        reach = unpack_distance(pool[i])
        vector, factor = as_row(vectors, node, room), scale_of(metric, scale, node)
        good = True
        for j in range(kept):
            if distance(metric, vectors, scale, out[j], vector, factor) < reach:
                good = False
                break
        if good and reach == same:
            copies -= 1
            good = copies >= 0
        if good:
            out[kept] = node
            kept += 1
    return kept


@kernel
def _find_links_of(
    metric, vectors, scale, rows, terms, width, origin, levels, members, i, row_of, upper, links, entry, top, ef, M,
    bits, seen, pool, keys, asked, room, out, counts,
):  # fmt: skip
    """`find_links` of member i, into the first rows of `out` and `counts`."""
    no_rows, everything = np.empty(0, row_of.dtype), np.empty(0, np.bool_)
    q = members[i]
    query, factor, level = as_row(vectors, q, room), scale_of(metric, scale, q), levels[q]
    ask = as_query(rows, q, width, asked, vectors, origin)
    best = np.int64(0)
    if entry >= 0:
        best = descend(metric, rows, terms, ask, factor, row_of, upper, entry, top, min(level, top))
    for at in range(level, -1, -1):
        size = 0
        if entry >= 0 and at <= top:
            pool[0] = best
            if at == 0:
                size = beam(
                    metric, rows, terms, ask, factor, no_rows, 0, links, bits, seen, pool, ef, keys, 1, everything, 0
                )
            else:
                size = beam(
                    metric, rows, terms, ask, factor, row_of, at - 1, upper, bits, seen, pool, ef, keys, 1, everything,
                    0,
                )  # fmt: skip
            best = pool[0]
            if rows.itemsize == 1:
                rescore(metric, vectors, scale, query, factor, pool, size, ef, ef)
        for j in range(i):
            other = members[j]
            if levels[other] >= at:
                key = pack(distance(metric, vectors, scale, other, query, factor), other)
                if insert(pool, size, ef, key) >= 0:
                    size = min(size + 1, ef)
        counts[at] = select(metric, vectors, scale, q, pool, size, M, out[at])


@parallel_kernel
def find_links(
    metric, vectors, scale, rows, terms, width, origin, levels, members, row_of, upper, links, entry, top, ef, M, bits,
    seen, starts, out, counts,
):  # fmt: skip
    """Choose forward links of `members`, rising nodes, at each of their levels; the graph is only read.

    Those of member i at level l become the first `counts[starts[i] + l]` of `out[starts[i] + l]`. `entry` < 0: the
    graph is empty. `rows` and `terms` are what walks compare (codes of `width` coordinates about `origin`, or the
    vectors); links are chosen by float32 distances.
    """
    workers = bits.shape[0]
    for worker in numba.prange(workers):
        keys = np.empty(max(links.shape[1], upper.shape[1]), np.int64)
        pool = np.empty(ef, np.int64)
        asked, room = scratch_query(rows), scratch_row(vectors)
        for i in range(worker, members.shape[0], workers):
            _find_links_of(
                metric, vectors, scale, rows, terms, width, origin, levels, members, i, row_of, upper, links, entry,
                top, ef, M, bits[worker], seen[worker], pool, keys, asked, room, out[starts[i] :], counts[starts[i] :],
            )  # fmt: skip


@kernel
def insert_one(
    metric, vectors, scale, rows, terms, width, origin, levels, members, row_of, upper, upper_count, upper_clean, links,
    counts, clean, entry, top, ef, M, bits, seen,
):  # fmt: skip
    """Find and write all links of a graph's next node, the one of `members`: `find_links` and `add_reverse` at once."""
    q = members[0]
    found, many = np.empty((levels[q] + 1, M), np.int32), np.empty(levels[q] + 1, np.int32)
    keys, pool = np.empty(max(links.shape[1], upper.shape[1]), np.int64), np.empty(ef, np.int64)
    _find_links_of(
        metric, vectors, scale, rows, terms, width, origin, levels, members, 0, row_of, upper, links, entry, top, ef, M,
        bits, seen, pool, keys, scratch_query(rows), scratch_row(vectors), found, many,
    )  # fmt: skip
    _join(metric, vectors, scale, q, row_of[:0], 0, found[0], many[0], links, counts, clean)
    for at in range(1, levels[q] + 1):
        _join(metric, vectors, scale, q, row_of, at - 1, found[at], many[at], upper, upper_count, upper_clean)


@kernel
def _join(metric, vectors, scale, node, row_of, shift, found, many, table, counts, clean):
    """Link a node without links to the first of `found`, and those back; rows are `row_of[node] + shift`, or nodes."""
    own = node if row_of.shape[0] == 0 else row_of[node] + shift
    source = np.array([node])
    table[own, :many] = found[:many]
    counts[own] = clean[own] = many
    for j in range(many):
        owner = np.int64(found[j])
        row = owner if row_of.shape[0] == 0 else row_of[owner] + shift
        _give_links(metric, vectors, scale, owner, row, source, table, counts, clean)


@kernel
def _give_links(metric, vectors, scale, owner, row, sources, table, counts, clean):
    cap, count = table.shape[1], counts[row]
    if count + sources.shape[0] <= cap:
        for j in range(sources.shape[0]):
            table[row, count + j] = sources[j]
        counts[row] = count + sources.shape[0]
    else:
        counts[row] = _shrink(metric, vectors, scale, owner, table[row], count, clean[row], sources, cap)
        clean[row] = counts[row]


@kernel
def _shrink(metric, vectors, scale, owner, row, count, clean, sources, cap):
    """Select `cap` links out of `row[:count]` and `sources`; pairs known to be clean are not compared again."""
    own, other = scratch_row(vectors), scratch_row(vectors)
    vector, factor = as_row(vectors, owner, own), scale_of(metric, scale, owner)
    total = count + sources.shape[0]
    keys = np.empty(total, np.int64)
    for j in range(total):
        node = row[j] if j < count else sources[j - count]
        key = pack(distance(metric, vectors, scale, node, vector, factor), node)
        keys[j] = key | (j >= clean)  # the lowest bit marks those not known to be clean
    keys.sort()
    dirty = np.empty(cap, np.bool_)
    copies = max(1, cap // 4)
    same = distance(metric, vectors, scale, owner, vector, factor)
    kept = 0
    for i in range(total):
        if kept == cap:
            break
        node = unpack_node(keys[i])
        reach = unpack_distance(keys[i])
        is_dirty = keys[i] & 1 == 1
        candidate, its_factor = as_row(vectors, node, other), scale_of(metric, scale, node)
        good = True
        for j in range(kept):
            if (is_dirty or dirty[j]) and distance(
                metric, vectors, scale, row[j], candidate, its_factor
            ) < reach:  # fmt: skip
                good = False
                break
        if good and reach == same:
            copies -= 1
            good = copies >= 0
        if good:
            # Links are rewritten in place: `keys` holds all candidates by now.
            row[kept] = node
            dirty[kept] = is_dirty
            kept += 1
    for j in range(kept, row.shape[0]):
        row[j] = -1
    return kept


@parallel_kernel
def add_reverse(metric, vectors, scale, starts, rows, owners, sources, table, counts, clean, workers):
    """Give row `rows[g]` of node `owners[g]` the links `sources[starts[g]:starts[g + 1]]`, pruning full rows."""
    for worker in numba.prange(workers):
        for g in range(worker, rows.shape[0], workers):
            new = sources[starts[g] : starts[g + 1]]
            _give_links(metric, vectors, scale, owners[g], rows[g], new, table, counts, clean)


@kernel
def reach(links, counts, start, seen, queue):
    """Mark what level 0 can reach from `start` (itself not yet marked); returns how many nodes were marked."""
    seen[start] = True
    queue[0] = start
    head, tail = 0, 1
    while head < tail:
        node = queue[head]
        head += 1
        for j in range(counts[node]):
            other = links[node, j]
            if not seen[other]:
                seen[other] = True
                queue[tail] = other
                tail += 1
    return tail


@kernel
def held_by_peers(links, counts, members, out):
    """Mark those of `members`, rising, that level 0 leads to from one another, as far as their own links tell."""
    held = 0
    for i in range(members.shape[0]):
        node = members[i]
        by_peer, by_other = False, False
        for j in range(counts[node]):
            other = links[node, j]
            for place in range(counts[other]):
                if links[other, place] == node:
                    at = np.searchsorted(members, other)
                    if at < members.shape[0] and members[at] == other:
                        by_peer = True
                    else:
                        by_other = True
                    break
            if by_other:
                break
        out[i] = by_peer and not by_other
        held += out[i]
    return held


@kernel
def repair(
    metric, vectors, scale, rows, terms, width, origin, row_of, upper, links, counts, clean, entry, top, nodes, reached,
    queue, ef, bits, seen, one_by_one,
):  # fmt: skip
    """Link every unreached node of `nodes` from a reached node near it; returns how many links were made.

    A row with room is taken where it is hardly farther than the nearest one. A full row gives up its last link to the
    new node, which takes that link over, so nothing else is cut off. What is linked from such a node then counts as
    reached, except `one_by_one`: then a node counts as reached that a search for it finds.
    """
    keys = np.empty(links.shape[1], np.int64)
    pool = np.empty(ef, np.int64)
    no_rows, everything = np.empty(0, row_of.dtype), np.empty(0, np.bool_)
    asked, room = scratch_query(rows), scratch_row(vectors)
    cap, made = links.shape[1], 0
    for node in nodes:
        if reached[node]:
            continue
        query, factor = as_row(vectors, node, room), scale_of(metric, scale, node)
        ask = as_query(rows, node, width, asked, vectors, origin)
        pool[0] = descend(metric, rows, terms, ask, factor, row_of, upper, entry, top, 0)
        size = beam(metric, rows, terms, ask, factor, no_rows, 0, links, bits, seen, pool, ef, keys, 1, everything, 0)
        if rows.itemsize == 1:
            rescore(metric, vectors, scale, query, factor, pool, size, ef, ef)
        if one_by_one:
            for i in range(size):
                reached[node] |= unpack_node(pool[i]) == node
            if reached[node]:
                continue
        host = np.int64(-1)
        limit = np.float32(0)
        for i in range(size):
            other = unpack_node(pool[i])
            if not reached[other]:
                continue
            far = unpack_distance(pool[i])
            if host < 0:
                host = other
                limit = far + abs(far) * (_HALF if metric == IP else _ONE)  # -dot may be as low as it likes
            if counts[other] < cap and far <= limit:
                host = other
                break
        if host < 0:
            host = np.int64(entry)
        present = False
        for j in range(counts[host]):
            present |= links[host, j] == node
        if present:
            reached[node] = True
            continue
        if counts[host] < cap:
            links[host, counts[host]] = node
            counts[host] += 1
        else:
            moved = links[host, cap - 1]
            links[host, cap - 1] = node
            clean[host] = min(clean[host], cap - 1)
            place = min(counts[node], cap - 1)
            present = False
            for j in range(counts[node]):
                present |= links[node, j] == moved
            if not present:
                links[node, place] = moved
                counts[node] = place + 1
                clean[node] = min(clean[node], place)
        made += 1
        if one_by_one:
            reached[node] = True
        else:
            reach(links, counts, node, reached, queue)
    return made
