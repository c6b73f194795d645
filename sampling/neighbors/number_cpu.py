"""Kernels that number the nodes a sample reached, in order of first visit."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel, prefetch

AHEAD = 96  # picks; those of a row lie side by side, so that these are some ten rows
LAG = 64
_EMPTY = -1
_FIBONACCI = np.uint64(0x9E3779B97F4A7C15)


@kernel
def number_nodes(entries, positions, marks, nodes, num_nodes, neighbor, edge):
    """Local numbers and edge ids of the entries at `positions`; new nodes are appended to `nodes`.

    `mark[v]` is base + local number for nodes seen in this batch and less than `base` for others, so nothing is cleared
    between batches. The entry, and then the mark of its node, are fetched `AHEAD` and `LAG` picks before they are
    needed. Returns how many nodes there are now.
    """
    indices, edge_ids = entries
    mark, base = marks
    total = positions.shape[0]
    for i in range(total + LAG):
        if i + AHEAD < total:
            prefetch(indices, positions[i + AHEAD])
            prefetch(edge_ids, positions[i + AHEAD])
        if i < total:
            entry = positions[i]
            edge[i] = edge_ids[entry]
            prefetch(mark, indices[entry])
        if i >= LAG:
            node = indices[positions[i - LAG]]
            seen = mark[node] - base
            if seen < 0:
                seen = num_nodes
                mark[node] = base + num_nodes
                nodes[num_nodes] = node
                num_nodes += 1
            neighbor[i - LAG] = seen
    return num_nodes


@kernel
def look_up(indices, edge_ids, positions, far, edge):
    """The nodes and edges of the entries at `positions`, which `far` may be: a node takes its position's place."""
    for i in range(positions.shape[0]):
        if i + AHEAD < positions.shape[0]:
            prefetch(indices, positions[i + AHEAD])
            prefetch(edge_ids, positions[i + AHEAD])
        entry = positions[i]
        edge[i] = edge_ids[entry]
        far[i] = indices[entry]


@kernel
def number_far(far, marks, nodes, num_nodes):
    """Local numbers in the place of nodes, as `number_nodes` gives them; returns how many nodes there are now."""
    mark, base = marks
    for i in range(far.shape[0]):
        if i + LAG < far.shape[0]:
            prefetch(mark, far[i + LAG])
        node = far[i]  # written out as in `number_nodes`: a function for both takes a sixth more time
        seen = mark[node] - base
        if seen < 0:
            seen = num_nodes
            mark[node] = base + num_nodes
            nodes[num_nodes] = node
            num_nodes += 1
        far[i] = seen
    return num_nodes


@kernel(inline="always")
def _slot_of(keys, key):
    """The slot that holds `key`, or the free one where it belongs (open addressing, 2^b slots)."""
    mask = keys.shape[0] - 1
    word = np.uint64(key) * _FIBONACCI
    slot = np.int64(word >> np.uint64(32)) & mask
    while keys[slot] != _EMPTY and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def number_pairs(indices, positions, offsets, row_tree, table, span, found, num_nodes, neighbor):
    """As `number_nodes` with one tree per seed: a local number per (tree, node) pair.

    `row_tree[i]` is the tree of the i-th row just sampled; `found` = (nodes, tree) are those of the local nodes, and
    `table` = (keys, values) has a slot for each pair.
    """
    keys, values = table
    nodes, tree = found
    for i in range(offsets.shape[0] - 1):
        branch = row_tree[i]
        for j in range(offsets[i], offsets[i + 1]):
            node = np.int64(indices[positions[j]])
            key = branch * span + node
            slot = _slot_of(keys, key)
            if keys[slot] == _EMPTY:
                keys[slot], values[slot] = key, num_nodes
                nodes[num_nodes] = node
                tree[num_nodes] = branch
                num_nodes += 1
            neighbor[j] = values[slot]
    return num_nodes


@kernel
def enter_pairs(nodes, tree, span, keys, values):
    """Enter (tree, node) pairs that are numbered already into a larger, empty table."""
    for j in range(nodes.shape[0]):
        key = tree[j] * span + nodes[j]
        slot = _slot_of(keys, key)
        keys[slot], values[slot] = key, j


@kernel
def repeat_numbers(offsets, first, out):
    """The local number of the sampled row's owner, once per pick."""
    for i in range(offsets.shape[0] - 1):
        for j in range(offsets[i], offsets[i + 1]):
            out[j] = first + i


@kernel
def gather(values, positions, out):
    """`out[i] = values[positions[i]]` with the reads prefetched."""
    for i in range(positions.shape[0]):
        if i + AHEAD < positions.shape[0]:
            prefetch(values, positions[i + AHEAD])
        out[i] = values[positions[i]]
