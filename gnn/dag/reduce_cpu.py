"""Kernels that reduce messages into the nodes they end at, and lead gradients back to messages and sources.

Messages lie in the order of the nodes they end at: those of row r are `indptr[r]:indptr[r + 1]`, and every row has
some. A message belongs to one row, and a gradient's sum over a source's messages to one source, so that no two
threads write to one place and sums have one order: results do not depend on threads.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel


@parallel_kernel
def add_rows(messages, indptr, mean, out):
    """`out[r]` is the sum of row r's messages, or their mean."""
    for r in numba.prange(out.shape[0]):
        o = out[r]
        o[:] = messages[indptr[r]]
        for e in range(indptr[r] + 1, indptr[r + 1]):
            m = messages[e]
            for j in range(o.shape[0]):
                o[j] += m[j]
        if mean:
            count = indptr[r + 1] - indptr[r]
            for j in range(o.shape[0]):
                o[j] /= count


@parallel_kernel
def add_rows_gradient(grad, indptr, mean, out):
    """`out[e]` is the gradient of message e, from that of its row."""
    for r in numba.prange(grad.shape[0]):
        g = grad[r]
        count = indptr[r + 1] - indptr[r] if mean else 1
        for e in range(indptr[r], indptr[r + 1]):
            o = out[e]
            for j in range(o.shape[0]):
                o[j] = g[j] / count


@parallel_kernel
def max_rows(messages, indptr, out, winners):
    """`out[r]` is the largest of row r's messages, column by column, and `winners[r]` the first that has it.

    A message that is not a number wins, so that it is seen.
    """
    for r in numba.prange(out.shape[0]):
        o, w = out[r], winners[r]
        o[:] = messages[indptr[r]]
        w[:] = indptr[r]
        for e in range(indptr[r] + 1, indptr[r + 1]):
            m = messages[e]
            for j in range(o.shape[0]):
                if m[j] > o[j] or m[j] != m[j]:
                    o[j] = m[j]
                    w[j] = e


@parallel_kernel
def max_rows_gradient(grad, winners, indptr, out):
    """The gradient of a column goes to the message that won it."""
    for r in numba.prange(grad.shape[0]):
        out[indptr[r] : indptr[r + 1]] = 0
        for j in range(grad.shape[1]):
            out[winners[r, j], j] = grad[r, j]


@kernel(forceinline=True)
def _gate(value):
    """The logistic function."""
    return 1 / (1 + np.exp(-value))


@parallel_kernel
def gated_rows(messages, indptr, out, winners):
    """Column 0 of a message is its gate g; of its two halves, g times one is summed and g times the other maximised.

    Products are rounded to the messages' type before they are compared: of equal ones the first wins.
    """
    half = out.shape[1] // 2
    for r in numba.prange(out.shape[0]):
        o, w = out[r], winners[r]
        for e in range(indptr[r], indptr[r + 1]):
            m = messages[e]
            gate = _gate(m[0])
            if e == indptr[r]:
                for j in range(half):
                    o[j] = gate * m[1 + j]
                    o[half + j] = gate * m[1 + half + j]
                    w[j] = e
                continue
            for j in range(half):
                o[j] += gate * m[1 + j]
                value = messages.dtype.type(gate * m[1 + half + j])
                if value > o[half + j] or value != value:
                    o[half + j] = value
                    w[j] = e


@parallel_kernel
def gated_rows_gradient(grad, messages, winners, indptr, out):
    """The gradient of `gated_rows` with respect to the messages."""
    half = grad.shape[1] // 2
    for r in numba.prange(grad.shape[0]):
        g, w = grad[r], winners[r]
        for e in range(indptr[r], indptr[r + 1]):
            m, o = messages[e], out[e]
            gate = _gate(m[0])
            total = m[0] * 0
            for j in range(half):
                o[1 + j] = gate * g[j]
                total += m[1 + j] * g[j]
                won = g[half + j] if w[j] == e else g[half + j] * 0
                o[1 + half + j] = gate * won
                total += m[1 + half + j] * won
            o[0] = total * gate * (1 - gate)


@parallel_kernel
def add_to_sources(grad, edges, indptr, sources, out):
    """`out[sources[s]]` gains the gradients of its messages, `edges[indptr[s]:indptr[s + 1]]`."""
    for s in numba.prange(sources.shape[0]):
        o = out[sources[s]]
        for k in range(indptr[s], indptr[s + 1]):
            g = grad[edges[k]]
            for j in range(o.shape[0]):
                o[j] += g[j]
