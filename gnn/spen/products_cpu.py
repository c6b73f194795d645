"""Kernels of products with weights by class: of rows as they lie, and of pairs of nodes with both of their directions.

A job (x_at, w_at, count, w_to, width, y_at, y_first, x_first) multiplies `count` columns of rows, from `x_at` on, with
as many rows of the weights, from `w_at` on, and their columns `w_to` to `w_to + width`; the result belongs to the
columns from `y_at` on. What is there is overwritten by jobs with `y_first`, and that of gradients by x by jobs with
`x_first`: they are the first to write there. Every number is one sum in one order: results do not depend on threads.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ..blocks_cpu import products, products_turned
from ..rows_cpu import add_row, set_row

_TILE = 32  # rows of weights whose gradients one turn makes
_DEEP = 512  # rows that these are summed over at a time


@kernel
def multiply_rows(q, x, weight, blocks, jobs, at, out):
    """Every job's products of the rows of a block (k, a, b) with `weight[k]`, in `out` from column `at` on."""
    k, a, b = blocks[q]
    for job in range(jobs.shape[0]):
        x_at, w_at, count, w_to, width, y_at, first, _ = jobs[job]
        matrix = weight[k, w_at : w_at + count, w_to : w_to + width]
        products(x[a:b, x_at:], matrix, out[a:b, at + y_at :], b - a, count, width, first != 0)


@kernel
def multiply_rows_back(q, grad, weight, blocks, jobs, at, d_x):
    """The gradient of `multiply_rows` by x."""
    k, a, b = blocks[q]
    for job in range(jobs.shape[0]):
        x_at, w_at, count, w_to, width, y_at, _, first = jobs[job]
        matrix = weight[k, w_at : w_at + count, w_to : w_to + width]
        products_turned(grad[a:b, at + y_at :], matrix, d_x[a:b, x_at:], b - a, width, count, first != 0)


@kernel
def num_tiles(d_weight):
    """Turns of `weigh_tile` for each span."""
    return (d_weight.shape[1] + _TILE - 1) // _TILE


