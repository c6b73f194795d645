"""Kernels of the id dictionary: which ids occur, and where each stands among the sorted distinct ones."""

from __future__ import annotations

import numba
import numpy as np

from ..compute.jit import kernel, parallel_kernel


@kernel
def mark_bits(ids, bits):
    """Set bit `ids[i]` of `bits` (uint64 words)."""
    for i in range(ids.shape[0]):
        value = np.uint64(ids[i])
        bits[value >> np.uint64(6)] |= np.uint64(1) << (value & np.uint64(63))


@kernel
def first_slot(key, shift):
    """Home of a key in the table: the high bits of a multiplicative hash."""
    return np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))


@kernel
def fill_slots(keys, first, slots, shift):
    """Enter the positions first, first + 1, ... of `keys` into an open-addressing table whose empty slots hold -1."""
    mask = slots.shape[0] - 1
    for i in range(keys.shape[0]):
        at = first_slot(keys[i], shift)
        while slots[at] >= 0:
            at = (at + 1) & mask
        slots[at] = first + i


@parallel_kernel
def find_positions(keys, slots, shift, wanted, out):
    """`out[i]` is the position of `wanted[i]` in `keys`, or -1."""
    mask = slots.shape[0] - 1
    for i in numba.prange(wanted.shape[0]):
        key = wanted[i]
        at = first_slot(key, shift)
        found = slots[at]
        while found >= 0 and keys[found] != key:
            at = (at + 1) & mask
            found = slots[at]
        out[i] = found
