"""Kernels that bring rows of a large graph into a small one: nodes get slots in the order in which they are met.

The table is an open-addressing hash set of slots (linear probing, at most half full), so nothing here is as long as the
graph has nodes.
"""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel

_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


@kernel(inline="always")
def _place(table, node):
    return np.int64(((np.uint64(node) * _MIX) >> _HALF) & np.uint64(table.shape[0] - 1))


@kernel(inline="always")
def _found(table, nodes, node):
    """Where the table holds a node, or the free place that a new one takes."""
    mask = table.shape[0] - 1
    at = _place(table, node)
    while table[at] >= 0 and nodes[table[at]] != node:
        at = (at + 1) & mask
    return at


@kernel
def slot_of(table, nodes, node):
    """The slot of a node, or -1."""
    slot = table[_found(table, nodes, node)]
    return slot if slot >= 0 else np.int64(-1)


@kernel
def slots_of(table, nodes, wanted, out):
    """The slot of every wanted node, -1 where it has none."""
    for i in range(wanted.shape[0]):
        out[i] = slot_of(table, nodes, wanted[i])


@kernel
def refill(table, nodes, count):
    """Enter the first `count` nodes into an emptied table."""
    mask = table.shape[0] - 1
    table[:] = -1
    for slot in range(count):
        at = _place(table, nodes[slot])
        while table[at] >= 0:
            at = (at + 1) & mask
        table[at] = slot


@kernel
def _enter(table, nodes, count, node):
    """The slot of a node that is entered if it is new; a slot equal to `count` is a new one."""
    at = _found(table, nodes, node)
    if table[at] >= 0:
        return table[at]
    table[at] = count
    nodes[count] = node
    return np.int64(count)


@kernel
def enter_all(table, nodes, count, wanted, out):
    """Slots of nodes, new ones entered; returns the new count."""
    for i in range(wanted.shape[0]):
        out[i] = _enter(table, nodes, count, wanted[i])
        if out[i] == count:
            count += 1
    return count


@kernel
def copy_rows(slots, source, table, nodes, count, rows, entries):
    """Copy the rows of `slots` as rows of slots; returns the new numbers of slots and of entries.

    `source` = (indptr, indices, weight), `rows` are those of `LocalGraph.open_rows`. Self-loops carry no flow: their
    weight goes to `loops` and they are no entries.
    """
    indptr, indices, weight = source
    row_start, row_stop, _, loops, entry_slot, entry_weight = rows
    weighted = weight.shape[0] > 0
    for k in range(slots.shape[0]):
        slot = slots[k]
        node = nodes[slot]
        row_start[slot] = entries
        loop = 0.0
        for e in range(indptr[node], indptr[node + 1]):
            w = np.float64(weight[e]) if weighted else 1.0
            if indices[e] == node:
                loop += w
                continue
            other = _enter(table, nodes, count, indices[e])
            if other == count:
                count += 1
            entry_slot[entries] = other
            entry_weight[entries] = w
            entries += 1
        row_stop[slot] = entries
        loops[slot] = loop
    return count, entries


@kernel
def degrees(first, count, nodes, indptr, weight, out):
    """Weighted degrees of slots first..count-1, self-loops included; returns a slot with a negative weight, or -1."""
    bad = np.int64(-1)
    for slot in range(first, count):
        start, stop = indptr[nodes[slot]], indptr[nodes[slot] + 1]
        total = 0.0
        if weight.shape[0] == 0:
            total += stop - start
        else:
            for e in range(start, stop):
                total += np.float64(weight[e])
                if not weight[e] >= 0:
                    bad = np.int64(slot)
        out[slot] = total
    return bad


@kernel
def weigh_by_labels(slots, rows, labels, epsilon):
    """Multiply edges whose ends have different known labels by `epsilon`; a negative label is unknown."""
    row_start, row_stop, _, _, entry_slot, entry_weight = rows
    for k in range(slots.shape[0]):
        own = labels[slots[k]]
        if own < 0:
            continue
        for e in range(row_start[slots[k]], row_stop[slots[k]]):
            other = labels[entry_slot[e]]
            if other >= 0 and other != own:
                entry_weight[e] *= epsilon


@kernel
def _squared_gap(a, b):
    total = 0.0
    for j in range(a.shape[0]):
        gap = np.float64(a[j]) - np.float64(b[j])
        total += gap * gap
    return total


@kernel
def squared_gaps(near, far, attributes, out):
    """|X_i - X_j|^2 of pairs of nodes."""
    for k in range(near.shape[0]):
        out[k] = _squared_gap(attributes[near[k]], attributes[far[k]])


@kernel
def weigh_by_attributes(slots, rows, nodes, attributes, gamma):
    """Multiply edge (i, j) by exp(-gamma |X_i - X_j|^2)."""
    row_start, row_stop, _, _, entry_slot, entry_weight = rows
    for k in range(slots.shape[0]):
        own = attributes[nodes[slots[k]]]
        for e in range(row_start[slots[k]], row_stop[slots[k]]):
            entry_weight[e] *= np.exp(-gamma * _squared_gap(own, attributes[nodes[entry_slot[e]]]))


@kernel
def row_sums(slots, rows):
    """Total entry weight of the rows of `slots`."""
    row_start, row_stop, totals, _, _, entry_weight = rows
    for k in range(slots.shape[0]):
        total = 0.0
        for e in range(row_start[slots[k]], row_stop[slots[k]]):
            total += entry_weight[e]
        totals[slots[k]] = total
