"""Dropout of numbers: 32 random bits decide about each, in one pass over memory.

A turn is `_TURN` words whose stream is named by (key, turn).
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import mix64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_S32, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_FIRST, _SECOND, _NONE = np.uint64(0xFFFF), np.uint64(0xFFFF0000), np.uint64(0)
_TURN = 1 << 12


@kernel(inline="always")
def word_of(key, number):
    """The random word that decides about so many numbers of a stream, or names a stream of its own."""
    return mix64(np.uint64(key) + np.uint64(number) * _GOLDEN)


@parallel_kernel
def drop_32(x, out, key, threshold, scale):
    """`out[i] = scale * x[i]`, or 0 where its bits are below `threshold`; float32 (n,)."""
    for turn in numba.prange((x.shape[0] + _TURN - 1) // _TURN):
        base = word_of(key, turn)
        start = turn * _TURN
        row, to = x[start : start + _TURN], out[start : start + _TURN]
        for j in range(row.shape[0]):
            to[j] = np.float32(scale) * row[j] if (word_of(base, j) >> _S32) >= threshold else np.float32(0)


@parallel_kernel
def drop_16(x, out, key, threshold):
    """Numbers of 16 bits, two in each uint32, as bits, unscaled; a word decides about both."""
    for turn in numba.prange((x.shape[0] + _TURN - 1) // _TURN):
        base = word_of(key, turn)
        start = turn * _TURN
        row, to = x[start : start + _TURN], out[start : start + _TURN]
        for j in range(row.shape[0]):
            word = word_of(base, j)
            first = _FIRST if (word & _LOW) >= threshold else _NONE
            second = _SECOND if (word >> _S32) >= threshold else _NONE
            to[j] = np.uint32(np.uint64(row[j]) & (first | second))
