"""Float32 distances, and the packing of (distance, node) into one sortable integer.

Sums may be reassociated and contracted ("reassoc", "nsz", "contract"): without leave to reorder additions a
reduction cannot be vectorised at all. NaN and infinity keep their meaning, and a given machine always sums in the same
order, so results do not depend on threads.
"""

from __future__ import annotations

import numba
import numpy as np

from ..graphlib.jit import kernel, parallel_kernel

L2, COSINE = 0, 2
_REDUCTION = {"reassoc", "nsz", "contract"}
_ONE = np.float32(1)
_FLIP = np.int64(0x7FFFFFFF)
_LOW32 = np.int64(0xFFFFFFFF)


@kernel(fastmath=_REDUCTION)
def squared_l2(a, b):
    """Squared Euclidean distance of two rows."""
    total = np.float32(0)
    for j in range(a.shape[0]):
        difference = a[j] - b[j]
        total += difference * difference
    return total


@kernel(fastmath=_REDUCTION)
def dot(a, b):
    """Inner product of two rows."""
    total = np.float32(0)
    for j in range(a.shape[0]):
        total += a[j] * b[j]
    return total


@kernel
def distance(metric, vectors, scale, node, query, query_scale):
    """Distance of `vectors[node]` from `query` under the metric with that number."""
    if metric == L2:
        return squared_l2(vectors[node], query)
    product = dot(vectors[node], query)
    if metric == COSINE:
        product *= scale[node] * query_scale
    return _ONE - product


@kernel
def scale_of(metric, scale, node):
    """1 / |vectors[node]| where the metric uses it."""
    if metric == COSINE:
        return scale[node]
    return _ONE


@kernel
def inverse_norm(row):
    """1 / |row|, or 0 for a zero row; summed in float64 so that tiny and huge rows keep their norm."""
    total = 0.0
    for j in range(row.shape[0]):
        total += np.float64(row[j]) * np.float64(row[j])
    if total == 0.0:
        return np.float32(0)
    return np.float32(1.0 / np.sqrt(total))


@parallel_kernel
def inverse_norms(rows, out):
    for i in numba.prange(rows.shape[0]):
        out[i] = inverse_norm(rows[i])


@kernel
def pack(distance, node):
    """(distance, node) as one int64: sorts by distance, then by node; the lowest bit is free for a mark."""
    bits = np.int64(np.float32(distance).view(np.int32))
    bits ^= (bits >> 31) & _FLIP
    return (bits << 32) | (np.int64(node) << 1)


@kernel
def unpack_node(key):
    return (key & _LOW32) >> 1


@kernel
def unpack_distance(key):
    bits = key >> 32
    bits ^= (bits >> 31) & _FLIP
    return np.int32(bits).view(np.float32)


@kernel
def insert(pool, size, limit, key):
    """Insert `key` into the sorted `pool[:size]`, keeping the `limit` smallest; its position, or -1 if not kept."""
    if size == limit and key >= pool[size - 1]:
        return -1
    # Halving without branches: which half is taken is a coin toss that the processor cannot learn.
    low, left = 0, size
    while left > 0:
        half = (left + 1) >> 1
        low += half * (pool[low + half - 1] < key)
        left -= half
    last = size if size < limit else limit - 1
    for j in range(last, low, -1):
        pool[j] = pool[j - 1]
    pool[low] = key
    return low
