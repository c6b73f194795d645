"""Nodes numbered by their first visit, on a GPU: a hash table of nodes that lasts over the hops of a sample.

How many nodes and edges there are is known on the device alone, in `state` (int64): the ends of the seeds and of each
hop in `nodes`, [0, seeds, seeds + first hop, ...]; then, per hop, its edges; then, per hop, the room that they would
have needed, 0 where they had it. Kernels are launched for the most there can be and read there how many there are.

Sums over many blocks take two kernels: each block sums its share, then each adds up the shares before its own. A share
is a contiguous part, read by a block's threads side by side.
"""

from __future__ import annotations

import numpy as np
from numba import config

from ...graphlib.compute.numba_cuda import cuda, cuda_kernel
from ...graphlib.compute.random_cuda import mix64

EMPTY = -1
UNSEEN = np.iinfo(np.int64).max
THREADS = 32 if config.ENABLE_CUDASIM else 256  # type: ignore[attr-defined]


@cuda.jit(device=True)
def edges_before(state, hop, hops):
    """Edges of the hops before this one; those of all hops lie end to end."""
    count = np.int64(0)
    for h in range(hop):
        count += state[hops + 2 + h]
    return count


@cuda.jit(device=True)
def block_sum(value):
    """The sum over the block's threads, in every thread."""
    cells = cuda.shared.array(THREADS, np.int64)
    thread = cuda.threadIdx.x
    cells[thread] = value
    cuda.syncthreads()
    step = THREADS // 2
    while step > 0:
        if thread < step:
            cells[thread] += cells[thread + step]
        cuda.syncthreads()
        step //= 2
    total = cells[0]
    cuda.syncthreads()
    return total


@cuda.jit(device=True)
def sum_before(sums):
    """The sum of `sums[: this block]`, in every thread."""
    part = np.int64(0)
    for b in range(cuda.threadIdx.x, cuda.blockIdx.x, THREADS):
        part += sums[b]
    return block_sum(part)


@cuda.jit(device=True)
def scan_block(value, cells):
    """The sum of `value` over this thread and those before it; that of the block is left in the last of `cells`."""
    thread = cuda.threadIdx.x
    cells[thread] = value
    cuda.syncthreads()
    step = 1
    while step < THREADS:
        other = cells[thread - step] if thread >= step else np.int64(0)
        cuda.syncthreads()
        cells[thread] += other
        cuda.syncthreads()
        step *= 2
    return cells[thread]


@cuda.jit(device=True)
def place_shares(counts, size, sums, offsets):
    """Where the share of each of `size` begins, where a block's shares sum to `sums`; returns the end of this block's.

    The last block writes where the last share ends.
    """
    cells = cuda.shared.array(THREADS, np.int64)
    # the simulator forgets what `cuda` is once a thread returned: nothing asks it behind the last barrier
    thread, is_last = cuda.threadIdx.x, cuda.blockIdx.x == cuda.gridDim.x - 1 and cuda.threadIdx.x == 0
    start, stop = size * cuda.blockIdx.x // cuda.gridDim.x, size * (cuda.blockIdx.x + 1) // cuda.gridDim.x
    before = sum_before(sums)
    for first in range(start, stop, THREADS):
        i = first + thread
        mine = counts[i] if i < stop else np.int64(0)
        upto = scan_block(mine, cells)
        if i < stop:
            offsets[i] = before + upto - mine
        before += cells[THREADS - 1]
        cuda.syncthreads()
    if is_last:
        offsets[size] = before
    return before


@cuda_kernel
def reset_table(keys, order, state):
    """An empty table, and nothing sampled."""
    for i in range(cuda.grid(1), state.shape[0], cuda.gridsize(1)):
        state[i] = 0
    for slot in range(cuda.grid(1), keys.shape[0], cuda.gridsize(1)):
        keys[slot] = EMPTY
        order[slot] = UNSEEN


@cuda_kernel
def enter(indices, positions, state, hop, hops, keys, order, slots):
    """Enter the node `indices[positions[i]]` of each edge i of a hop; `order` of a new one is the least base + i.

    Hop -1 is that of the seeds: as many as `positions` says.
    """
    mask = np.int64(keys.shape[0] - 1)
    count = state[hops + 2 + hop] if hop >= 0 else positions.shape[0]
    base = state[hop + 1]
    for i in range(cuda.grid(1), count, cuda.gridsize(1)):
        node = np.int64(indices[positions[i]])
        slot = np.int64(mix64(np.uint64(node)) >> np.uint64(1)) & mask
        while True:
            held = cuda.atomic.cas(keys, slot, EMPTY, node)
            if held in (EMPTY, node):
                break
            slot = (slot + 1) & mask
        cuda.atomic.min(order, slot, np.int64(base + i))
        slots[i] = slot


@cuda_kernel
def count_new(state, hop, hops, count_seeds, order, slots, sums):
    """Per block, the nodes of its share of a hop's edges that were not numbered before."""
    count = state[hops + 2 + hop] if hop >= 0 else count_seeds
    base = state[hop + 1]
    part = np.int64(0)
    stop = count * (cuda.blockIdx.x + 1) // cuda.gridDim.x
    for i in range(count * cuda.blockIdx.x // cuda.gridDim.x + cuda.threadIdx.x, stop, THREADS):
        part += np.int64(order[slots[i]] == base + i)
    total = block_sum(part)
    if cuda.threadIdx.x == 0:
        sums[cuda.blockIdx.x] = total


@cuda_kernel
def number_new(indices, positions, state, hop, hops, order, slots, sums, nodes):
    """New nodes in first-visit order to `nodes`, and their numbers to `order`; both ends of `state` move on.

    A number is at most base + i of the first edge i that leads to the node, so no later edge mistakes it for its own.
    """
    cells = cuda.shared.array(THREADS, np.int64)
    count = state[hops + 2 + hop] if hop >= 0 else positions.shape[0]
    base = state[hop + 1]
    local = base + sum_before(sums)
    stop = count * (cuda.blockIdx.x + 1) // cuda.gridDim.x
    for first in range(count * cuda.blockIdx.x // cuda.gridDim.x, stop, THREADS):
        i = first + cuda.threadIdx.x
        new = np.int64(0)
        if i < stop:
            new = np.int64(order[slots[i]] == base + i)
        rank = scan_block(new, cells)
        if new == 1:
            order[slots[i]] = local + rank - 1
            nodes[local + rank - 1] = np.int64(indices[positions[i]])
        local += cells[THREADS - 1]
        cuda.syncthreads()
    if cuda.blockIdx.x == cuda.gridDim.x - 1 and cuda.threadIdx.x == 0:
        state[hop + 2] = local


@cuda_kernel
def read_numbers(edge_ids, positions, state, hop, hops, order, slots, far, edges):
    """The local number of the node at each edge of a hop, and the edge's id."""
    count = state[hops + 2 + hop] if hop >= 0 else positions.shape[0]
    at = edges_before(state, hop, hops)
    for i in range(cuda.grid(1), count, cuda.gridsize(1)):
        far[at + i] = order[slots[i]]
        if hop >= 0:
            edges[at + i] = edge_ids[positions[i]]
