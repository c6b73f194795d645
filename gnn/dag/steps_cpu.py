"""Small networks over tiles of edges or nodes, step by step, forward and back.

A network is a list of steps, each of which makes a row of values per edge or node from the rows of steps before it. A
tile's rows of one step lie together, (capacity, padded) in one flat array at `capacity * starts[step]`: widths are
padded to a multiple of eight, and what the padding holds is never read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...graphlib.compute.jit import kernel
from ..blocks_cpu import add_products
from .activations_cpu import activate, slope

ENTRY, LINEAR, ACT, NORM, SCALE, ADD, MUL, SLICE, JOIN = range(9)
"""What a step does: the linear layer over what is read; one over a row; an activation; (x - mean) / deviation; factor
and shift by column; sum; product; some columns; two rows side by side."""
TILE = 32
"""Edges or nodes that are computed together."""
_FLUSH = 64  # terms of a gradient that are added up before they go into float64


class Layers(NamedTuple):
    """Steps: `ops`, `sources` and `others` (rows they read), `kinds` and `args` of the activation in place behind them.

    `weights` (step, in, out) and `turned` (step, out, in) are those of linear layers, with zeros around; of a SCALE,
    `weights[step, 0]` are its factors; of a NORM, `args` is its epsilon; of a SLICE, `others` is its first column. The
    first step is the ENTRY, whose sums are given; its weights are those of an edge's state or a node's messages alone.
    """

    ops: Any
    sources: Any
    others: Any
    kinds: Any
    args: Any
    widths: Any
    padded: Any
    starts: Any
    weights: Any
    turned: Any
    bias: Any


class Sums(NamedTuple):
    """Gradients of parameters: few terms in `own` (step, in + 1, out), flushed into float64 `total` of the same shape.

    The bias's, or a SCALE's shift's, are the last row of `in + 1`. `pending` (1,) counts the terms.
    """

    own: Any
    total: Any
    pending: Any


@kernel(forceinline=True)
def rows_of(flat, capacity, first, count, start, width):
    """Rows `first` to `first + count` of a step, (count, width)."""
    at = capacity * start + first * width
    return flat[at : at + count * width].reshape(count, width)


@kernel(forceinline=True)
def _values(flat, capacity, first, count, start, width):
    """The same rows behind one another."""
    at = capacity * start + first * width
    return flat[at : at + count * width]


@kernel
def run_steps(net, flat, capacity, first, count):
    """All rows of a tile, whose first step's sums are there."""
    for s in range(net.ops.shape[0]):
        op, padded, source = net.ops[s], net.padded[s], net.sources[s]
        values = _values(flat, capacity, first, count, net.starts[s], padded)
        if op == LINEAR:
            out = values.reshape(count, padded)
            x = rows_of(flat, capacity, first, count, net.starts[source], net.padded[source])
            _spread(net.bias[s], out)
            add_products(x, net.weights[s], out, count, net.widths[source], padded)
        elif op == ACT:
            values[:] = _values(flat, capacity, first, count, net.starts[source], padded)
        elif op != ENTRY:
            _combine(net, s, flat, capacity, first, count)
        if net.kinds[s]:
            activate(net.kinds[s], net.args[s], values)


@kernel
def _spread(bias, out):
    for t in range(out.shape[0]):
        row = out[t]
        for j in range(row.shape[0]):
            row[j] = bias[j]


@kernel
def _combine(net, s, flat, capacity, first, count):
    """A step that is neither linear nor an activation."""
    op, source, other, width = net.ops[s], net.sources[s], net.others[s], net.widths[s]
    out = rows_of(flat, capacity, first, count, net.starts[s], net.padded[s])
    a = rows_of(flat, capacity, first, count, net.starts[source], net.padded[source])
    if op == NORM:
        for t in range(count):
            _norm(a[t], out[t], width, net.args[s])
    elif op == SCALE:
        factor, shift = net.weights[s, 0], net.bias[s]
        for t in range(count):
            for j in range(width):
                out[t, j] = a[t, j] * factor[j] + shift[j]
    elif op == SLICE:
        for t in range(count):
            for j in range(width):
                out[t, j] = a[t, other + j]
    else:
        b = rows_of(flat, capacity, first, count, net.starts[other], net.padded[other])
        left = net.widths[source]
        for t in range(count):
            if op == ADD:
                for j in range(width):
                    out[t, j] = a[t, j] + b[t, j]
            elif op == MUL:
                for j in range(width):
                    out[t, j] = a[t, j] * b[t, j]
            else:
                for j in range(left):
                    out[t, j] = a[t, j]
                for j in range(width - left):
                    out[t, left + j] = b[t, j]


@kernel
def _moments(x, width, epsilon):
    """The mean, and one over the deviation."""
    mean, square = 0.0, 0.0
    for j in range(width):
        mean += x[j]
    mean /= width
    for j in range(width):
        square += (x[j] - mean) ** 2
    return mean, 1 / np.sqrt(square / width + epsilon)


