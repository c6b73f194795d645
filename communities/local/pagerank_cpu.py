"""Kernel of approximate personalised PageRank: pushes of residuals over the slots of a local graph."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ...graphlib.compute.moves_cpu import copy_to

DONE, MUST_OPEN, PAUSED = 0, 1, 2


@kernel
def push(queue, size, state, rows, degree, alpha, rho, budget):
    """Rounds of pushes over the slots with residual > rho * degree until none is left or a row must be opened.

    `queue` = (slots whose turn it is, those of the next round, a mark on all that are in either), `rows` are those of
    `LocalGraph.open_rows`, `state` = (p, residual). It pauses between two rounds once `budget` entries have been
    visited.

    Lazy walk: a push keeps alpha of the residual, leaves half of the rest and spreads the other half over the row.
    Returns the state, the number of active slots (now first in `queue`), pushes and entries visited.
    """
    active, later, queued = queue
    p, residual = state
    row_start, row_stop, row_weight, loops, entry_slot, entry_weight = rows
    pushes = np.int64(0)
    visited = np.int64(0)
    while size > 0:
        for k in range(size):
            if row_start[active[k]] < 0:
                return MUST_OPEN, size, pushes, visited
        if visited > budget:
            return PAUSED, size, pushes, visited
        fresh = 0
        for k in range(size):
            slot = active[k]
            queued[slot] = 0
            held = residual[slot]
            p[slot] += alpha * held
            rest = 0.5 * (1.0 - alpha) * held
            total = row_weight[slot] + loops[slot]
            residual[slot] = rest
            pushes += 1
            if total > 0:
                share = rest / total
                residual[slot] += share * loops[slot]
                visited += row_stop[slot] - row_start[slot]
                for e in range(row_start[slot], row_stop[slot]):
                    other = entry_slot[e]
                    residual[other] += share * entry_weight[e]
                    if queued[other] == 0 and residual[other] > rho * degree[other]:
                        queued[other] = 1
                        later[fresh] = other
                        fresh += 1
            if queued[slot] == 0 and residual[slot] > rho * degree[slot]:
                queued[slot] = 1
                later[fresh] = slot
                fresh += 1
        copy_to(active, later[:fresh])
        size = fresh
    return DONE, size, pushes, visited
