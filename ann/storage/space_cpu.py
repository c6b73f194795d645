"""The one question a graph walk asks, "how far is this node?", answered from float32 or 8-bit rows.

`key_of` gives a node's distance and number as one sortable integer. Which form runs is decided when a kernel is
compiled, by the dtype of the rows: float32 vectors or uint8 codes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from ...graphlib.compute.jit import kernel
from ..distances.distances_cpu import emit_distance
from ..distances.int8_dot_cpu import emit_dot
from ..distances.row_sums_cpu import declared, integer, row_start
from .codes_cpu import encode_queries, project_queries

_LINE, _TERM = 64, 4
_MAGNITUDE, _SIGN = np.uint32(0x7FFF), np.uint32(0x8000)
_SHIFT, _SIGN_SHIFT = np.uint32(13), np.uint32(16)
_HALF_TO_FLOAT = np.float32(2.0**112)
HEAD = 4 * _LINE


def _key_of(typingctx: Any, metric: Any, rows: Any, terms: Any, query: Any, factor: Any, node: Any) -> Any:
    """(distance, node) packed: see `distances_cpu.pack`.

    For codes and a signed query the distance is an integer rank: the row's own term, kept in its last four bytes, less
    twice the product with the query.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        node = context.cast(builder, arguments[5], kinds[5], types.intp)
        if kinds[3].dtype == types.int8:
            product = emit_dot(context, builder, (kinds[1], kinds[3]), arguments[1], node, arguments[3])
            start, length = row_start(context, builder, kinds[1], arguments[1], node)
            place = builder.gep(start, [builder.sub(length, integer(4))])
            term = builder.load(builder.bitcast(place, ir.IntType(32).as_pointer()), align=4)
            term, product = (builder.sext(value, node.type) for value in (term, product))
            near = builder.sub(term, builder.shl(product, integer(1)))
        else:
            order = (0, 1, 2, 5, 3, 4)
            chosen = tuple(kinds[at] for at in order), tuple(arguments[at] for at in order)
            bits = builder.bitcast(emit_distance(context, builder, *chosen), ir.IntType(32))
            near = builder.sext(bits, node.type)
            near = builder.xor(near, builder.and_(builder.ashr(near, integer(31)), integer(0x7FFFFFFF)))
        return builder.or_(builder.shl(near, integer(32)), builder.shl(node, integer(1)))

    return types.int64(metric, rows, terms, query, factor, node), generate


