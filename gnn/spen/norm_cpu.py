"""Kernels of normalisation.

Every output row is written by one turn, in one order: results do not depend on threads.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import parallel_kernel
from ..rows_cpu import add_row, elu_row


@parallel_kernel
def normalise(given, ptr, weight, eps, activated, x, out, graphs):
    """GraphNorm of the rows `ptr[g]:ptr[g + 1]` of each graph g; keeps means and standard deviations, `graphs`.

    If `activated`, of ELU of what is given, which is kept in x; else x is what is given. Weights are gamma, beta and
    alpha.
    """
    gamma, beta, alpha, mean = weight[0], weight[1], weight[2], graphs[0]
    for g in numba.prange(mean.shape[0]):
        mu, sd, width = mean[g], graphs[1, g], x.shape[1]
        first, last, share = ptr[g], ptr[g + 1], x.dtype.type(1 / (ptr[g + 1] - ptr[g]))
        centre, scale = np.empty(width, x.dtype), np.empty(width, x.dtype)
        if activated:
            elu_row(given[first:last].reshape(-1), x[first:last].reshape(-1))
        for c in range(width):
            mu[c] = 0
            sd[c] = 0
        for r in range(first, last):
            add_row(mean, g, 0, x, r, 0, share, width)
        for c in range(width):
            centre[c] = alpha[c] * mu[c]
        for r in range(first, last):
            row = x[r]
            for c in range(width):
                d = row[c] - centre[c]
                sd[c] += d * d
        for c in range(width):
            sd[c] = (sd[c] * share + eps) ** 0.5
            scale[c] = gamma[c] / sd[c]
        for r in range(first, last):
            row, o = x[r], out[r]
            for c in range(width):
                o[c] = scale[c] * (row[c] - centre[c]) + beta[c]


@parallel_kernel
def normalise_gradient(grad, kept, activated, d_x, sums):
    """Gradients of `normalise` from (x, ptr, weight, graphs); those of its weights, per graph, in `sums`.

    If `activated`, x is ELU of what the gradient is wanted of.
    """
    x, ptr, weight, graphs = kept
    gamma, alpha = weight[0], weight[2]
    for g in numba.prange(graphs.shape[1]):
        mu, sd, width = graphs[0, g], graphs[1, g], x.shape[1]
        dg, db, da = sums[0, g], sums[1, g], sums[2, g]
        share, one = x.dtype.type(1 / (ptr[g + 1] - ptr[g])), x.dtype.type(1)
        centre, inverse = np.empty(width, x.dtype), np.empty(width, x.dtype)
        scale, rest = np.empty(width, x.dtype), np.empty(width, x.dtype)
        for c in range(width):
            centre[c] = alpha[c] * mu[c]
            inverse[c] = one / sd[c]
            dg[c] = 0
            db[c] = 0
            da[c] = 0
        for r in range(ptr[g], ptr[g + 1]):
            row, upper = x[r], grad[r]
            for c in range(width):
                hat = (row[c] - centre[c]) * inverse[c]
                dg[c] += upper[c] * hat
                db[c] += upper[c]
                da[c] += hat
        # da is the sum of xhat here; the sum of d(x - alpha mean) follows from it without another pass.
        for c in range(width):
            da[c] = gamma[c] * inverse[c] * (db[c] - da[c] * dg[c] * share)
            scale[c] = gamma[c] * inverse[c]
            rest[c] = alpha[c] * da[c] * share
            inverse[c] *= dg[c] * share
        for r in range(ptr[g], ptr[g + 1]):
            row, upper, o = x[r], grad[r], d_x[r]
            for c in range(width):
                o[c] = scale[c] * (upper[c] - (row[c] - centre[c]) * inverse[c]) - rest[c]
            if activated:
                for c in range(width):
                    o[c] *= row[c] + one if row[c] < 0 else one
        for c in range(width):
            da[c] = -mu[c] * da[c]
