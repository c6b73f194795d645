"""C-MinHash: K hash functions from two permutations, by circulant shifts of the second.

The second permutation is a table of words, continued at its end, and slot s of an element at `place` reads
`table[place + s]`: one load, one addition and one minimum per slot, sixteen slots at a time.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import mix64
from .affine_cpu import EMPTY
from .hashing_cpu import fold32

_CEILING = np.uint32(0xFFFFFFFE)
_BLOCK = 512
_S32 = np.uint64(32)
_LOW32 = np.uint64(0xFFFFFFFF)


@kernel(inline="always")
def _lower(minima, table, places, shifts, count):
    """`minima[s] = min(minima[s], table[places[i] + s] + shifts[i])` for i < count, four elements at a time."""
    slots, last = minima.shape[0], count - 1
    for i in range(0, count, 4):
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        t0, t1 = table[places[i] : places[i] + slots], table[places[i1] : places[i1] + slots]
        t2, t3 = table[places[i2] : places[i2] + slots], table[places[i3] : places[i3] + slots]
        w0, w1, w2, w3 = shifts[i], shifts[i1], shifts[i2], shifts[i3]
        for slot in range(slots):
            a, b = np.uint32(t0[slot] + w0), np.uint32(t1[slot] + w1)
            c, d = np.uint32(t2[slot] + w2), np.uint32(t3[slot] + w3)
            minima[slot] = min(minima[slot], min(min(a, b), min(c, d)))


@parallel_kernel
def circulant_signatures(offsets, values, bounds, sigma, table, out):
    """Elements of a known universe: slot s holds min over x of table[sigma[x] + s]."""
    for task in numba.prange(bounds.shape[0] - 1):
        minima = np.empty(out.shape[1], np.uint32)
        places, shifts = np.empty(_BLOCK, np.int64), np.zeros(_BLOCK, np.uint32)
        for row in range(bounds[task], bounds[task + 1]):
            first, stop = offsets[row], offsets[row + 1]
            minima[:] = EMPTY
            while first < stop:
                count = min(_BLOCK, stop - first)
                for i in range(count):
                    places[i] = sigma[values[first + i]]
                _lower(minima, table, places, shifts, count)
                first += count
            out[row] = minima


@parallel_kernel
def circulant_mixed_signatures(offsets, values, bounds, key, circle, table, out):
    """Any integers: 64 mixed bits of an element are its place on the circle of the table and a shift of its words.

    The shift keeps elements at the same place apart: slot s holds min over x of table[place(x) + s] + shift(x).
    """
    for task in numba.prange(bounds.shape[0] - 1):
        minima = np.empty(out.shape[1], np.uint32)
        places, shifts = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.uint32)
        for row in range(bounds[task], bounds[task + 1]):
            first, stop = offsets[row], offsets[row + 1]
            minima[:] = _CEILING if stop > first else EMPTY
            while first < stop:
                count = min(_BLOCK, stop - first)
                for i in range(count):
                    word = mix64(np.uint64(fold32(values[first + i])) ^ key)
                    places[i] = np.int64(((word >> _S32) * np.uint64(circle)) >> _S32)
                    shifts[i] = np.uint32(word & _LOW32)
                _lower(minima, table, places, shifts, count)
                first += count
            out[row] = minima
