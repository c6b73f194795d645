"""Kernels of layer-wise sampling."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ...graphlib.compute.random_cpu import stream, uniform


@kernel
def _total(start, stop, weight):
    """What the row's entries are divided by: their number, or their weight."""
    if weight.shape[0] == 0:
        return np.float64(stop - start)
    total = 0.0
    for e in range(start, stop):
        total += weight[e]
    return total


@kernel
def squared_shares(indptr, indices, weight, nodes, out):
    """Add P_ij ** 2 of every row i in `nodes` to `out[j]`; returns the neighbours met, with repeats."""
    count = np.int64(0)
    for i in range(nodes.shape[0]):
        count += indptr[nodes[i] + 1] - indptr[nodes[i]]
    met = np.empty(count, np.int64)
    at = 0
    for i in range(nodes.shape[0]):
        start, stop = indptr[nodes[i]], indptr[nodes[i] + 1]
        total = _total(start, stop, weight)
        for e in range(start, stop):
            share = (np.float64(weight[e]) if weight.shape[0] > 0 else 1.0) / total if total > 0.0 else 0.0
            out[indices[e]] += share * share
            met[at] = indices[e]
            at += 1
    return met


@kernel
def random_keys(nodes, mass, root, epoch, layer, out):
    """A key -ln(u) / mass for every node, from the stream (root, epoch, node, layer)."""
    for i in range(nodes.shape[0]):
        u = uniform(stream(root, epoch, nodes[i], layer), 0)
        out[i] = -np.log1p(-u) / mass[i]


@kernel
def kept_edges(indptr, indices, weight, nodes, place, chances, normalize):
    """The edges to `nodes` from nodes that have a place: ends by place, position, and P_ij / chance of j.

    With `normalize`, the weights into a node are divided by their sum.
    """
    count = np.int64(0)
    for i in range(nodes.shape[0]):
        for e in range(indptr[nodes[i]], indptr[nodes[i] + 1]):
            count += place[indices[e]] >= 0
    near, far, position = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    factor = np.empty(count, np.float32)
    at = 0
    for i in range(nodes.shape[0]):
        start, stop = indptr[nodes[i]], indptr[nodes[i] + 1]
        total = _total(start, stop, weight)
        first = at
        kept = 0.0
        for e in range(start, stop):
            j = indices[e]
            if place[j] >= 0:
                share = (np.float64(weight[e]) if weight.shape[0] > 0 else 1.0) / total if total > 0.0 else 0.0
                value = share / chances[j]
                near[at], far[at], position[at], factor[at] = i, place[j], e, value
                kept += value
                at += 1
        if normalize and kept > 0.0:
            for k in range(first, at):
                factor[k] /= kept
    return near, far, position, factor
