"""A sum of mixed words: which numbers stand where, in 64 bits."""

from __future__ import annotations

import numba
import numpy as np

from .jit import parallel_kernel
from .random_cpu import mix64

BLOCK = 1 << 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@parallel_kernel
def mixed_sums(words, sums):
    """`sums[b]` is the sum over block b of words mixed with their places."""
    for b in numba.prange(sums.shape[0]):
        total = np.uint64(0)
        for i in range(b * BLOCK, min((b + 1) * BLOCK, words.shape[0])):
            total += mix64(words[i] + np.uint64(i) * _GOLDEN)
        sums[b] = total
