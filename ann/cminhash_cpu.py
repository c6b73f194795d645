"""C-MinHash: K hash functions from two permutations, by circulant shifts of the second."""

from __future__ import annotations

import numba
import numpy as np

from ..graphlib.jit import parallel_kernel
from .hashing_cpu import fmix32, fold32
from .minhash_cpu import EMPTY

_CEILING = np.uint32(0xFFFFFFFE)


@parallel_kernel
def circulant_signatures(offsets, values, bounds, sigma, pi, out):
    """Tables of a known universe: slot s holds min over x of pi[sigma[x] + s]; `pi` is continued K places round."""
    for task in numba.prange(bounds.shape[0] - 1):
        for row in range(bounds[task], bounds[task + 1]):
            start, stop = offsets[row], offsets[row + 1]
            signature = out[row]
            signature[:] = EMPTY
            for i in range(start, stop):
                first = sigma[values[i]]
                shifted = pi[first : first + signature.shape[0]]
                for slot in range(signature.shape[0]):
                    signature[slot] = min(signature[slot], shifted[slot])


@parallel_kernel
def circulant_mixed_signatures(offsets, values, bounds, sigma_key, pi_key, out):
    """The universe of all 32-bit words: both permutations are keyed bijective mixers and need no table."""
    for task in numba.prange(bounds.shape[0] - 1):
        for row in range(bounds[task], bounds[task + 1]):
            start, stop = offsets[row], offsets[row + 1]
            signature = out[row]
            signature[:] = _CEILING if stop > start else EMPTY
            for i in range(start, stop):
                first = fmix32(fold32(values[i]) ^ sigma_key)
                for slot in range(signature.shape[0]):
                    shifted = np.uint32(first + np.uint32(slot))
                    signature[slot] = min(signature[slot], fmix32(shifted ^ pi_key))
