"""Kernels that build an HNSW graph in batches, so that the outcome does not depend on threads.

All members of a batch search the graph as it was before the batch; each also considers the batch's earlier members.
Then the reverse links are applied, grouped by the row they change: one thread writes a row, from sources in order.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import stream, uniform
from ...graphlib.compute.sorting_cpu import holds, sort_words
from ..distances.distances_cpu import insert, pack, unpack_distance, unpack_node
from ..distances.rows_cpu import distance, own_factor, own_query, ranks, room_of
from .parts_cpu import Scratch
from .search_cpu import ONE, ZERO, above, base, beam, descend, rescore

GROUP = 4  # members whose links one thread looks for at a time
_TOP = 30
_HALF = np.float32(0.5)


@kernel
def draw_levels(root, first, M, out):
    """Levels of the items first, first + 1, ...: floor(-ln(U) / ln(M)) with U in (0, 1] drawn per item."""
    for i in range(out.shape[0]):
        u = 1.0 - uniform(stream(root, first + i, 0, 0), 0)
        out[i] = min(_TOP, int(-math.log(u) / math.log(M)))


@kernel
def select(exact, owner, pool, size, M, out):
    """The heuristic (Algorithm 4): keep a candidate unless one kept before is strictly nearer to it than its owner.

    At most M / 4 candidates may equal the owner: ties are kept, so copies would fill each other's rows, and a beam that
    enters such a clique would not find out of it.
    """
    kept = 0
    copies = max(1, M // 4)
    room = room_of(exact)
    same = distance(exact, owner, own_query(exact, owner, room), own_factor(exact, owner))
    for i in range(size):
        if kept == M:
            break
        node = unpack_node(pool[i])
        if node == owner or (i > 0 and pool[i] == pool[i - 1]):  # of a node that looks for its links again
            continue
        reach = unpack_distance(pool[i])
        vector, factor = own_query(exact, node, room), own_factor(exact, node)
        good = True
        for j in range(kept):
            if distance(exact, out[j], vector, factor) < reach:
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
def _find_links_of(exact, walk, graph, levels, members, i, ef, scratch, room, found):
    """`find_links` of member i, into the first rows of `found`, with room of `_room_for`."""
    out, counts = found
    pool, keys, asked, own = room
    stop = (np.empty(0, np.bool_), ZERO)
    q = members[i]
    query, factor, level = own_query(exact, q, own), own_factor(exact, q), levels[q]
    ask = own_query(walk, q, asked)
    best = np.int64(0)
    if graph.entry >= 0:
        best = descend(walk, ask, factor, graph, min(level, graph.top))[0]
    for at in range(level, -1, -1):
        size = 0
        if graph.entry >= 0 and at <= graph.top:
            pool[0] = best
            here = base(graph) if at == 0 else above(graph, at)
            size = beam(walk, ask, factor, here, scratch, pool, ef, keys, ONE, stop)
            best = pool[0]
            if ranks(walk):
                rescore(exact, query, factor, pool, size, ef, ef)
        for j in range(i):
            other = members[j]
            if levels[other] >= at:
                key = pack(distance(exact, other, query, factor), other)
                if insert(pool, size, ef, key) >= 0:
                    size = min(size + 1, ef)
        counts[at] = select(exact, q, pool, size, out.shape[1], out[at])


@kernel
def _room_for(exact, walk, graph, ef):
    keys = np.empty(max(graph.links.shape[1], graph.upper.shape[1]), np.int64)
    return np.empty(ef, np.int64), keys, room_of(walk), room_of(exact)


@parallel_kernel
def find_links(exact, walk, graph, levels, members, ef, scratch, starts, found):
    """Choose forward links of `members`, rising nodes, at each of their levels; the graph is only read.

    `found` is (links, counts): those of member i at level l become the first `counts[starts[i] + l]` of
    `links[starts[i] + l]`. Walks compare `walk`; links are chosen by distances of `exact`.
    """
    for group in numba.prange((members.shape[0] + GROUP - 1) // GROUP):
        worker = get_thread_id()
        room = _room_for(exact, walk, graph, ef)
        mine = Scratch(scratch.bits[worker], scratch.seen[worker])
        for i in range(group * GROUP, min((group + 1) * GROUP, members.shape[0])):
            place = (found[0][starts[i] :], found[1][starts[i] :])
            _find_links_of(exact, walk, graph, levels, members, i, ef, mine, room, place)


@kernel
def insert_one(exact, walk, graph, table, upper, levels, members, ef, M, scratch):
    """Find and write all links of a graph's next node, the one of `members`: `find_links` and `add_reverse` at once.

    `table` and `upper` are those of level 0 and of the levels above.
    """
    q = members[0]
    found = np.empty((levels[q] + 1, M), np.int32), np.empty(levels[q] + 1, np.int32)
    _find_links_of(exact, walk, graph, levels, members, 0, ef, scratch, _room_for(exact, walk, graph, ef), found)
    links, counts = found
    _join(exact, q, graph.upper_row[:0], 0, links[0], counts[0], table)
    for at in range(1, levels[q] + 1):
        _join(exact, q, graph.upper_row, at - 1, links[at], counts[at], upper)


@kernel
def _join(exact, node, row_of, shift, found, many, table):
    """Link a node without links to the first of `found`, and those back; rows are `row_of[node] + shift`, or nodes."""
    own = node if row_of.shape[0] == 0 else row_of[node] + shift
    source = np.array([node])
    _mark(table, own)
    table.links[own, :many] = found[:many]
    table.counts[own] = table.clean[own] = many
    for j in range(many):
        owner = np.int64(found[j])
        row = owner if row_of.shape[0] == 0 else row_of[owner] + shift
        _give_links(exact, owner, row, source, table)


@kernel(inline="always")
def _mark(table, row):
    if table.changed.shape[0] > 0:
        table.changed[row] = True


@kernel
def _give_links(exact, owner, row, sources, table):
    """Add those of `sources` that are not there yet to the links of `owner`; overwrites `sources`."""
    links, counts, clean = table.links, table.counts, table.clean
    _mark(table, row)
    cap, count, new = links.shape[1], counts[row], 0
    for j in range(sources.shape[0]):
        present = False
        for at in range(count):
            present |= links[row, at] == sources[j]
        if not present:
            sources[new] = sources[j]
            new += 1
    sources = sources[:new]
    if count + sources.shape[0] <= cap:
        for j in range(sources.shape[0]):
            links[row, count + j] = sources[j]
        counts[row] = count + sources.shape[0]
    else:
        counts[row] = _shrink(exact, owner, links[row], count, clean[row], sources, cap)
        clean[row] = counts[row]


@kernel
def _shrink(exact, owner, row, count, clean, sources, cap):
    """Select `cap` links out of `row[:count]` and `sources`; pairs known to be clean are not compared again."""
    own, other = room_of(exact), room_of(exact)
    vector, factor = own_query(exact, owner, own), own_factor(exact, owner)
    total = count + sources.shape[0]
    keys = np.empty(total, np.int64)
    for j in range(total):
        node = row[j] if j < count else sources[j - count]
        key = pack(distance(exact, node, vector, factor), node)
        keys[j] = key | (j >= clean)  # the lowest bit marks those not known to be clean
    sort_words(keys)
    dirty = np.empty(cap, np.bool_)
    copies = max(1, cap // 4)
    same = distance(exact, owner, vector, factor)
    kept = 0
    for i in range(total):
        if kept == cap:
            break
        node = unpack_node(keys[i])
        reach = unpack_distance(keys[i])
        is_dirty = keys[i] & 1 == 1
        candidate, its_factor = own_query(exact, node, other), own_factor(exact, node)
        good = True
        for j in range(kept):
            if (is_dirty or dirty[j]) and distance(exact, row[j], candidate, its_factor) < reach:
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
def add_reverse(exact, starts, rows, owners, sources, table):
    """Give row `rows[g]` of node `owners[g]` the links `sources[starts[g]:starts[g + 1]]`, pruning full rows.

    Those that it has are left out; `sources` is overwritten.
    """
    for g in numba.prange(rows.shape[0]):
        _give_links(exact, owners[g], rows[g], sources[starts[g] : starts[g + 1]], table)


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
                    if holds(members, 0, members.shape[0], other):
                        by_peer = True
                    else:
                        by_other = True
                    break
            if by_other:
                break
        out[i] = by_peer and not by_other
        held += out[i]
    return held


@parallel_kernel
def find_rows(exact, walk, graph, nodes, ef, scratch, found):
    """Mark those of `nodes` that a search for their own rows finds."""
    for group in numba.prange((nodes.shape[0] + GROUP - 1) // GROUP):
        worker = get_thread_id()
        pool, keys, asked, _ = _room_for(exact, walk, graph, ef)
        stop, mine = (np.empty(0, np.bool_), ZERO), Scratch(scratch.bits[worker], scratch.seen[worker])
        for i in range(group * GROUP, min((group + 1) * GROUP, nodes.shape[0])):
            node = nodes[i]
            ask, factor = own_query(walk, node, asked), own_factor(exact, node)
            pool[0] = descend(walk, ask, factor, graph, ZERO)[0]
            for at in range(beam(walk, ask, factor, base(graph), mine, pool, ef, keys, ONE, stop)):
                found[node] |= unpack_node(pool[at]) == node


@kernel
def repair(exact, walk, graph, table, nodes, reached, queue, ef, scratch, one_by_one):
    """Link every unreached node of `nodes` from a reached node near it; returns how many links were made.

    A row with room is taken where it is hardly farther than the nearest one. A full row gives up its last link to the
    new node, which takes that link over, so nothing else is cut off. What is linked from such a node then counts as
    reached, except `one_by_one`: then a node counts as reached that a search for it finds.
    """
    links, counts, clean = table.links, table.counts, table.clean
    room = _room_for(exact, walk, graph, ef)
    pool, keys, asked, own = room
    stop = (np.empty(0, np.bool_), ZERO)
    cap, made = links.shape[1], 0
    for node in nodes:
        if reached[node]:
            continue
        query, factor = own_query(exact, node, own), own_factor(exact, node)
        ask = own_query(walk, node, asked)
        pool[0] = descend(walk, ask, factor, graph, ZERO)[0]
        size = beam(walk, ask, factor, base(graph), scratch, pool, ef, keys, ONE, stop)
        if ranks(walk):
            rescore(exact, query, factor, pool, size, ef, ef)
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
                limit = far + far if far > 0 else far * _HALF  # -dot may be as low as it likes
            if counts[other] < cap and far <= limit:
                host = other
                break
        if host < 0:
            host = np.int64(graph.entry)
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
        _mark(table, host)
        _mark(table, node)
        made += 1
        if one_by_one:
            reached[node] = True
        else:
            reach(links, counts, node, reached, queue)
    return made
