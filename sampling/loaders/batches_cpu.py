"""Kernels behind batches: random orders, and nodes that an edge does not lead to."""

from __future__ import annotations

from ...graphlib.compute.jit import kernel
from ...graphlib.compute.random_cpu import bounded, draw, stream

_ORDER = -2  # stream names that no sampler uses as a hop
_NEGATIVE = -3
_TRIES = 32


@kernel
def order_words(seed, epoch, out):
    """A random word per position; sorting by them shuffles."""
    for i in range(out.shape[0]):
        out[i] = draw(stream(seed, epoch, i, _ORDER), 0)


@kernel
def negative_ends(indptr, indices, src, edge_ids, seed, epoch, num_nodes, out):
    """`out[i, j]` = a uniform node that is no neighbour of `src[i]`, drawn for edge `edge_ids[i]`.

    Rows are sorted by neighbour, so a true edge is found by binary search. A node that is joined to nearly all others
    keeps its last draw after `_TRIES`.
    """
    for i in range(out.shape[0]):
        key = stream(seed, epoch, edge_ids[i], _NEGATIVE)
        counter = 0
        start, stop = indptr[src[i]], indptr[src[i] + 1]
        for j in range(out.shape[1]):
            for _ in range(_TRIES):
                node, counter = bounded(key, counter, num_nodes)
                low, high = start, stop
                while low < high:
                    middle = (low + high) >> 1
                    if indices[middle] < node:
                        low = middle + 1
                    else:
                        high = middle
                if low == stop or indices[low] != node:
                    break
            out[i, j] = node
