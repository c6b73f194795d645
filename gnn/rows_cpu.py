"""Rows added to rows in vector registers, for kernels that gather and scatter many short ones, and ELU of a row.

LLVM turns a loop over a row into vectors, but asks before each whether the rows overlap and counts what is left over by
single numbers: for rows of some dozen numbers that takes longer than the sums. Here rows that differ are promised.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..graphlib.compute.jit import kernel

_LANES = 16
_FUSED = ("contract",)
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def _over_row(name: str, added: bool) -> Any:
    """An intrinsic `name(out, i, at, x, j, start, s, width)` on rows i of `out` and j of `x`, from these columns on."""

    def typed(typingctx: Any, out: Any, i: Any, at: Any, x: Any, j: Any, start: Any, s: Any, width: Any) -> Any:
        if any(not isinstance(a, types.Array) or a.ndim != 2 or a.dtype != out.dtype for a in (out, x)):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            target, source = (_row(context, builder, signature.args[k], arguments[k : k + 3]) for k in (0, 3))
            factor, count = arguments[6:]
            scalar, size = factor.type, 4 if out.dtype == types.float32 else 8
            vector = ir.VectorType(scalar, _LANES)
            undefined, zeros = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(_I32, _LANES), [0] * _LANES)
            first = builder.insert_element(undefined, factor, ir.Constant(_I32, 0))
            factors = builder.shuffle_vector(first, undefined, zeros)

            def step(place: Any, kind: Any, by: Any) -> None:
                offset = builder.mul(place, ir.Constant(_I64, size))
                at, read = (
                    builder.bitcast(builder.gep(base, [offset]), kind.as_pointer()) for base in (target, source)
                )
                value = builder.fmul(by, builder.load(read, align=size), flags=_FUSED)
                if added:
                    value = builder.fadd(value, builder.load(at, align=size), flags=_FUSED)
                builder.store(value, at, align=size)

            whole = builder.and_(count, ir.Constant(_I64, -_LANES))
            with cgutils.for_range_slice(builder, ir.Constant(_I64, 0), whole, ir.Constant(_I64, _LANES)) as (place, _):
                step(place, vector, factors)
            with cgutils.for_range_slice(builder, whole, count, ir.Constant(_I64, 1)) as (place, _):
                step(place, scalar, factor)
            return context.get_dummy_value()

        i64 = types.int64
        return types.void(out, i64, i64, x, i64, i64, out.dtype, i64), generate

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


def _row(context: Any, builder: Any, kind: Any, given: Any) -> Any:
    """The address of a column of a row."""
    view = context.make_array(kind)(context, builder, given[0])
    steps = [builder.extract_value(view.strides, axis) for axis in (0, 1)]
    offset = builder.add(builder.mul(given[1], steps[0]), builder.mul(given[2], steps[1]))
    return builder.gep(builder.bitcast(view.data, _I8.as_pointer()), [offset])


add_row: Any = _over_row("add_row", True)  # out[i, at:at + width] += s * x[j, start:start + width]
set_row: Any = _over_row("set_row", False)  # out[i, at:at + width] = s * x[j, start:start + width]


def _power(typingctx: Any, exponent: Any) -> Any:
    """2 to an int32 from -126 to 127, as float32: the bits of the exponent."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        shifted = builder.shl(builder.add(arguments[0], ir.Constant(_I32, 127)), ir.Constant(_I32, 23))
        return builder.bitcast(shifted, ir.FloatType())

    return types.float32(types.int32), generate


_power_of_two: Any = intrinsic(_power)


@kernel
def elu_row(x, out):
    """`out[c]` is x[c], or exp(x[c]) - 1 where that is negative; float32 to a few units of the last place.

    exp(x) = 2^n 2^f with f from -1/2 to 1/2, and of 2^f - 1 = exp(g) - 1 seven terms of the series: so that LLVM makes
    vectors of the loop, which it cannot with a call of the C library.
    """
    if x.itemsize == 8:
        for c in range(x.shape[0]):
            out[c] = x[c] if x[c] > 0 else math.expm1(x[c])
        return
    for c in range(x.shape[0]):
        v = np.float32(x[c])
        low = min(max(v, np.float32(-87)), np.float32(0))
        n = np.int32(low * np.float32(1.4426950408889634) - np.float32(0.5))
        m = np.float32(n)
        g = (low - m * np.float32(0.693359375)) - m * np.float32(-2.12194440e-4)
        p = np.float32(1 / 5040)
        p = p * g + np.float32(1 / 720)
        p = p * g + np.float32(1 / 120)
        p = p * g + np.float32(1 / 24)
        p = p * g + np.float32(1 / 6)
        p = p * g + np.float32(0.5)
        p = p * g * g + g
        s = _power_of_two(n)
        out[c] = v if v > 0 else (s - np.float32(1)) + s * p
