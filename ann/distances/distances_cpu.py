"""Distances of rows, and sorted pools of (distance, node) packed into one integer.

`distance` and `insert` are written into the kernels that call them: passed to a function, an array would be
reference-counted, two locked instructions that cost more than a short row's sum.

Sums may be reassociated and contracted ("reassoc", "nsz", "contract"): without leave to reorder additions a reduction
cannot be vectorised at all. NaN and infinity keep their meaning, and a given machine always sums in the same order, so
results do not depend on threads.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ...graphlib.compute.jit import kernel, parallel_kernel
from .numbers import ABSENT, COSINE, IP, L2
from .row_sums_cpu import declared, integer, outlined, row_start, row_sum

_REDUCTION = {"reassoc", "nsz", "contract"}
_ONE = np.float32(1)
_FLIP = np.int64(0x7FFFFFFF)
_LOW32 = np.int64(0xFFFFFFFF)


@kernel(fastmath=_REDUCTION)
def squared_l2(a, b):
    """Squared Euclidean distance of two rows."""
    total = np.float32(0)
    for j in range(a.shape[0]):
        difference = a[j] - b[j]
        total += difference * difference
    return total


@kernel(fastmath=_REDUCTION)
def dot(a, b):
    """Inner product of two rows."""
    total = np.float32(0)
    for j in range(a.shape[0]):
        total += a[j] * b[j]
    return total


def emit_distance(context: Any, builder: Any, kinds: tuple[Any, ...], values: tuple[Any, ...]) -> Any:
    """The code of `distance` for arguments of these types, inside another intrinsic."""
    _, table, scale, _, query, factor = values
    metric, node = (context.cast(builder, values[at], kinds[at], types.intp) for at in (0, 3))
    rows = kinds[1].dtype
    factors = context.make_array(kinds[2])(context, builder, scale).data
    single = ir.FloatType()

    def total(squares: bool) -> Any:
        return row_sum(context, builder, (kinds[1], kinds[4]), table, node, query, squares)

    if rows == types.uint64:
        return total(True)
    out = cgutils.alloca_once(builder, single)
    products = builder.icmp_signed(
        "==" if rows == types.uint8 else "!=", metric, integer(IP if rows == types.uint8 else L2)
    )
    with builder.if_else(products) as (then, otherwise):
        with then:
            product, base = total(False), ir.Constant(single, 0.0)
            if rows == types.uint8:
                product = builder.fmul(product, builder.load(factors))
            else:
                is_cosine = builder.icmp_signed("==", metric, integer(COSINE))
                own = builder.load(builder.gep(factors, [builder.select(is_cosine, node, integer(0))]))
                asked = context.cast(builder, factor, kinds[5], types.float32)
                product = builder.select(is_cosine, builder.fmul(product, builder.fmul(own, asked)), product)
                base = builder.select(is_cosine, ir.Constant(single, 1.0), base)
            builder.store(builder.fsub(base, product), out)
        with otherwise:
            squares = total(True)
            if rows == types.uint8:
                squares = builder.fmul(squares, builder.load(factors))
                start, length = row_start(context, builder, kinds[1], table, node)
                place = builder.gep(start, [builder.sub(length, integer(4))])
                term = builder.load(builder.bitcast(place, ir.IntType(32).as_pointer()), align=4)
                asked = context.cast(builder, factor, kinds[5], types.float32)
                without = builder.or_(
                    builder.icmp_signed(">=", term, ir.Constant(term.type, ABSENT)),
                    builder.fcmp_ordered("==", asked, ir.Constant(single, 0.0)),
                )
                squares = builder.select(without, ir.Constant(single, 1.0), squares)
            builder.store(squares, out)
    return builder.load(out)


def _distance(typingctx: Any, metric: Any, vectors: Any, scale: Any, node: Any, query: Any, factor: Any) -> Any:
    """Distance of `vectors[node]` from `query` under the metric with that number; for inner products -dot.

    The 1 of 1 - dot is added when results are written (`exact.finish`): beside small products it would round them away.
    Rows and queries are those of `row_sums_cpu`. `scale` holds 1 / |row| for cosine. For 8-bit rows it holds one number
    by which sums are multiplied, and cosine is compared like L2; a row without length (its term is `ABSENT`), and a
    query without (its factor is 0), are at distance 1.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return emit_distance(context, builder, signature.args, arguments)

    return types.float32(metric, vectors, scale, node, query, factor), generate


