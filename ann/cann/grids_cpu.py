"""The kernel of a search through random grids: the colours near each feature, by their nearest points that were met."""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ...graphlib.compute.jit import kernel, parallel_kernel, prefetch
from ..distances.rows_cpu import FAR, distance, prefetch_row
from ..lsh.buckets_cpu import bisect, widest_prefix
from .cells_cpu import AXES
from .parts_cpu import Own

_BITS = 32 // AXES
_NONE = np.int64(0)
_AHEAD = 8  # rows are asked for so many before their turn
_WALK = 256  # of a cell with too many rows, so many times those that are taken are looked at, or their colours


@kernel
def common_axes(a, b):
    """How many axes at the beginning of two keys are the same."""
    differ = a ^ b
    axes = 0
    while axes < AXES and (differ >> np.uint32(_BITS * (AXES - 1 - axes))) == 0:
        axes += 1
    return axes


@kernel
def next_color(order, place, end, points):
    """The next of order[place:end], which ascends, whose colour is another than that of `place`.

    Where points are not kept colour after colour, the next place, whatever its colour.
    """
    if points.ends.shape[0] == 0:
        return place + 1
    last, step = points.ends[points.colors[order[place]]], 1
    while place + step < end and order[place + step] < last:
        step *= 2
    return max(place + 1, bisect(order, place + step // 2, min(end, place + step), np.uint64(last)))


@kernel
def spread(order, window, most, points, allowed, which, own, rows, found):
    """Take `most` rows of order[begin:end] whose colour may be found: the first of every colour that own.turn has not
    marked, then those from `fill` on. window = begin, end, fill. Returns the number of candidates with them."""
    begin, end, fill = window
    room, place = found + most, begin
    for _ in range(_WALK * most):
        if place >= end:
            break
        color = points.colors[order[place]]
        if own.mark[color] != own.turn and (which < 0 or allowed[which, color]):
            own.mark[color] = own.turn
            rows[found] = order[place]
            found += 1
            if found == room:
                break
        place = next_color(order, place, end, points)
    for i in range(fill, min(end, fill + room - found)):
        rows[found] = order[i]
        found += 1
    return found


@kernel
def members(asked, f, most, cells, points, allowed, which, own, rows, axes):
    """Rows that lie in the same cell as feature f in any grid; returns their number.

    Where `axes` has room, along how many axes they do is told too.

    In every grid the cell is the coarsest of at most `most` rows. Of a finest cell that has more (points that are
    nearly the same), `most` are taken: colours that no such cell has given yet, then any rows, of another place in each
    grid. 256 times as many are looked at: colours, where points are kept colour after colour, else rows. Turn
    own.turn - 1 is used up.
    """
    wanted, (keys, order, starts) = asked.wanted, cells
    table = np.uint64(starts.shape[1] - 1)
    for grid in range(keys.shape[0]):
        prefetch(starts[grid], np.int64((np.uint64(wanted[grid, f]) * table) >> np.uint64(32)))
    for grid in range(keys.shape[0]):
        prefetch(keys[grid], starts[grid, np.int64((np.uint64(wanted[grid, f]) * table) >> np.uint64(32))])
    found = 0
    first, last = np.empty(keys.shape[0], np.int64), np.empty(keys.shape[0], np.int64)
    for grid in range(keys.shape[0]):
        begin, end, _ = widest_prefix(wanted[grid, f], _BITS, most, keys[grid], starts[grid])
        if end - begin > _WALK * most and points.ends.shape[0] == 0:
            begin += (end - begin - _WALK * most) * grid // max(1, keys.shape[0] - 1)
            end = begin + _WALK * most
        first[grid], last[grid] = begin, end
        prefetch(order[grid], begin)
    marked = Own(own.mark, own.slot, np.int32(own.turn - 1))
    for grid in range(keys.shape[0]):
        before, crowd = found, last[grid] - first[grid]
        if crowd > most:
            window = (first[grid], last[grid], first[grid] + (grid * most) % (crowd - most + 1))
            found = spread(order[grid], window, most, points, allowed, which, marked, rows, found)
        else:
            for i in range(first[grid], last[grid]):
                rows[found] = order[grid, i]
                found += 1
        if axes.shape[0] > 0:
            for i in range(before, found):
                place = first[grid] if crowd > most else first[grid] + i - before
                axes[i] = common_axes(keys[grid, place], wanted[grid, f])
    return found


@kernel
def offer(color, far, row, own, met, f, filled):
    """Keep a point where it is the nearest of its colour so far; of equally near ones the first. How many are kept."""
    near, rows = met.near[f], met.rows[f]
    if own.mark[color] != own.turn:
        own.mark[color], own.slot[color] = own.turn, filled
        met.colors[f, filled], near[filled], rows[filled] = color, far, row
        return filled + 1
    place = own.slot[color]
    if far < near[place] or (far == near[place] and row < rows[place]):
        near[place], rows[place] = far, row
    return filled


@kernel
def axes_apart(a, b):
    """Along how many of the 32 axes of two sketches, two bits each, the cells are not the same."""
    differ = a ^ b
    differ = (differ | (differ >> np.uint64(1))) & np.uint64(0x5555555555555555)
    differ = (differ & np.uint64(0x3333333333333333)) + ((differ >> np.uint64(2)) & np.uint64(0x3333333333333333))
    differ = (differ + (differ >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((differ * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def sketch_of(wanted, f, grids):
    """The sketch of feature f, whose halves are the keys behind those of the grids."""
    return (np.uint64(wanted[grids, f]) << np.uint64(32)) | np.uint64(wanted[grids + 1, f])


@kernel
def measured(candidates, count, points, query, limits, which, own, met, f, filled):
    """Compare the candidates with feature f, the `query`, and keep the nearest of each colour that may be found."""
    held = points.rows
    for i in range(min(_AHEAD, count)):
        prefetch_row(held, candidates[i], 0, FAR)
    for i in range(count):
        if i + _AHEAD < count:
            prefetch_row(held, candidates[i + _AHEAD], 0, FAR)
        row = np.int64(candidates[i])
        color = points.colors[row]
        if which < 0 or limits.allowed[which, color]:
            far = distance(held, row, query, np.float32(1))
            if far < limits.reach:
                filled = offer(color, far, row, own, met, f, filled)
    return filled


@parallel_kernel
def near_colors(asked, cells, points, limits, radii, most, turns, met):
    """Write to `met`, per feature, the colours with a point within reach in one of its cells, and the nearest such
    point.

    Distances are those of rows; with `radii` float32 (17,) they are radii[axes in common] instead, and no row is looked
    at.
    """
    allowed, reach, apart = limits
    color_of, sketches, wanted = points.colors, points.sketches, asked.wanted
    for f in numba.prange(asked.rows.shape[0]):
        thread = get_thread_id()
        turns.turns[thread] += 2
        own = Own(turns.marks[thread], turns.slots[thread], turns.turns[thread])
        which = min(np.int64(asked.sets[f]), np.int64(allowed.shape[0] - 1))
        candidates = np.empty(met.colors.shape[1], np.int32)
        axes = np.empty(met.colors.shape[1] if radii.shape[0] > 0 else 0, np.int8)
        count = members(asked, f, most, cells, points, allowed, which, own, candidates, axes)
        if radii.shape[0] > 0:
            filled = _NONE
            for i in range(count):
                row = np.int64(candidates[i])
                color, far = color_of[row], radii[axes[i]]
                if far < reach and (which < 0 or allowed[which, color]):
                    filled = offer(color, far, row, own, met, f, filled)
            met.counts[f] = filled
            continue
        for i in range(count):
            prefetch(sketches, candidates[i])
        sketch, left = sketch_of(wanted, f, cells.keys.shape[0]), 0
        for i in range(count):
            if axes_apart(sketches[candidates[i]], sketch) <= apart:
                candidates[left] = candidates[i]
                prefetch(color_of, candidates[i])
                left += 1
        met.counts[f] = measured(candidates, left, points, asked.rows[f], limits, which, own, met, f, _NONE)
