"""Kernel that finds where each node's upper links begin in an hnswlib file."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel


@kernel
def upper_lists(data, start, offsets, sizes):
    """Walk the lists behind byte `start`: per node, where its bytes begin and how many they are.

    Returns the position behind the last list, or -(node + 1) when the list of `node` passes the end of `data`.
    """
    at = start
    end = data.shape[0]
    for node in range(offsets.shape[0]):
        if at + 4 > end:
            return -(node + 1)
        size = np.int64(0)
        for j in range(4):
            size |= np.int64(data[at + j]) << (8 * j)
        at += 4
        if size > end - at:
            return -(node + 1)
        offsets[node] = at
        sizes[node] = size
        at += size
    return at
