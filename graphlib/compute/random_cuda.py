"""The streams of `random_cpu` on a GPU: the same keys and counters give the same words, bit for bit.

Each function is documented where it is defined for the processor. Words are unsigned throughout, because a sum of a
signed and an unsigned number is a float to the compiler.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda as _cuda

cuda: Any = _cuda  # its own types leave out what kernels use

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11, _S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11), np.uint64(32)
_LOW32 = np.uint64(0xFFFFFFFF)
_ONE, _ZERO = np.uint64(1), np.uint64(0)
_TWO_POW_MINUS_53 = 1.0 / (1 << 53)


@cuda.jit(device=True)
def mix64(x):
    z = np.uint64(x)
    z = (z ^ (z >> _S30)) * _MIX1
    z = (z ^ (z >> _S27)) * _MIX2
    return z ^ (z >> _S31)


@cuda.jit(device=True)
def stream(seed, a, b, c):
    key = mix64(np.uint64(seed) + _GOLDEN)
    key = mix64(key ^ (np.uint64(a) + _GOLDEN))
    key = mix64(key ^ (np.uint64(b) + _GOLDEN))
    return mix64(key ^ (np.uint64(c) + _GOLDEN))


@cuda.jit(device=True)
def draw(key, counter):
    return mix64(np.uint64(key) + (np.uint64(counter) + _ONE) * _GOLDEN)


@cuda.jit(device=True)
def uniform(key, counter):
    return np.float64(draw(key, counter) >> _S11) * _TWO_POW_MINUS_53


@cuda.jit(device=True)
def high64(x, y):
    x0, x1 = x & _LOW32, x >> _S32
    y0, y1 = y & _LOW32, y >> _S32
    low = x0 * y0
    mid = x1 * y0 + (low >> _S32)
    mid2 = x0 * y1 + (mid & _LOW32)
    return x1 * y1 + (mid >> _S32) + (mid2 >> _S32)


@cuda.jit(device=True)
def bounded(key, counter, n):
    bound = np.uint64(n)
    used = np.int64(counter)
    word = draw(key, used)
    used += 1
    low = word * bound
    if low < bound:
        threshold = (_ZERO - bound) % bound
        while low < threshold:
            word = draw(key, used)
            used += 1
            low = word * bound
    return np.int64(high64(word, bound)), used
