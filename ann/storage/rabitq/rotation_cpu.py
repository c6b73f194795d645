"""A random rotation in O(width log width): signs, a Walsh-Hadamard transform, signs, a transform, ..."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ....graphlib.compute.jit import kernel
from ...distances.row_sums_cpu import declared, integer, outlined

_LANES = 16
_F32, _VECTOR = ir.FloatType(), ir.VectorType(ir.FloatType(), _LANES)
_HALF = np.float32(math.sqrt(0.5))


def _transform(typingctx: Any, values: Any, first: Any, size: Any, scale: Any) -> Any:
    """The Walsh-Hadamard transform of float32 values[first:first + size], times `scale`; a power of two from 16 on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        data = context.make_array(kinds[0])(context, builder, arguments[0]).data
        first, size = (context.cast(builder, arguments[at], kinds[at], types.intp) for at in (1, 2))
        scale = context.cast(builder, arguments[3], kinds[3], types.float32)
        start = builder.gep(data, [first])
        outlined(builder, "nearhop_hadamard", ir.IntType(64), [start, size, scale], _hadamard)
        return context.get_dummy_value()

    return types.void(values, first, size, scale), generate


def _hadamard(builder: Any, start: Any, size: Any, scale: Any) -> Any:
    """Four steps within vectors of sixteen lanes, the others between vectors."""
    lanes = ir.VectorType(ir.IntType(32), _LANES)
    fused = declared(builder, f"llvm.fmuladd.v{_LANES}f32", _VECTOR, [_VECTOR] * 3)
    undefined = ir.Constant(_VECTOR, ir.Undefined)

    def place(at: Any) -> Any:
        return builder.bitcast(builder.gep(start, [at]), _VECTOR.as_pointer())

    placed = builder.insert_element(undefined, scale, ir.Constant(ir.IntType(32), 0))
    scales = builder.shuffle_vector(placed, undefined, ir.Constant(lanes, [0] * _LANES))
    with cgutils.for_range_slice(builder, integer(0), size, integer(_LANES)) as (at, _):
        value = builder.fmul(builder.load(place(at), align=4), scales)
        for apart in (1, 2, 4, 8):
            other = builder.shuffle_vector(value, undefined, ir.Constant(lanes, [j ^ apart for j in range(_LANES)]))
            signs = ir.Constant(_VECTOR, [-1.0 if j & apart else 1.0 for j in range(_LANES)])
            value = builder.call(fused, [value, signs, other])
        builder.store(value, place(at), align=4)
    apart = cgutils.alloca_once_value(builder, integer(_LANES))
    test, body, done = (builder.append_basic_block(name) for name in ("test", "body", "done"))
    builder.branch(test)
    builder.position_at_end(test)
    width = builder.load(apart)
    builder.cbranch(builder.icmp_signed("<", width, size), body, done)
    builder.position_at_end(body)
    twice = builder.shl(width, integer(1))
    blocks = cgutils.for_range_slice(builder, integer(0), size, twice)
    with (
        blocks as (block, _),
        cgutils.for_range_slice(builder, block, builder.add(block, width), integer(_LANES)) as (at, _),
    ):
        left, right = place(at), place(builder.add(at, width))
        a, b = builder.load(left, align=4), builder.load(right, align=4)
        builder.store(builder.fadd(a, b), left, align=4)
        builder.store(builder.fsub(a, b), right, align=4)
    builder.store(twice, apart)
    builder.branch(test)
    builder.position_at_end(done)
    return integer(0)


transform: Any = intrinsic(_transform)


@kernel
def rotate(values, signs):
    """Rotate float32 (width,) in place; width is a multiple of 64, `signs` (turns, width) are 1 or -1.

    Where the width is no power of two, turns transform its front and its back in turn, and the halves are mixed.
    """
    width, size = values.shape[0], 64
    while 2 * size <= width:
        size *= 2
    scale, half = np.float32(1 / math.sqrt(size)), width >> 1
    for turn in range(signs.shape[0]):
        for j in range(width):
            values[j] *= signs[turn, j]
        transform(values, width - size if turn & 1 else 0, size, scale)
        if size < width:
            for j in range(half):
                a, b = values[j], values[half + j]
                values[j] = (a + b) * _HALF
                values[half + j] = (a - b) * _HALF
