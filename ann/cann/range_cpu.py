"""The kernel of a range search through random grids: whole cells, of as many axes as the radius allows."""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ...graphlib.compute.jit import parallel_kernel, prefetch
from ..lsh.buckets_cpu import prefix_range
from .cells_cpu import AXES
from .grids_cpu import axes_apart, measured, sketch_of

_BITS = 32 // AXES
_AHEAD = 16
_ROOM = 512


@parallel_kernel
def cell_sizes(wanted, axes, keys, starts, sizes):
    """How many entries the cells of each feature hold, in all grids together."""
    for f in numba.prange(wanted.shape[1]):
        for grid in range(keys.shape[0]):
            first, last = prefix_range(wanted[grid, f], axes * _BITS, keys[grid], starts[grid])
            sizes[f] += last - first


@parallel_kernel
def colors_within(asked, sets, wanted, axes, keys, order, starts, held, color_of, allowed, reach, sketches, apart, seen,
                  marks, slots, turns, colors, near, rows, counts):  # fmt: skip
    """As `near_colors` for cells of `axes` axes, all points of which are looked at, each once: `seen` int32
    (threads, points) tells which were."""
    for f in numba.prange(asked.shape[0]):
        thread = get_thread_id()
        turns[thread] += 1
        mark, slot, met, turn = marks[thread], slots[thread], seen[thread], turns[thread]
        which = min(np.int64(sets[f]), np.int64(allowed.shape[0] - 1))
        sketch, candidates, count, filled = sketch_of(wanted, f, keys.shape[0]), np.empty(_ROOM, np.int32), 0, 0
        for grid in range(keys.shape[0]):
            first, last = prefix_range(wanted[grid, f], axes * _BITS, keys[grid], starts[grid])
            members = order[grid]
            for i in range(first, last):
                if i + _AHEAD < last:
                    prefetch(met, members[i + _AHEAD])
                    prefetch(sketches, members[i + _AHEAD])
                row = members[i]
                if met[row] != turn:
                    met[row] = turn
                    if axes_apart(sketches[row], sketch) <= apart:
                        candidates[count] = row
                        count += 1
                        if count == _ROOM:
                            filled = measured(
                                candidates, count, held, asked[f], color_of, allowed, which, reach, turn, mark, slot,
                                colors[f], near[f], rows[f], filled,
                            )  # fmt: skip
                            count = 0
        counts[f] = measured(
            candidates, count, held, asked[f], color_of, allowed, which, reach, turn, mark, slot, colors[f], near[f],
            rows[f], filled,
        )  # fmt: skip
