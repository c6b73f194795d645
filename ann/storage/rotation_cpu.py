"""A random rotation in O(width log width): signs, Walsh-Hadamard transforms, signs, ..."""

from __future__ import annotations

import math

import numpy as np

from ...graphlib.compute.jit import kernel

_LANES = 16
_HALF = np.float32(math.sqrt(0.5))


@kernel
def _butterflies(values, first, size, shortest):
    """Sums and differences of what lies size / 2, size / 4, ..., `shortest` apart."""
    apart = size >> 1
    while apart >= shortest:
        for start in range(first, first + size, 2 * apart):
            left, right = values[start : start + apart], values[start + apart : start + 2 * apart]
            for j in range(apart):
                a, b = left[j], right[j]
                left[j] = a + b
                right[j] = a - b
        apart >>= 1


@kernel
def _hadamard(values, first, size, room):
    """The orthonormal Walsh-Hadamard transform of values[first:first + size], a power of two from 64 on, reordered.

    Values that lie less than 16 apart are moved apart first, so that every step works on vectors.
    """
    _butterflies(values, first, size, _LANES)
    apart = size // _LANES
    for lane in range(_LANES):
        for j in range(apart):
            room[lane * apart + j] = values[first + j * _LANES + lane]
    _butterflies(room, 0, size, apart)
    scale = np.float32(1 / math.sqrt(size))
    for j in range(size):
        values[first + j] = room[j] * scale


@kernel
def rotate(values, signs, room):
    """Rotate float32 (width,) in place; width is a multiple of 64, `signs` (turns, width) are 1 or -1.

    Where the width is no power of two, turns transform its front and its back in turn, and the halves are mixed.
    """
    width, size = values.shape[0], 64
    while 2 * size <= width:
        size *= 2
    for turn in range(signs.shape[0]):
        for j in range(width):
            values[j] *= signs[turn, j]
        _hadamard(values, width - size if turn & 1 else 0, size, room)
        if size < width:
            half = width >> 1
            left, right = values[:half], values[half:]
            for j in range(half):
                a, b = left[j], right[j]
                left[j] = (a + b) * _HALF
                right[j] = (a - b) * _HALF
