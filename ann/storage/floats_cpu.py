"""How kernels read vectors of float32, or of float16 as uint16."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from ..distances.numbers import COSINE, L2
from ..distances.row_sums_cpu import integer, row_sum
from ..distances.rows_cpu import emitter, field, row_kind


class Floats(NamedTuple):
    """float32 (rows, dim), or the bits of float16 as uint16; 1 / |row| for cosine; the metric's number."""

    data: Any
    scale: Any
    metric: int


@emitter
def distance(context: Any, builder: Any, kind: Any, rows: Any, node: Any, asked_kind: Any, asked: Any, f: Any) -> Any:
    """Squares for "l2", -dot for "ip", 1 - cos for "cosine", as the metric's number says."""
    (data_kind, data), (scale_kind, scale) = (field(kind, builder, rows, name) for name in ("data", "scale"))
    metric_kind, metric = field(kind, builder, rows, "metric")
    metric = context.cast(builder, metric, metric_kind, types.intp)
    factors = context.make_array(scale_kind)(context, builder, scale).data
    single = ir.FloatType()

    def total(squares: bool) -> Any:
        return row_sum(context, builder, (data_kind, asked_kind), data, node, asked, squares)

    out = cgutils.alloca_once(builder, single)
    with builder.if_else(builder.icmp_signed("!=", metric, integer(L2))) as (then, otherwise):
        with then:
            product, zero, one = total(False), ir.Constant(single, 0.0), ir.Constant(single, 1.0)
            is_cosine = builder.icmp_signed("==", metric, integer(COSINE))
            own = builder.load(builder.gep(factors, [builder.select(is_cosine, node, integer(0))]))
            product = builder.select(is_cosine, builder.fmul(product, builder.fmul(own, f)), product)
            builder.store(builder.fsub(builder.select(is_cosine, one, zero), product), out)
        with otherwise:
            builder.store(total(True), out)
    return builder.load(out)


def _own(rows, node, room):
    return rows.data[node]


def _own_factor(rows, node):
    if rows.metric == COSINE:
        return rows.scale[node]
    return np.float32(1)


row_kind(Floats, distance=distance, own=_own, own_factor=_own_factor)
