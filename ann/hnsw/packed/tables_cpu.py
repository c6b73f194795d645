"""Estimates of 32 neighbours at once, by tables in registers.

A block of 32 neighbours keeps, per group of coordinates, one 4-bit number a neighbour: four coordinates of one bit, two
of two, or one of four. What a number adds to the product with a query stands in a table of 16 bytes per group, so
that one byte shuffle looks up 16 neighbours (or four groups of 16, where vectors are that wide). A byte of a block
belongs to neighbours j, in its low half, and j + 16. Sums are 16-bit integers, the same on every processor.

Fast scan: F. André et al., "Cache locality is not enough", VLDB 2015; codes beside links: Y. Gou et al., "SymphonyQG",
SIGMOD 2025, arXiv:2411.12229.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ....graphlib.compute.jit import kernel
from ...distances.row_sums_cpu import declared, features, integer, outlined, splat
from .layout import ENTRIES

_PER = 1, 2, 4  # coordinates of a group, of 4, 2 and 1 bits
_MOST_SUM, _MOST_ENTRY = np.float32(65_000), np.float32(255)
_I8, _I16, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()


@kernel
def _sizes(query, groups, per):
    """The largest sum of sizes in a group of `per` coordinates, and the sum of all."""
    widest, total = np.int32(0), np.int32(0)
    if per == 1:
        for g in range(groups):
            size = abs(np.int32(query[g]))
            widest, total = max(widest, size), total + size
    elif per == 2:
        for g in range(groups):
            size = abs(np.int32(query[2 * g])) + abs(np.int32(query[2 * g + 1]))
            widest, total = max(widest, size), total + size
    else:
        for g in range(groups):
            size = abs(np.int32(query[4 * g])) + abs(np.int32(query[4 * g + 1]))
            size += abs(np.int32(query[4 * g + 2])) + abs(np.int32(query[4 * g + 3]))
            widest, total = max(widest, size), total + size
    return widest, total


@kernel
def fill_tables(query, width, bits, tables):
    """Write the tables of an int8 query for codes of `bits` bits, uint8 (groups, 16); (scale, offset) of their sums.

    A code c of b bits stands for 2c + 1 - 2^b, so the product of a code row and the query is scale * sum + offset, up
    to rounding entries to a 255th of the widest table's range. The query is zero behind `width`, up to whole groups.
    """
    groups, per, levels = tables.shape[0], 4 // bits, 1 << bits
    weights = np.empty((per, ENTRIES), np.float32)
    for p in range(per):
        for entry in range(ENTRIES):
            weights[p, entry] = 2 * ((entry >> (p * bits)) & (levels - 1)) + 1 - levels
    widest, total = _sizes(query, groups, per)
    if total == 0:
        tables[:] = 0
        return np.float32(0), np.float32(0)
    top = np.float32(2 * (levels - 1))
    scale = min(_MOST_ENTRY / (top * np.float32(widest)), _MOST_SUM / (top * np.float32(total)))
    write_tables(query, weights, scale, tables)
    return np.float32(1) / scale, np.float32(-(levels - 1)) * np.float32(total)


def _write_tables(typingctx: Any, query: Any, weights: Any, scale: Any, tables: Any) -> Any:
    """Write scale * (weights . part of the query), raised to start at 0, and rounded, per group and entry."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        views = [context.make_array(kinds[at])(context, builder, arguments[at]) for at in (0, 1, 3)]
        values = [view.data for view in views] + [context.cast(builder, arguments[2], kinds[2], types.float32)]
        values.append(builder.extract_value(views[2].shape, 0))
        per = builder.extract_value(views[1].shape, 0)
        for number in _PER:
            with builder.if_then(builder.icmp_signed("==", per, integer(number))):
                outlined(builder, f"nearhop_tables_{number}", _I64, values, functools.partial(_tables, number))
        return context.get_dummy_value()

    return types.void(query, weights, scale, tables), generate


