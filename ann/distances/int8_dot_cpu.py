"""Inner products of bytes: unsigned codes with signed queries, by the processor's own instruction where it has one.

`dot_u8s8` is `vpdpbusd` (VNNI: four products of bytes added to each 32-bit lane) on processors with AVX512-VNNI or
AVX-VNNI, and 16-bit multiply-adds of 32-byte blocks elsewhere. Both are exact integer sums, so they are equal. The
choice is made from the target that Numba compiles for, which its cache also keys on.
"""

from __future__ import annotations

import functools
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .row_sums_cpu import features, outlined, row_start, splat

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def _vpdpbusd(builder: Any, bits: int, total: Any, codes: Any, query: Any) -> Any:
    lanes = ir.VectorType(_I32, bits // 32)
    operand = ir.VectorType(_I8, bits // 8) if llvm.llvm_version_info[0] >= 22 else lanes
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(lanes, [lanes, operand, operand]), f"llvm.x86.avx512.vpdpbusd.{bits}"
    )
    return builder.call(function, [total, builder.bitcast(codes, operand), builder.bitcast(query, operand)])


def _multiply_add(builder: Any, bits: int, total: Any, codes: Any, query: Any) -> Any:
    """The same sums from 16-bit products of even bytes and of odd ones, so that nothing crosses a 32-bit lane."""
    words = ir.VectorType(ir.IntType(16), bits // 16)
    codes, query = builder.bitcast(codes, words), builder.bitcast(query, words)
    eight = ir.Constant(words, [8] * words.count)
    even = builder.and_(codes, ir.Constant(words, [255] * words.count)), builder.ashr(builder.shl(query, eight), eight)
    odd = builder.lshr(codes, eight), builder.ashr(query, eight)
    for left, right in (even, odd):
        total = builder.add(total, pair_products(builder, left, right))
    return total


def pair_products(builder: Any, left: Any, right: Any) -> Any:
    """a[2i] b[2i] + a[2i+1] b[2i+1] per 32-bit lane of signed 16-bit words, which LLVM makes a multiply-add of."""
    longs = ir.VectorType(_I32, left.type.count)
    product = builder.mul(builder.sext(left, longs), builder.sext(right, longs))
    undefined = ir.Constant(longs, ir.Undefined)
    halves = [
        builder.shuffle_vector(
            product, undefined, ir.Constant(ir.VectorType(_I32, longs.count // 2), list(range(start, longs.count, 2)))
        )
        for start in (0, 1)
    ]
    return builder.add(*halves)


def byte_product(able: frozenset[str]) -> tuple[Any, int]:
    """What adds products of bytes to 32-bit lanes on such a processor, and the widest vector in bits it is good for.

    It is called with (builder, bits, total, codes, query): lanes of four unsigned codes times four signed ones.
    """
    if "avx512vnni" in able and "avx512vl" in able:
        return _vpdpbusd, 512
    return (_vpdpbusd, 256) if "avxvnni" in able else (_multiply_add, 256)


def emit_dot(context: Any, builder: Any, kinds: tuple[Any, Any], table: Any, row: Any, query: Any) -> Any:
    """The code of `dot_u8s8` for arrays of these types and a 64-bit row number, inside another intrinsic."""
    left, width = row_start(context, builder, kinds[0], table, row)
    right = builder.bitcast(context.make_array(kinds[1])(context, builder, query).data, _I8.as_pointer())
    able = features(context)
    return outlined(builder, "nearhop_dot_u8s8", _I32, [left, right, width], functools.partial(_dot, able))


def _dot(able: frozenset[str], builder: Any, left: Any, right: Any, width: Any) -> Any:
    multiply, widest = byte_product(able)

    def block(bits: int, start: Any, total: Any) -> None:
        kind = ir.VectorType(_I8, bits // 8).as_pointer()
        a = builder.load(builder.bitcast(builder.gep(left, [start]), kind), align=1)
        b = builder.load(builder.bitcast(builder.gep(right, [start]), kind), align=1)
        builder.store(multiply(builder, bits, builder.load(total), a, b), total)

    def reduced(bits: int, total: Any) -> Any:
        lanes = ir.VectorType(_I32, bits // 32)
        name = f"llvm.vector.reduce.add.v{bits // 32}i32"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_I32, [lanes]), name)
        return builder.call(function, [builder.load(total)])

    def empty(bits: int) -> Any:
        lanes = ir.VectorType(_I32, bits // 32)
        slot = cgutils.alloca_once(builder, lanes)
        builder.store(ir.Constant(lanes, [0] * (bits // 32)), slot)
        return slot

    narrow = empty(256)
    if widest == 256:
        with cgutils.for_range_slice(builder, ir.Constant(_I64, 0), width, ir.Constant(_I64, 32)) as (start, _):
            block(256, start, narrow)
        return reduced(256, narrow)
    first, second = empty(512), empty(512)
    pairs = builder.and_(width, ir.Constant(_I64, -128))
    with cgutils.for_range_slice(builder, ir.Constant(_I64, 0), pairs, ir.Constant(_I64, 128)) as (start, _):
        block(512, start, first)
        block(512, builder.add(start, ir.Constant(_I64, 64)), second)
    zero = ir.Constant(_I64, 0)
    with builder.if_then(builder.icmp_unsigned("!=", builder.and_(width, ir.Constant(_I64, 64)), zero)):
        block(512, pairs, first)
    with builder.if_then(builder.icmp_unsigned("!=", builder.and_(width, ir.Constant(_I64, 32)), zero)):
        block(256, builder.and_(width, ir.Constant(_I64, -64)), narrow)
    lanes = ir.VectorType(_I32, 8)
    both = builder.add(builder.load(first), builder.load(second))
    undefined = ir.Constant(both.type, ir.Undefined)
    parts = [
        builder.shuffle_vector(both, undefined, ir.Constant(lanes, list(range(start, start + 8)))) for start in (0, 8)
    ]
    builder.store(builder.add(builder.load(narrow), builder.add(*parts)), narrow)
    return reduced(256, narrow)


def _dot_u8s8(typingctx: Any, codes: Any, row: Any, query: Any) -> Any:
    """Sum of codes[row, j] * query[j] as int32; uint8 (n, w) and int8 (w,), C order, w a multiple of 32."""
    if not (isinstance(codes, types.Array) and isinstance(query, types.Array) and isinstance(row, types.Integer)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes_type, row_type, query_type = signature.args
        offset = context.cast(builder, arguments[1], row_type, types.intp)
        return emit_dot(context, builder, (codes_type, query_type), arguments[0], offset, arguments[2])

    return types.int32(codes, row, query), generate


# Called with (codes, row, query) inside kernels: the typing context is Numba's own argument.
dot_u8s8: Any = intrinsic(_dot_u8s8)


SIXTEEN, _CHAINS = 16, 4  # rows, and sums of each that run side by side


def _dots_of_sixteen(typingctx: Any, turned: Any, first: Any, query: Any, out: Any) -> Any:
    """`dot_u8s8` of the rows first .. first + 15 into `out` from `first` on, a multiple of 16.

    Sixteen rows lie word by word: with W words a row, word w of row first + r is `turned[first * W + 16 w + r]`. uint32
    (rows * W,), int8 (4 W,) with W a multiple of 4, and int32 (rows,). Nothing is added across lanes, which takes most
    of the time of the product of two short rows.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        first = context.cast(builder, arguments[1], kinds[1], types.intp)
        rows, asked, written = (context.make_array(kinds[i])(context, builder, arguments[i]) for i in (0, 2, 3))
        width = builder.extract_value(asked.shape, 0)
        start = builder.mul(first, builder.lshr(width, ir.Constant(_I64, 2)))
        places = [builder.gep(rows.data, [start]), asked.data, builder.gep(written.data, [first])]
        values = [*(builder.bitcast(place, _I8.as_pointer()) for place in places), width]
        outlined(builder, "nearhop_dots_of_sixteen", _I64, values, functools.partial(_sixteen, features(context)))
        return context.get_dummy_value()

    return types.void(turned, first, query, out), generate


def _sixteen(able: frozenset[str], builder: Any, rows: Any, query: Any, out: Any, width: Any) -> Any:
    multiply, bits = byte_product(able)
    lanes = ir.VectorType(_I32, bits // 32)
    parts = SIXTEEN * 32 // bits
    none = ir.Constant(lanes, [0] * (bits // 32))
    sums = [[cgutils.alloca_once_value(builder, none) for _ in range(_CHAINS)] for _ in range(parts)]

    def place(base: Any, offset: Any, kind: Any) -> Any:
        return builder.bitcast(builder.gep(base, [offset]), kind.as_pointer())

    with cgutils.for_range_slice(builder, ir.Constant(_I64, 0), width, ir.Constant(_I64, 4 * _CHAINS)) as (first, _):
        for chain in range(_CHAINS):
            at = builder.add(first, ir.Constant(_I64, 4 * chain))
            word = splat(builder, builder.load(place(query, at, _I32), align=1), bits // 32)
            line = builder.mul(at, ir.Constant(_I64, SIXTEEN))
            for part in range(parts):
                codes = builder.load(
                    place(rows, builder.add(line, ir.Constant(_I64, part * bits // 8)), lanes), align=4
                )
                total = sums[part][chain]
                builder.store(multiply(builder, bits, builder.load(total), codes, word), total)
    for part, chains in enumerate(sums):
        total = functools.reduce(builder.add, map(builder.load, chains))
        builder.store(total, place(out, ir.Constant(_I64, part * bits // 8), lanes), align=4)
    return ir.Constant(_I64, 0)


# Called with (turned, first, query, out) inside kernels.
dots_of_sixteen: Any = intrinsic(_dots_of_sixteen)
