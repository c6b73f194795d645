"""Kernels of equivariant maps: row and column sums of blocks, their adjoint, and mixed pairs shared among copies.

A row of node terms has three parts of one width: what goes to the diagonal, to rows and to columns. Every output row is
written by one turn, in one order: results do not depend on threads.
"""

from __future__ import annotations

import numba

from ...graphlib.compute.jit import parallel_kernel
from ...sampling.subgraphs.bags_cpu import mean_rows, mean_rows_gradient

__all__ = [
    "mean_rows",
    "mean_rows_gradient",
    "moments",
    "normalise",
    "normalise_gradient",
    "share",
    "share_gradient",
    "spread",
    "sum_rows",
]


@parallel_kernel
def moments(x, pair, scale, indptr, entry_ptr, by_size, out):
    """`out[place]` is (diagonal, row sum, column sum) of its block of `x[pair] * scale[pair]`; sums / size if asked."""
    for e in numba.prange(indptr.shape[0] - 1):
        first, size, width = indptr[e], indptr[e + 1] - indptr[e], x.shape[1]
        for i in range(size):
            o = out[first + i]
            for c in range(3 * width):
                o[c] = 0
        p = entry_ptr[e]
        for i in range(size):
            o = out[first + i]
            for j in range(size):
                v, s, t = x[pair[p]], scale[pair[p]], out[first + j]
                for c in range(width):
                    o[width + c] += s * v[c]
                for c in range(width):
                    t[2 * width + c] += s * v[c]
                if i == j:
                    for c in range(width):
                        o[c] = s * v[c]
                p += 1
        if by_size:
            for i in range(size):
                o = out[first + i]
                for c in range(width, 3 * width):
                    o[c] /= size


@parallel_kernel
def spread(terms, ptr, row, col, inverse_size, scale, by_size, out):
    """The adjoint of `moments`: node terms at the diagonal, along rows and along columns, summed over a pair's entries.

    Entries come in the order of their pairs: those of pair r are `ptr[r]:ptr[r + 1]`, at places `row` and `col`.
    """
    for r in numba.prange(out.shape[0]):
        o = out[r]
        width = o.shape[0]
        for c in range(width):
            o[c] = 0
        for k in range(ptr[r], ptr[r + 1]):
            a, b = terms[row[k]], terms[col[k]]
            s = inverse_size[row[k]] if by_size else inverse_size[row[k]] * 0 + 1
            for c in range(width):
                o[c] += s * (a[width + c] + b[2 * width + c])
            if row[k] == col[k]:
                for c in range(width):
                    o[c] += a[c]
        s = scale[r]
        for c in range(width):
            o[c] *= s


@parallel_kernel
def share(mixed, ptr, at, transposed, weight, out):
    """`out[r]` gains, for each mixed row q of pair r, weight[q] (mixed[q] left + mixed[q of the transposed] right)."""
    for r in numba.prange(out.shape[0]):
        o, other = out[r], ptr[transposed[r]]
        width = o.shape[0]
        for k in range(ptr[r], ptr[r + 1]):
            a, b, s = mixed[at[k]], mixed[at[other + k - ptr[r]]], weight[at[k]]
            for c in range(width):
                o[c] += s * (a[c] + b[width + c])


@parallel_kernel
def share_gradient(grad, pair, transposed, weight, out):
    """The gradient of `share` with respect to the mixed rows; `pair[q]` is the pair of row q."""
    for q in numba.prange(out.shape[0]):
        o, s, width = out[q], weight[q], grad.shape[1]
        a, b = grad[pair[q]], grad[transposed[pair[q]]]
        for c in range(width):
            o[c] = s * a[c]
        for c in range(width):
            o[width + c] = s * b[c]


@parallel_kernel
def sum_rows(x, ptr, copies, out):
    """`out[r]` is the sum of the rows of x that copy r."""
    for r in numba.prange(out.shape[0]):
        o = out[r]
        for c in range(o.shape[0]):
            o[c] = 0
        for k in range(ptr[r], ptr[r + 1]):
            row = x[copies[k]]
            for c in range(o.shape[0]):
                o[c] += row[c]


@parallel_kernel
def normalise(x, ptr, gamma, beta, alpha, eps, out, mean, deviation):
    """GraphNorm of the rows `ptr[g]:ptr[g + 1]` of each graph g; keeps means and standard deviations."""
    for g in numba.prange(mean.shape[0]):
        mu, sd, width = mean[g], deviation[g], x.shape[1]
        count = ptr[g + 1] - ptr[g]
        for c in range(width):
            mu[c] = 0
            sd[c] = 0
        for r in range(ptr[g], ptr[g + 1]):
            row = x[r]
            for c in range(width):
                mu[c] += row[c]
        for c in range(width):
            mu[c] /= count
        for r in range(ptr[g], ptr[g + 1]):
            row = x[r]
            for c in range(width):
                d = row[c] - alpha[c] * mu[c]
                sd[c] += d * d
        for c in range(width):
            sd[c] = (sd[c] / count + eps) ** 0.5
        for r in range(ptr[g], ptr[g + 1]):
            row, o = x[r], out[r]
            for c in range(width):
                o[c] = gamma[c] * (row[c] - alpha[c] * mu[c]) / sd[c] + beta[c]


@parallel_kernel
def normalise_gradient(grad, x, ptr, gamma, alpha, mean, deviation, d_x, d_gamma, d_beta, d_alpha):
    """Gradients of `normalise`; those of the parameters per graph."""
    for g in numba.prange(mean.shape[0]):
        mu, sd, width = mean[g], deviation[g], x.shape[1]
        dg, db, da = d_gamma[g], d_beta[g], d_alpha[g]
        count = ptr[g + 1] - ptr[g]
        for c in range(width):
            dg[c] = 0
            db[c] = 0
            da[c] = 0
        for r in range(ptr[g], ptr[g + 1]):
            row, upper = x[r], grad[r]
            for c in range(width):
                hat = (row[c] - alpha[c] * mu[c]) / sd[c]
                dg[c] += upper[c] * hat
                db[c] += upper[c]
                da[c] += hat
        # da is the sum of xhat here; the sum of d(x - alpha mean) follows from it without another pass.
        for c in range(width):
            da[c] = gamma[c] / sd[c] * (db[c] - da[c] * dg[c] / count)
        for r in range(ptr[g], ptr[g + 1]):
            row, upper, o = x[r], grad[r], d_x[r]
            for c in range(width):
                hat = (row[c] - alpha[c] * mu[c]) / sd[c]
                o[c] = gamma[c] / sd[c] * (upper[c] - hat * dg[c] / count) - alpha[c] * da[c] / count
        for c in range(width):
            da[c] = -mu[c] * da[c]
