"""Kernels that pick positions in adjacency rows, for neighbour samples.

One batch is one thread's work (many batches run side by side), so these kernels are serial. A row is
`indices[low[i]:high[i]]`; every random word comes from the stream (root, epoch, item, hop), where the item is the node
whose row is sampled, or its tree and node in disjoint mode, so a pick never depends on what else is in the batch. Rows
may be given in slices: the picks of row i go to `positions[offsets[i]:offsets[i + 1]]`.
"""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel, prefetch
from ...graphlib.compute.random_cpu import bounded, draw, stream, uniform
from ..times_cpu import first_from, first_within

AHEAD = 24
_SCAN = 32
_EMPTY = -1


@kernel
def whole_rows(indptr, frontier, low, high):
    """The row of every frontier node."""
    for i in range(frontier.shape[0]):
        if i + AHEAD < frontier.shape[0]:
            prefetch(indptr, frontier[i + AHEAD])
        low[i] = indptr[frontier[i]]
        high[i] = indptr[frontier[i] + 1]


@kernel
def rows_before(indptr, time, frontier, frontier_time, inclusive, window, low, high):
    """The part of every row (sorted by time) in [t - window, t), or up to and with t when `inclusive`."""
    for i in range(frontier.shape[0]):
        start, now = indptr[frontier[i]], frontier_time[i]
        high[i] = first_from(time, start, indptr[frontier[i] + 1], now, inclusive)
        low[i] = first_within(time, start, high[i], now, window) if window >= 0 else start


@kernel(inline="always")
def picks_of(degree, fanout, replace):
    """How many edges a row of so many yields; a fanout below zero takes all."""
    if fanout < 0:
        return degree
    if replace:
        return fanout if degree > 0 else 0
    return min(fanout, degree)


@kernel
def count_picks(low, high, fanout, replace, offsets):
    """`offsets[i + 1] - offsets[i]` = how many edges row i yields.

    The first offset is given; returns the last.
    """
    for i in range(low.shape[0]):
        offsets[i + 1] = offsets[i] + picks_of(high[i] - low[i], fanout, replace)
    return offsets[low.shape[0]]


@kernel(inline="always")
def _take_all(first, last, out, at):
    for position in range(first, last):
        out[at + position - first] = position


@kernel(inline="always")
def _take_weighted(first, last, weight, out, at):
    """All entries of positive weight; returns how many."""
    end = at
    for position in range(first, last):
        if weight[position] > 0:
            out[end] = position
            end += 1
    return end - at


@kernel
def _floyd(key, first, degree, picks, out, at):
    """Floyd's draw of `picks` of `degree` without replacement; memory of what is taken is the output itself."""
    counter = np.int64(0)
    for j in range(picks):
        top = degree - picks + j
        chosen, counter = bounded(key, counter, top + 1)
        for earlier in range(j):
            if out[at + earlier] == first + chosen:
                chosen = top
                break
        out[at + j] = first + chosen


@kernel
def _shuffle(key, first, degree, picks, out, at, scratch):
    """Partial Fisher-Yates over a scratch row; O(degree + picks)."""
    for j in range(degree):
        scratch[j] = first + j
    counter = np.int64(0)
    for j in range(picks):
        chosen, counter = bounded(key, counter, degree - j)
        out[at + j] = scratch[j + chosen]
        scratch[j + chosen] = scratch[j]


@kernel
def _floyd_hashed(key, first, degree, picks, out, at, table):
    """Floyd's draw with an open-addressing set of what is taken; O(picks), for long rows and many picks."""
    mask = table.shape[0] - 1
    table[:] = _EMPTY
    counter = np.int64(0)
    for j in range(picks):
        top = degree - picks + j
        chosen, counter = bounded(key, counter, top + 1)
        slot = chosen & mask
        while table[slot] != _EMPTY and table[slot] != chosen:
            slot = (slot + 1) & mask
        if table[slot] == chosen:
            chosen = top
            slot = chosen & mask
            while table[slot] != _EMPTY:
                slot = (slot + 1) & mask
        table[slot] = chosen
        out[at + j] = first + chosen


@kernel
def pick_uniform(low, high, items, name, fanout, replace, offsets, positions):
    """Uniform picks, with or without replacement; `name` = (root, epoch, hop)."""
    root, epoch, hop = name
    longest = np.int64(0)
    if not replace and fanout > _SCAN:
        for i in range(low.shape[0]):
            degree = high[i] - low[i]
            if fanout < degree <= 8 * fanout:
                longest = max(longest, degree)
    scratch = np.empty(longest, np.int64)
    capacity = np.int64(1)
    if not replace and fanout > _SCAN:
        while capacity < 4 * fanout:
            capacity *= 2
    table = np.empty(capacity, np.int64)
    for i in range(low.shape[0]):
        first, degree, at = low[i], high[i] - low[i], offsets[i]
        picks = offsets[i + 1] - at
        if picks == 0:
            continue
        if replace and fanout >= 0:
            key = stream(root, epoch, items[i], hop)
            counter = np.int64(0)
            for j in range(picks):
                chosen, counter = bounded(key, counter, degree)
                positions[at + j] = first + chosen
        elif picks == degree:
            _take_all(first, high[i], positions, at)
        else:
            key = stream(root, epoch, items[i], hop)
            if picks <= _SCAN:
                _floyd(key, first, degree, picks, positions, at)
            elif degree <= 8 * picks:
                _shuffle(key, first, degree, picks, positions, at, scratch)
            else:
                _floyd_hashed(key, first, degree, picks, positions, at, table)


