"""Arithmetic on whole rows of float32 tables, unrolled for a width that is part of the compiled code.

A `width` is a tuple of one zero per 16 columns (`width_of(dim)`): the length of a tuple is part of its type, so every
width gets machine code of its own, without a loop over columns, in 512-bit registers where the processor has them and
in halves of them elsewhere. Rows are contiguous, float32 and 16 * len(width) long, and nothing here checks that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 16
MAX_DIM = 1024
_FLOAT, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_UNDEFINED = ir.Constant(_VECTOR, ir.Undefined)
_ANY_ORDER = ("reassoc",)  # and nothing more: "fast" would let NaN go unnoticed
_LINE_BYTES = 64


def width_of(dim: int) -> tuple[int, ...]:
    """The type-level width of `dim` columns: as many zeros as vectors of 16.

    >>> width_of(40)
    (0, 0, 0)
    """
    return (0,) * -(-dim // LANES)


def aligned_table(rows: int, dim: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A zeroed float32 table whose rows are padded to whole vectors and start at a cache line."""
    columns = LANES * len(width_of(dim))
    flat = np.zeros(rows * columns + LANES, np.float32)
    skip = (-flat.ctypes.data // flat.itemsize) % LANES
    return flat[skip : skip + rows * columns].reshape(rows, columns)


class _Row:
    """One row of a table inside generated code: its vectors can be read and written."""

    def __init__(self, context: Any, builder: Any, array_type: Any, array: Any, index_type: Any, index: Any) -> None:
        view = context.make_array(array_type)(context, builder, array)
        offset = builder.mul(
            context.cast(builder, index, index_type, types.intp), builder.extract_value(view.strides, 0)
        )
        byte = ir.IntType(8).as_pointer()
        self.bytes = builder.gep(builder.bitcast(view.data, byte), [offset])
        self._vectors = builder.bitcast(self.bytes, _VECTOR.as_pointer())
        self._builder = builder

    def __getitem__(self, v: int) -> Any:
        loaded = self._builder.load(self._builder.gep(self._vectors, [ir.Constant(_I64, v)]))
        loaded.align = 4
        return loaded

    def __setitem__(self, v: int, value: Any) -> None:
        self._builder.store(value, self._builder.gep(self._vectors, [ir.Constant(_I64, v)])).align = 4


def _row(context: Any, builder: Any, signature: Any, arguments: Any, at: int) -> _Row:
    kinds = signature.args
    return _Row(context, builder, kinds[at], arguments[at], kinds[at + 1], arguments[at + 1])


def _splat(context: Any, builder: Any, kind: Any, scalar: Any) -> Any:
    value = context.cast(builder, scalar, kind, types.float32)
    first = builder.insert_element(_UNDEFINED, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, _UNDEFINED, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _fma(builder: Any, x: Any, y: Any, z: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32"), [x, y, z])


def _dot(typingctx: Any, width: Any, a: Any, i: Any, b: Any, j: Any) -> Any:
    """The inner product of `a[i]` and `b[j]`, float32, summed in an order that the width alone decides."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        left = _row(context, builder, signature, arguments, 1)
        right = _row(context, builder, signature, arguments, 3)
        sums: list[Any] = [None] * min(len(width), 4)
        for v in range(len(width)):
            x, y, s = left[v], right[v], v % len(sums)
            sums[s] = builder.fmul(x, y) if sums[s] is None else _fma(builder, x, y, sums[s])
        while len(sums) > 1:
            sums = [builder.fadd(sums[s], sums[s + 1]) for s in range(0, len(sums) - 1, 2)] + sums[len(sums) & ~1 :]
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        total = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
        return builder.call(total, [ir.Constant(_FLOAT, -0.0), sums[0]], fastmath=_ANY_ORDER)

    return types.float32(width, a, i, b, j), generate


def _exchange(typingctx: Any, width: Any, g: Any, a: Any, i: Any, b: Any, j: Any, total: Any, k: Any) -> Any:
    """`total[k] += g * b[j]` and `b[j] += g * a[i]`, the values before the call on the right-hand sides."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        factor = _splat(context, builder, signature.args[1], arguments[1])
        left, right, into = (_row(context, builder, signature, arguments, at) for at in (2, 4, 6))
        for v in range(len(width)):
            x, y = left[v], right[v]
            into[v] = _fma(builder, factor, y, into[v])
            right[v] = _fma(builder, factor, x, y)
        return context.get_dummy_value()

    return types.void(width, g, a, i, b, j, total, k), generate


def _pull(typingctx: Any, width: Any, keep: Any, g: Any, a: Any, i: Any, b: Any, j: Any) -> Any:
    """`a[i] = keep * a[i] + g * b[j]` and `b[j] = keep * b[j] + g * a[i]`, both from the values before the call."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        shrink = _splat(context, builder, signature.args[1], arguments[1])
        factor = _splat(context, builder, signature.args[2], arguments[2])
        left, right = (_row(context, builder, signature, arguments, at) for at in (3, 5))
        for v in range(len(width)):
            x, y = left[v], right[v]
            left[v] = _fma(builder, factor, y, builder.fmul(shrink, x))
            right[v] = _fma(builder, factor, x, builder.fmul(shrink, y))
        return context.get_dummy_value()

    return types.void(width, keep, g, a, i, b, j), generate


def _move(typingctx: Any, width: Any, total: Any, k: Any, a: Any, i: Any) -> Any:
    """`a[i] += total[k]`, then `total[k] = 0`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (_row(context, builder, signature, arguments, at) for at in (1, 3))
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        for v in range(len(width)):
            target[v] = builder.fadd(target[v], source[v])
            source[v] = zero
        return context.get_dummy_value()

    return types.void(width, total, k, a, i), generate


def _fetcher(locality: int) -> Any:
    def _fetch(typingctx: Any, width: Any, a: Any, i: Any) -> Any:
        """Ask for every cache line of `a[i]`; a hint, never a fault."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            start = _row(context, builder, signature, arguments, 1).bytes
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), _I32, _I32, _I32])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            for line in range(len(width) * LANES * 4 // _LINE_BYTES):
                address = builder.gep(start, [ir.Constant(_I64, line * _LINE_BYTES)])
                builder.call(function, [address, *(ir.Constant(_I32, word) for word in (0, locality, 1))])
            return context.get_dummy_value()

        return types.void(width, a, i), generate

    return intrinsic(_fetch)


# Called without the typing context inside kernels: that argument is Numba's own.
row_dot: Any = intrinsic(_dot)
row_exchange: Any = intrinsic(_exchange)
row_pull: Any = intrinsic(_pull)
row_move: Any = intrinsic(_move)
fetch_row: Any = _fetcher(3)  # into the nearest cache
fetch_row_far: Any = _fetcher(2)  # into the second level, for rows that are needed later
