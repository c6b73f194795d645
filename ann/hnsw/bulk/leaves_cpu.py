"""Kernels that find candidates for links inside of small parts of the rows, and choose among them.

An entry is one of a node's `copies` places in the parts: entry e is a place of node e // copies.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ....graphlib.compute.jit import kernel, parallel_kernel
from ....graphlib.compute.sorting_cpu import sort_words
from ...distances.distances_cpu import pack, unpack_node
from ...distances.rows_cpu import FAR, distance, key_of, own_factor, own_query, prefetch_row_ahead, room_of
from ..build_cpu import select

_AHEAD = 4  # rows are asked for so many before they are compared
_PRIME, _START, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x243F6A8885A308D3), np.uint64(29)
TOGETHER = 64  # entries of a turn
NONE = np.int64(np.iinfo(np.int64).max)
_RANK = np.int64(-1) << 32  # of a key, without its node


@kernel
def take_smallest(keys, out):
    """The nodes of the smallest keys in order, -1 past their end; keys that are taken, or to be left out, are `NONE`.

    A pass for each: a few passes of vectors take less than sorting keys in as they come, whose branches are coin
    tosses.
    """
    for place in range(out.shape[0]):
        least = NONE
        for j in range(keys.shape[0]):
            least = min(least, keys[j])
        out[place] = unpack_node(least) if least != NONE else -1
        if place + 1 < out.shape[0]:
            for j in range(keys.shape[0]):
                keys[j] = NONE if keys[j] == least else keys[j]


@parallel_kernel
def nearest_leaders(walk, entries, copies, group, leaders, starts, out):
    """Which of the `leaders[starts[g]:starts[g + 1]]` of their groups g entries are nearest to, as many as `out` holds.

    Places among all leaders, -1 where a group has fewer.
    """
    for turn in numba.prange((entries.shape[0] + TOGETHER - 1) // TOGETHER):
        asked, keys = room_of(walk), np.empty(leaders.shape[0], np.int64)
        for i in range(turn * TOGETHER, min((turn + 1) * TOGETHER, entries.shape[0])):
            node, first, last = entries[i] // copies, starts[group[i]], starts[group[i] + 1]
            ask, factor = own_query(walk, node, asked), own_factor(walk, node)
            for j in range(first, last):
                keys[j] = key_of(walk, ask, factor, leaders[j]) & _RANK | np.int64(j) << 1
            take_smallest(keys[first:last], out[i])


@parallel_kernel
def nearest_in_leaves(walk, entries, copies, starts, near):
    """The nodes nearest to each entry's in its leaf `entries[starts[l]:starts[l + 1]]`: `near[entry]`, padded by -1."""
    for leaf in numba.prange(starts.shape[0] - 1):
        first, count = starts[leaf], starts[leaf + 1] - starts[leaf]
        asked = room_of(walk)
        nodes, keys = np.empty(count, np.int64), np.empty(count, np.int64)
        for i in range(count):
            nodes[i] = entries[first + i] // copies
        for i in range(count):
            node = nodes[i]
            ask, factor = own_query(walk, node, asked), own_factor(walk, node)
            for j in range(count):
                keys[j] = key_of(walk, ask, factor, nodes[j]) if nodes[j] != node else NONE
            take_smallest(keys, near[entries[first + i]])


@parallel_kernel
def choose_links(exact, order, near, levels, most, M, scratch, table, low):
    """Links of level 0 anew: M of the nearest `most` of those that nodes have and those of `near[:, node]`.

    `near` is (partitions, nodes, candidates), padded by -1, in which a node may stand several times. `order` holds
    nodes once; those with candidates in common are best neighbours in it. Marks in `low` those of which all candidates,
    and they themselves, are of level 0.
    """
    for turn in numba.prange(order.shape[0]):
        node = order[turn]
        worker = get_thread_id()
        bits, seen, size = scratch.bits[worker], scratch.seen[worker], 0
        links, before, highest = table.links[node], table.counts[node], levels[node]
        width = near.shape[2]
        for j in range(before + near.shape[0] * width):
            place = j - before
            other = np.int64(links[j] if place < 0 else near[place // width, node, place % width])
            if other >= 0 and bits[other >> 3] & np.uint8(1 << (other & 7)) == 0:
                bits[other >> 3] |= np.uint8(1 << (other & 7))
                seen[size] = other
                size += 1
                highest = max(highest, levels[other])
        low[node] = highest == 0
        own = room_of(exact)
        query, factor = own_query(exact, node, own), own_factor(exact, node)
        keys = np.empty(size, np.int64)
        for j in range(min(size, _AHEAD)):
            prefetch_row_ahead(exact, seen[j], 0, FAR)
        for j in range(size):
            if j + _AHEAD < size:
                prefetch_row_ahead(exact, seen[j + _AHEAD], 0, FAR)
            bits[seen[j] >> 3] = 0
            keys[j] = pack(distance(exact, seen[j], query, factor), seen[j])
        sort_words(keys)
        kept = select(exact, node, keys, min(size, most), M, links)
        for j in range(kept, links.shape[0]):
            links[j] = -1
        table.counts[node] = table.clean[node] = kept


@parallel_kernel
def row_hashes(rows, out):
    """A number per row of unsigned words, equal for equal rows and hardly for others."""
    for i in numba.prange(rows.shape[0]):
        word = _START
        for j in range(rows.shape[1]):
            word = (word ^ np.uint64(rows[i, j])) * _PRIME
            word ^= word >> _SHIFT
        out[i] = word
