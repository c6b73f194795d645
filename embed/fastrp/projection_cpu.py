"""Kernels that make the rows of a random projection. Row v depends on (seed, key of v) alone."""

from __future__ import annotations

import math

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import draw, stream, uniform
from ...graphlib.compute.streams import PROJECTED_FEATURE, PROJECTED_NODE

_ZERO, _BEFORE = np.int64(0), np.int64(-1)  # typed: literals would be compiled for apart
_S11, _ONE = np.uint64(11), np.uint64(1)
_TWO_POW_MINUS_53 = 1.0 / (1 << 53)
_FAR = float(1 << 40)  # a gap beyond any width, still exact as an integer


@kernel
def _next_entry(key, count, column, log_rest):
    """The next non-zero column after `column` and its sign, by a geometric jump (log_rest = log(1 - density))."""
    word = draw(key, count)
    gap = math.log(1.0 - np.float64(word >> _S11) * _TWO_POW_MINUS_53) / log_rest
    sign = np.float32(1.0) if word & _ONE else np.float32(-1.0)
    return column + 1 + np.int64(min(gap, _FAR)), sign


@parallel_kernel
def count_entries(keys, seed, log_rest, width, first, last, counts):
    """`counts[v + 1]` = non-zeros of row v in columns first..last-1 of a sparse projection of `width` columns."""
    for v in numba.prange(keys.shape[0]):
        key = stream(seed, PROJECTED_NODE, keys[v], 0)
        count = _ZERO
        found = 0
        column, _ = _next_entry(key, _ZERO, _BEFORE, log_rest)
        while column < min(last, width):
            if column >= first:
                found += 1
            count += 1
            column, _ = _next_entry(key, count, column, log_rest)
        counts[v + 1] = found


@parallel_kernel
def fill_entries(keys, seed, log_rest, width, first, last, magnitude, indptr, columns, values):
    """The entries that `count_entries` counted, columns relative to `first`; row v is multiplied by magnitude[v]."""
    for v in numba.prange(keys.shape[0]):
        key = stream(seed, PROJECTED_NODE, keys[v], 0)
        count = _ZERO
        at = indptr[v]
        column, sign = _next_entry(key, _ZERO, _BEFORE, log_rest)
        while column < min(last, width):
            if column >= first:
                columns[at] = column - first
                values[at] = sign * magnitude[v]
                at += 1
            count += 1
            column, sign = _next_entry(key, count, column, log_rest)


@parallel_kernel
def fill_sparse(keys, seed, log_rest, width, first, magnitude, out):
    """The same entries in a dense matrix whose column 0 is `first`; columns from `width` on are left alone."""
    for v in numba.prange(keys.shape[0]):
        key = stream(seed, PROJECTED_NODE, keys[v], 0)
        count = _ZERO
        column, sign = _next_entry(key, _ZERO, _BEFORE, log_rest)
        while column < min(first + out.shape[1], width):
            if column >= first:
                out[v, column - first] = sign * magnitude[v]
            count += 1
            column, sign = _next_entry(key, count, column, log_rest)


@parallel_kernel
def fill_gaussian(keys, seed, width, first, magnitude, out):
    """Standard normal values (Box and Muller) times magnitude[v]; columns from `width` on are left alone."""
    for v in numba.prange(keys.shape[0]):
        key = stream(seed, PROJECTED_NODE, keys[v], 0)
        for column in range(first, min(first + out.shape[1], width)):
            pair = column // 2
            radius = math.sqrt(-2.0 * math.log(1.0 - uniform(key, 2 * pair)))
            angle = 2.0 * math.pi * uniform(key, 2 * pair + 1)
            value = radius * (math.cos(angle) if column % 2 == 0 else math.sin(angle))
            out[v, column - first] = np.float32(value) * magnitude[v]


@parallel_kernel
def mix_features(features, seed, width, first, magnitude, out):
    """Columns from `width` on: features[v] times a random matrix of values +1, 0, -1 with chances 1/6, 2/3, 1/6."""
    for v in numba.prange(features.shape[0]):
        for f in range(features.shape[1]):
            key = stream(seed, PROJECTED_FEATURE, f, 0)
            value = features[v, f] * magnitude[v]
            if value != 0.0:
                for column in range(max(first, width), first + out.shape[1]):
                    chance = uniform(key, column)
                    if chance < 1.0 / 6.0:
                        out[v, column - first] += value
                    elif chance >= 5.0 / 6.0:
                        out[v, column - first] -= value
