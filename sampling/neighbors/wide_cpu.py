"""Kernels of uniform samples around many seeds: what is drawn of a block of rows stays in a cache until it is numbered.

Nothing as long as the sample is written but the sample: positions of picks, and then the nodes they lead to, lie where
these nodes' numbers will.
"""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel, prefetch
from .number_cpu import look_up, repeat_numbers
from .pick_cpu import count_picks, pick_uniform, picks_of, whole_rows

AHEAD = 24
BLOCK = 1024


@kernel
def count_blocks(indptr, frontier, rule, totals):
    """`totals[i]` = how many edges the i-th `BLOCK` rows yield; `rule` = (fanout, replace)."""
    fanout, replace = rule
    for i in range(frontier.shape[0]):
        if i + AHEAD < frontier.shape[0]:
            prefetch(indptr, frontier[i + AHEAD])
        node = frontier[i]
        totals[i // BLOCK] += picks_of(indptr[node + 1] - indptr[node], fanout, replace)


@kernel
def draw_rows(entries, frontier, first, name, rule, found):
    """Edges of the rows of `frontier`, whose first node has the number `first`; their far ends not numbered yet.

    `entries` = (indptr, indices, edge_ids), `name` = (root, epoch, hop), `rule` = (fanout, replace), `found` = (near,
    far, edges), of which `far` becomes nodes.
    """
    indptr, indices, edge_ids = entries
    fanout, replace = rule
    near, far, edges = found
    low, high, shares = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(BLOCK + 1, np.int64)
    start = 0
    for begin in range(0, frontier.shape[0], BLOCK):
        rows = frontier[begin : begin + BLOCK]
        size = rows.shape[0]
        a, b, offsets = low[:size], high[:size], shares[: size + 1]
        offsets[0] = 0
        whole_rows(indptr, rows, a, b)
        stop = start + count_picks(a, b, fanout, replace, offsets)
        pick_uniform(a, b, rows, name, fanout, replace, offsets, far[start:stop])
        repeat_numbers(offsets, first + begin, near[start:stop])
        look_up(indices, edge_ids, far[start:stop], far[start:stop], edges[start:stop])
        start = stop
