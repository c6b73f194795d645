"""A layer's kernels: what a map reads of features, and what it makes of that, each with its adjoint in one call.

A call is a chain of loops, each over what the one before has made (see `jit.parallel_kernel`), since batches of small
graphs have but some dozen ego networks: as calls of their own, most of these loops would be shorter than the call.

Every output row is written by one turn, in one order: results do not depend on threads. Factors come as arrays of the
features' type, since a product with an integer would be of 64 bits. Arrays without rows stand for what is not there.
"""

from __future__ import annotations

import numba

from ...graphlib.compute.jit import kernel, parallel_kernel
from ..rows_cpu import add_row, set_row
from .products_cpu import multiply_rows, multiply_rows_back, num_tiles, weigh_tile


@parallel_kernel
def read_pairs(x, bag, diagonal, of_group, factors, places, groups, egos):
    """What a map reads of pairs: see `layer._Read`.

    `bag` are the pair of each entry and where places and entries of ego networks begin, `of_group` the node of each
    group and its places (offsets and places), `factors` 1 per pair, and 1 / size and 1 / places of its group per place.
    """
    pair, indptr, entry_ptr = bag
    node, ptr, copies = of_group
    one, inverse_size, inverse = factors
    for e in numba.prange(indptr.shape[0] - 1):
        _moments(e, x, pair, one, indptr, entry_ptr, inverse_size, places, egos)
    for q in numba.prange(groups.shape[0]):
        width = x.shape[1]
        set_row(groups, q, 0, x, diagonal[node[q]], 0, x.dtype.type(1), width)
        for k in range(ptr[q], ptr[q + 1]):
            p = copies[k]
            if k == ptr[q]:
                set_row(groups, q, width, places, p, 0, inverse[p], 2 * width)
            else:
                add_row(groups, q, width, places, p, 0, inverse[p], 2 * width)


@parallel_kernel
def read_pairs_back(read, of_place, factors, bag, pairs, nodes, terms, out):
    """The adjoint of `read_pairs`: gradients of (places, groups, egos) to that of pairs.

    `of_place` are the places of each node (offsets and places), the group and the ego network of each place; `pairs`
    the entries of each (offsets, in the order of pairs, places of their rows and columns) and the node of each place.
    """
    d_places, d_groups, d_egos = read
    one, inverse_size, inverse = factors
    group, indptr = of_place[2], bag[1]
    for a in numba.prange(nodes.shape[0]):
        _to_node(a, d_groups, 0, d_egos, 0, of_place, (inverse, inverse_size), nodes, 0, nodes.shape[1])
    for e in numba.prange(indptr.shape[0] - 1):
        width = d_egos.shape[1] // 2
        for p in range(indptr[e], indptr[e + 1]):
            set_row(terms, p, 0, d_places, p, 0, terms.dtype.type(1), 2 * width)
            add_row(terms, p, 0, d_groups, group[p], width, inverse[p], 2 * width)
            add_row(terms, p, 0, d_egos, e, width, inverse_size[p], width)
    for r in numba.prange(out.shape[0]):
        _spread(r, terms, nodes, pairs, inverse_size, one, True, out)


@parallel_kernel
def read_nodes(x, nodes, indptr, inverse_size, node, groups, egos):
    """What a map reads of nodes: their features by group, and the mean of those of every ego network."""
    for e in numba.prange(indptr.shape[0] - 1):
        mean = egos[e]
        for c in range(mean.shape[0]):
            mean[c] = 0
        for p in range(indptr[e], indptr[e + 1]):
            add_row(egos, e, 0, x, nodes[p], 0, inverse_size[p], x.shape[1])
    for q in numba.prange(groups.shape[0]):
        set_row(groups, q, 0, x, node[q], 0, x.dtype.type(1), x.shape[1])


@parallel_kernel
def read_nodes_back(groups, egos, of_place, by_group, by_ego, out):
    """The adjoint of `read_nodes`."""
    for a in numba.prange(out.shape[0]):
        _to_node(a, groups, 0, egos, 0, of_place, (by_group, by_ego), out, 0, out.shape[1])


