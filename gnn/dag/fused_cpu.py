"""Kernels that carry states along a directed acyclic graph through perceptrons, and their gradients back, in one call.

Nodes come in level order, edges by the node they end at. What a first layer reads of a node is computed once per node:
`sent[u]` is the part of the source, `heard[v]` that of the destination with the bias, and an edge adds the two. A
node's sums have one order and one thread.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ..products_cpu import add_product

SUM, MEAN, MAX, GATED = 0, 1, 2, 3
"""How messages are reduced."""
NONE, RELU, LEAKY, ELU, SIGMOID, TANH = 0, 1, 2, 3, 4, 5
"""What stands behind a layer."""
BLOCK = 64
"""Nodes that one turn of a loop takes."""


class Wires(NamedTuple):
    """Edges e by destination, `src[e]`, `dst[e]`, `indptr`, and by source, `out_edges`, `out_indptr`."""

    indptr: Any
    src: Any
    dst: Any
    out_indptr: Any
    out_edges: Any


class Layers(NamedTuple):
    """A perceptron: weights (layer, in, out) and turned (layer, out, in) padded with zeros, bias (layer, out).

    The first layer holds the part of the states, or of the reduced messages, alone; its bias lies in `heard`, `told`.
    `widths[l]:widths[l + 1]` are those before and behind layer l.
    """

    weights: Any
    turned: Any
    bias: Any
    widths: Any
    activations: Any


class Nodes(NamedTuple):
    """Rows per node: states, sent, heard, reduced, told (the update's own part), winners; `attr` per edge, or none."""

    states: Any
    sent: Any
    heard: Any
    reduced: Any
    told: Any
    winners: Any
    attr: Any


@kernel(forceinline=True)
def _even(width):
    """The next multiple of eight, to which weights are padded: vectors without a rest."""
    return (width + 7) & -8


@kernel(forceinline=True)
def _expm1(y):
    """e^y - 1 for y <= 0 to a float32's precision, without a branch: a polynomial at y / 64, doubled six times."""
    z = (-20.0 if y < -20.0 else y) * (1 / 64)
    p = 1 + z * (1 / 8)
    p = 1 + z * (1 / 7) * p
    p = 1 + z * (1 / 6) * p
    p = 1 + z * (1 / 5) * p
    p = 1 + z * (1 / 4) * p
    p = 1 + z * (1 / 3) * p
    p = z * (1 + z * (1 / 2) * p)
    for _ in range(6):
        p = p * (p + 2)
    return p


@kernel(forceinline=True)
def _activate(kind, h, width):
    if kind == RELU:
        for j in range(width):
            h[j] = h.dtype.type(0) if h[j] <= 0 else h[j]
    elif kind == LEAKY:
        for j in range(width):
            h[j] = h[j] if h[j] > 0 else h.dtype.type(0.2) * h[j]
    elif kind == ELU and h.itemsize == 4:
        for j in range(width):
            h[j] = h[j] if h[j] > 0 else _expm1(np.float64(h[j]))
    elif kind == ELU:
        for j in range(width):
            h[j] = h[j] if h[j] > 0 else np.expm1(h[j])
    elif kind == SIGMOID:
        for j in range(width):
            h[j] = 1 / (1 + np.exp(-h[j]))
    elif kind == TANH and h.itemsize == 4:
        for j in range(width):
            part = _expm1(-2 * np.abs(np.float64(h[j])))
            value = -part / (part + 2)
            h[j] = value if h[j] > 0 else -value
    elif kind == TANH:
        for j in range(width):
            h[j] = np.tanh(h[j])


@kernel(forceinline=True)
def _slope(kind, h, d, width):
    """`d` times the activation's derivative where its value is h."""
    if kind == RELU:
        for j in range(width):
            d[j] = d[j] if h[j] > 0 else d[j] * 0
    elif kind == LEAKY:
        for j in range(width):
            d[j] = d[j] if h[j] > 0 else h.dtype.type(0.2) * d[j]
    elif kind == ELU:
        for j in range(width):
            d[j] = d[j] if h[j] > 0 else d[j] * (h[j] + 1)
    elif kind == SIGMOID:
        for j in range(width):
            d[j] *= h[j] * (1 - h[j])
    elif kind == TANH:
        for j in range(width):
            d[j] *= 1 - h[j] * h[j]


@kernel(forceinline=True)
def _finish(net, rows):
    """The layers behind the first, whose sums lie in `rows[0]`; each layer's values stay in its row."""
    _activate(net.activations[0], rows[0], net.widths[1])
    for layer in range(1, rows.shape[0]):
        out, bias = rows[layer], net.bias[layer]
        for j in range(_even(net.widths[layer + 1])):
            out[j] = bias[j]
        add_product(rows[layer - 1], net.weights[layer], net.widths[layer], _even(net.widths[layer + 1]), out)
        _activate(net.activations[layer], out, net.widths[layer + 1])


@kernel(forceinline=True)
def _lead_back(net, rows, d, other):
    """From the gradient of the values in the last row to that of the first layer's sums, in `d`; `other` is scratch."""
    for turn in range(rows.shape[0] - 1):
        layer = rows.shape[0] - 1 - turn
        _slope(net.activations[layer], rows[layer], d, net.widths[layer + 1])
        width = _even(net.widths[layer])
        for j in range(width):
            other[j] = 0
        add_product(d, net.turned[layer], net.widths[layer + 1], width, other)
        for j in range(width):
            d[j] = other[j]
    _slope(net.activations[0], rows[0], d, net.widths[1])


@kernel(forceinline=True)
def _message(e, u, v, net, nodes, rows, h):
    """The message of edge e from u to v, in the last of the rows; h is the first."""
    for j in range(nodes.sent.shape[1]):
        h[j] = nodes.sent[u, j] + nodes.heard[v, j]
    if nodes.attr.shape[0]:
        for j in range(nodes.sent.shape[1]):
            h[j] += nodes.attr[e, j]
    _finish(net, rows)


@kernel(forceinline=True)
def _update(v, net, nodes, reduced, rows):
    """The update of node v, in the last of the rows."""
    h, width = rows[0], nodes.told.shape[1]
    for j in range(width):
        h[j] = nodes.told[v, j]
    add_product(reduced, net.weights[0], reduced.shape[0], width, h)
    _finish(net, rows)


@kernel(forceinline=True)
def _gate(value):
    return 1 / (1 + np.exp(-value))


@kernel(forceinline=True)
def _clear(how, e, out, winners):
    """A row before its first message e."""
    summed = out.shape[0] // 2 if how == GATED else (0 if how == MAX else out.shape[0])
    out[:summed] = 0
    out[summed:] = -np.inf
    winners[:] = e


@kernel(forceinline=True)
def _take(how, e, m, out, winners):
    """Reduce a message into its row."""
    width = out.shape[0]
    if how == GATED:
        gate, half = m.dtype.type(_gate(m[0])), width // 2
        for j in range(half):
            out[j] += gate * m[1 + j]
        _raise(gate, m, 1 + half, e, out, half, winners)
    elif how == MAX:
        _raise(m.dtype.type(1), m, 0, e, out, 0, winners)
    else:
        for j in range(width):
            out[j] += m[j]


@kernel(forceinline=True)
def _raise(gate, m, at, e, out, begin, winners):
    """Maxima; of equal values the first stays, and what is not a number wins."""
    for j in range(out.shape[0] - begin):
        value = gate * m[at + j]
        more = (value > out[begin + j]) | (value != value)
        out[begin + j] = value if more else out[begin + j]
        winners[j] = e if more else winners[j]


@kernel(forceinline=True)
def _give_back(how, e, w, m, grad, winners, count, d):
    """The gradient of message e from that of row w, to which it belongs; indices, as a view of a row costs more."""
    width = grad.shape[1]
    if how == GATED:
        gate, half = m.dtype.type(_gate(m[0])), width // 2
        none = gate * 0
        total = none
        for j in range(half):
            d[1 + j] = gate * grad[w, j]
        for j in range(half):
            d[1 + half + j] = gate * grad[w, half + j] if winners[w, j] == e else none
        for j in range(2 * half):
            total += m[1 + j] * d[1 + j]
        d[0] = total * (1 - gate)
        return
    for j in range(width):
        if how == SUM:
            d[j] = grad[w, j]
        elif how == MEAN:
            d[j] = grad[w, j] / count
        else:
            d[j] = grad[w, j] if winners[w, j] == e else grad[w, j] * 0


@parallel_kernel
def forward_nodes(first, last, how, wires, message, update, nodes):
    """New states of nodes `first` to `last`, in order; all they read is there or among them, in a block before."""
    for block in numba.prange((last - first + BLOCK - 1) // BLOCK):
        rows = np.empty(message.bias.shape, nodes.states.dtype)
        more = np.empty(update.bias.shape, nodes.states.dtype)
        h, m = rows[0], rows[-1]
        begin = first + block * BLOCK
        for v in range(begin, min(last, begin + BLOCK)):
            state, reduced = nodes.states[v], nodes.reduced[v]
            start, stop = wires.indptr[v], wires.indptr[v + 1]
            winners = nodes.winners[v]
            _clear(how, start, reduced, winners)
            for e in range(start, stop):
                _message(e, wires.src[e], v, message, nodes, rows, h)
                _take(how, e, m, reduced, winners)
            if start < stop:
                if how == MEAN:
                    for j in range(reduced.shape[0]):
                        reduced[j] /= stop - start
                if more.shape[0]:
                    _update(v, update, nodes, reduced, more)
                    for j in range(state.shape[0]):
                        state[j] = more[-1, j]
                else:
                    for j in range(state.shape[0]):
                        state[j] = reduced[j]
            sent = nodes.sent[v]
            add_product(state, message.weights[0], state.shape[0], sent.shape[0], sent)


@parallel_kernel
def backward_nodes(first, last, how, wires, message, update, nodes, grad, d_reduced):
    """Gradients of the states of nodes from before `last` down to `first`, and of their reduced messages."""
    for block in numba.prange((last - first + BLOCK - 1) // BLOCK):
        rows = np.empty(message.bias.shape, grad.dtype)
        more = np.empty(update.bias.shape, grad.dtype)
        widest = max(message.bias.shape[1], update.bias.shape[1])
        d, other, total = np.empty(widest, grad.dtype), np.empty(widest, grad.dtype), np.empty(widest, grad.dtype)
        h, m = rows[0], rows[-1]
        end = last - block * BLOCK
        for back in range(min(BLOCK, end - first)):
            v = end - 1 - back
            g, hidden = grad[v], nodes.sent.shape[1]
            for j in range(hidden):
                total[j] = 0
            for k in range(wires.out_indptr[v], wires.out_indptr[v + 1]):
                e = wires.out_edges[k]
                w = wires.dst[e]
                _message(e, v, w, message, nodes, rows, h)
                count = wires.indptr[w + 1] - wires.indptr[w]
                _give_back(how, e, w, m, d_reduced, nodes.winners, count, d)
                _lead_back(message, rows, d, other)
                for j in range(hidden):
                    total[j] += d[j]
            add_product(total, message.turned[0], hidden, g.shape[0], g)
            if wires.indptr[v] == wires.indptr[v + 1]:
                continue
            out = d_reduced[v]
            if not more.shape[0]:
                for j in range(g.shape[0]):
                    out[j] = g[j]
                continue
            _update(v, update, nodes, nodes.reduced[v], more)
            for j in range(g.shape[0]):
                d[j] = g[j]
            _lead_back(update, more, d, other)
            for j in range(out.shape[0]):
                out[j] = 0
            add_product(d, update.turned[0], nodes.told.shape[1], out.shape[0], out)
