"""Counter-based random numbers for kernels: value number `i` of a stream depends on the stream's key and `i` alone.

A stream is named by integers, such as (seed, epoch, item, hop), so what is drawn for an item does not depend on
threads, batch order or what was drawn before. Mixing is SplitMix64's finaliser (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014), applied once per name part and once per draw.
"""

from __future__ import annotations

import numpy as np

from .jit import kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11, _S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11), np.uint64(32)
_LOW32 = np.uint64(0xFFFFFFFF)
_TWO_POW_MINUS_53 = 1.0 / (1 << 53)


@kernel(inline="always")
def mix64(x):
    """SplitMix64's finaliser: a bijection of 64-bit words that spreads every input bit over every output bit."""
    z = np.uint64(x)
    z = (z ^ (z >> _S30)) * _MIX1
    z = (z ^ (z >> _S27)) * _MIX2
    return z ^ (z >> _S31)


@kernel(inline="always")
def stream(seed, a, b, c):
    """Key of the stream named (seed, a, b, c)."""
    key = mix64(np.uint64(seed) + _GOLDEN)
    key = mix64(key ^ (np.uint64(a) + _GOLDEN))
    key = mix64(key ^ (np.uint64(b) + _GOLDEN))
    return mix64(key ^ (np.uint64(c) + _GOLDEN))


@kernel(inline="always")
def draw(key, counter):
    """Word number `counter` of stream `key`, uniform over all 64-bit words."""
    return mix64(np.uint64(key) + (np.uint64(counter) + np.uint64(1)) * _GOLDEN)


@kernel(inline="always")
def uniform(key, counter):
    """A float64 in [0, 1) with 53 random bits."""
    return np.float64(draw(key, counter) >> _S11) * _TWO_POW_MINUS_53


@kernel(inline="always")
def high64(x, y):
    """The upper 64 bits of the 128-bit product of two words."""
    x0, x1 = x & _LOW32, x >> _S32
    y0, y1 = y & _LOW32, y >> _S32
    low = x0 * y0
    mid = x1 * y0 + (low >> _S32)
    mid2 = x0 * y1 + (mid & _LOW32)
    return x1 * y1 + (mid >> _S32) + (mid2 >> _S32)


@kernel
def bounded(key, counter, n):
    """An unbiased integer in [0, n) and the next unused counter, by multiply-shift with rejection.

    D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29 (2019), doi:10.1145/3230636.
    """
    bound = np.uint64(n)
    word = draw(key, counter)
    counter += 1
    low = word * bound
    if low < bound:
        threshold = (np.uint64(0) - bound) % bound
        while low < threshold:
            word = draw(key, counter)
            counter += 1
            low = word * bound
    return np.int64(high64(word, bound)), counter
