"""The kernel of a range search through random grids: whole cells, of as many axes as the radius allows."""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ...graphlib.compute.jit import parallel_kernel, prefetch
from ..lsh.buckets_cpu import prefix_range
from .cells_cpu import AXES
from .grids_cpu import axes_apart, measured, sketch_of
from .parts_cpu import Own

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
def colors_within(asked, axes, cells, points, limits, seen, turns, met):
    """As `near_colors` for cells of `axes` axes, all points of which are looked at, each once: `seen` int32
    (threads, points) tells which were."""
    keys, order, starts = cells
    wanted, sketches = asked.wanted, points.sketches
    for f in numba.prange(asked.rows.shape[0]):
        thread = get_thread_id()
        turns.turns[thread] += 1
        own, looked = Own(turns.marks[thread], turns.slots[thread], turns.turns[thread]), seen[thread]
        which = min(np.int64(asked.sets[f]), np.int64(limits.allowed.shape[0] - 1))
        sketch, candidates = sketch_of(wanted, f, keys.shape[0]), np.empty(_ROOM, np.int32)
        count, filled = np.int64(0), np.int64(0)
        for grid in range(keys.shape[0]):
            first, last = prefix_range(wanted[grid, f], axes * _BITS, keys[grid], starts[grid])
            members = order[grid]
            for i in range(first, last):
                if i + _AHEAD < last:
                    prefetch(looked, members[i + _AHEAD])
                    prefetch(sketches, members[i + _AHEAD])
                row = members[i]
                if looked[row] != own.turn:
                    looked[row] = own.turn
                    if axes_apart(sketches[row], sketch) <= limits.apart:
                        candidates[count] = row
                        count += 1
                        if count == _ROOM:
                            filled = measured(
                                candidates, count, points, asked.rows[f], limits, which, own, met, f, filled
                            )
                            count = np.int64(0)
        met.counts[f] = measured(candidates, count, points, asked.rows[f], limits, which, own, met, f, filled)
