"""Numbers of float16 for kernels, which get them as the bits in uint16: Numba has no such numbers on the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .jit import kernel

_HALF_TO_FLOAT = 2.0**112
_CONVERTS = frozenset(("f16c", "avx512f", "neon", "fullfp16"))


def _as_float(typingctx: Any, value: Any) -> Any:
    if value not in (types.float32, types.uint16):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if signature.args[0] == types.float32:
            return arguments[0]
        single, word = ir.FloatType(), ir.IntType(32)
        features = context.codegen().magic_tuple()[2].split(",")
        if any(name[1:] in _CONVERTS for name in features if name.startswith("+")):
            return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), single)
        bits = builder.zext(arguments[0], word)  # the exponent moves to its place; exact for subnormal halves, too
        magnitude = builder.bitcast(builder.shl(builder.and_(bits, word(0x7FFF)), word(13)), single)
        scaled = builder.fmul(magnitude, ir.Constant(single, _HALF_TO_FLOAT))
        sign = builder.shl(builder.and_(bits, word(0x8000)), word(16))
        return builder.bitcast(builder.or_(builder.bitcast(scaled, word), sign), single)

    return types.float32(value), generate


def _bits_of(typingctx: Any, value: Any) -> Any:
    if value != types.float32:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate


_as_float.__name__ = _as_float.__qualname__ = "as_float"
_bits_of.__name__ = _bits_of.__qualname__ = "bits_of"

as_float: Any = intrinsic(_as_float)
"""`as_float(value)`: a float32 as it is, a half, given as its bits, as the float32 of the same value."""

bits_of: Any = intrinsic(_bits_of)
"""`bits_of(value)`: the 32 bits of a float32."""


@kernel(inline="always")
def half_bits(value):
    """The bits of the half nearest to a float32, ties to even; beyond 65,519 an infinity, and NaN stays NaN."""
    bits = bits_of(np.float32(value))
    sign = (bits >> np.uint32(16)) & np.uint32(0x8000)
    size = bits & np.uint32(0x7FFFFFFF)
    if size >= np.uint32(0x47800000):  # 65,536 and more
        return np.uint16(sign | (np.uint32(0x7E00) if size > np.uint32(0x7F800000) else np.uint32(0x7C00)))
    if size < np.uint32(0x38800000):  # below 2^-14: steps of 2^-24
        steps = np.float32(abs(value)) * np.float32(2.0**24)
        whole = np.uint32(steps)
        rest = steps - np.float32(whole)
        up = rest > np.float32(0.5) or (rest == np.float32(0.5) and whole & np.uint32(1) == np.uint32(1))
        return np.uint16(sign | (whole + np.uint32(up)))
    rounded = size + np.uint32(0x0FFF) + ((size >> np.uint32(13)) & np.uint32(1))
    return np.uint16(sign | ((rounded >> np.uint32(13)) - np.uint32(0x1C000)))
