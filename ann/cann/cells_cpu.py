"""Kernels of random grids: the cells in which rows lie, as 32-bit keys of which any beginning is a coarser cell."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel

_LANES = 16  # rows side by side, so that every step of a rotation is a few vector instructions
AXES = 16  # of two bits each in a key


@kernel
def hadamard(block):
    """Multiply the columns of (2^k, 16) numbers, given flat, by the Hadamard matrix of that size, in place."""
    half = _LANES
    while half < block.shape[0]:
        for start in range(0, block.shape[0], 2 * half):
            above, below = block[start : start + half], block[start + half : start + 2 * half]
            for i in range(half):
                x, y = above[i], below[i]
                above[i], below[i] = x + y, x - y
        half *= 2


@kernel
def rotate(rows, first, count, signs, block):
    """Write `count` rows from `first` on, times signs, Hadamard, signs, Hadamard, to the columns of `block`."""
    for i in range(signs.shape[1]):
        line, sign = block[i * _LANES : (i + 1) * _LANES], signs[0, i]
        for lane in range(_LANES):
            line[lane] = np.float32(0)
        if i < rows.shape[1]:
            for lane in range(count):
                line[lane] = rows[first + lane, i] * sign
    hadamard(block)
    for i in range(signs.shape[1]):
        line, sign = block[i * _LANES : (i + 1) * _LANES], signs[1, i]
        for lane in range(_LANES):
            line[lane] *= sign
    hadamard(block)


@parallel_kernel
def cell_keys(rows, signs, shifts, per_cell, keys):
    """Fill `keys` uint32 (grids, rows): two bits of the cell's number along each of 16 rotated axes, the first highest.

    A rotation, `signs` float32 (rotations, 2, size), serves size / 16 grids, of `shifts` float32 (grids, 16) in cells;
    `size` is a power of two, at least the width of `rows`. `per_cell` turns rotated coordinates, which the Hadamard
    matrices have stretched `size` times, into cells.
    """
    for part in numba.prange((rows.shape[0] + _LANES - 1) // _LANES):
        first = part * _LANES
        count = min(_LANES, rows.shape[0] - first)
        size = signs.shape[2]
        block = np.empty(size * _LANES, np.float32)
        made = np.empty(_LANES, np.uint32)
        for grid in range(shifts.shape[0]):
            axis = grid * AXES % size
            if axis == 0:
                rotate(rows, first, count, signs[grid * AXES // size], block)
            for lane in range(_LANES):
                made[lane] = 0
            for a in range(AXES):
                shift, line = shifts[grid, a], block[(axis + a) * _LANES : (axis + a + 1) * _LANES]
                for lane in range(_LANES):
                    cell = np.int32(np.floor(line[lane] * per_cell + shift))
                    made[lane] = (made[lane] << np.uint32(2)) | np.uint32(cell & np.int32(3))
            for lane in range(count):
                keys[grid, first + lane] = made[lane]
