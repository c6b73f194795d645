"""Kernels of subgraphs: breadth-first search per seed, edges within blocks of nodes, a shuffle."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel, prefetch
from ...graphlib.compute.moves_cpu import copy_to
from ...graphlib.compute.random_cpu import bounded, stream
from ..neighbors.between_cpu import entries_between

_AHEAD = 16
LARGEST_MARK = np.iinfo(np.int32).max


@kernel
def _search(indptr, indices, seed, hops, limit, mark, stamp, queue, hop):
    """Breadth-first search from `seed` in `queue` (grown as needed); returns the queue, distances and count."""
    queue[0], hop[0] = seed, 0
    mark[seed] = stamp
    count, first = 1, 0
    for depth in range(1, hops + 1):
        last = count
        for i in range(first, last):
            for e in range(indptr[queue[i]], indptr[queue[i] + 1]):
                if e + _AHEAD < indices.shape[0]:
                    prefetch(mark, indices[e + _AHEAD])
                node = indices[e]
                if mark[node] == stamp or count >= limit:
                    continue
                if count == queue.shape[0]:
                    wider = np.empty(2 * count, np.int64)
                    copy_to(wider, queue[:count])
                    queue = wider
                    further = np.empty(2 * count, np.int32)
                    copy_to(further, hop[:count])
                    hop = further
                mark[node] = stamp
                queue[count], hop[count] = node, depth
                count += 1
        first = last
        if first == count:
            break
    return queue, hop, count


@parallel_kernel
def ego(indptr, indices, seeds, hops, limit, mark, stamps, ends, nodes, hop):
    """Count the nodes near every seed into `ends[i + 1]`, or with room in `nodes` write them from `ends[i]` on.

    Each row of `mark` serves one thread; stamps start behind `stamps`, which the marks have reached.
    """
    queue, distance = np.empty(256, np.int64), np.empty(256, np.int32)
    for i in numba.prange(seeds.shape[0]):
        own = mark[numba.get_thread_id()]  # type: ignore[attr-defined]
        queue, distance, count = _search(indptr, indices, seeds[i], hops, limit, own, stamps + i + 1, queue, distance)
        if nodes.shape[0] == 0:
            ends[i + 1] = count
        else:
            at = ends[i]
            for j in range(count):
                nodes[at + j], hop[at + j] = queue[j], distance[j]


@kernel
def edges_within_blocks(rows, nodes, blocks, marks, found, out):
    """The entries between two nodes of one block `nodes[blocks[b]:blocks[b + 1]]`, counted as by `entries_between`.

    `mark[v]` is base + the place of v in its block while that block's turn lasts, and less than `base` otherwise: the
    base moves on by the size of each block, and marks are cleared before it would leave their type. Returns `found` and
    the entries together, and the base for the next call.
    """
    mark, base = marks
    for b in range(blocks.shape[0] - 1):
        first, last = blocks[b], blocks[b + 1]
        if base > LARGEST_MARK - (last - first):
            mark[:] = 0
            base = np.int64(1)
        for i in range(first, last):
            mark[nodes[i]] = base + i - first
        found = entries_between(rows, nodes, first, last, (mark, base), first, found, out)
        base += last - first
    return found, base


@kernel
def shuffle(root, epoch, order):
    """Fisher-Yates over the stream (root, epoch, 0, 0)."""
    key = stream(root, epoch, 0, 0)
    counter = np.int64(0)
    for i in range(order.shape[0] - 1, 0, -1):
        chosen, counter = bounded(key, counter, i + 1)
        order[i], order[chosen] = order[chosen], order[i]
