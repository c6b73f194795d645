"""Alias tables: draws in proportion to weights, in constant time.

A table keeps place i with probability `keep[i]` and takes `alias[i]` instead of it otherwise. A. J. Walker, "An
efficient method for generating discrete random variables with general distributions", ACM TOMS 3 (1977),
doi:10.1145/355744.355749; M. D. Vose, IEEE TSE 17 (1991), doi:10.1109/32.92917.
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import kernel, parallel_kernel
from .random_cpu import high64

_TWO_POW_MINUS_53 = 1.0 / (1 << 53)
_S11 = np.uint64(11)


@parallel_kernel
def row_alias_tables(indptr, weight, keep, alias, row_sum):
    """One alias table per row (Vose's construction, sums in float64); `alias` is -1 throughout a row of zero weight."""
    num_rows = indptr.shape[0] - 1
    for row in numba.prange(num_rows):
        start, stop = indptr[row], indptr[row + 1]
        degree = stop - start
        total = 0.0
        for e in range(start, stop):
            total += weight[e]
        row_sum[row] = total
        if degree == 0:
            continue
        if total <= 0.0:
            for e in range(start, stop):
                alias[e] = -1
            continue
        scaled = np.empty(degree, np.float64)
        stack = np.empty(degree, np.int64)
        small, large = 0, degree  # small entries grow from the left of the stack, large ones from the right
        for j in range(degree):
            scaled[j] = weight[start + j] * degree / total
            if scaled[j] < 1.0:
                stack[small] = j
                small += 1
            else:
                large -= 1
                stack[large] = j
        while small > 0 and large < degree:
            small -= 1
            less = stack[small]
            more = stack[large]
            keep[start + less] = scaled[less]
            alias[start + less] = more
            scaled[more] -= 1.0 - scaled[less]
            if scaled[more] < 1.0:
                large += 1
                stack[small] = more
                small += 1
        while large < degree:
            keep[start + stack[large]] = 1.0
            alias[start + stack[large]] = stack[large]
            large += 1
        while small > 0:
            small -= 1
            keep[start + stack[small]] = 1.0
            alias[start + stack[small]] = stack[small]


@kernel(inline="always")
def alias_pick(word, keep, alias, first, count):
    """A position below `count` by the alias table that starts at `first`, out of one random 64-bit word.

    The word as a fraction of 2**64, times `count`: its whole part names the cell and its fraction decides within it.
    """
    size = np.uint64(count)
    chosen = np.int64(high64(word, size))
    rest = np.float64((word * size) >> _S11) * _TWO_POW_MINUS_53
    if rest >= keep[first + chosen]:
        return np.int64(alias[first + chosen])
    return chosen
