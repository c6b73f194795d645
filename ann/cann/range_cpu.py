"""The kernel of a range search through random grids: whole cells, of as many axes as the radius allows."""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ...graphlib.compute.jit import parallel_kernel, prefetch
from ..distances.rows_cpu import distance, prefetch_row
from ..lsh.buckets_cpu import prefix_range
from .cells_cpu import AXES
from .grids_cpu import offer

_BITS = 32 // AXES
_AHEAD = 8


@parallel_kernel
def cell_sizes(wanted, axes, keys, starts, sizes):
    """How many entries the cells of each feature hold, in all grids together."""
    for f in numba.prange(wanted.shape[1]):
        for grid in range(keys.shape[0]):
            first, last = prefix_range(wanted[grid, f], axes * _BITS, keys[grid], starts[grid])
            sizes[f] += last - first


@parallel_kernel
def colors_within(asked, sets, wanted, axes, keys, order, starts, held, color_of, allowed, reach, seen, marks, slots,
                  turns, colors, near, rows, counts):  # fmt: skip
    """As `near_colors` for cells of `axes` axes, all points of which are looked at, each once: `seen` int32
    (threads, points) tells which were."""
    for f in numba.prange(asked.shape[0]):
        thread = get_thread_id()
        turns[thread] += 1
        mark, slot, met, turn = marks[thread], slots[thread], seen[thread], turns[thread]
        which = min(np.int64(sets[f]), np.int64(allowed.shape[0] - 1))
        query, filled = asked[f], 0
        for grid in range(keys.shape[0]):
            first, last = prefix_range(wanted[grid, f], axes * _BITS, keys[grid], starts[grid])
            members = order[grid]
            for i in range(first, last):
                if i + _AHEAD < last:
                    prefetch(met, members[i + _AHEAD])
                    prefetch(color_of, members[i + _AHEAD])
                    prefetch_row(held, members[i + _AHEAD], 0, 256)
                row = np.int64(members[i])
                if met[row] != turn:
                    met[row] = turn
                    color = color_of[row]
                    if which < 0 or allowed[which, color]:
                        far = distance(held, row, query, np.float32(1))
                        if far < reach:
                            filled = offer(color, far, row, turn, mark, slot, colors[f], near[f], rows[f], filled)
        counts[f] = filled