def _tables(per: int, builder: Any, query: Any, weights: Any, tables: Any, scale: Any, groups: Any) -> Any:
    """Groups of `per` coordinates."""
    floats, bytes_ = ir.VectorType(_F32, ENTRIES), ir.VectorType(_I8, ENTRIES)
    last = builder.gep(weights, [integer(ENTRIES - 1)])  # every weight's largest value stands at the last entry
    top = builder.fmul(builder.load(last), scale)
    rows = [builder.bitcast(builder.gep(weights, [integer(p * ENTRIES)]), floats.as_pointer()) for p in range(per)]
    shares = [builder.fmul(builder.load(row, align=4), splat(builder, scale, ENTRIES)) for row in rows]
    half = ir.Constant(floats, [0.5] * ENTRIES)
    with cgutils.for_range_slice(builder, integer(0), groups, integer(1)) as (group, _):
        raised, lowest = half, ir.Constant(_F32, 0.0)
        for p, share in enumerate(shares):
            place = builder.add(builder.mul(group, integer(per)), integer(p))
            value = builder.sitofp(builder.load(builder.gep(query, [place])), _F32)
            raised = builder.fadd(raised, builder.fmul(share, splat(builder, value, ENTRIES)))
            size = builder.select(builder.fcmp_ordered("<", value, ir.Constant(_F32, 0.0)), builder.fneg(value), value)
            lowest = builder.fadd(lowest, builder.fmul(size, top))
        raised = builder.fadd(raised, splat(builder, lowest, ENTRIES))
        place = builder.gep(tables, [builder.mul(group, integer(ENTRIES))])
        entries = builder.trunc(builder.fptosi(raised, ir.VectorType(_I32, ENTRIES)), bytes_)
        builder.store(entries, builder.bitcast(place, bytes_.as_pointer()), align=1)
    return integer(0)


# Called with (query, weights, scale, tables) inside kernels: the typing context is Numba's own argument.
write_tables: Any = intrinsic(_write_tables)