@kernel
def weigh_tile(turn, x, grad, spans, jobs, at, afresh, d_weight):
    """The gradient of `multiply_rows` by some rows of the weights, over the rows of a span (k, a, b), all k once.

    Written where a job says, or, unless `afresh`, added there.
    """
    tiles = num_tiles(d_weight)
    k, a, b = spans[turn // tiles]
    low = (turn % tiles) * _TILE
    for job in range(jobs.shape[0]):
        x_at, w_at, count, w_to, width, y_at, _, _ = jobs[job]
        first, last = max(low, w_at), min(low + _TILE, w_at + count)
        if first < last:
            out = d_weight[k, first:last, w_to : w_to + width]
            if afresh and a == b:
                out[:] = 0
            columns = x[:, x_at + first - w_at : x_at + last - w_at]
            for start in range(a, b, _DEEP):
                stop = min(start + _DEEP, b)
                below = grad[start:stop, at + y_at :]
                new = afresh and start == a
                products(columns[start:stop].T, below, out, last - first, stop - start, width, new)


@parallel_kernel
def mix(x, pair, turned, share, sides, blocks, out):
    """To the pairs of each block: their rows of x and those of the transposed, by both halves of the weights.

    With X_ab A + X_ba B = (X_ab + X_ba) (A + B) / 2 + (X_ab - X_ba) (A - B) / 2, two products serve (a, b) and (b, a);
    `sides` are A + B and A - B of every class. Of a node with itself there is but the first, twice at one place, hence
    a quarter in `share` where others have a half. The targets of blocks of one class differ.
    """
    for q in numba.prange(blocks.shape[0]):
        k, a, b = blocks[q]
        rows, width, count = b - a, sides.shape[3], x.shape[1]
        read, made = np.empty((2, rows, count), x.dtype), np.empty((2, rows, width), x.dtype)
        parts = 2 - (pair[a] == turned[a])
        _both(x, pair, turned, a, b, x.dtype.type(1), read[0], read[1], a)
        for part in range(2):
            products(read[part], sides[part, k], made[part], rows, count if part < parts else 0, width, True)
        for r in range(rows):
            _back(made[0], made[1], r, pair[a + r], turned[a + r], share[a + r], out, width)


@parallel_kernel
def mix_back(x, grad, lists, sides, blocks, first, kept, d_x):
    """The gradient of `mix` by x, added to `d_x`, and what that by the weights is made of: rows from `first` on.

    Where `d_x` is empty, the former is left out.

    `lists` are (pair, turned, share), `kept` sums and differences of x and of gradients.
    """
    pair, turned, share = lists
    sums, differences, d_sums, d_differences = kept
    for q in numba.prange(blocks.shape[0]):
        k, a, b = blocks[q]
        rows, width, count = b - a, d_sums.shape[1], x.shape[1]
        parts, one = 2 - (pair[a] == turned[a]), x.dtype.type(1)
        _both(x, pair, turned, a, b, one, sums, differences, first)
        for r in range(rows):  # before it is multiplied, a gradient gets the share of its pair
            s = share[a + r]
            _both(grad, pair, turned, a + r, a + r + 1, s, d_sums, d_differences, first)
        if d_x.shape[0] == 0:
            continue
        found = np.empty((2, rows, count), x.dtype)
        for part in range(2):
            upper = (d_sums if part == 0 else d_differences)[a - first : b - first]
            products_turned(upper, sides[part, k], found[part], rows, width if part < parts else 0, count, True)
        for r in range(rows):
            _back(found[0], found[1], r, pair[a + r], turned[a + r], one, d_x, count)


@parallel_kernel
def weigh_sides(kept, sums, differences, jobs, afresh, d_sides):
    """Gradients of `mix` by both sides of the weights, written or added, from what `mix_back` keeps."""
    for turn in numba.prange(sums.shape[0] * num_tiles(d_sides[0])):
        weigh_tile(turn, kept[0], kept[2], sums, jobs, 0, afresh, d_sides[0])
    for turn in numba.prange(differences.shape[0] * num_tiles(d_sides[1])):
        weigh_tile(turn, kept[1], kept[3], differences, jobs, 0, afresh, d_sides[1])


@parallel_kernel
def sides_of(entry, sides):
    """The sum and the difference of both halves of every class's rows (num_classes, C, 2 c): (2, num_classes, C, c)."""
    for k in numba.prange(entry.shape[0]):
        width, one = sides.shape[3], sides.dtype.type(1)
        for part in range(2):
            for r in range(entry.shape[1]):
                set_row(sides[part, k], r, 0, entry[k], r, 0, one, width)
                add_row(sides[part, k], r, 0, entry[k], r, width, one - 2 * part, width)


@parallel_kernel
def halves_of(sides, entry):
    """The adjoint of `sides_of`: halves that are the sum and the difference of both sides."""
    for k in numba.prange(entry.shape[0]):
        width, one = sides.shape[3], sides.dtype.type(1)
        for part in range(2):
            for r in range(entry.shape[1]):
                set_row(entry[k], r, part * width, sides[0, k], r, 0, one, width)
                add_row(entry[k], r, part * width, sides[1, k], r, 0, one - 2 * part, width)


@kernel(forceinline=True)
def _both(x, pair, turned, a, b, s, sums, differences, first):
    """Of pairs a to b - 1, sums and differences with their transposed, times s, in rows counted from `first`."""
    width = sums.shape[1]
    for q in range(a, b):
        o, p = q - first, pair[q]
        set_row(sums, o, 0, x, p, 0, s, width)
        add_row(sums, o, 0, x, turned[q], 0, s, width)
        set_row(differences, o, 0, x, p, 0, s, width)
        add_row(differences, o, 0, x, turned[q], 0, -s, width)


@kernel(forceinline=True)
def _back(sums, differences, r, p, t, s, out, width):
    """To rows p and t of `out`: s times the sum and the difference of these rows."""
    add_row(out, p, 0, sums, r, 0, s, width)
    add_row(out, p, 0, differences, r, 0, s, width)
    add_row(out, t, 0, sums, r, 0, s, width)
    add_row(out, t, 0, differences, r, 0, -s, width)
