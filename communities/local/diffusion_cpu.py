"""Kernel of flow diffusion: random-permutation coordinate minimisation over the slots of a local graph."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ...graphlib.compute.moves_cpu import copy_to
from ...graphlib.compute.random_cpu import bounded, stream

DONE, MUST_OPEN, OUT_OF_PASSES, PAUSED = 0, 1, 2, 3


@kernel
def shuffle(items, size, key):
    """Fisher and Yates, in place, by the stream `key`."""
    counter = np.int64(0)
    for i in range(size - 1, 0, -1):
        at, counter = bounded(key, counter, i + 1)
        items[i], items[at] = items[at], items[i]


@kernel(inline="always")
def _flow(gap, power):
    """Flow over an edge of weight 1: sign(gap) |gap|^(q - 1)."""
    return gap**power if gap >= 0 else -((-gap) ** power)


@kernel
def _level(slot, wanted, x, rows, power):
    """The potential of `slot`, not below its own, at which `wanted` more than now flows out (by bisection)."""
    row_start, row_stop, row_weight, _, entry_slot, entry_weight = rows
    low = high = x[slot]
    now = 0.0
    for e in range(row_start[slot], row_stop[slot]):
        other = x[entry_slot[e]]
        now += entry_weight[e] * _flow(low - other, power)
        high = max(high, other)
    target = now + wanted
    # Each edge carries at least the flow down from the highest neighbour, so this bounds the root from above.
    if target > 0:
        high += (target / row_weight[slot]) ** (1.0 / power)
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle <= low or middle >= high:
            break
        out = 0.0
        for e in range(row_start[slot], row_stop[slot]):
            out += entry_weight[e] * _flow(middle - x[entry_slot[e]], power)
        if out <= target:
            low = middle
        else:
            high = middle
    return low


@kernel
def relax(queue, size, state, rows, rule, root, passes, budget):
    """Passes over the slots with excess until none is left, a row has to be opened, or passes `most` are done.

    `queue` = (slots whose turn it is, those of the next pass, a mark on all that are in either), `rows` are those of
    `LocalGraph.open_rows`, `state` = (x, mass, sink), `rule` = (power, tolerance), `passes` = (done, most, those of
    earlier calls). It pauses between two passes once `budget` entries have been visited.

    Returns the state, the number of active slots (now first in `queue`), and the passes, pushes and entries visited so
    far.
    Every pass visits each slot that has excess at its start, in random order. `power` = q - 1 = 1 / (p - 1).
    """
    active, later, queued = queue
    x, mass, sink = state
    power, tolerance = rule
    done, most, first_pass = passes
    row_start, row_stop, row_weight, _, entry_slot, entry_weight = rows
    pushes = np.int64(0)
    visited = np.int64(0)
    while size > 0:
        for k in range(size):
            if row_start[active[k]] < 0:
                return MUST_OPEN, size, done, pushes, visited
        if done >= most:
            return OUT_OF_PASSES, size, done, pushes, visited
        if visited > budget:
            return PAUSED, size, done, pushes, visited
        shuffle(active, size, stream(root, first_pass + done, 0, 0))
        fresh = 0
        for k in range(size):
            slot = active[k]
            queued[slot] = 0
            excess = mass[slot] - sink[slot]
            if row_weight[slot] <= 0:
                continue  # no edge of positive weight: the excess stays
            start, stop = row_start[slot], row_stop[slot]
            pushes += 1
            visited += stop - start
            if power == 1.0:
                rise = excess / row_weight[slot]
                x[slot] += rise
                mass[slot] = sink[slot]
                for e in range(start, stop):
                    other = entry_slot[e]
                    mass[other] += entry_weight[e] * rise
                    if mass[other] > sink[other] + tolerance and queued[other] == 0:
                        queued[other] = 1
                        later[fresh] = other
                        fresh += 1
            else:
                old = x[slot]
                new = _level(slot, excess, x, rows, power)
                x[slot] = new
                for e in range(start, stop):
                    other = entry_slot[e]
                    more = entry_weight[e] * (_flow(new - x[other], power) - _flow(old - x[other], power))
                    mass[other] += more
                    mass[slot] -= more
                    if mass[other] > sink[other] + tolerance and queued[other] == 0:
                        queued[other] = 1
                        later[fresh] = other
                        fresh += 1
        copy_to(active, later[:fresh])
        size = fresh
        done += 1
    return DONE, size, done, pushes, visited
