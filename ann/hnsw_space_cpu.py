"""The one question a graph walk asks, "how far is this node?", answered from float32 or 8-bit rows.

`key_of` gives a node's distance and number as one sortable integer. Which form runs is decided when a kernel is
compiled, by the dtype of the rows: float32 vectors or uint8 codes.
"""

from __future__ import annotations

import numpy as np
from numba.core import types
from numba.extending import overload

from ..graphlib.jit import kernel, prefetch
from .distances_cpu import distance, pack
from .int8_dot_cpu import dot_u8s8


@kernel
def key_of_float(metric, rows, terms, query, factor, node):
    return pack(distance(metric, rows, terms, node, query, factor), node)


@kernel
def key_of_codes(metric, rows, terms, query, factor, node):
    """The rank of a code row: its own term, kept in its last four bytes, less twice the product with the query."""
    rank = np.int64(terms[node, terms.shape[1] - 1]) - 2 * np.int64(dot_u8s8(rows, node, query))
    return (rank << 32) | (np.int64(node) << 1)


def key_of(metric, rows, terms, query, factor, node):
    """(distance, node) packed: see `distances_cpu.pack`; for codes the distance is an integer rank."""
    raise TypeError("only inside kernels")


@overload(key_of, inline="always")
def _key_of(metric, rows, terms, query, factor, node):
    form = key_of_float
    if rows.dtype == types.uint8:
        form = key_of_codes
    return lambda metric, rows, terms, query, factor, node: form(metric, rows, terms, query, factor, node)


@kernel
def prefetch_row(rows, node):
    """Ask for the first cache lines of a row; the processor's own prefetcher follows in longer ones."""
    row = rows[node]
    step = 64 // row.itemsize
    for j in range(0, min(row.shape[0], 6 * step), step):
        prefetch(row, j)


def scratch_query(rows):
    """Room for one query of a walk over these rows."""
    raise TypeError("only inside kernels")


@overload(scratch_query)
def _scratch_query(rows):
    kind = np.int8 if rows.dtype == types.uint8 else np.float32
    return lambda rows: np.empty(rows.shape[1], kind)


def as_query(rows, node, width, room, vectors):
    """A stored node as a walk's query: its vector, or in `room` its code of `width` coordinates made signed."""
    raise TypeError("only inside kernels")


@overload(as_query)
def _as_query(rows, node, width, room, vectors):
    if rows.dtype == types.uint8:

        def from_code(rows, node, width, room, vectors):
            signed(rows[node], width, room)
            return room

        return from_code
    return lambda rows, node, width, room, vectors: vectors[node]


@kernel
def signed(row, width, out):
    """A code row as a query: 128 less, the bytes of its term zero."""
    for j in range(width):
        out[j] = np.int8(np.int16(row[j]) - np.int16(128))
    for j in range(width, out.shape[0]):
        out[j] = 0