@parallel_kernel
def mix_read(read, weights, blocks, jobs, of_place, indptr, share, at, made, out):
    """What a map makes of (places, groups, egos), in the columns from `at` on of terms, diagonals and nodes: `out`.

    `weights` are those of places, of ego networks and their biases, `blocks` and `jobs` those of the three (see
    `products_cpu`), `of_place` as in `read_pairs_back`, `share` 1 / places of its node per place; `made`, by group and
    by ego network, is filled on the way.
    """
    places, groups, egos = read
    place, ego, bias = weights
    mixed, every = made
    terms, diagonal, nodes = out
    of_places, of_groups, of_egos = blocks
    by_place, by_group, all_egos = jobs
    pairs = terms.shape[0] > 0
    width = every.shape[1] // (2 * pairs + (nodes.shape[0] > 0))
    for q in numba.prange(of_groups.shape[0]):
        multiply_rows(q, groups, place, of_groups, by_group, 0, mixed)
    for q in numba.prange(of_egos.shape[0]):
        _mix_egos(q, egos, ego, bias, of_egos, all_egos, 0, every)
    for e in numba.prange(indptr.shape[0] - 1 if pairs else 0):
        group, total, one = of_place[2], terms.shape[1] // 2, terms.dtype.type(1)
        for p in range(indptr[e], indptr[e + 1]):
            set_row(terms, p, at, mixed, group[p], width, one, width)
            add_row(terms, p, at, every, e, width, one, width)
            set_row(terms, p, total + at, mixed, group[p], 2 * width, one, width)
    for a in numba.prange(max(diagonal.shape[0], nodes.shape[0])):
        if pairs:
            _to_node(a, mixed, 0, every, 0, of_place, (share, share), diagonal, at, width)
        if nodes.shape[0]:
            last = mixed.shape[1] - width, every.shape[1] - width
            _to_node(a, mixed, last[0], every, last[1], of_place, (share, share), nodes, at, width)
    for q in numba.prange(of_places.shape[0] if by_place.shape[0] else 0):
        multiply_rows(q, places, place, of_places, by_place, at, terms)


@parallel_kernel
def mix_read_back(read, weights, grads, rows, bag, share, at, made, d_read, d_weights):
    """The adjoint of `mix_read`: gradients of (terms, diagonals, nodes) to those of weights, and of what was read.

    `rows` are the blocks, the spans of each class and the jobs; `bag` the places of each group (offsets and places),
    those of ego networks (offsets) and the node of each place. Gradients of what was read are left out if `d_read` is
    empty.
    """
    places, groups, egos = read
    place, ego, _ = weights
    d_mixed, d_every = made
    d_places, d_groups, d_egos = d_read
    d_place, d_ego, d_bias = d_weights
    blocks, spans, jobs = rows
    of_places, of_groups, of_egos = blocks
    by_place, by_group, all_egos = jobs
    ptr, copies, indptr, nodes = bag
    parts = 1 if grads[0].shape[0] > 0 else 0
    wanted = d_groups.shape[0] > 0
    for r in numba.prange(d_mixed.shape[0]):
        _from_places(r, grads, at, ptr, copies, nodes, share, 2 * parts, d_mixed)
    for r in numba.prange(d_every.shape[0]):
        _from_places(r, grads, at, indptr, copies[:0], nodes, share, parts, d_every)
    for turn in numba.prange(spans[1].shape[0] * num_tiles(d_place)):
        weigh_tile(turn, groups, d_mixed, spans[1], by_group, 0, True, d_place)
    for turn in numba.prange(spans[0].shape[0] * num_tiles(d_place) if by_place.shape[0] else 0):
        weigh_tile(turn, places, grads[0], spans[0], by_place, at, True, d_place)
    for turn in numba.prange(spans[2].shape[0] * num_tiles(d_ego)):
        weigh_tile(turn, egos, d_every, spans[2], all_egos, 0, True, d_ego)
    for k in numba.prange(spans[2].shape[0]):
        _sum_span(k, d_every, spans[2], 0, d_bias)
    for q in numba.prange(of_groups.shape[0] if wanted else 0):
        multiply_rows_back(q, d_mixed, place, of_groups, by_group, 0, d_groups)
    for q in numba.prange(of_egos.shape[0] if wanted else 0):
        multiply_rows_back(q, d_every, ego, of_egos, all_egos, 0, d_egos)
    for q in numba.prange(of_places.shape[0] if wanted and by_place.shape[0] else 0):
        multiply_rows_back(q, grads[0], place, of_places, by_place, at, d_places)


