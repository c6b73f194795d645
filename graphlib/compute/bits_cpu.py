"""Bits of a word, inside kernels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


def _lowest(typingctx: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = context.cast(builder, arguments[0], signature.args[0], types.int64)
        kind = ir.FunctionType(value.type, [value.type, ir.IntType(1)])
        count = cgutils.get_or_insert_function(builder.module, kind, "llvm.cttz.i64")
        return builder.call(count, [value, ir.Constant(ir.IntType(1), 1)])

    return types.int64(bits), generate


# Called inside kernels: the typing context is Numba's own argument.
lowest: Any = intrinsic(_lowest)
