"""Sums over rows, norms, and sorted pools of (distance, node) packed into one integer.

`insert` is written into the kernels that call it: passed to a function, an array would be reference-counted, two locked
instructions that cost more than a short row's sum.

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
from .row_sums_cpu import declared, integer, outlined

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
    chosen = builder.select(builder.icmp_signed("<", middle, key), above, first)
    chosen.set_metadata("unpredictable", builder.module.add_metadata([]))  # else LLVM may make it a branch
    builder.store(chosen, low)
    builder.store(builder.sub(builder.load(left), half), left)
    builder.branch(ask)
    builder.position_at_end(done)
    return builder.load(low)


# Called with (pool, size, limit, key) inside kernels.
insert: Any = intrinsic(_insert)