@parallel_kernel
def mix_egos(egos, ego, bias, blocks, job, at, out):
    """Means over ego networks mixed by class, with a bias, in `out` from column `at` on."""
    for q in numba.prange(blocks.shape[0]):
        _mix_egos(q, egos, ego, bias, blocks, job, at, out)


@parallel_kernel
def mix_egos_back(egos, ego, grad, blocks, spans, job, at, d_egos, d_ego, d_bias):
    """The adjoint of `mix_egos`."""
    for q in numba.prange(blocks.shape[0]):
        multiply_rows_back(q, grad, ego, blocks, job, at, d_egos)
    for turn in numba.prange(spans.shape[0] * num_tiles(d_ego)):
        weigh_tile(turn, egos, grad, spans, job, at, True, d_ego)
    for k in numba.prange(spans.shape[0]):
        _sum_span(k, grad, spans, at, d_bias)


@parallel_kernel
def spread(terms, diagonal, pairs, inverse_size, scale, out):
    """Terms along rows and columns, summed over a pair's entries, times its scale, and diagonals."""
    for r in numba.prange(out.shape[0]):
        _spread(r, terms, diagonal, pairs, inverse_size, scale, False, out)


@parallel_kernel
def spread_back(upper, bag, diagonal, factors, terms, d_diagonal):
    """The adjoint of `spread`: gradients of pairs to those of terms and of diagonals."""
    pair, indptr, entry_ptr = bag
    scale, inverse_size = factors
    for e in numba.prange(indptr.shape[0] - 1):
        _moments(e, upper, pair, scale, indptr, entry_ptr, inverse_size, terms, upper[:0])
    for a in numba.prange(d_diagonal.shape[0]):
        set_row(d_diagonal, a, 0, upper, diagonal[a], 0, upper.dtype.type(1), upper.shape[1])


@kernel(forceinline=True)
def _moments(e, x, pair, scale, indptr, entry_ptr, inverse_size, out, means):
    """`out[place]` is (row sum, column sum) of its block of `x[pair] * scale[pair]`.

    Where there are `means`, sums are divided by the size, and these are the means of diagonals and of these row sums.
    """
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


@kernel(forceinline=True)
def _spread(r, terms, diagonal, pairs, inverse_size, scale, by_size, out):
    """The adjoint of `_moments`, for a pair; of a node with itself, the node's row of `diagonal` is added."""
    ptr, rows, cols, nodes = pairs
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


@kernel(forceinline=True)
def _to_node(a, groups, g_at, egos, e_at, of_place, factors, out, at, width):
    """Summed over the places of a node: rows of their groups and of their ego networks, each times a factor.

    `width` columns from `g_at` and `e_at` on, into those from `at` on.
    """
    ptr, copies, group, ego = of_place
    by_group, by_ego = factors
    for k in range(ptr[a], ptr[a + 1]):
        p = copies[k]
        if k == ptr[a]:
            set_row(out, a, at, groups, group[p], g_at, by_group[p], width)
        else:
            add_row(out, a, at, groups, group[p], g_at, by_group[p], width)
        add_row(out, a, at, egos, ego[p], e_at, by_ego[p], width)


@kernel(forceinline=True)
def _from_places(r, grads, at, ptr, places, nodes, inverse_node, parts, out):
    """Of what gave terms, a row per group or ego network, the gradient: summed over its places, listed if not in turn.

    `parts` says how many of the places' there are, 2 of a group and 1 of an ego network, 0 where no pairs are written.
    """
    d_terms, d_diagonal, d_nodes = grads
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


@kernel
def _mix_egos(q, egos, ego, bias, blocks, job, at, out):
    k, a, b = blocks[q]
    for r in range(a, b):
        set_row(out, r, at, bias, k, 0, out.dtype.type(1), bias.shape[1])
    multiply_rows(q, egos, ego, blocks, job, at, out)


@kernel
def _sum_span(q, x, spans, at, out):
    """`out[k]` is the sum of the rows of a span (k, a, b), of their columns from `at` on."""
    k, a, b = spans[q]
    o = out[k]
    for c in range(o.shape[0]):
        o[c] = 0
    for r in range(a, b):
        add_row(out, k, 0, x, r, at, x.dtype.type(1), o.shape[0])
