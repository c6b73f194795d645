"""Kernel that copies a level's links out of a file into an index, checking every one."""

from __future__ import annotations

from ...graphlib.compute.jit import kernel

OUTSIDE, BELOW, TOO_MANY = 1, 2, 3


@kernel
def place_links(nodes, given, given_counts, levels, level, places, table, counts):
    """Write row i of `given` to `table[places[i]]`, without repetitions and links of a node to itself.

    Returns (0, 0), or what is wrong (`OUTSIDE`: no such node; `BELOW`: a node that does not reach this level;
    `TOO_MANY` for the table) and the first row where it is. `given_counts` must lie within the width of `given`.
    """
    num_nodes = levels.shape[0]
    for i in range(nodes.shape[0]):
        row = table[places[i]]
        kept = 0
        for j in range(given_counts[i]):
            link = given[i, j]
            if link < 0 or link >= num_nodes:
                return OUTSIDE, i
            if levels[link] < level:
                return BELOW, i
            fresh = link != nodes[i]
            for before in range(kept):
                if row[before] == link:
                    fresh = False
            if fresh:
                if kept == row.shape[0]:
                    return TOO_MANY, i
                row[kept] = link
                kept += 1
        counts[places[i]] = kept
    return 0, 0
