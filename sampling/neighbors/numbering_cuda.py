"""Nodes numbered by their first visit, on a GPU: a hash table of nodes, sums of counts, copies."""

from __future__ import annotations

import numpy as np
from numba import config

from ...graphlib.compute.numba_cuda import cuda
from ...graphlib.compute.random_cuda import mix64

EMPTY = -1
UNSEEN = np.iinfo(np.int64).max
SCAN_THREADS = 4 if config.ENABLE_CUDASIM else 1024  # type: ignore[attr-defined]


@cuda.jit
def fill(array, value):
    """Every element = `value`."""
    for i in range(cuda.grid(1), array.shape[0], cuda.gridsize(1)):
        array[i] = value


@cuda.jit
def scan(counts, offsets):
    """`offsets[i]` = sum of `counts[:i]`, by one block: sums of slices, a scan of those, then each slice again."""
    sums = cuda.shared.array(SCAN_THREADS, np.int64)
    thread = cuda.threadIdx.x
    total = counts.shape[0]
    start = total * thread // SCAN_THREADS
    stop = total * (thread + 1) // SCAN_THREADS
    part = np.int64(0)
    for i in range(start, stop):
        part += counts[i]
    sums[thread] = part
    cuda.syncthreads()
    if thread == 0:
        running = np.int64(0)
        for t in range(SCAN_THREADS):
            mine = sums[t]
            sums[t] = running
            running += mine
        offsets[total] = running
    cuda.syncthreads()
    running = sums[thread]
    for i in range(start, stop):
        offsets[i] = running
        running += counts[i]


@cuda.jit(device=True)
def _slot_of(keys, key):
    """The slot that holds `key`, which is entered if it is new; open addressing over 2^b slots."""
    mask = np.int64(keys.shape[0] - 1)
    slot = np.int64(mix64(np.uint64(key)) >> np.uint64(1)) & mask
    while True:
        held = cuda.atomic.cas(keys, slot, EMPTY, key)
        if held == EMPTY:
            return slot
        if held == key:
            return slot
        slot = (slot + 1) & mask


@cuda.jit
def enter(indices, positions, base, keys, order):
    """Enter the nodes at `positions`; `order` of a node is the least base + i at which it occurs."""
    for i in range(cuda.grid(1), positions.shape[0], cuda.gridsize(1)):
        slot = _slot_of(keys, np.int64(indices[positions[i]]))
        cuda.atomic.min(order, slot, np.int64(base + i))


@cuda.jit
def enter_numbered(nodes, count, keys, order):
    """Enter the first `count` of `nodes`, whose numbers are their places."""
    for i in range(cuda.grid(1), count, cuda.gridsize(1)):
        cuda.atomic.min(order, _slot_of(keys, nodes[i]), np.int64(i))


@cuda.jit
def mark_first(indices, positions, base, keys, order, flags):
    """`flags[i]` = 1 where entry i is the first occurrence of a node not numbered before."""
    for i in range(cuda.grid(1), positions.shape[0], cuda.gridsize(1)):
        slot = _slot_of(keys, np.int64(indices[positions[i]]))
        flags[i] = 1 if order[slot] == base + i else 0


@cuda.jit
def number(indices, edge_ids, positions, base, keys, order, ranks, nodes, far, edges):
    """Local numbers and edge ids of the entries at `positions`; new nodes go to `nodes` in first-visit order."""
    for i in range(cuda.grid(1), positions.shape[0], cuda.gridsize(1)):
        node = np.int64(indices[positions[i]])
        seen = order[_slot_of(keys, node)]
        local = seen if seen < base else base + ranks[seen - base]
        if seen == base + i:
            nodes[local] = node
        far[i] = local
        edges[i] = edge_ids[positions[i]]


@cuda.jit
def copy_part(source, target, start, count):
    """`target[start : start + count]` = `source[:count]`."""
    for i in range(cuda.grid(1), count, cuda.gridsize(1)):
        target[start + i] = source[i]
