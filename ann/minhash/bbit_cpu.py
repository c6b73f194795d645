"""The lowest bits of every slot, packed into 64-bit words, and how many slots of two rows agree."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel

_ONE = np.uint64(1)


@parallel_kernel
def pack_rows(signatures, bits, out):
    """Slot s of a row goes to bits s*bits.. of the row's words; `bits` divides 64."""
    mask = (_ONE << np.uint64(bits)) - _ONE
    per_word = 64 // bits
    for row in numba.prange(signatures.shape[0]):
        signature, words = signatures[row], out[row]
        words[:] = np.uint64(0)
        for slot in range(signature.shape[0]):
            shift = np.uint64((slot % per_word) * bits)
            words[slot // per_word] |= (np.uint64(signature[slot]) & mask) << shift


@kernel(inline="always")
def _ones(word):
    """Number of bits set."""
    x = word - ((word >> _ONE) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def equal_slots(left, right, bits, lowest, num_perm):
    """Slots on which two packed rows agree; `lowest` has the lowest bit of every slot of a word set."""
    different = 0
    for place in range(left.shape[0]):
        x = left[place] ^ right[place]
        shift = 1
        while shift < bits:  # gather each slot's bits in its lowest one
            x |= x >> np.uint64(shift)
            shift *= 2
        different += _ones(x & lowest)
    return num_perm - different


@parallel_kernel
def packed_matches(left_rows, left, right_rows, right, bits, lowest, num_perm, out):
    """Equal slots of rows left[i] and right[i]."""
    for i in numba.prange(left.shape[0]):
        out[i] = equal_slots(left_rows[left[i]], right_rows[right[i]], bits, lowest, num_perm)
