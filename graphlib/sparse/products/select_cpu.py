"""Kernel that keeps the best entries of every row, best first."""

from __future__ import annotations

import numba
import numpy as np

from ...compute.jit import parallel_kernel
from .row_cpu import U, keep_best


@parallel_kernel
def best_of_rows(indptr, indices, values, nodes, scores, counts):
    """Fill the rows of `nodes` and `scores` with the entries of highest positive value; the lower column wins a tie."""
    for i in numba.prange(indptr.shape[0] - 1):
        first = U(indptr[i])
        last = keep_best(indices, values, first, U(indptr[i + 1]), nodes.shape[1])
        order = np.argsort(indices[first:last])
        order = order[np.argsort(-values[first:last][order], kind="mergesort")]
        kept = 0
        for at in order:
            if values[first + U(at)] > 0:
                nodes[i, kept] = indices[first + U(at)]
                scores[i, kept] = values[first + U(at)]
                kept += 1
        counts[i] = kept
