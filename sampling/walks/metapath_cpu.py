"""Kernel of metapath walks: one step of all walks, with the next reads fetched ahead."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import parallel_kernel, prefetch
from ...graphlib.compute.random_cpu import bounded, stream

BLOCK = 32


@parallel_kernel
def step_along(indptr, indices, streams, root, epoch, step, counters, out):
    """Fill column `step + 1` of `out` with a neighbour of column `step`, or -1.

    Walks of a block read together: first where their rows lie, then the chosen entries, so that cache misses overlap.
    """
    num_walks = out.shape[0]
    for block in numba.prange((num_walks + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, num_walks - first)
        position = np.empty(BLOCK, np.int64)
        for w in range(count):
            if out[first + w, step] >= 0:
                prefetch(indptr, out[first + w, step])
        for w in range(count):
            walk = first + w
            node = out[walk, step]
            position[w] = -1
            if node >= 0:
                start = indptr[node]
                degree = indptr[node + 1] - start
                if degree > 0:
                    key = stream(root, epoch, out[walk, 0], streams[walk])
                    chosen, counters[walk] = bounded(key, counters[walk], degree)
                    position[w] = start + chosen
                    prefetch(indices, position[w])
        for w in range(count):
            out[first + w, step + 1] = indices[position[w]] if position[w] >= 0 else -1
