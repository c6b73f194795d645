"""Kernels of equivariant maps: row and column sums of blocks, their adjoint, and mixed pairs put to their places.

A row of node terms has three parts of one width: what goes to the diagonal, to rows and to columns. Every output row is
written by one turn, in one order: results do not depend on threads.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import parallel_kernel
from ...sampling.subgraphs.bags_cpu import mean_rows, mean_rows_gradient, sum_of_rows
from ..products_cpu import add_product

__all__ = [
    "add_at",
    "add_means_gradient",
    "assemble",
    "assemble_gradient",
    "grouped",
    "grouped_gradient",
    "mean_rows",
    "mean_rows_gradient",
    "moments",
    "normalise",
    "normalise_gradient",
    "spread",
    "sum_rows",
    "take_both",
    "take_nodes",
]


@parallel_kernel
def moments(x, pair, scale, indptr, entry_ptr, by_size, out, means):
    """`out[place]` is (diagonal, row sum, column sum) of its block of `x[pair] * scale[pair]`.

    With `by_size`, sums are divided by the size, and `means` gets the means of diagonals and of these row sums.
    """
    for e in numba.prange(indptr.shape[0] - 1):
        first, size, width = indptr[e], indptr[e + 1] - indptr[e], x.shape[1]
        for i in range(size):
            o = out[first + i]
            for c in range(3 * width):
                o[c] = 0
        p = entry_ptr[e]
        for i in range(size):
            o, along = out[first + i], out[first + i, width:]
            for j in range(size):
                v, s, down = x[pair[p]], scale[pair[p]], out[first + j, 2 * width :]
                for c in range(width):
                    along[c] += s * v[c]
                for c in range(width):
                    down[c] += s * v[c]
                if i == j:
                    for c in range(width):
                        o[c] = s * v[c]
                p += 1
        if by_size:
            mean, share = means[e], scale[0] / size
            for c in range(2 * width):
                mean[c] = 0
            for i in range(size):
                o, sums = out[first + i], out[first + i, width:]
                for c in range(2 * width):
                    sums[c] *= share
                for c in range(2 * width):
                    mean[c] += share * o[c]


@parallel_kernel
def take_nodes(x, nodes, indptr, out, means):
    """`out[place]` is the row of its node, `means` the mean of an ego network's."""
    for e in numba.prange(indptr.shape[0] - 1):
        mean, width = means[e], x.shape[1]
        for c in range(width):
            mean[c] = 0
        for p in range(indptr[e], indptr[e + 1]):
            v, o = x[nodes[p]], out[p]
            for c in range(width):
                o[c] = v[c]
                mean[c] += v[c]
        for c in range(width):
            mean[c] /= indptr[e + 1] - indptr[e]


@parallel_kernel
def add_means_gradient(grad, grad_means, indptr, out):
    """`out` is `grad` plus, in the first columns of each place, its part of the gradient of the means."""
    for e in numba.prange(indptr.shape[0] - 1):
        mean, width, size = grad_means[e], grad_means.shape[1], indptr[e + 1] - indptr[e]
        for p in range(indptr[e], indptr[e + 1]):
            g, o = grad[p], out[p]
            for c in range(width):
                o[c] = g[c] + mean[c] / size
            g, o = grad[p, width:], out[p, width:]
            for c in range(o.shape[0]):
                o[c] = g[c]


@parallel_kernel
def assemble(places, egos, indptr, two, one, at, pair_terms, node_terms):
    """What maps of one source give, side by side with those of others: their columns begin at `at` in each part.

    Maps to pairs give (diagonal, rows, columns) per place and (diagonal, everywhere) per ego network, those to nodes
    one part each, behind them.
    """
    for e in numba.prange(indptr.shape[0] - 1):
        width, total = egos.shape[1] // (2 * two + one), pair_terms.shape[1] // 3
        g, g_all, g_node = egos[e], egos[e, width:], egos[e, 2 * two * width :]
        for p in range(indptr[e], indptr[e + 1]):
            v, v_row, v_col, v_node = places[p], places[p, width:], places[p, 2 * width :], places[p, 3 * two * width :]
            if two:
                o, row, col = pair_terms[p, at:], pair_terms[p, total + at :], pair_terms[p, 2 * total + at :]
                for c in range(width):
                    o[c] = v[c] + g[c]
                for c in range(width):
                    row[c] = v_row[c] + g_all[c]
                for c in range(width):
                    col[c] = v_col[c]
            if one:
                n = node_terms[p, at:]
                for c in range(width):
                    n[c] = v_node[c] + g_node[c]


