"""Kernel of the sweep cut: the conductance of every prefix of an ordering."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel


@kernel
def sweep(order, volume, row_start, row_stop, entry_slot, entry_weight, rank, cut, inside):
    """Cut weight and volume of order[:1], order[:2], ...; every node of `order` has an open row.

    `rank` holds -1 for every slot, and again on return.
    """
    for i in range(order.shape[0]):
        rank[order[i]] = i
    crossing = 0.0
    within = 0.0
    for i in range(order.shape[0]):
        slot = order[i]
        for e in range(row_start[slot], row_stop[slot]):
            at = rank[entry_slot[e]]
            if at >= 0 and at < i:
                crossing -= entry_weight[e]
            else:
                crossing += entry_weight[e]
        within += volume[slot]
        # What is left of cancelled sums must not look like a cut.
        cut[i] = crossing if crossing > 1e-12 * within else 0.0
        inside[i] = within
    for i in range(order.shape[0]):
        rank[order[i]] = -1


@kernel
def conductance(cut, inside, total, out):
    """cut / min(vol, total - vol); 1 where one side has no volume, since such a set separates nothing."""
    for i in range(cut.shape[0]):
        smaller = min(inside[i], total - inside[i])
        out[i] = cut[i] / smaller if smaller > 1e-12 * total else 1.0
        if out[i] > 1.0:
            out[i] = 1.0


@kernel
def best_prefix(values, curve):
    """The shortest prefix of least conductance that does not separate equal values."""
    best = np.int64(-1)
    for i in range(curve.shape[0]):
        if i + 1 < curve.shape[0] and values[i + 1] == values[i]:
            continue
        if best < 0 or curve[i] < curve[best]:
            best = np.int64(i)
    return best + 1