def estimating(widest: int) -> Callable[..., Any]:
    """An intrinsic that estimates blocks by shuffles of up to so many bytes; 0: by look-ups, with the same integers."""

    def estimate(typingctx: Any, blocks: Any, place: Any, tables: Any, query: Any, limit: Any, out: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            data, entries, written = (
                builder.bitcast(context.make_array(kinds[at])(context, builder, arguments[at]).data, _I8.as_pointer())
                for at in (0, 2, 5)
            )
            place = context.cast(builder, arguments[1], kinds[1], types.intp)
            limit = context.cast(builder, arguments[4], kinds[4], types.int32)
            groups = builder.extract_value(context.make_array(kinds[2])(context, builder, arguments[2]).shape, 0)
            numbers = [
                context.cast(builder, builder.extract_value(arguments[3], at), kinds[3][at], types.float32)
                for at in range(3)
            ]
            able = features(context)
            width = min(widest, 64 if "avx512bw" in able else 32 if "avx2" in able else 0)
            return outlined(
                builder, f"nearhop_estimate_{width}", _I64,
                [builder.gep(data, [place]), entries, builder.mul(groups, integer(ENTRIES)), *numbers, limit, written],
                functools.partial(_block, width),
            )  # fmt: skip

        return types.int64(blocks, place, tables, query, limit, out), generate

    return estimate


def _block(
    width: int,
    builder: Any,
    codes: Any,
    tables: Any,
    size: Any,
    base: Any,
    scale: Any,
    offset: Any,
    limit: Any,
    out: Any,
) -> Any:
    sums = _shuffled(builder, width, codes, tables, size) if width else _looked_up(builder, codes, tables, size)
    words = builder.gep(codes, [size])
    result: Any = None
    for half, total in enumerate(sums):
        ints, floats = ir.VectorType(_I32, 16), ir.VectorType(_F32, 16)
        word = builder.load(builder.bitcast(builder.gep(words, [integer(64 * half)]), ints.as_pointer()), align=4)
        high = builder.bitcast(builder.and_(word, ir.Constant(ints, [0xFFFF0000] * 16)), floats)
        low = builder.bitcast(builder.shl(word, ir.Constant(ints, [16] * 16)), floats)
        product = builder.fadd(
            builder.fmul(builder.uitofp(total, floats), splat(builder, scale, 16)), splat(builder, offset, 16)
        )
        rank = builder.fadd(builder.fadd(splat(builder, base, 16), high), builder.fmul(low, product))
        rank = builder.fptosi(rank, ints)
        builder.store(rank, builder.bitcast(builder.gep(out, [integer(64 * half)]), ints.as_pointer()), align=4)
        below = builder.bitcast(builder.icmp_signed("<", rank, splat(builder, limit, 16)), _I16)
        mask = builder.zext(below, _I64)
        result = mask if result is None else builder.or_(result, builder.shl(mask, integer(16)))
    return result


def _shuffled(builder: Any, width: int, codes: Any, tables: Any, size: Any) -> list[Any]:
    """The sums of neighbours 0..15 and 16..31, by byte shuffles of `width` bytes."""
    vector, pairs = ir.VectorType(_I8, width), ir.VectorType(_I16, width // 2)
    name = "llvm.x86.avx512.pshuf.b.512" if width == 64 else "llvm.x86.avx2.pshuf.b"
    shuffle = declared(builder, name, vector, [vector, vector])

    def constant(kind: Any, value: int) -> Any:
        return ir.Constant(kind, [value] * kind.count)

    zero = constant(pairs, 0)
    kept = [cgutils.alloca_once_value(builder, zero) for _ in range(4)]  # all bytes as 16 bits, and the odd ones
    with cgutils.for_range_slice(builder, integer(0), size, integer(width)) as (at, _):
        code, table = (
            builder.load(builder.bitcast(builder.gep(start, [at]), vector.as_pointer()), align=1)
            for start in (codes, tables)
        )
        above = builder.bitcast(builder.lshr(builder.bitcast(code, pairs), constant(pairs, 4)), vector)
        for half, number in enumerate((code, above)):
            found = builder.call(shuffle, [table, builder.and_(number, constant(vector, 15))])
            found = builder.bitcast(found, pairs)
            every, odd = kept[2 * half], kept[2 * half + 1]
            builder.store(builder.add(builder.load(every), found), every)
            builder.store(builder.add(builder.load(odd), builder.lshr(found, constant(pairs, 8))), odd)
    sums = []
    eights = ir.VectorType(_I32, 8)
    for half in range(2):
        odd = builder.load(kept[2 * half + 1])
        even = builder.sub(builder.load(kept[2 * half]), builder.shl(odd, constant(pairs, 8)))
        folded = []
        for total in (even, odd):
            parts = [
                builder.shuffle_vector(total, zero, ir.Constant(eights, list(range(start, start + 8))))
                for start in range(0, width // 2, 8)
            ]
            while len(parts) > 1:
                parts = [builder.add(*parts[at : at + 2]) for at in range(0, len(parts), 2)]
            folded.append(parts[0])
        order = ir.Constant(ir.VectorType(_I32, 16), [j // 2 + 8 * (j % 2) for j in range(16)])
        sums.append(builder.shuffle_vector(*folded, order))
    return sums


def _looked_up(builder: Any, codes: Any, tables: Any, size: Any) -> list[Any]:
    """The same sums, byte by byte."""
    kind = ir.VectorType(_I16, 16)
    kept = [cgutils.alloca_once_value(builder, ir.Constant(kind, [0] * 16)) for _ in range(2)]
    with cgutils.for_range_slice(builder, integer(0), size, integer(ENTRIES)) as (at, _):
        found = [ir.Constant(kind, ir.Undefined)] * 2
        for j in range(16):
            byte = builder.load(builder.gep(codes, [builder.add(at, integer(j))]))
            for half, number in enumerate((builder.and_(byte, _I8(15)), builder.lshr(byte, _I8(4)))):
                entry = builder.load(builder.gep(tables, [builder.add(at, builder.zext(number, _I64))]))
                found[half] = builder.insert_element(found[half], builder.zext(entry, _I16), ir.Constant(_I32, j))
        for total, more in zip(kept, found, strict=True):
            builder.store(builder.add(builder.load(total), more), total)
    return [builder.load(total) for total in kept]


# Called with (blocks, place, tables, query, limit, out) inside kernels: writes the ranks of a block's neighbours to
# int32 `out` (32,), and returns a mask of those below the limit. The codes start at byte `place` of `blocks`; behind
# them lie 32 words, two bfloat16 numbers each. With (base, scale, offset) of `query`, a rank is
# base + high + low * (scale * sum + offset).
estimate: Any = intrinsic(estimating(64))
