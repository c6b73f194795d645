"""Processor instructions that Numba has no name for: atomic counters and the lowest set bit of a word."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


def _fetch_add(typingctx: Any, array: Any, index: Any, amount: Any) -> Any:
    if not isinstance(array, types.Array) or not isinstance(array.dtype, types.Integer):
        return None
    if not isinstance(index, types.Integer) or not isinstance(amount, types.Integer):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type, index_type, amount_type = signature.args
        view = context.make_array(array_type)(context, builder, arguments[0])
        offset = context.cast(builder, arguments[1], index_type, types.intp)
        address = builder.gep(view.data, [offset])
        value = context.cast(builder, arguments[2], amount_type, array_type.dtype)
        return builder.atomic_rmw("add", address, value, "seq_cst")

    return array.dtype(array, index, amount), generate


def _trailing_zeros(typingctx: Any, word: Any) -> Any:
    if word != types.uint64:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


_fetch_add.__name__ = _fetch_add.__qualname__ = "fetch_add"
_trailing_zeros.__name__ = _trailing_zeros.__qualname__ = "trailing_zeros"

fetch_add: Any = intrinsic(_fetch_add)
"""`fetch_add(array, index, amount)`: add to a contiguous integer array, atomically, and return what stood there."""

trailing_zeros: Any = intrinsic(_trailing_zeros)
"""`trailing_zeros(word)`: the position of the lowest set bit of a uint64 that is not 0."""
