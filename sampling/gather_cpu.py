"""Kernels of `gather`: copy whole rows, given by address, with the reads of later rows already under way.

Rows are bytes to these kernels, so one compiled kernel serves every dtype. A random row costs a trip to memory of about
100 ns; fetching the rows of the next few picks beforehand keeps as many trips in flight as the core can track.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..graphlib.jit import kernel

LINE = 64

_BYTE = ir.IntType(8)


def _pointer(context: Any, builder: Any, value: Any, value_type: Any) -> Any:
    address = context.cast(builder, value, value_type, types.intp)
    return builder.inttoptr(address, _BYTE.as_pointer())


def _fetch(typingctx: Any, address: Any) -> Any:
    """Ask for the cache line at `address` before it is needed; a hint, never a fault."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32 = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), i32, i32, i32]), "llvm.prefetch.p0"
        )
        pointer = _pointer(context, builder, arguments[0], signature.args[0])
        builder.call(function, [pointer, ir.Constant(i32, 0), ir.Constant(i32, 3), ir.Constant(i32, 1)])
        return context.get_dummy_value()

    return types.void(address), generate


def _copy(typingctx: Any, target: Any, source: Any, length: Any) -> Any:
    """Copy `length` bytes; a constant length becomes a few moves, any other a call of memcpy."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, start = (_pointer(context, builder, arguments[i], signature.args[i]) for i in (0, 1))
        size = context.cast(builder, arguments[2], signature.args[2], types.intp)
        cgutils.raw_memcpy(builder, to, start, size, ir.Constant(size.type, 1), align=1)
        return context.get_dummy_value()

    return types.void(target, source, length), generate


def _copy_line_past_cache(typingctx: Any, target: Any, source: Any) -> Any:
    """Copy one line of 64 bytes to an aligned `target` without first reading the target into the cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        part = ir.VectorType(ir.IntType(64), 4)
        to, start = (_pointer(context, builder, arguments[i], signature.args[i]) for i in (0, 1))
        for offset in (0, 32):
            at = ir.Constant(ir.IntType(64), offset)
            value = builder.load(builder.bitcast(builder.gep(start, [at]), part.as_pointer()), align=1)
            place = builder.bitcast(builder.gep(to, [at]), part.as_pointer())
            store = builder.store(value, place, align=32)
            store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(target, source), generate


def _settle(typingctx: Any) -> Any:
    """Wait until everything written past the cache can be seen by other threads."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


fetch: Any = intrinsic(_fetch)
copy: Any = intrinsic(_copy)
copy_line_past_cache: Any = intrinsic(_copy_line_past_cache)
settle: Any = intrinsic(_settle)


@kernel
def first_outside(index, count):
    """The first position of an id outside [0, count), or -1."""
    bad = 0
    for i in range(index.shape[0]):
        bad += (index[i] < 0) | (index[i] >= count)
    if bad == 0:
        return -1
    for i in range(index.shape[0]):
        if index[i] < 0 or index[i] >= count:
            return i
    return -1


@kernel(inline="always")
def _rows(table, stride, index, place, first, last, out, width, ahead, lines):
    scattered = place.shape[0] > 0
    for i in range(first, last):
        if i + ahead < last:
            source = table + np.int64(index[i + ahead]) * stride
            for line in range(lines):
                fetch(source + line * LINE)
        to = place[i] if scattered else i
        copy(out + to * width, table + np.int64(index[i]) * stride, width)


@kernel
def copy_rows(table, stride, index, place, first, last, out, width, ahead, lines):
    """Row `index[i]` of `table` to row `place[i]` of `out` (row i where `place` is empty), for i in [first, last).

    `table` and `out` are addresses; `stride` and `width` are bytes. Row i + `ahead` is asked for, its first `lines`
    cache lines, before row i is copied. The usual narrow widths get loops of their own, compiled to plain moves.
    """
    if width == 4:
        _rows(table, stride, index, place, first, last, out, 4, ahead, lines)
    elif width == 8:
        _rows(table, stride, index, place, first, last, out, 8, ahead, lines)
    elif width == 16:
        _rows(table, stride, index, place, first, last, out, 16, ahead, lines)
    elif width == 32:
        _rows(table, stride, index, place, first, last, out, 32, ahead, lines)
    elif width == 64:
        _rows(table, stride, index, place, first, last, out, 64, ahead, lines)
    elif width == 128:
        _rows(table, stride, index, place, first, last, out, 128, ahead, lines)
    else:
        _rows(table, stride, index, place, first, last, out, width, ahead, lines)


@kernel
def copy_lines(table, stride, index, place, first, last, out, width, ahead, lines):
    """As `copy_rows` for rows of whole lines and an aligned `out` too large for the cache, which is passed by."""
    scattered = place.shape[0] > 0
    for i in range(first, last):
        if i + ahead < last:
            source = table + np.int64(index[i + ahead]) * stride
            for line in range(lines):
                fetch(source + line * LINE)
        to = out + (place[i] if scattered else i) * width
        source = table + np.int64(index[i]) * stride
        for offset in range(0, width, LINE):
            copy_line_past_cache(to + offset, source + offset)
    settle()