@parallel_kernel
def assemble_gradient(d_pair_terms, d_node_terms, indptr, two, one, at, places, egos):
    """The gradient of `assemble`, into `places` and `egos`."""
    for e in numba.prange(indptr.shape[0] - 1):
        width, total = egos.shape[1] // (2 * two + one), d_pair_terms.shape[1] // 3
        g, g_all, g_node = egos[e], egos[e, width:], egos[e, 2 * two * width :]
        for c in range(egos.shape[1]):
            g[c] = 0
        for p in range(indptr[e], indptr[e + 1]):
            v, v_row, v_col, v_node = places[p], places[p, width:], places[p, 2 * width :], places[p, 3 * two * width :]
            if two:
                o, row, col = d_pair_terms[p, at:], d_pair_terms[p, total + at :], d_pair_terms[p, 2 * total + at :]
                for c in range(width):
                    v[c] = o[c]
                    g[c] += o[c]
                for c in range(width):
                    v_row[c] = row[c]
                    g_all[c] += row[c]
                for c in range(width):
                    v_col[c] = col[c]
            if one:
                n = d_node_terms[p, at:]
                for c in range(width):
                    v_node[c] = n[c]
                    g_node[c] += n[c]


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
            a, along, down = terms[row[k]], terms[row[k], width:], terms[col[k], 2 * width :]
            s = inverse_size[row[k]] if by_size else inverse_size[row[k]] * 0 + 1
            for c in range(width):
                o[c] += s * (along[c] + down[c])
            if row[k] == col[k]:
                for c in range(width):
                    o[c] += a[c]
        s = scale[r]
        for c in range(width):
            o[c] *= s


@parallel_kernel
def add_at(rows, at, width, target, weight, weighted, out):
    """`out[target[q]]` gains `width` columns of `rows[q]` from `at` on, times weight[q] if asked; targets differ."""
    for q in numba.prange(rows.shape[0]):
        o, row = out[target[q]], rows[q, at:]
        s = weight[q] if weighted else weight[q] * 0 + 1
        for c in range(width):
            o[c] += s * row[c]


@parallel_kernel
def take_both(grad, pair, turned, weight, out):
    """The left half of `out[q]` is weight[q] grad[pair[q]], the right half weight[q] grad[turned[q]]."""
    for q in numba.prange(out.shape[0]):
        s, width = weight[q], out.shape[1] // 2
        o, swapped = out[q], out[q, width:]
        a, b = grad[pair[q]], grad[turned[q]]
        for c in range(width):
            o[c] = s * a[c]
        for c in range(width):
            swapped[c] = s * b[c]


@parallel_kernel
def grouped(x, weight, bias, spans, out):
    """Rows a to b of x times `weight[k]`, plus `bias[k]` if there is one, for each span (k, a, b)."""
    for q in numba.prange(spans.shape[0]):
        k, a, b = spans[q]
        matrix = weight[k]
        for r in range(a, b):
            o, v = out[r], x[r]
            if bias.shape[0]:
                first = bias[k]
                for c in range(o.shape[0]):
                    o[c] = first[c]
            else:
                for c in range(o.shape[0]):
                    o[c] = 0
            add_product(v, matrix, v.shape[0], o.shape[0], o)


@parallel_kernel
def grouped_gradient(grad, x, weight, spans, d_x, d_weight, d_bias):
    """The gradient of `grouped`, a span's alone; `d_x` and `d_bias` may have no rows. Spans have different k."""
    for q in numba.prange(spans.shape[0]):
        k, a, b = spans[q]
        if d_x.shape[0]:
            turned = np.ascontiguousarray(weight[k].T)
            for r in range(a, b):
                o, g = d_x[r], grad[r]
                for c in range(o.shape[0]):
                    o[c] = 0
                add_product(g, turned, g.shape[0], o.shape[0], o)
        columns = np.ascontiguousarray(x[a:b].T)
        for i in range(columns.shape[0]):
            o = d_weight[k, i]
            for c in range(o.shape[0]):
                o[c] = 0
            add_product(columns[i], grad[a:b], b - a, o.shape[0], o)
        if d_bias.shape[0]:
            o = d_bias[k]
            for c in range(o.shape[0]):
                o[c] = 0
            for r in range(a, b):
                g = grad[r]
                for c in range(o.shape[0]):
                    o[c] += g[c]


@parallel_kernel
def sum_rows(x, ptr, copies, out):
    """`out[r]` is the sum of the rows of x that copy r."""
    for r in numba.prange(out.shape[0]):
        sum_of_rows(x, copies, ptr[r], ptr[r + 1], out[r])


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
def normalise_gradient(grad, kept, d_x, d_gamma, d_beta, d_alpha):
    """Gradients of `normalise` from (x, ptr, gamma, alpha, mean, deviation); those of the parameters per graph."""
    x, ptr, gamma, alpha, mean, deviation = kept
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