@kernel
def _norm(x, out, width, epsilon):
    mean, factor = _moments(x, width, epsilon)
    for j in range(width):
        out[j] = (x[j] - mean) * factor


@kernel
def _norm_back(x, h, d, out, width, epsilon):
    """Add to `out` the gradient of x, from that of its normalised h."""
    _, factor = _moments(x, width, epsilon)
    along, level = 0.0, 0.0
    for j in range(width):
        along += d[j] * h[j]
        level += d[j]
    for j in range(width):
        out[j] += factor * (d[j] - level / width - h[j] * along / width)


@kernel
def steps_back(net, flat, capacity, first, count, grads, sums):
    """Lead the gradient of the last step back to that of the first step's sums; parameters' are added to `sums`.

    `grads` is laid out as a tile of `TILE` rows; its last step is given, the others are overwritten.
    """
    last = net.ops.shape[0] - 1
    grads[: TILE * net.starts[last]] = 0
    for turn in range(last + 1):
        s = last - turn
        op, padded, source = net.ops[s], net.padded[s], net.sources[s]
        d = _values(grads, TILE, 0, count, net.starts[s], padded)
        if net.kinds[s]:
            x = _values(flat, capacity, first, count, net.starts[source if op == ACT else s], padded)
            slope(net.kinds[s], net.args[s], x, _values(flat, capacity, first, count, net.starts[s], padded), d)
        if op == LINEAR:
            slopes = d.reshape(count, padded)
            x2 = rows_of(flat, capacity, first, count, net.starts[source], net.padded[source])
            before = rows_of(grads, TILE, 0, count, net.starts[source], net.padded[source])
            add_products(slopes, net.turned[s], before, count, net.widths[s], net.padded[source])
            add_products(x2.T, slopes, sums.own[s], net.widths[source], count, padded)
            _add_rows(slopes, sums.own[s, -1])
        elif op == ACT:
            before1 = _values(grads, TILE, 0, count, net.starts[source], padded)
            for j in range(d.shape[0]):
                before1[j] += d[j]
        elif op != ENTRY:
            _combine_back(net, s, flat, capacity, first, count, grads, sums)
    sums.pending[0] += count
    if sums.pending[0] >= _FLUSH:
        flush(net, sums)


@kernel
def _combine_back(net, s, flat, capacity, first, count, grads, sums):
    op, source, other, width = net.ops[s], net.sources[s], net.others[s], net.widths[s]
    d = rows_of(grads, TILE, 0, count, net.starts[s], net.padded[s])
    a = rows_of(flat, capacity, first, count, net.starts[source], net.padded[source])
    d_a = rows_of(grads, TILE, 0, count, net.starts[source], net.padded[source])
    if op == NORM:
        h = rows_of(flat, capacity, first, count, net.starts[s], net.padded[s])
        for t in range(count):
            _norm_back(a[t], h[t], d[t], d_a[t], width, net.args[s])
    elif op == SCALE:
        factor, own = net.weights[s, 0], sums.own[s, 0]
        for t in range(count):
            for j in range(width):
                own[j] += d[t, j] * a[t, j]
                d_a[t, j] += d[t, j] * factor[j]
        _add_rows(d, sums.own[s, -1])
    elif op == SLICE:
        for t in range(count):
            for j in range(width):
                d_a[t, other + j] += d[t, j]
    else:
        b = rows_of(flat, capacity, first, count, net.starts[other], net.padded[other])
        d_b = rows_of(grads, TILE, 0, count, net.starts[other], net.padded[other])
        left = net.widths[source]
        for t in range(count):
            if op == ADD:
                for j in range(width):
                    d_a[t, j] += d[t, j]
                    d_b[t, j] += d[t, j]
            elif op == MUL:
                for j in range(width):
                    d_a[t, j] += d[t, j] * b[t, j]
                    d_b[t, j] += d[t, j] * a[t, j]
            else:
                for j in range(left):
                    d_a[t, j] += d[t, j]
                for j in range(width - left):
                    d_b[t, j] += d[t, left + j]


@kernel
def _add_rows(rows, out):
    for t in range(rows.shape[0]):
        row = rows[t]
        for j in range(rows.shape[1]):
            out[j] += row[j]


@kernel
def flush(net, sums):
    """Add what is pending to the totals."""
    for s in range(1, net.ops.shape[0]):
        rows = net.widths[net.sources[s]] if net.ops[s] == LINEAR else int(net.ops[s] == SCALE)
        for i in range(rows + (rows > 0)):
            at = i if i < rows else sums.own.shape[1] - 1
            own, total = sums.own[s, at], sums.total[s, at]
            for j in range(net.padded[s]):
                total[j] += own[j]
                own[j] = 0
    sums.pending[0] = 0
