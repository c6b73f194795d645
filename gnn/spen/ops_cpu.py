"""Kernels of equivariant maps: sums of rows and columns of blocks, their adjoint, and what goes by group and ego network.

Every output row is written by one turn, in one order: results do not depend on threads. Factors come as arrays of the
features' type, since a product with an integer would be of 64 bits.
"""

from __future__ import annotations

import numba

from ...graphlib.compute.jit import parallel_kernel
from ...sampling.subgraphs.bags_cpu import mean_rows, mean_rows_gradient
from .products_cpu import mix, mix_back, multiply, multiply_back, weigh

__all__ = [
    "group_means",
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
            along = out[first + i]
            for j in range(size):
                v, s, down = x[pair[p]], scale[pair[p]], out[first + j, width:]
                for c in range(width):
                    along[c] += s * v[c]
                for c in range(width):
                    down[c] += s * v[c]
                p += 1
        if means.shape[0]:
            mean, share = means[e], inverse_size[first]
            for c in range(2 * width):
                mean[c] = 0
            total = means[e, width:]
            for i in range(size):
                v, sums = x[pair[entry_ptr[e] + i * (size + 1)]], out[first + i]
                for c in range(2 * width):
                    sums[c] *= share
                for c in range(width):
                    mean[c] += share * v[c]
                for c in range(width):
                    total[c] += share * sums[c]


@parallel_kernel
def group_means(x, diagonal, places, node, ptr, copies, inverse, out):
    """`out[q]` is the pair of its node with itself, and the mean of its rows of `places`."""
    for q in numba.prange(out.shape[0]):
        width, o, v = x.shape[1], out[q], x[diagonal[node[q]]]
        for c in range(width):
            o[c] = v[c]
        rest = out[q, width:]
        for c in range(rest.shape[0]):
            rest[c] = 0
        for k in range(ptr[q], ptr[q + 1]):
            row, s = places[copies[k]], inverse[copies[k]]
            for c in range(rest.shape[0]):
                rest[c] += s * row[c]


@parallel_kernel
def moments_back(d_groups, d_means, group, inverse, indptr, inverse_size, d_places):
    """To the gradient of row and column means, what comes through those of their groups and their ego network."""
    for e in numba.prange(indptr.shape[0] - 1):
        width, mean = d_means.shape[1] // 2, d_means[e, d_means.shape[1] // 2 :]
        for p in range(indptr[e], indptr[e + 1]):
            o, g, s, share = d_places[p], d_groups[group[p], width:], inverse[p], inverse_size[p]
            for c in range(2 * width):
                o[c] += s * g[c]
            for c in range(width):
                o[c] += share * mean[c]


@parallel_kernel
def take_nodes(x, nodes, indptr, inverse_size, means):
    """The mean of the nodes of every ego network."""
    for e in numba.prange(indptr.shape[0] - 1):
        mean, width = means[e], x.shape[1]
        for c in range(width):
            mean[c] = 0
        for p in range(indptr[e], indptr[e + 1]):
            v, s = x[nodes[p]], inverse_size[p]
            for c in range(width):
                mean[c] += s * v[c]


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
            g, e, s, t = groups[group[p], g_at:], egos[ego[p], e_at:], by_group[p], by_ego[p]
            for c in range(width):
                o[c] += s * g[c] + t * e[c]


@parallel_kernel
def place_terms(groups, egos, group, indptr, width, at, terms):
    """Terms of rows and columns at every place: those of its group, and along rows those of its ego network."""
    for e in numba.prange(indptr.shape[0] - 1):
        total, everywhere = terms.shape[1] // 2, egos[e, width:]
        for p in range(indptr[e], indptr[e + 1]):
            row, col, g_row, g_col = (
                terms[p, at:],
                terms[p, total + at :],
                groups[group[p], width:],
                groups[group[p], 2 * width :],
            )
            for c in range(width):
                row[c] = g_row[c] + everywhere[c]
            for c in range(width):
                col[c] = g_col[c]


@parallel_kernel
def terms_back(grads, at, ptr, places, nodes, inverse_node, parts, out):
    """Of what gave terms, a row per group or ego network, the gradient: summed over its places.

    `grads` are those of terms at places, at nodes' diagonals and at nodes. `parts` says how many of those of places there
    are, 2 of a group and 1 of an ego network, 0 where no pairs are written.
    """
    d_terms, d_diagonal, d_nodes = grads
    for r in numba.prange(out.shape[0]):
        o, total = out[r], d_terms.shape[1] // 2
        width = o.shape[0] // (parts + (d_diagonal.shape[0] > 0) + (d_nodes.shape[0] > 0))
        for c in range(o.shape[0]):
            o[c] = 0
        for k in range(ptr[r], ptr[r + 1]):
            p = places[k] if places.shape[0] else k
            s, a = inverse_node[p], nodes[p]
            behind = 0
            if d_diagonal.shape[0]:
                g, behind = d_diagonal[a, at:], (1 + parts) * width
                for c in range(width):
                    o[c] += s * g[c]
            for part in range(parts):
                g, into = d_terms[p, part * total + at :], out[r, (1 + part) * width :]
                for c in range(width):
                    into[c] += g[c]
            if d_nodes.shape[0]:
                g, into = d_nodes[a, at:], out[r, behind:]
                for c in range(width):
                    into[c] += s * g[c]


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
            along, down, s = terms[rows[k]], terms[cols[k], width:], scale[r]
            if by_size:
                s *= inverse_size[rows[k]]
            for c in range(width):
                o[c] += s * (along[c] + down[c])
        k = ptr[r]
        if rows[k] == cols[k]:
            a = diagonal[nodes[rows[k]]]
            for c in range(width):
                o[c] += a[c]


@parallel_kernel
def sum_spans(x, spans, out):
    """`out[k]` is the sum of the rows of each span (k, a, b)."""
    for q in numba.prange(spans.shape[0]):
        k, a, b = spans[q]
        o = out[k]
        for c in range(o.shape[0]):
            o[c] = 0
        for r in range(a, b):
            row = x[r]
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