def _prefetch_row(typingctx: Any, rows: Any, node: Any, first: Any, last: Any) -> Any:
    """Ask for the cache lines of a row from byte `first` to byte `last`, or the row's end."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        node, first, last = (context.cast(builder, arguments[at], kinds[at], types.intp) for at in (1, 2, 3))
        start, length = row_start(context, builder, kinds[0], arguments[0], node)
        end = builder.select(builder.icmp_signed("<", last, length), last, length)
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        ask = declared(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, word, word, word])
        with cgutils.for_range_slice(builder, first, end, integer(_LINE)) as (at, _):
            builder.call(ask, [builder.gep(start, [at]), *(ir.Constant(word, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(rows, node, first, last), generate


# Called with (metric, rows, terms, query, factor, node) and (rows, node, first, last) inside kernels.
key_of: Any = intrinsic(_key_of)
prefetch_row: Any = intrinsic(_prefetch_row)


def scratch_query(rows):
    """Room for one query of a walk over these rows."""
    raise TypeError("only inside kernels")


@overload(scratch_query)
def _scratch_query(rows):
    if rows.dtype == types.uint8:
        return lambda rows: np.empty(rows.shape[1], np.int8)
    return lambda rows: scratch_row(rows)


def as_query(rows, node, width, room, vectors, origin):
    """A stored node as a walk's query: its vector, or in `room` its code of `width` coordinates made signed.

    `origin` is `ScalarCodes.origin`.
    """
    raise TypeError("only inside kernels")


@overload(as_query)
def _as_query(rows, node, width, room, vectors, origin):
    if rows.dtype == types.uint8:

        def from_code(rows, node, width, room, vectors, origin):
            if origin.shape[0] == 0:
                signed(rows[node], width, room)
            else:
                moved(rows[node], origin, room)
            return room

        return from_code
    return lambda rows, node, width, room, vectors, origin: as_row(vectors, node, room)


def translated(vectors, rows, queries, factors, centre, basis, step):
    """Queries as distances of kept vectors take them, and as walks over these rows do; `factors` as both take them.

    `centre`, `basis` and `step` are those of the codes (`ScalarCodes.query_step`), whatever they are where there are
    none.
    """
    raise TypeError("only inside kernels")


@overload(translated)
def _translated(vectors, rows, queries, factors, centre, basis, step):
    if vectors.dtype == types.uint8:

        def from_codes(vectors, rows, queries, factors, centre, basis, step):
            count, width = queries.shape[0], basis.shape[0] if basis.shape[0] > 0 else queries.shape[1]
            by_length = step == 0
            inside = np.zeros((count, vectors.shape[1] - _TERM), np.float32)
            project_queries(queries, factors, centre, basis, np.float32(1) if by_length else step, width, inside)
            for q in range(count):
                factors[q] = np.float32(factors[q] != 0)
            nothing, coarse = np.zeros(inside.shape[1], np.float32), np.empty((count, rows.shape[1]), np.int8)
            one = np.float32(0) if by_length else np.float32(1)
            encode_queries(inside, factors, nothing, np.empty((0, 0), np.float32), one, 0, count, coarse)
            return inside, coarse

        return from_codes
    if rows.dtype == types.uint8:

        def beside_codes(vectors, rows, queries, factors, centre, basis, step):
            coarse = np.empty((queries.shape[0], rows.shape[1]), np.int8)
            encode_queries(queries, factors, centre, basis, step, 0, queries.shape[0], coarse)
            return queries, coarse

        return beside_codes
    return lambda vectors, rows, queries, factors, centre, basis, step: (queries, queries)


def scratch_row(vectors):
    """Room for one row that `as_row` has to write out."""
    raise TypeError("only inside kernels")


@overload(scratch_row)
def _scratch_row(vectors):
    if vectors.dtype == types.uint16:
        return lambda vectors: np.empty(vectors.shape[1], np.float32)
    if vectors.dtype == types.uint8:
        return lambda vectors: np.empty(vectors.shape[1] - 4, np.float32)
    return lambda vectors: np.empty(0, np.float32)


def as_row(vectors, node, room):
    """A kept row as the query of a distance: itself, or float32 in `room`."""
    raise TypeError("only inside kernels")


@overload(as_row)
def _as_row(vectors, node, room):
    if vectors.dtype == types.uint16:

        def from_half(vectors, node, room):
            for j in range(room.shape[0]):
                bits = np.uint32(vectors[node, j])
                magnitude = np.uint32((bits & _MAGNITUDE) << _SHIFT)
                scaled = np.float32(np.float32(np.uint32(magnitude).view(np.float32)) * _HALF_TO_FLOAT)
                sign = np.uint32((bits & _SIGN) << _SIGN_SHIFT)
                joined = np.uint32(np.float32(scaled).view(np.uint32) | sign)
                room[j] = np.uint32(joined).view(np.float32)
            return room

        return from_half
    if vectors.dtype == types.uint8:

        def from_code(vectors, node, room):
            for j in range(room.shape[0]):
                room[j] = np.float32(np.int32(vectors[node, j]) - np.int32(128))
            return room

        return from_code
    return lambda vectors, node, room: vectors[node]


@kernel
def moved(row, origin, out):
    """A code row about another origin as a query with a step of its own, the bytes of its term zero."""
    width = origin.shape[0]
    largest = np.float32(0)
    for j in range(width):
        largest = max(largest, abs(origin[j] + np.float32(np.int32(row[j]) - np.int32(128))))
    inverse = np.float32(127) / largest if largest > 0 else np.float32(0)
    for j in range(width):
        out[j] = np.int8(np.round((origin[j] + np.float32(np.int32(row[j]) - np.int32(128))) * inverse))
    for j in range(width, out.shape[0]):
        out[j] = 0


@kernel
def signed(row, width, out):
    """A code row as a query: 128 less, the bytes of its term zero."""
    for j in range(width):
        out[j] = np.int8(np.int16(row[j]) - np.int16(128))
    for j in range(width, out.shape[0]):
        out[j] = 0
