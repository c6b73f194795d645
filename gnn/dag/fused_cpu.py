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
from .activations_cpu import activate, slope

SUM, MEAN, MAX, GATED = 0, 1, 2, 3
"""How messages are reduced."""
BLOCK = 64
"""Nodes that one turn of a loop takes."""
TILE = 64
"""Edges or nodes whose gradients of weights are added up together."""


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


class Gradients(NamedTuple):
    """Gradients of states and reduced messages, and of the first layers' sums: as a source, of the update, of an edge.

    `edges` has no rows where nobody asks; `message` and `update` hold sums for the layers behind the first, float64
    (groups of blocks, layer, in + 1, out), the bias's last.
    """

    states: Any
    reduced: Any
    sent: Any
    told: Any
    edges: Any
    message: Any
    update: Any


@kernel(forceinline=True)
def _even(width):
    """The next multiple of eight, to which weights are padded: vectors without a rest."""
    return (width + 7) & -8


@kernel(forceinline=True)
def _finish(net, rows):
    """The layers behind the first, whose sums lie in `rows[0]`; each layer's values stay in its row."""
    activate(net.activations[0], rows[0], net.widths[1])
    for layer in range(1, rows.shape[0]):
        out, bias = rows[layer], net.bias[layer]
        for j in range(_even(net.widths[layer + 1])):
            out[j] = bias[j]
        add_product(rows[layer - 1], net.weights[layer], net.widths[layer], _even(net.widths[layer + 1]), out)
        activate(net.activations[layer], out, net.widths[layer + 1])


@kernel(forceinline=True)
def _lead_back(net, rows, d, other, tile, t):
    """From the gradient of the values in the last row to that of the first layer's sums, in `d`; `other` is scratch.

    `tile` is (values, slopes): place t gets what the gradients of the layers behind the first are products of.
    """
    values, slopes = tile
    for turn in range(rows.shape[0] - 1):
        layer = rows.shape[0] - 1 - turn
        slope(net.activations[layer], rows[layer], d, net.widths[layer + 1])
        for j in range(net.widths[layer + 1]):
            slopes[layer - 1, t, j] = d[j]
        for i in range(net.widths[layer]):
            values[layer - 1, i, t] = rows[layer - 1, i]
        width = _even(net.widths[layer])
        for j in range(width):
            other[j] = 0
        add_product(d, net.turned[layer], net.widths[layer + 1], width, other)
        for j in range(width):
            d[j] = other[j]
    slope(net.activations[0], rows[0], d, net.widths[1])


@kernel(forceinline=True)
def _tile(net, like):
    """(values, slopes) of `TILE` edges or nodes by layer behind the first; the last value is 1, for the bias."""
    layers, most = max(net.bias.shape[0] - 1, 0), net.bias.shape[1]
    values = np.zeros((layers, most + 1, TILE), like.dtype)
    for layer in range(layers):
        values[layer, most] = 1
    return values, np.zeros((layers, TILE, most), like.dtype)


@kernel(forceinline=True)
def _add_tile(net, tile, count, sums):
    """Add the products of a tile's first places to a group's sums: few terms at a time, into float64."""
    values, slopes = tile
    own = np.empty(net.bias.shape[1], values.dtype)
    for layer in range(values.shape[0]):
        width = _even(net.widths[layer + 2])
        for i in range(net.widths[layer + 1] + 1):
            at = i if i < net.widths[layer + 1] else values.shape[1] - 1
            for j in range(width):
                own[j] = 0
            add_product(values[layer, at], slopes[layer], count, width, own)
            total = sums[layer, at]
            for j in range(width):
                total[j] += own[j]


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
def backward_nodes(first, last, how, wires, message, update, nodes, gradients):
    """Gradients of the states of nodes from before `last` down to `first`, and what else `Gradients` names.

    Of several groups, each takes every so many blocks: those must not depend on one another.
    """
    for group in numba.prange(gradients.message.shape[0]):
        grad, d_reduced = gradients.states, gradients.reduced
        rows = np.empty(message.bias.shape, grad.dtype)
        more = np.empty(update.bias.shape, grad.dtype)
        widest = max(message.bias.shape[1], update.bias.shape[1])
        d, other, total = np.empty(widest, grad.dtype), np.empty(widest, grad.dtype), np.empty(widest, grad.dtype)
        edge_tile, edges, node_tile, updates = _tile(message, grad), 0, _tile(update, grad), 0
        h, m, hidden = rows[0], rows[-1], nodes.sent.shape[1]
        for block in range(group, (last - first + BLOCK - 1) // BLOCK, gradients.message.shape[0]):
            end = last - block * BLOCK
            for back in range(min(BLOCK, end - first)):
                v = end - 1 - back
                g = grad[v]
                for j in range(hidden):
                    total[j] = 0
                for k in range(wires.out_indptr[v], wires.out_indptr[v + 1]):
                    e = wires.out_edges[k]
                    w = wires.dst[e]
                    _message(e, v, w, message, nodes, rows, h)
                    count = wires.indptr[w + 1] - wires.indptr[w]
                    _give_back(how, e, w, m, d_reduced, nodes.winners, count, d)
                    _lead_back(message, rows, d, other, edge_tile, edges)
                    edges += 1
                    if edges == TILE:
                        _add_tile(message, edge_tile, edges, gradients.message[group])
                        edges = 0
                    for j in range(hidden):
                        total[j] += d[j]
                    if gradients.edges.shape[0]:
                        for j in range(hidden):
                            gradients.edges[e, j] = d[j]
                for j in range(hidden):
                    gradients.sent[v, j] = total[j]
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
                _lead_back(update, more, d, other, node_tile, updates)
                updates += 1
                if updates == TILE:
                    _add_tile(update, node_tile, updates, gradients.update[group])
                    updates = 0
                for j in range(nodes.told.shape[1]):
                    gradients.told[v, j] = d[j]
                for j in range(out.shape[0]):
                    out[j] = 0
                add_product(d, update.turned[0], nodes.told.shape[1], out.shape[0], out)
        _add_tile(message, edge_tile, edges, gradients.message[group])
        _add_tile(update, node_tile, updates, gradients.update[group])


@parallel_kernel
def add_heard(edges, indptr, out):
    """`out[v]` is the sum of the rows of the edges that end at v."""
    for v in numba.prange(out.shape[0]):
        o = out[v]
        for j in range(o.shape[0]):
            o[j] = 0
        for e in range(indptr[v], indptr[v + 1]):
            row = edges[e]
            for j in range(o.shape[0]):
                o[j] += row[j]
