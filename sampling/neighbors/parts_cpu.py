"""Kernels that join the numbers that several threads gave to new nodes, each among picks of its own.

Part w numbered the nodes that were new to it from `known` on, by marks of its own. In the order in which one thread
would have met them, the new nodes are those of part 0, then those of part 1 that part 0 does not have, and so on. The
lists of parts 1, 2, ... lie behind one another; what becomes of an entry is its number, or `NEW`, or
`OF_ENTRY - e` for that of entry e, the same node in an earlier part.
"""

from __future__ import annotations

from ...graphlib.compute.jit import kernel, prefetch

AHEAD = 24
NEW, OF_ENTRY = -1, -2


@kernel
def find_earlier(marks, others, known, starts, listed, becomes):
    """What becomes of each node of a piece of a part's list; returns how many are new.

    `marks` = (mark, base) are part 0's and `others[u - 1]` part u's, for the parts before this one; `starts[u - 1]` is
    the first entry of part u.
    """
    mark, base = marks
    count = 0
    for i in range(listed.shape[0]):
        if i + AHEAD < listed.shape[0]:
            prefetch(mark, listed[i + AHEAD])
        node = listed[i]
        seen = mark[node] - base
        if seen >= known:
            becomes[i] = seen
            continue
        becomes[i] = NEW
        for u in range(others.shape[0]):
            seen = others[u, node] - base
            if seen >= known:
                becomes[i] = OF_ENTRY - (starts[u] + seen - known)
                break
        count += becomes[i] == NEW
    return count


@kernel
def number_new(marks, listed, number, becomes, nodes):
    """Number the new nodes of a piece from `number` on, in part 0's marks too."""
    mark, base = marks
    for i in range(listed.shape[0]):
        if becomes[i] == NEW:
            becomes[i] = number
            nodes[number] = listed[i]
            mark[listed[i]] = base + number
            number += 1


@kernel
def take_over(first, last, becomes):
    """Entries that are nodes of earlier parts take their numbers."""
    for i in range(first, last):
        if becomes[i] <= OF_ENTRY:
            becomes[i] = becomes[OF_ENTRY - becomes[i]]


@kernel
def translate(known, becomes, neighbor):
    """Numbers that a part gave, from `known` on, as those that they became."""
    for i in range(neighbor.shape[0]):
        if neighbor[i] >= known:
            neighbor[i] = becomes[neighbor[i] - known]


@kernel
def enter_nodes(mark, base, nodes, first, last):
    """Enter the numbers `first` to `last - 1` of nodes into marks."""
    for i in range(first, last):
        if i + AHEAD < last:
            prefetch(mark, nodes[i + AHEAD])
        mark[nodes[i]] = base + i
