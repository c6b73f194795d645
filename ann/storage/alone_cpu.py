"""How kernels read 8-bit codes whose distances count."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from ..distances.numbers import ABSENT, IP
from ..distances.row_sums_cpu import integer, row_start, row_sum
from ..distances.rows_cpu import emitter, field, row_kind
from .codes_cpu import project_queries


class Codes(NamedTuple):
    """uint8 code rows (rows, bytes) whose distances count; sums over them are multiplied by `factor`.

    Cosine is compared as half the squared distance of unit vectors, which equals 1 - cos, so `metric` is that of
    squares or of products. `centre`, `basis` and `step` make a query comparable; `width` coordinates count.
    """

    data: Any
    factor: Any
    metric: int
    centre: Any
    basis: Any
    step: Any
    width: int


_TERM = 4


@emitter
def _distance(context: Any, builder: Any, kind: Any, rows: Any, node: Any, asked_kind: Any, asked: Any, f: Any) -> Any:
    """-dot or squares; 1 for a row without length (its term is `ABSENT`) and a query without (its factor is 0)."""
    data_kind, data = field(kind, builder, rows, "data")
    factor_kind, factor = field(kind, builder, rows, "factor")
    metric_kind, metric = field(kind, builder, rows, "metric")
    metric = context.cast(builder, metric, metric_kind, types.intp)
    factor = context.cast(builder, factor, factor_kind, types.float32)
    single = ir.FloatType()
    out = cgutils.alloca_once(builder, single)

    def total(squares: bool) -> Any:
        return builder.fmul(row_sum(context, builder, (data_kind, asked_kind), data, node, asked, squares), factor)

    with builder.if_else(builder.icmp_signed("==", metric, integer(IP))) as (then, otherwise):
        with then:
            builder.store(builder.fsub(ir.Constant(single, 0.0), total(False)), out)
        with otherwise:
            start, length = row_start(context, builder, data_kind, data, node)
            place = builder.gep(start, [builder.sub(length, integer(_TERM))])
            term = builder.load(builder.bitcast(place, ir.IntType(32).as_pointer()), align=4)
            without = builder.or_(
                builder.icmp_signed(">=", term, ir.Constant(term.type, ABSENT)),
                builder.fcmp_ordered("==", f, ir.Constant(single, 0.0)),
            )
            builder.store(builder.select(without, ir.Constant(single, 1.0), total(True)), out)
    return builder.load(out)


def _own(rows, node, room):
    for j in range(room.shape[0]):
        room[j] = np.float32(np.int32(rows.data[node, j]) - np.int32(128))
    return room


def _room(rows):
    return np.empty(rows.data.shape[1] - _TERM, np.float32)


def _ask(rows, queries, factors):
    inside = np.zeros((queries.shape[0], rows.data.shape[1] - _TERM), np.float32)
    project_queries(queries, factors, rows.centre, rows.basis, rows.step, rows.width, inside)
    for q in range(queries.shape[0]):
        factors[q] = np.float32(factors[q] != 0)
    return inside


row_kind(Codes, distance=_distance, own=_own, room=_room, ask=_ask)
