"""Products of small matrices in vector registers, for kernels that make them of a few dozen rows at a time."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..graphlib.compute.jit import kernel

_ROWS = 4  # of a block: with 16 columns, 4 to 8 vector registers of sums
_FUSED = ("contract",)


def _adder(name: str, rows: int, columns: int) -> Any:
    """An intrinsic `name(a, b, c, row, column, count)`: a block of `c[...] += a[:, :count] @ b[:count]`.

    Vector code because the sums must stay in registers over the loop, which LLVM cannot conclude from scalar code (it
    would have to know that `c` overlaps neither `a` nor `b`). `count` must be positive. `a` may have any strides.
    """

    def emit(typingctx: Any, a: Any, b: Any, c: Any, row: Any, column: Any, count: Any) -> Any:
        if any(not isinstance(x, types.Array) or x.ndim != 2 or x.dtype != c.dtype for x in (a, b, c)):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            i8, i32, i64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
            views = [context.make_array(signature.args[k])(context, builder, arguments[k]) for k in range(3)]
            scalar = views[2].data.type.pointee
            vector, size = ir.VectorType(scalar, columns), 4 if c.dtype == types.float32 else 8
            steps = [[builder.extract_value(v.strides, axis) for axis in (0, 1)] for v in views]
            first, place, end = arguments[3:]

            def at(base: Any, offset: Any, kind: Any) -> Any:
                return builder.bitcast(builder.gep(builder.bitcast(base, i8.as_pointer()), [offset]), kind.as_pointer())

            def offset(number: Any, step: Any) -> Any:
                return builder.mul(number, step)

            across = builder.mul(place, ir.Constant(i64, size))
            numbers = [builder.add(first, ir.Constant(i64, r)) for r in range(rows)]
            targets = [
                at(views[2].data, builder.add(offset(number, steps[2][0]), across), vector) for number in numbers
            ]
            lefts = [at(views[0].data, offset(number, steps[0][0]), scalar) for number in numbers]
            right = at(views[1].data, across, scalar)
            before = [builder.load(target, align=size) for target in targets]
            start = builder.block
            loop = builder.append_basic_block("products")
            done = builder.append_basic_block("products.done")
            builder.branch(loop)

            builder.position_at_end(loop)
            index = builder.phi(i64)
            sums = [builder.phi(vector) for _ in range(rows)]
            line = builder.load(at(right, offset(index, steps[1][0]), vector), align=size)
            step, undefined = offset(index, steps[0][1]), ir.Constant(vector, ir.Undefined)
            zeros = ir.Constant(ir.VectorType(i32, columns), [0] * columns)
            added = []
            for left, total in zip(lefts, sums, strict=True):
                element = builder.load(at(left, step, scalar), align=size)
                spread = builder.shuffle_vector(
                    builder.insert_element(undefined, element, ir.Constant(i32, 0)), undefined, zeros
                )
                added.append(builder.fadd(builder.fmul(spread, line, flags=_FUSED), total, flags=_FUSED))
            following = builder.add(index, ir.Constant(i64, 1))
            index.add_incoming(ir.Constant(i64, 0), start)
            index.add_incoming(following, loop)
            for total, first_value, new in zip(sums, before, added, strict=True):
                total.add_incoming(first_value, start)
                total.add_incoming(new, loop)
            builder.cbranch(builder.icmp_signed("<", following, end), loop, done)

            builder.position_at_end(done)
            for target, new in zip(targets, added, strict=True):
                builder.store(new, target, align=size)
            return context.get_dummy_value()

        return types.void(a, b, c, types.int64, types.int64, types.int64), generate

    emit.__name__ = emit.__qualname__ = name
    return intrinsic(emit)


_add_4_16: Any = _adder("add_4_16", _ROWS, 16)
_add_1_16: Any = _adder("add_1_16", 1, 16)
_add_4_8: Any = _adder("add_4_8", _ROWS, 8)
_add_1_8: Any = _adder("add_1_8", 1, 8)


@kernel
def add_products(a, b, c, rows, count, width):
    """`c[:rows, :width] += a[:rows, :count] @ b[:count, :width]`, width a multiple of 8.

    `a` may be a transposed array; columns of `b` and `c` lie side by side.
    """
    if count <= 0:
        return
    whole = rows & -4
    for column in range(0, width & -16, 16):
        for row in range(0, whole, 4):
            _add_4_16(a, b, c, row, column, count)
        for row in range(whole, rows):
            _add_1_16(a, b, c, row, column, count)
    if width & 8:
        column = width & -16
        for row in range(0, whole, 4):
            _add_4_8(a, b, c, row, column, count)
        for row in range(whole, rows):
            _add_1_8(a, b, c, row, column, count)
