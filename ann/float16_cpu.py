"""Distances between a float32 query and rows kept as float16, whose bits are widened in integer lanes.

float16 arithmetic is not in every processor; shifting a half's exponent and fraction into a float32's place and scaling
by 2^112 is exact, subnormal halves included, and vectorises everywhere.
"""

from __future__ import annotations

import numba
import numpy as np

from ..graphlib.jit import kernel, parallel_kernel

_REDUCTION = {"reassoc", "nsz", "contract"}
_MAGNITUDE, _SIGN = np.uint32(0x7FFF), np.uint32(0x8000)
_UP = np.float32(2.0**112)


@kernel
def widen(half):
    """The float32 that a finite half (as uint16) stands for."""
    bits = np.uint32(half)
    magnitude = np.uint32((bits & _MAGNITUDE) << np.uint32(13)).view(np.float32) * _UP
    return np.uint32(magnitude.view(np.uint32) | np.uint32((bits & _SIGN) << np.uint32(16))).view(np.float32)


@kernel(fastmath=_REDUCTION)
def half_squared_l2(row, query):
    total = np.float32(0)
    for j in range(row.shape[0]):
        difference = widen(row[j]) - query[j]
        total += difference * difference
    return total


@kernel(fastmath=_REDUCTION)
def half_dot(row, query):
    total = np.float32(0)
    for j in range(row.shape[0]):
        total += widen(row[j]) * query[j]
    return total


@parallel_kernel
def widen_rows(rows, out):
    for i in numba.prange(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[i, j] = widen(rows[i, j])