# Called with (metric, vectors, scale, node, query, factor) inside kernels: the typing context is Numba's own argument.
distance: Any = intrinsic(_distance)


@kernel
def scale_of(metric, scale, node):
    """1 / |vectors[node]| where the metric uses it."""
    if metric == COSINE:
        return scale[node]
    return _ONE


@kernel
def inverse_norm(row):
    """1 / |row|, or 0 for a zero row; summed in float64 so that tiny and huge rows keep their norm."""
    total = 0.0
    for j in range(row.shape[0]):
        total += np.float64(row[j]) * np.float64(row[j])
    if total == 0.0:
        return np.float32(0)
    return np.float32(1.0 / np.sqrt(total))


@kernel
def inverse_norms_of_few(rows, out):
    """`inverse_norms` without threads, which cost more to wake than a few thousand rows."""
    for i in range(rows.shape[0]):
        out[i] = inverse_norm(rows[i])


@parallel_kernel
def inverse_norms(rows, out):
    for i in numba.prange(rows.shape[0]):
        out[i] = inverse_norm(rows[i])


@kernel(forceinline=True)
def pack(distance, node):
    """(distance, node) as one int64: sorts by distance, then by node; the lowest bit is free for a mark."""
    bits = np.int64(np.float32(distance).view(np.int32))
    bits ^= (bits >> 31) & _FLIP
    return (bits << 32) | (np.int64(node) << 1)


@kernel(forceinline=True)
def unpack_node(key):
    return (key & _LOW32) >> 1


@kernel(forceinline=True)
def unpack_distance(key):
    bits = key >> 32
    bits ^= (bits >> 31) & _FLIP
    return np.int32(bits).view(np.float32)


def _insert(typingctx: Any, pool: Any, size: Any, limit: Any, key: Any) -> Any:
    """Insert `key` into the sorted int64 `pool[:size]`, keeping the `limit` smallest; its position, or -1: not kept."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        size, limit, key = (
            context.cast(builder, value, kind, types.intp)
            for value, kind in zip(arguments[1:], signature.args[1:], strict=True)
        )
        return outlined(builder, "nearhop_pool_insert", size.type, [data, size, limit, key], _insertion)

    return types.int64(pool, size, limit, key), generate


def _insertion(builder: Any, data: Any, size: Any, limit: Any, key: Any) -> Any:
    place = cgutils.alloca_once_value(builder, integer(-1))
    full = builder.icmp_signed("==", size, limit)
    last = builder.select(full, builder.sub(size, integer(1)), size)  # where the pool's end will be
    with builder.if_then(builder.or_(builder.not_(full), builder.icmp_signed("<", key, _at(builder, data, last)))):
        low = _first_not_below(builder, data, size, key)
        start, byte = builder.gep(data, [low]), ir.IntType(8).as_pointer()
        ends = [builder.bitcast(place, byte) for place in (builder.gep(start, [integer(1)]), start)]
        count = builder.shl(builder.sub(last, low), integer(3))
        move = declared(builder, "llvm.memmove.p0.p0.i64", ir.VoidType(), [byte, byte, count.type, ir.IntType(1)])
        builder.call(move, [*ends, count, ir.Constant(ir.IntType(1), 0)])
        builder.store(key, start)
        builder.store(low, place)
    return builder.load(place)


def _at(builder: Any, data: Any, place: Any) -> Any:
    return builder.load(builder.gep(data, [place]))


def _first_not_below(builder: Any, data: Any, size: Any, key: Any) -> Any:
    """Halving without branches: which half is taken is a coin toss that the processor cannot learn."""
    low, left = (cgutils.alloca_once_value(builder, value) for value in (integer(0), size))
    ask, halve, done = (builder.append_basic_block(name) for name in ("ask", "halve", "done"))
    builder.branch(ask)
    builder.position_at_end(ask)
    builder.cbranch(builder.icmp_signed(">", builder.load(left), integer(0)), halve, done)
    builder.position_at_end(halve)
    half = builder.lshr(builder.add(builder.load(left), integer(1)), integer(1))
    first = builder.load(low)
    middle = _at(builder, data, builder.sub(builder.add(first, half), integer(1)))
    above = builder.add(first, half)
    builder.store(builder.select(builder.icmp_signed("<", middle, key), above, first), low)
    builder.store(builder.sub(builder.load(left), half), left)
    builder.branch(ask)
    builder.position_at_end(done)
    return builder.load(low)


# Called with (pool, size, limit, key) inside kernels.
insert: Any = intrinsic(_insert)
