"""How kernels read codes of few bits: estimates of distances."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types

from ...distances.bit_sums_cpu import emit_levels
from ...distances.numbers import COSINE
from ...distances.row_sums_cpu import integer, row_start
from ...distances.rows_cpu import emitter, field, float_bits, row_kind
from ..halves_cpu import widened
from .codes_cpu import Form, encode_queries, encode_query, query_of_code
from .layout import CONSTANTS, FACTORS


class Estimates(NamedTuple):
    """uint8 code rows (rows, bytes) whose estimates order rows nearly as the distances of their vectors do.

    `vectors` are the bits of float16 (rows, dim) and `scale` 1 / |row| for cosine; the others are those of `Form`.
    """

    data: Any
    vectors: Any
    scale: Any
    centre: Any
    signs: Any
    bits: int
    metric: int


class EstimatesAlone(NamedTuple):
    """uint8 code rows (rows, bytes) whose estimates are the distances; `turned` is the centre, rotated."""

    data: Any
    centre: Any
    signs: Any
    turned: Any
    bits: int
    metric: int


_MOST, _ABSENT = 3.0e38, 1.0e29
_FIRST = np.int64(0)


@emitter
def _estimate(context: Any, builder: Any, kind: Any, rows: Any, node: Any, asked_kind: Any, asked: Any, f: Any) -> Any:
    """a * addend + multiple * (m * T) + c: see `layout`. A zero row is at cosine distance 1 from everything."""
    data_kind, data = field(kind, builder, rows, "data")
    start, length = row_start(context, builder, data_kind, data, node)
    view = context.make_array(asked_kind)(context, builder, asked)
    query = builder.bitcast(view.data, ir.IntType(8).as_pointer())
    width = builder.sub(builder.extract_value(view.shape, 0), integer(CONSTANTS))
    bits_kind, bits = field(kind, builder, rows, "bits")
    metric_kind, metric = field(kind, builder, rows, "metric")
    bits, metric = (
        context.cast(builder, bits, bits_kind, types.intp),
        context.cast(builder, metric, metric_kind, types.intp),
    )
    single, word = ir.FloatType(), ir.IntType(32)

    def number(base: Any, place: Any, element: Any) -> Any:
        return builder.load(builder.bitcast(builder.gep(base, [place]), element.as_pointer()), align=4)

    total = builder.shl(emit_levels(context, builder, start, query, width, bits), ir.Constant(word, 1))
    total = builder.sitofp(builder.add(total, number(query, width, word)), single)
    m, a, c = (number(query, builder.add(width, integer(4 * at)), single) for at in (1, 2, 3))
    first = builder.sub(length, integer(4 * FACTORS))
    addend, multiple = (number(start, builder.add(first, integer(4 * at)), single) for at in (0, 1))
    estimate = builder.fadd(builder.fmul(a, addend), builder.fmul(multiple, builder.fmul(m, total)))
    estimate = builder.fadd(estimate, c)
    most = ir.Constant(single, _MOST)
    estimate = builder.select(builder.fcmp_ordered("<", estimate, most), estimate, most)  # for what is not a number too
    absent = builder.fcmp_ordered(">", estimate, ir.Constant(single, _ABSENT))
    absent = builder.and_(absent, builder.icmp_signed("==", metric, integer(COSINE)))
    return builder.select(absent, ir.Constant(single, 1.0), estimate)


def _room(rows):
    return np.empty(rows.signs.shape[1] + CONSTANTS, np.int8)


def _own(rows, node, room):
    """The row's vector as a query."""
    dim, width = rows.centre.shape[0], rows.signs.shape[1]
    vector, values = np.empty(dim, np.float32), np.empty(width, np.float32)
    for j in range(dim):
        vector[j] = widened(rows.vectors[node, j])
    factor = rows.scale[node] if rows.metric == COSINE else np.float32(1)
    form = Form(rows.centre, rows.signs, rows.bits, rows.metric, 0.0)
    encode_query(vector, factor, form, values, room)
    return room


def _own_alone(rows, node, room):
    width = rows.signs.shape[1]
    space = np.empty(width, np.float32), np.empty(width, np.uint8)
    form = Form(rows.centre, rows.signs, rows.bits, rows.metric, 0.0)
    query_of_code(rows.data[node], form, rows.turned, space, room)
    return room


def _ask(rows, queries, factors):
    out = np.empty((queries.shape[0], rows.signs.shape[1] + CONSTANTS), np.int8)
    form = Form(rows.centre, rows.signs, rows.bits, rows.metric, 0.0)
    encode_queries(queries, factors, form, _FIRST, queries.shape[0], out)
    return out


def _patience(rows, ef):
    """All of the beam for one bit, whose estimates are far from distances."""
    return ef if rows.bits == 1 else ef // 3


row_kind(
    Estimates, distance=_estimate, own=_own, room=_room, ask=_ask, rank=float_bits(_estimate), patience=_patience
)  # fmt: skip
row_kind(EstimatesAlone, distance=_estimate, own=_own_alone, room=_room, ask=_ask)
