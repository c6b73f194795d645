"""Kernels that spread sketches of sets along edges: the sketch of a union is the elementwise minimum or maximum."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel


@parallel_kernel
def spread(indptr, indices, sketches, largest, out):
    """`out[v]` = minimum of the sketches of v and its neighbours, or with `largest` their maximum."""
    for v in numba.prange(indptr.shape[0] - 1):
        o = out[v]
        o[:] = sketches[v]
        for e in range(indptr[v], indptr[v + 1]):
            row = sketches[indices[e]]
            if largest:
                for c in range(o.shape[0]):
                    o[c] = max(o[c], row[c])
            else:
                for c in range(o.shape[0]):
                    o[c] = min(o[c], row[c])


@parallel_kernel
def first_registers(hashes, registers):
    """HyperLogLog registers of the sets {v}: the hash's top 8 bits choose one, the zeros behind them are counted."""
    for v in numba.prange(hashes.shape[0]):
        h = hashes[v]
        rank = np.uint8(1)
        rest = h << np.uint64(8)
        while rank < np.uint8(57) and (rest >> np.uint64(63)) == np.uint64(0):
            rank = np.uint8(rank + np.uint8(1))
            rest = rest << np.uint64(1)
        registers[v, h >> np.uint64(56)] = rank


@kernel
def _estimate(power_sum, zeros, count):
    """HyperLogLog's estimate from the sum of 2^-register, with linear counting of small sets."""
    alpha = 0.7213 / (1.0 + 1.079 / count)
    raw = alpha * count * count / power_sum
    if raw <= 2.5 * count and zeros > 0:
        return count * np.log(count / zeros)
    return raw


@parallel_kernel
def cardinalities(registers, out):
    """How many elements each row's set has, about."""
    for v in numba.prange(registers.shape[0]):
        row = registers[v]
        total, zeros = 0.0, 0
        for c in range(row.shape[0]):
            total += 2.0 ** -np.float64(row[c])
            zeros += row[c] == 0
        out[v] = _estimate(total, zeros, row.shape[0])


@parallel_kernel
def intersections(left_signs, right_signs, left, right, src, dst, out):
    """About how many elements the sets of src[p] and dst[p] share: the share of equal signs, times their union."""
    for p in numba.prange(src.shape[0]):
        a, b = left_signs[src[p]], right_signs[dst[p]]
        equal = 0
        for c in range(a.shape[0]):
            equal += a[c] == b[c]
        x, y = left[src[p]], right[dst[p]]
        total, zeros = 0.0, 0
        for c in range(x.shape[0]):
            register = max(x[c], y[c])
            total += 2.0 ** -np.float64(register)
            zeros += register == 0
        out[p] = equal / a.shape[0] * _estimate(total, zeros, x.shape[0])
