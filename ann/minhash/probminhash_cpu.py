"""ProbMinHash3a: signatures of weighted sets in O(f + K log K) per set."""

from __future__ import annotations

import math

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import draw, stream, uniform
from .affine_cpu import EMPTY
from .hashing_cpu import fmix32, fold32

_S24 = np.uint64(24)
_LOW24 = np.uint64(0xFFFFFF)
_CEILING = np.uint32(0xFFFFFFFE)


@kernel(inline="always")
def _lower(tree, slots, slot, value):
    """Set leaf `slot` of the tournament tree to `value` and repair the maxima above it; the root is tree[1]."""
    node = slots + slot
    tree[node] = value
    while node > 1:
        parent = node >> 1
        top = max(tree[node], tree[node ^ 1])
        if tree[parent] == top:
            return
        tree[parent] = top
        node = parent


@kernel
def _probability_row(values, weights, start, stop, seed, signature, tree, throwers):
    """Each element throws points at a rate of its weight at slots drawn at random; a slot keeps the earliest thrower.

    All elements throw in rounds, so that the latest of the slots' times, beyond which no point counts, falls fast.
    """
    names, rates, points, turns = throwers
    slots = signature.shape[0]
    leaves = tree.shape[0] // 2
    for node in range(tree.shape[0]):
        tree[node] = np.inf
    for leaf in range(leaves, slots, -1):
        tree[leaves + leaf - 1] = 0.0  # padding leaves never hold the maximum
    for node in range(leaves - 1, 0, -1):
        tree[node] = max(tree[2 * node], tree[2 * node + 1])
    active, i = np.int64(0), start
    while i < stop:
        value, rate = values[i], np.float64(weights[i])
        i += 1
        while i < stop and values[i] == value:  # parallel edges: one element of the summed weight
            rate += weights[i]
            i += 1
        if rate > 0.0:
            names[active], rates[active], points[active], turns[active] = i - 1, rate, 0.0, 0
            active += 1
    signature[:] = EMPTY
    while active > 0:
        kept = np.int64(0)
        for e in range(active):
            name = values[names[e]]
            key = stream(seed, np.int64(name), 0, 0)
            point = points[e] - math.log(1.0 - uniform(key, 2 * turns[e])) / rates[e]
            if point < tree[1]:
                word = draw(key, 2 * turns[e] + 1)
                slot = np.int64(((word & _LOW24) * np.uint64(slots)) >> _S24)
                if point < tree[leaves + slot]:
                    signature[slot] = min(fmix32(fold32(name)), _CEILING)
                    _lower(tree, leaves, slot, point)
                if point < tree[1]:
                    names[kept], rates[kept], points[kept], turns[kept] = names[e], rates[e], point, turns[e] + 1
                    kept += 1
        active = kept


@parallel_kernel
def probability_signatures(offsets, values, weights, bounds, longest, seed, out):
    """Signature of every row; equal elements of a row must lie side by side."""
    for task in numba.prange(bounds.shape[0] - 1):
        leaves = 1
        while leaves < out.shape[1]:
            leaves *= 2
        tree = np.empty(2 * leaves, np.float64)
        throwers = (  # element, rate, time of the last point, number of points so far
            np.empty(longest, np.int64), np.empty(longest, np.float64), np.empty(longest, np.float64),
            np.empty(longest, np.int64),
        )  # fmt: skip
        for row in range(bounds[task], bounds[task + 1]):
            start, stop = offsets[row], offsets[row + 1]
            _probability_row(values, weights, start, stop, seed, out[row], tree, throwers)
