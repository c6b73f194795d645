"""Kernel of induced subgraphs: the adjacency entries between marked nodes."""

from __future__ import annotations

from ...graphlib.compute.jit import kernel, prefetch

AHEAD = 24


@kernel
def entries_between(rows, nodes, first, last, marks, place, found, out):
    """Count the entries from rows `nodes[first:last]` to marked nodes and, where `out` has room, write them.

    `rows` = (indptr, indices), `marks` = (mark, base). A node v is marked where `mark[v]` is at least `base`, and its
    number is `place` + the rest. `out` = (positions, numbers of the far ends, numbers of the near ends) is filled from
    `found` on. Returns `found` and the entries together.
    """
    indptr, indices = rows
    mark, base = marks
    positions, far, near = out
    for i in range(first, last):
        for e in range(indptr[nodes[i]], indptr[nodes[i] + 1]):
            if e + AHEAD < indices.shape[0]:
                prefetch(mark, indices[e + AHEAD])
            seen = mark[indices[e]] - base
            if seen >= 0:
                if positions.shape[0] > 0:
                    positions[found] = e
                    far[found] = place + seen
                    near[found] = i
                found += 1
    return found
