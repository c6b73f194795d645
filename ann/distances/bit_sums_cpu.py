"""Sums over levels of few bits with a query of signed bytes, as vector instructions.

`emit_levels` adds `u[j] * q[j]` over a row's coordinates, for levels as `storage.rabitq.layout` lays them out. A plane
of bits keeps those bytes of the query whose bit is set (a mask of the processor, or what LLVM makes of one); levels of
four bits are parted into bytes. Products are added as `int8_dot_cpu` does, exactly, so that all processors agree.
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from .int8_dot_cpu import byte_product
from .row_sums_cpu import declared, features, integer, outlined

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_WORD = 64  # coordinates
_SUMS = 2


def emit_levels(context: Any, builder: Any, code: Any, query: Any, width: Any, bits: Any) -> Any:
    """Int32: the sum for a code and a query at these addresses, of `width` coordinates, a multiple of 64."""
    able = features(context)
    out = cgutils.alloca_once(builder, _I32)
    with builder.if_else(builder.icmp_signed("==", bits, integer(4))) as (four, planes):
        with four:
            body = functools.partial(_nibbles, able)
            builder.store(outlined(builder, "nearhop_nibbles", _I32, [code, query, width], body), out)
        with planes:
            body = functools.partial(_plane, able)
            total = cgutils.alloca_once_value(builder, ir.Constant(_I32, 0))
            stride = builder.lshr(width, integer(3))
            with cgutils.for_range_slice(builder, integer(0), bits, integer(1)) as (plane, _):
                start = builder.gep(code, [builder.mul(plane, stride)])
                part = outlined(builder, "nearhop_plane", _I32, [start, query, width], body)
                part = builder.shl(part, builder.trunc(plane, _I32))
                builder.store(builder.add(builder.load(total), part), total)
            builder.store(builder.load(total), out)
    return builder.load(out)


class _Sums:
    """Sums in 32-bit lanes of vectors as wide as the processor is good for."""

    def __init__(self, able: frozenset[str], builder: Any, count: int) -> None:
        self.multiply, self.bits = byte_product(able)
        self.builder, self.bytes = builder, self.bits // 8
        self.lanes, self.vector = ir.VectorType(_I32, self.bits // 32), ir.VectorType(_I8, self.bytes)
        self.slots = [cgutils.alloca_once(builder, self.lanes) for _ in range(count)]
        for slot in self.slots:
            builder.store(ir.Constant(self.lanes, [0] * self.lanes.count), slot)

    def loaded(self, start: Any, place: Any, kind: Any = None) -> Any:
        address = self.builder.gep(start, [place])
        return self.builder.load(self.builder.bitcast(address, (kind or self.vector).as_pointer()), align=1)

    def every(self, value: int) -> Any:
        return ir.Constant(self.vector, [value] * self.bytes)

    def add(self, slot: int, codes: Any, query: Any) -> None:
        at = self.slots[slot]
        self.builder.store(self.multiply(self.builder, self.bits, self.builder.load(at), codes, query), at)

    def total(self) -> Any:
        whole = self.builder.load(self.slots[0])
        for slot in self.slots[1:]:
            whole = self.builder.add(whole, self.builder.load(slot))
        function = declared(self.builder, f"llvm.vector.reduce.add.v{self.lanes.count}i32", _I32, [self.lanes])
        return self.builder.call(function, [whole])


def _plane(able: frozenset[str], builder: Any, code: Any, query: Any, width: Any) -> Any:
    """The sum of the query's bytes whose bits are set."""
    sums = _Sums(able, builder, _SUMS)
    one, nothing = sums.every(1), sums.every(0)
    mask = ir.IntType(sums.bytes)

    def word(start: Any, first: int) -> None:
        for at in range(0, _WORD, sums.bytes):
            place = builder.add(start, integer(at))
            bits = sums.loaded(code, builder.lshr(place, integer(3)), mask)
            held = builder.bitcast(bits, ir.VectorType(ir.IntType(1), sums.bytes))
            slot = (first + at // sums.bytes) % _SUMS
            sums.add(slot, one, builder.select(held, sums.loaded(query, place), nothing))

    pairs = builder.and_(width, integer(-2 * _WORD))
    with cgutils.for_range_slice(builder, integer(0), pairs, integer(2 * _WORD)) as (start, _):
        word(start, 0)
        word(builder.add(start, integer(_WORD)), 1)
    with builder.if_then(builder.icmp_signed("<", pairs, width)):
        word(pairs, 0)
    return sums.total()


def _nibbles(able: frozenset[str], builder: Any, code: Any, query: Any, width: Any) -> Any:
    """The sum of products of four-bit levels and the query."""
    sums = _Sums(able, builder, _SUMS)
    low, four = sums.every(15), sums.every(4)
    pairs = builder.and_(width, integer(-2 * _WORD))
    with cgutils.for_range_slice(builder, integer(0), pairs, integer(2 * _WORD)) as (start, _):
        for at in range(0, _WORD, sums.bytes):
            both = sums.loaded(code, builder.add(builder.lshr(start, integer(1)), integer(at)))
            place = builder.add(start, integer(at))
            sums.add(0, builder.and_(both, low), sums.loaded(query, place))
            high = sums.loaded(query, builder.add(place, integer(_WORD)))
            sums.add(1, builder.lshr(both, four), high)
    total = cgutils.alloca_once_value(builder, sums.total())
    with builder.if_then(builder.icmp_signed("<", pairs, width)):
        half = _Sums(able & {"avxvnni"} if sums.bits == 256 else able, builder, 0)
        builder.store(builder.add(builder.load(total), _last_nibbles(half, builder, code, query, pairs)), total)
    return builder.load(total)


def _last_nibbles(sums: _Sums, builder: Any, code: Any, query: Any, start: Any) -> Any:
    """The sum over the last 64 coordinates, the first and the last 32 of which share 32 bytes."""
    half, lanes = ir.VectorType(_I8, 32), ir.VectorType(_I32, 8)
    both = sums.loaded(code, builder.lshr(start, integer(1)), half)
    levels = (
        builder.and_(both, ir.Constant(half, [15] * 32)),
        builder.lshr(both, ir.Constant(half, [4] * 32)),
    )
    total = ir.Constant(lanes, [0] * 8)
    for at, level in zip((0, 32), levels, strict=True):
        asked = sums.loaded(query, builder.add(start, integer(at)), half)
        total = sums.multiply(builder, 256, total, level, asked)
    function = declared(builder, "llvm.vector.reduce.add.v8i32", _I32, [lanes])
    return builder.call(function, [total])
