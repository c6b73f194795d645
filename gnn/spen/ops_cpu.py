"""Kernels of equivariant maps: sums of rows and columns of blocks, their adjoint, what goes by group and ego network.

Every output row is written by one turn, in one order: results do not depend on threads. Factors come as arrays of the
features' type, since a product with an integer would be of 64 bits.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import parallel_kernel
from ...sampling.subgraphs.bags_cpu import mean_rows, mean_rows_gradient
from ..rows_cpu import add_row, elu_row, set_row
from .products_cpu import halves_of, mix, mix_back, multiply, multiply_back, sides_of, weigh

__all__ = [
    "group_means",
    "halves_of",
    "mean_rows",
    "mean_rows_gradient",
    "mix",
    "mix_back",
    "moments",
    "moments_back",
    "multiply",
    "multiply_back",
    "normalise",
    "normalise_gradient",
    "place_terms",
    "sides_of",
    "spread",
    "sum_spans",
    "take_nodes",
    "terms_back",
    "to_nodes",
    "weigh",
]


@parallel_kernel
def moments(x, pair, scale, indptr, entry_ptr, inverse_size, out, means):
    """`out[place]` is (row sum, column sum) of its block of `x[pair] * scale[pair]`.

    Where there are `means`, sums are divided by the size, and these are the means of diagonals and of these row sums.
    """
    for e in numba.prange(indptr.shape[0] - 1):
        first, size, width = indptr[e], indptr[e + 1] - indptr[e], x.shape[1]
        for i in range(size):
            o = out[first + i]
            for c in range(2 * width):
                o[c] = 0
        p = entry_ptr[e]
        for i in range(size):
            for j in range(size):
                r = pair[p]
                add_row(out, first + i, 0, x, r, 0, scale[r], width)
                add_row(out, first + j, width, x, r, 0, scale[r], width)
                p += 1
        if means.shape[0]:
            mean, share = means[e], inverse_size[first]
            for c in range(2 * width):
                mean[c] = 0
            for i in range(size):
                set_row(out, first + i, 0, out, first + i, 0, share, 2 * width)
                add_row(means, e, 0, x, pair[entry_ptr[e] + i * (size + 1)], 0, share, width)
                add_row(means, e, width, out, first + i, 0, share, width)


@parallel_kernel
def group_means(x, diagonal, places, node, ptr, copies, inverse, out):
    """`out[q]` is the pair of its node with itself, and the mean of its rows of `places`."""
    for q in numba.prange(out.shape[0]):
        width = x.shape[1]
        set_row(out, q, 0, x, diagonal[node[q]], 0, x.dtype.type(1), width)
        for k in range(ptr[q], ptr[q + 1]):
            p = copies[k]
            if k == ptr[q]:
                set_row(out, q, width, places, p, 0, inverse[p], 2 * width)
            else:
                add_row(out, q, width, places, p, 0, inverse[p], 2 * width)


@parallel_kernel
def moments_back(d_groups, d_means, group, inverse, indptr, inverse_size, d_places, out):
    """The gradient of row and column means: with it, what comes through those of their groups and ego network."""
    for e in numba.prange(indptr.shape[0] - 1):
        width = d_means.shape[1] // 2
        for p in range(indptr[e], indptr[e + 1]):
            set_row(out, p, 0, d_places, p, 0, out.dtype.type(1), 2 * width)
            add_row(out, p, 0, d_groups, group[p], width, inverse[p], 2 * width)
            add_row(out, p, 0, d_means, e, width, inverse_size[p], width)


@parallel_kernel
def take_nodes(x, nodes, indptr, inverse_size, means):
    """The mean of the nodes of every ego network."""
    for e in numba.prange(indptr.shape[0] - 1):
        mean = means[e]
        for c in range(mean.shape[0]):
            mean[c] = 0
        for p in range(indptr[e], indptr[e + 1]):
            add_row(means, e, 0, x, nodes[p], 0, inverse_size[p], x.shape[1])


@parallel_kernel
def to_nodes(groups, g_at, egos, e_at, lists, by_group, by_ego, out, at, width):
    """Summed over the places of each node: rows of their groups and of their ego networks, each times a factor.

    `width` columns from `g_at` and `e_at` on, into those from `at` on; `lists` are the places of each node (offsets and
    places) and the group and the ego network of each place.
    """
    ptr, copies, group, ego = lists
    for a in numba.prange(out.shape[0]):
        o = out[a, at : at + width]
        for c in range(width):
            o[c] = 0
        for k in range(ptr[a], ptr[a + 1]):
            p = copies[k]
            add_row(out, a, at, groups, group[p], g_at, by_group[p], width)
            add_row(out, a, at, egos, ego[p], e_at, by_ego[p], width)


@parallel_kernel
def place_terms(groups, egos, group, indptr, width, at, terms):
    """Terms of rows and columns at every place: those of its group, and along rows those of its ego network."""
    for e in numba.prange(indptr.shape[0] - 1):
        total, one = terms.shape[1] // 2, terms.dtype.type(1)
        for p in range(indptr[e], indptr[e + 1]):
            set_row(terms, p, at, groups, group[p], width, one, width)
            add_row(terms, p, at, egos, e, width, one, width)
            set_row(terms, p, total + at, groups, group[p], 2 * width, one, width)


@parallel_kernel
def terms_back(grads, at, ptr, places, nodes, inverse_node, parts, out):
    """Of what gave terms, a row per group or ego network, the gradient: summed over its places.

    `grads` are those of terms at places, at nodes' diagonals and at nodes. `parts` says how many of the places' there
    are, 2 of a group and 1 of an ego network, 0 where no pairs are written.
    """
    d_terms, d_diagonal, d_nodes = grads
    for r in numba.prange(out.shape[0]):
        o, total, one = out[r], d_terms.shape[1] // 2, out.dtype.type(1)
        width = o.shape[0] // (parts + (d_diagonal.shape[0] > 0) + (d_nodes.shape[0] > 0))
        for c in range(o.shape[0]):
            o[c] = 0
        for k in range(ptr[r], ptr[r + 1]):
            p = places[k] if places.shape[0] else k
            if d_diagonal.shape[0]:
                add_row(out, r, 0, d_diagonal, nodes[p], at, inverse_node[p], width)
            for part in range(parts):
                add_row(out, r, (1 + part) * width, d_terms, p, part * total + at, one, width)
            if d_nodes.shape[0]:
                add_row(out, r, o.shape[0] - width, d_nodes, nodes[p], at, inverse_node[p], width)


@parallel_kernel
def spread(terms, diagonal, lists, inverse_size, scale, by_size, out):
    """The adjoint of `moments`: terms of places along rows and columns, summed over a pair's entries, times its scale.

    A pair of a node with itself gets the node's row of `diagonal` as well. `lists` are offsets of the entries of each
    pair, in the order of pairs, the places of their rows and columns, and the node of each place.
    """
    ptr, rows, cols, nodes = lists
    for r in numba.prange(out.shape[0]):
        o = out[r]
        width = o.shape[0]
        for c in range(width):
            o[c] = 0
        for k in range(ptr[r], ptr[r + 1]):
            s = scale[r] * inverse_size[rows[k]] if by_size else scale[r]
            add_row(out, r, 0, terms, rows[k], 0, s, width)
            add_row(out, r, 0, terms, cols[k], width, s, width)
        k = ptr[r]
        if rows[k] == cols[k]:
            add_row(out, r, 0, diagonal, nodes[rows[k]], 0, out.dtype.type(1), width)


@parallel_kernel
def sum_spans(x, spans, out):
    """`out[k]` is the sum of the rows of each span (k, a, b)."""
    for q in numba.prange(spans.shape[0]):
        k, a, b = spans[q]
        o = out[k]
        for c in range(o.shape[0]):
            o[c] = 0
        for r in range(a, b):
            add_row(out, k, 0, x, r, 0, x.dtype.type(1), o.shape[0])


@parallel_kernel
def normalise(given, ptr, parameters, eps, activated, x, out, mean, deviation):
    """GraphNorm of the rows `ptr[g]:ptr[g + 1]` of each graph g; keeps means and standard deviations.

    If `activated`, of ELU of what is given, which is kept in x; else x is what is given. The parameters are gamma, beta
    and alpha.
    """
    gamma, beta, alpha = parameters
    for g in numba.prange(mean.shape[0]):
        mu, sd, width = mean[g], deviation[g], x.shape[1]
        first, last, share = ptr[g], ptr[g + 1], x.dtype.type(1 / (ptr[g + 1] - ptr[g]))
        centre, scale = np.empty(width, x.dtype), np.empty(width, x.dtype)
        if activated:
            for r in range(first, last):
                elu_row(given[r], x[r])
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
    """Gradients of `normalise` from (x, ptr, gamma, alpha, mean, deviation); those of its parameters, per graph, in
    `sums` (gamma, beta, alpha). If `activated`, x is ELU of what the gradient is wanted of."""
    x, ptr, gamma, alpha, mean, deviation = kept
    for g in numba.prange(mean.shape[0]):
        mu, sd, width = mean[g], deviation[g], x.shape[1]
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