@kernel
def pick_latest(low, high, offsets, positions):
    """The last picks of every row: the most recent edges where rows are sorted by time."""
    for i in range(low.shape[0]):
        picks = offsets[i + 1] - offsets[i]
        _take_all(high[i] - picks, high[i], positions, offsets[i])


@kernel
def pick_weighted_with_replacement(low, high, row_start, cumulative, items, name, fanout, offsets, positions):
    """Independent draws in proportion to weight, by binary search in the row's running sums.

    Rows without positive weight yield nothing; the true ends of rows are returned in `offsets`, whose first is given.
    """
    root, epoch, hop = name
    written = offsets[0]
    for i in range(low.shape[0]):
        offsets[i] = written
        if low[i] == high[i]:
            continue
        base = cumulative[low[i] - 1] if low[i] > row_start[i] else 0.0
        total = cumulative[high[i] - 1] - base
        if total <= 0.0:
            continue
        key = stream(root, epoch, items[i], hop)
        for j in range(fanout):
            target = base + uniform(key, j) * total
            a, b = low[i], high[i] - 1
            while a < b:
                middle = (a + b) >> 1
                if cumulative[middle] > target:
                    b = middle
                else:
                    a = middle + 1
            positions[written + j] = a
        written += fanout
    offsets[low.shape[0]] = written
    return written


@kernel(inline="always")
def _sift_down(keys, where, size):
    """Restore the max-heap `keys[:size]` (payload `where`) after its root was replaced."""
    node = 0
    while True:
        child = 2 * node + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] > keys[child]:
            child += 1
        if keys[child] <= keys[node]:
            break
        keys[node], keys[child] = keys[child], keys[node]
        where[node], where[child] = where[child], where[node]
        node = child


@kernel
def pick_smallest_keys(low, high, items, entries, name, common, fanout, offsets, positions):
    """The picks of every row with the smallest random keys, in position order.

    Weighted draws without replacement use -ln(u) / w with one u per row entry (Efraimidis and Spirakis, 2006,
    doi:10.1016/j.ipl.2005.11.003). `common` = (shared, root, hop): with `shared`, u belongs to the neighbour and not to
    the entry, so that all rows of the batch prefer the same nodes, LABOR-0 (arXiv:2210.13339); it is word 0 of the
    stream (that root, epoch, neighbour, that hop). `entries` = (indices, weight), the weights empty where all are 1.
    Rows yield fewer picks than asked where fewer weights are positive; the true ends of rows are returned in `offsets`,
    whose first is given.
    """
    root, epoch, hop = name
    indices, weight = entries
    shared, shared_root, shared_hop = common
    longest = np.int64(0)
    for i in range(low.shape[0]):
        longest = max(longest, high[i] - low[i])
    room = max(min(fanout, longest), 1)
    keys, where = np.empty(room, np.float64), np.empty(room, np.int64)
    weighted = weight.shape[0] > 0
    written = offsets[0]
    for i in range(low.shape[0]):
        first, last = low[i], high[i]
        offsets[i] = written
        if not weighted and (fanout < 0 or last - first <= fanout):
            _take_all(first, last, positions, written)
            written += last - first
            continue
        if fanout < 0:
            written += _take_weighted(first, last, weight, positions, written)
            continue
        row_key = stream(root, epoch, items[i], hop)
        size = 0
        for e in range(first, last):
            w = np.float64(weight[e]) if weighted else 1.0
            if w <= 0.0:
                continue
            if shared:
                u = uniform(stream(shared_root, epoch, indices[e], shared_hop), 0)
            else:
                u = uniform(row_key, e - first)
            value = -np.log1p(-u) / w
            if size < fanout:
                slot = size
                size += 1
                keys[slot], where[slot] = value, e
                while slot > 0 and keys[(slot - 1) >> 1] < keys[slot]:
                    parent = (slot - 1) >> 1
                    keys[parent], keys[slot] = keys[slot], keys[parent]
                    where[parent], where[slot] = where[slot], where[parent]
                    slot = parent
            elif value < keys[0]:
                keys[0], where[0] = value, e
                _sift_down(keys, where, size)
        chosen = np.sort(where[:size])
        for j in range(size):
            positions[written + j] = chosen[j]
        written += size
    offsets[low.shape[0]] = written
    return written


@kernel
def running_sums(indptr, weight, out):
    """Running sums of the weights within every row, in float64."""
    for v in range(indptr.shape[0] - 1):
        total = 0.0
        for e in range(indptr[v], indptr[v + 1]):
            total += weight[e]
            out[e] = total


@kernel
def tree_items(tree_key, tree, nodes, out):
    """Stream items of disjoint trees: a word per (key of the tree, node)."""
    for i in range(nodes.shape[0]):
        out[i] = np.int64(draw(tree_key[tree[i]], nodes[i]) >> np.uint64(1))


@kernel
def tree_keys(seeds, seed_time, kind, out):
    """A tree's key depends on its seed's node, time and type alone, not on its place in the batch."""
    for i in range(seeds.shape[0]):
        now = np.float64(seed_time[i]) if seed_time.shape[0] > 0 else 0.0
        out[i] = stream(seeds[i], np.int64(now), np.int64((now - np.floor(now)) * (1 << 52)), kind)
