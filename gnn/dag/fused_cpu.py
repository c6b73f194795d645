"""Kernels that carry states along a directed acyclic graph through small networks, and gradients back, in one call.

Nodes come in level order, edges by the node they end at: those of a few nodes of one level lie together, a tile.
What a first layer reads of a node is computed once per node: `sent[u]` is the part of the source, `heard[v]` that of
the destination with the bias, and an edge adds the two. A node's sums have one order and one thread.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ..blocks_cpu import add_products
from .activations_cpu import sigmoid
from .steps_cpu import TILE, Sums, flush, rows_of, run_steps, steps_back

SUM, MEAN, MAX, GATED = 0, 1, 2, 3
"""How messages are reduced."""


class Wires(NamedTuple):
    """Edges e by destination, `src[e]`, `dst[e]`, `indptr`, and by source, `out_edges`, `out_indptr`; levels."""

    indptr: Any
    src: Any
    dst: Any
    out_indptr: Any
    out_edges: Any
    levels: Any


class Nodes(NamedTuple):
    """Rows per node: states, sent, heard, reduced, told (the update's own part), winners; `attr` per edge, or none.

    Rows of sent, heard, told and attr are padded as steps are. `kept` holds the rows of all messages, where there is
    room for them; otherwise it is empty.
    """

    states: Any
    sent: Any
    heard: Any
    reduced: Any
    told: Any
    winners: Any
    attr: Any
    kept: Any


class Gradients(NamedTuple):
    """Gradients of states and reduced messages, and of the first layers' sums: as a source, of the update, of an edge.

    `message` and `update` hold the sums of the parameters behind the first layers, float64 (parts, step, in + 1, out).
    """

    states: Any
    reduced: Any
    sent: Any
    told: Any
    edges: Any
    message: Any
    update: Any


class Scratch(NamedTuple):
    """A thread's tiles: rows of steps and their gradients, for edges and nodes; products; gates."""

    rows: Any
    grads: Any
    more: Any
    more_grads: Any
    through: Any
    gates: Any


@kernel
def _scratch(message, update, states, made):
    dtype = states.dtype
    wide = message.starts[-1] + message.padded[-1]
    high = update.starts[-1] + update.padded[-1] if update.ops.shape[0] else 0
    side = (max(states.shape[1], made) + 7) & -8
    return Scratch(
        np.zeros(TILE * wide, dtype),
        np.zeros(TILE * wide, dtype),
        np.zeros(TILE * high, dtype),
        np.zeros(TILE * high, dtype),
        np.zeros((TILE, side), dtype),
        np.zeros(TILE, dtype),
    )


@kernel
def _sums(net, total):
    shape = net.weights.shape
    return Sums(np.zeros((shape[0], shape[1] + 1, shape[2]), net.weights.dtype), total, np.zeros(1, np.int64))


@kernel
def _start_messages(wires, nodes, first, count, out):
    """The first layer's sums of edges; indices here and below, as a view of a row costs more."""
    src, dst, sent, heard, attr = wires.src, wires.dst, nodes.sent, nodes.heard, nodes.attr
    for t in range(count):
        u, v = src[first + t], dst[first + t]
        for j in range(out.shape[1]):
            out[t, j] = sent[u, j] + heard[v, j]
    if attr.shape[0]:
        for t in range(count):
            for j in range(out.shape[1]):
                out[t, j] += attr[first + t, j]


@kernel
def _start_updates(net, nodes, first, count, out):
    """The same of nodes: what they have and the reduced messages' part."""
    out[:] = nodes.told[first : first + count]
    reduced = nodes.reduced[first : first + count]
    add_products(reduced, net.weights[0], out, count, reduced.shape[1], out.shape[1])


@kernel(forceinline=True)
def _clear(how, e, out, winners):
    """A row before its first message e."""
    summed = out.shape[0] // 2 if how == GATED else (0 if how == MAX else out.shape[0])
    for j in range(out.shape[0]):
        out[j] = 0 if j < summed else -np.inf
    for j in range(winners.shape[0]):
        winners[j] = e


@kernel(forceinline=True)
def _raise(gate, rows, t, at, e, out, w, begin, winners):
    """Maxima; of equal values the first stays, and what is not a number wins."""
    for j in range(winners.shape[1]):
        value = gate * rows[t, at + j]
        more = (value > out[w, begin + j]) | (value != value)
        out[w, begin + j] = value if more else out[w, begin + j]
        winners[w, j] = e if more else winners[w, j]


@kernel
def _take(how, wires, nodes, first, rows, gates):
    """Reduce messages into the rows of the nodes they end at."""
    dst, out, winners = wires.dst, nodes.reduced, nodes.winners
    if how == GATED:
        for t in range(rows.shape[0]):
            gates[t] = rows[t, 0]
        sigmoid(gates[: rows.shape[0]])
    width, half = out.shape[1], out.shape[1] // 2
    for t in range(rows.shape[0]):
        w, e = dst[first + t], winners.dtype.type(first + t)
        if how == GATED:
            gate = gates[t]
            for j in range(half):
                out[w, j] += gate * rows[t, 1 + j]
            _raise(gate, rows, t, 1 + half, e, out, w, half, winners)
        elif how == MAX:
            _raise(rows.dtype.type(1), rows, t, 0, e, out, w, 0, winners)
        else:
            for j in range(width):
                out[w, j] += rows[t, j]


@kernel(fastmath={"reassoc", "nsz"})  # a sum of few dozen products, in any order
def _gate_slopes(rows, d, gates, width):
    """The gradients of gates, behind whose messages `d` holds the gradients."""
    for t in range(rows.shape[0]):
        total = gates.dtype.type(0)
        for j in range(width):
            total += rows[t, 1 + j] * d[t, 1 + j]
        d[t, 0] = total * (1 - gates[t])


@kernel
def _give_back(how, wires, nodes, grad, first, rows, d, gates):
    """The gradients of messages from those of the rows they went into."""
    dst, winners, width, half = wires.dst, nodes.winners, grad.shape[1], grad.shape[1] // 2
    none = grad.dtype.type(0)
    if how == GATED:
        for t in range(rows.shape[0]):
            gates[t] = rows[t, 0]
        sigmoid(gates[: rows.shape[0]])
    for t in range(rows.shape[0]):
        w, e = dst[first + t], winners.dtype.type(first + t)
        if how == GATED:
            gate = gates[t]
            for j in range(half):
                d[t, 1 + j] = gate * grad[w, j]
            for j in range(half):
                d[t, 1 + half + j] = gate * grad[w, half + j] if winners[w, j] == e else none
        elif how == MAX:
            for j in range(width):
                d[t, j] = grad[w, j] if winners[w, j] == e else none
        else:
            share = grad.dtype.type(wires.indptr[w + 1] - wires.indptr[w] if how == MEAN else 1)
            for j in range(width):
                d[t, j] = grad[w, j] / share
    if how == GATED:
        _gate_slopes(rows, d, gates, width)


@kernel
def _forward_tile(how, wires, message, update, nodes, a, b, room):
    """New states of nodes a to b, of one level."""
    for v in range(a, b):
        _clear(
            how if wires.indptr[v] < wires.indptr[v + 1] else SUM, wires.indptr[v], nodes.reduced[v], nodes.winners[v]
        )
    end, edges = wires.indptr[b], wires.src.shape[0]
    last = message.ops.shape[0] - 1
    for first in range(wires.indptr[a], end, TILE):
        count = min(TILE, end - first)
        flat, capacity, place = (nodes.kept, edges, first) if nodes.kept.shape[0] else (room.rows, TILE, 0)
        out = rows_of(flat, capacity, place, count, 0, message.padded[0])
        _start_messages(wires, nodes, first, count, out)
        run_steps(message, flat, capacity, place, count)
        made = rows_of(flat, capacity, place, count, message.starts[last], message.padded[last])
        _take(how, wires, nodes, first, made, room.gates)
    if how == MEAN:
        for v in range(a, b):
            for j in range(nodes.reduced.shape[1]):
                nodes.reduced[v, j] /= max(wires.indptr[v + 1] - wires.indptr[v], 1)
    new = nodes.reduced[a:b]
    last = update.ops.shape[0] - 1
    if last >= 0:
        out = rows_of(room.more, TILE, 0, b - a, 0, update.padded[0])
        _start_updates(update, nodes, a, b - a, out)
        run_steps(update, room.more, TILE, 0, b - a)
        new = rows_of(room.more, TILE, 0, b - a, update.starts[last], update.padded[last])
    for v in range(a, b):
        if wires.indptr[v] < wires.indptr[v + 1]:
            for j in range(nodes.states.shape[1]):
                nodes.states[v, j] = new[v - a, j]
    states, sent = nodes.states[a:b], nodes.sent[a:b]
    add_products(states, message.weights[0], sent, b - a, states.shape[1], sent.shape[1])


@kernel
def _heard_back(wires, message, gradients, a, b, room):
    """Gradients of the states of nodes a to b, from those of the edges they start."""
    sent, edges, states, through = gradients.sent, gradients.edges, gradients.states, room.through
    indptr, order = wires.out_indptr, wires.out_edges
    hidden, width = sent.shape[1], states.shape[1]
    sent[a:b] = 0
    for v in range(a, b):
        for k in range(indptr[v], indptr[v + 1]):
            e = order[k]
            for j in range(hidden):
                sent[v, j] += edges[e, j]
    through[:] = 0
    add_products(sent[a:b], message.turned[0], through, b - a, message.widths[0], (width + 7) & -8)
    for v in range(a, b):
        for j in range(width):
            states[v, j] += through[v - a, j]


@kernel
def _update_back(wires, update, nodes, gradients, a, b, room, sums):
    """From the gradients of states to those of reduced messages."""
    last, count = update.ops.shape[0] - 1, b - a
    grad = gradients.states[a:b]
    if last < 0:
        gradients.reduced[a:b] = grad
        return
    out = rows_of(room.more, TILE, 0, count, 0, update.padded[0])
    _start_updates(update, nodes, a, count, out)
    run_steps(update, room.more, TILE, 0, count)
    d = rows_of(room.more_grads, TILE, 0, count, update.starts[last], update.padded[last])
    for t in range(count):
        there = wires.indptr[a + t] < wires.indptr[a + t + 1]
        for j in range(d.shape[1]):
            d[t, j] = grad[t, j] if there and j < grad.shape[1] else grad.dtype.type(0)
    through, wide = room.through, (nodes.reduced.shape[1] + 7) & -8
    through[:] = 0
    steps_back(update, room.more, TILE, 0, count, room.more_grads, sums)
    first = rows_of(room.more_grads, TILE, 0, count, 0, update.padded[0])
    gradients.told[a:b] = first
    add_products(first, update.turned[0], through, count, update.widths[0], wide)
    gradients.reduced[a:b] = through[:count, : nodes.reduced.shape[1]]


@kernel
def _edges_back(how, wires, message, nodes, gradients, a, b, room, sums):
    """Gradients of the first layer's sums of the edges that end at nodes a to b."""
    end, edges, last = wires.indptr[b], wires.src.shape[0], message.ops.shape[0] - 1
    for first in range(wires.indptr[a], end, TILE):
        count = min(TILE, end - first)
        flat, capacity, place = (nodes.kept, edges, first) if nodes.kept.shape[0] else (room.rows, TILE, 0)
        if not nodes.kept.shape[0]:
            out = rows_of(flat, capacity, place, count, 0, message.padded[0])
            _start_messages(wires, nodes, first, count, out)
            run_steps(message, flat, capacity, place, count)
        made = rows_of(flat, capacity, place, count, message.starts[last], message.padded[last])
        d = rows_of(room.grads, TILE, 0, count, message.starts[last], message.padded[last])
        _give_back(how, wires, nodes, gradients.reduced, first, made, d, room.gates)
        steps_back(message, flat, capacity, place, count, room.grads, sums)
        d = rows_of(room.grads, TILE, 0, count, 0, message.padded[0])
        gradients.edges[first : first + count] = d


@parallel_kernel
def forward_levels(first, last, parts, how, wires, message, update, nodes):
    """New states of the nodes of levels `first` to before `last`; of several parts, each takes one of every level.

    Those must not depend on one another: there is one level then.
    """
    for part in numba.prange(parts):
        room = _scratch(message, update, nodes.states, nodes.reduced.shape[1])
        for level in range(first, last):
            start, wide = wires.levels[level], wires.levels[level + 1] - wires.levels[level]
            stop = start + wide * (part + 1) // parts
            for a in range(start + wide * part // parts, stop, TILE):
                _forward_tile(how, wires, message, update, nodes, a, min(a + TILE, stop), room)


@parallel_kernel
def backward_levels(first, last, parts, how, wires, message, update, nodes, gradients):
    """Gradients of the states of nodes from levels before `last` down to `first`, and what else `Gradients` names."""
    for part in numba.prange(parts):
        room = _scratch(message, update, nodes.states, nodes.reduced.shape[1])
        sums, more = _sums(message, gradients.message[part]), _sums(update, gradients.update[part])
        for back in range(last - first):
            level = last - 1 - back
            start, wide = wires.levels[level], wires.levels[level + 1] - wires.levels[level]
            stop = start + wide * (part + 1) // parts
            for a in range(start + wide * part // parts, stop, TILE):
                b = min(a + TILE, stop)
                _heard_back(wires, message, gradients, a, b, room)
                if wires.indptr[a] < wires.indptr[b]:
                    _update_back(wires, update, nodes, gradients, a, b, room, more)
                    _edges_back(how, wires, message, nodes, gradients, a, b, room, sums)
        flush(message, sums)
        flush(update, more)


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


@parallel_kernel
def products_by_row(a, b, parts, out):
    """`out[part]` float64 is `a.T @ b` over a part of the rows, the sum of `b` behind it; `b` and `out` are padded."""
    for part in numba.prange(parts):
        own = np.zeros((a.shape[1] + 1, b.shape[1]), b.dtype)
        first, last = a.shape[0] * part // parts, a.shape[0] * (part + 1) // parts
        for begin in range(first, last, 2 * TILE):
            end = min(begin + 2 * TILE, last)
            own[:] = 0
            add_products(a[begin:end].T, b[begin:end], own, a.shape[1], end - begin, b.shape[1])
            for v in range(begin, end):
                for j in range(b.shape[1]):
                    own[-1, j] += b[v, j]
            for i in range(own.shape[0]):
                for j in range(own.shape[1]):
                    out[part, i, j] += own[i, j]
