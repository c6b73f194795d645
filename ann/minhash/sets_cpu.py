"""Kernels over ragged sets: order, and exact Jaccard similarity."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.moves_cpu import reorder
from ...graphlib.compute.sorting_cpu import stable_order


@parallel_kernel
def find_descents(offsets, values, found):
    """Set `found[0]` if the elements of a row are not in non-descending order."""
    for row in numba.prange(offsets.shape[0] - 1):
        for i in range(offsets[row] + 1, offsets[row + 1]):
            if values[i] < values[i - 1]:
                found[0] = True
                break


@parallel_kernel
def sort_rows(offsets, values, weights):
    """Sort the elements of each row in place, and their weights with them unless `weights` is empty."""
    for row in numba.prange(offsets.shape[0] - 1):
        start, stop = offsets[row], offsets[row + 1]
        order = stable_order(values[start:stop])
        reorder(values[start:stop], order)
        if weights.shape[0] > 0:
            reorder(weights[start:stop], order)


@kernel
def jaccard_of_rows(values, start, stop, other, other_start, other_stop):
    """Exact Jaccard similarity of two ascending rows, repeats counted once; 0 when both are empty."""
    i, j, both, either = start, other_start, 0, 0
    while i < stop and j < other_stop:
        x, y = np.int64(values[i]), np.int64(other[j])
        either += 1
        if x == y:
            both += 1
        if x <= y:
            while i < stop and np.int64(values[i]) == x:
                i += 1
        if y <= x:
            while j < other_stop and np.int64(other[j]) == y:
                j += 1
    while i < stop:
        x = values[i]
        either += 1
        while i < stop and values[i] == x:
            i += 1
    while j < other_stop:
        y = other[j]
        either += 1
        while j < other_stop and other[j] == y:
            j += 1
    return np.float32(both) / np.float32(either) if either else np.float32(0)


@parallel_kernel
def jaccard_of_pairs(offsets, values, other_offsets, other_values, left, right, out):
    """Exact Jaccard similarity of row left[p] of one collection and row right[p] of the other; rows ascend."""
    for p in numba.prange(left.shape[0]):
        i, j = left[p], right[p]
        out[p] = jaccard_of_rows(
            values, offsets[i], offsets[i + 1], other_values, other_offsets[j], other_offsets[j + 1]
        )  # fmt: skip
