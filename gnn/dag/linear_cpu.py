"""Kernels that carry numbers along a directed acyclic graph in one call, and their gradients back.

Nodes come in level order, edges by the node they end at. The nodes of a level do not depend on one another; a wide
level is shared among threads, each node's sum having one order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel

SUM, MEAN, MAX, MIN = 0, 1, 2, 3
"""How messages are reduced."""


class Outgoing(NamedTuple):
    """A node's edges `edges[indptr[u]:indptr[u + 1]]`, the node `dst` each ends at, and that node's number of them."""

    indptr: Any
    edges: Any
    dst: Any
    in_degree: Any


@kernel(forceinline=True)
def _pull(v, how, indptr, src, scale, shift, h, winners):
    """The state of one node from its messages `scale * state + shift`, beside what it holds already."""
    begin, end = indptr[v], indptr[v + 1]
    row = h[v]
    for j in range(row.shape[0]):
        total = row[j] * 0
        for e in range(begin, end):
            message = h[src[e], j] * scale[e] + shift[e]
            if how <= MEAN:
                total += message
            elif e == begin or (message > total if how == MAX else message < total) or message != message:
                total = message
                winners[v, j] = e
        if how == MEAN:
            total /= end - begin
        row[j] += total


@kernel
def scan_some(first, last, how, indptr, src, scale, shift, h, winners):
    """Levels one after the other: nodes `first` to `last`, all of whose predecessors come before them."""
    for v in range(first, last):
        if indptr[v] < indptr[v + 1]:
            _pull(v, how, indptr, src, scale, shift, h, winners)


@parallel_kernel
def scan_wide(first, last, how, indptr, src, scale, shift, h, winners):
    """One level on all threads."""
    for i in numba.prange(last - first):
        if indptr[first + i] < indptr[first + i + 1]:
            _pull(first + i, how, indptr, src, scale, shift, h, winners)


@kernel(forceinline=True)
def _push_back(u, how, outgoing, scale, h, winners, grad, d_scale, d_shift):
    """Add to a node's gradient what comes back from the edges that begin there, and note the edges' own."""
    out_indptr, out_edges, dst, in_degree = outgoing
    g = grad[u]
    for k in range(out_indptr[u], out_indptr[u + 1]):
        e = out_edges[k]
        v = dst[e]
        to_scale, to_shift = 0.0, 0.0
        for j in range(g.shape[0]):
            back = grad[v, j]
            if how >= MAX and winners[v, j] != e:
                continue
            if how == MEAN:
                back = back / in_degree[v]
            g[j] += back * scale[e]
            to_scale += np.float64(back) * h[u, j]
            to_shift += back
        d_scale[e] = to_scale
        d_shift[e] = to_shift


@kernel
def scan_back_some(first, last, how, outgoing, scale, h, winners, grad, d_scale, d_shift):
    """Nodes from before `last` down to `first`, all of whose successors come after them."""
    for i in range(last - first):
        _push_back(last - 1 - i, how, outgoing, scale, h, winners, grad, d_scale, d_shift)


@parallel_kernel
def scan_back_wide(first, last, how, outgoing, scale, h, winners, grad, d_scale, d_shift):
    """One level on all threads."""
    for i in numba.prange(last - first):
        _push_back(first + i, how, outgoing, scale, h, winners, grad, d_scale, d_shift)
