"""The search for near rows of `leaves_cpu`, for rows of 8-bit codes: sixteen of them are compared at a time.

The ranks are those of `storage.codes_cpu`, so the outcome is the same bits as without. `words` are the rows' bytes as
uint32, a row's term the last of them.
"""

from __future__ import annotations

import numba
import numpy as np

from ....graphlib.compute.jit import kernel, parallel_kernel
from ...distances.int8_dot_cpu import SIXTEEN, dots_of_sixteen
from ...distances.rows_cpu import own_query, room_of
from .leaves_cpu import NONE, TOGETHER, take_smallest


@kernel
def _turn(words, nodes, turned, terms):
    """Rows of nodes word by word, sixteen rows side by side; their terms, the last word of each, beside them."""
    steps = words.shape[1]
    for i in range(nodes.shape[0]):
        start, lane = i // SIXTEEN * steps * SIXTEEN, i % SIXTEEN
        row = words[nodes[i]]
        for w in range(steps):
            turned[start + w * SIXTEEN + lane] = row[w]
        terms[i] = np.int64(np.int32(row[steps - 1]))


@kernel
def _keys(turned, terms, ask, nodes, dots, keys):
    """The keys of turned rows, (rank, node); `dots` has room for sixteens of them."""
    for first in range(0, nodes.shape[0], SIXTEEN):
        dots_of_sixteen(turned, first, ask, dots)
    for j in range(nodes.shape[0]):
        keys[j] = (terms[j] - (np.int64(dots[j]) << 1)) << 32 | nodes[j] << 1


@parallel_kernel
def turn_leaders(words, leaders, starts, first, turned, terms):
    """The leaders of every group g as `_turn` lays them out, from row `first[g]`, a multiple of 16, on."""
    for g in numba.prange(starts.shape[0] - 1):
        low = first[g]
        _turn(words, leaders[starts[g] : starts[g + 1]], turned[low * words.shape[1] :], terms[low:])


@parallel_kernel
def nearest_coded_leaders(walk, entries, copies, group, starts, laid_out, out):
    """`leaves_cpu.nearest_leaders`; `laid_out` is (first, turned, terms) of `turn_leaders`."""
    first, turned, terms = laid_out
    for turn in numba.prange((entries.shape[0] + TOGETHER - 1) // TOGETHER):
        asked, steps, g = room_of(walk), walk.data.shape[1] // 4, np.int64(-1)
        places, keys, dots = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32)
        for i in range(turn * TOGETHER, min((turn + 1) * TOGETHER, entries.shape[0])):
            if group[i] != g:  # which rises
                g = group[i]
                places = np.arange(starts[g], starts[g + 1])
                keys, dots = np.empty(places.shape[0], np.int64), np.empty(first[g + 1] - first[g], np.int32)
            low, ask = first[g], own_query(walk, entries[i] // copies, asked)
            _keys(turned[low * steps :], terms[low:], ask, places, dots, keys)
            take_smallest(keys, out[i])


@parallel_kernel
def nearest_in_coded_leaves(walk, words, entries, copies, starts, near):
    """`leaves_cpu.nearest_in_leaves`."""
    for leaf in numba.prange(starts.shape[0] - 1):
        begin, count, steps = starts[leaf], starts[leaf + 1] - starts[leaf], words.shape[1]
        room, asked = (count + SIXTEEN - 1) // SIXTEEN * SIXTEEN, room_of(walk)
        nodes, keys, dots = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(room, np.int32)
        turned, terms = np.zeros(room * steps, np.uint32), np.empty(room, np.int64)
        for i in range(count):
            nodes[i] = entries[begin + i] // copies
        _turn(words, nodes, turned, terms)
        for i in range(count):
            _keys(turned, terms, own_query(walk, nodes[i], asked), nodes, dots, keys)
            for j in range(count):
                keys[j] = NONE if nodes[j] == nodes[i] else keys[j]
            take_smallest(keys, near[entries[begin + i]])
