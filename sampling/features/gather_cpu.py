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

from ...graphlib.compute.jit import kernel

LINE = 64

_BYTE = ir.IntType(8)


def _pointer(context: Any, builder: Any, value: Any, value_type: Any) -> Any:
    address = context.cast(builder, value, value_type, types.intp)
    return builder.inttoptr(address, _BYTE.as_pointer())


def _fetch(typingctx: Any, address: Any) -> Any:
    """Ask for the cache line at `address`, for all caches but the first; a hint, never a fault."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32 = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), i32, i32, i32]), "llvm.prefetch.p0"
        )
        pointer = _pointer(context, builder, arguments[0], signature.args[0])
        builder.call(function, [pointer, ir.Constant(i32, 0), ir.Constant(i32, 2), ir.Constant(i32, 1)])
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
def _copy_past_cache(to, source, width):
    """Whole lines of the target past the cache, what is before and after them through it."""
    before = -to & (LINE - 1)
    if before >= width:
        copy(to, source, width)
        return
    if before > 0:
        copy(to, source, before)
    offset = before
    while offset + LINE <= width:
        copy_line_past_cache(to + offset, source + offset)
        offset += LINE
    if offset < width:
        copy(to + offset, source + offset, width - offset)


@kernel(inline="always")
def _lines_past_cache(to, source, width):
    for offset in range(0, width, LINE):
        copy_line_past_cache(to + offset, source + offset)


@kernel(inline="always")
def _rows(move, table, stride, count, index, first, last, out, width, look):
    """Rows by `move(to, source, width)`. Positions are unsigned, which spares a check for negative ones.

    A short loop matters: the processor runs ahead over as many rows as fit its window, and that is all there is to
    hide the way to memory where nothing is asked for beforehand; `look` is (ahead, lines).
    """
    ahead, lines = look
    for i in range(np.uint64(first), np.uint64(last)):
        row = np.uint64(index[i])
        if row >= np.uint64(count):
            return np.int64(i)
        if lines > 0 and i + np.uint64(ahead) < np.uint64(last):
            later = table + np.int64(index[i + np.uint64(ahead)]) * stride
            for line in range(lines):
                fetch(later + line * LINE)
        move(out + np.int64(i) * width, table + np.int64(row) * stride, width)
    return np.int64(-1)


@kernel
def copy_rows(table, stride, count, index, first, last, out, width, ahead, lines):
    """Row `index[i]` of `table` to row i of `out`, for i in [first, last).

    `table` and `out` are addresses; `stride` and `width` are bytes. Row i + `ahead` is asked for, its first `lines`
    cache lines, before row i is copied. Returns the first position of an id outside [0, count), where it stops, or -1.
    The usual narrow widths get loops of their own, compiled to plain moves.
    """
    if width == 4:
        return _rows(copy, table, stride, count, index, first, last, out, 4, (0, 0))
    if width == 8:
        return _rows(copy, table, stride, count, index, first, last, out, 8, (0, 0))
    if width == 16:
        return _rows(copy, table, stride, count, index, first, last, out, 16, (0, 0))
    if width == 32:
        return _rows(copy, table, stride, count, index, first, last, out, 32, (0, 0))
    if width == 64:
        return _rows(copy, table, stride, count, index, first, last, out, 64, (0, 0))
    if lines == 0:
        return _rows(copy, table, stride, count, index, first, last, out, width, (0, 0))
    return _rows(copy, table, stride, count, index, first, last, out, width, (ahead, lines))


@kernel
def copy_rows_past_cache(table, stride, count, index, first, last, out, width, ahead, lines):
    """As `copy_rows`, for rows of a line or more and an `out` too large for the cache, which is passed by."""
    if width == LINE and out % LINE == 0:
        bad = _rows(_lines_past_cache, table, stride, count, index, first, last, out, LINE, (0, 0))
    elif width % LINE == 0 and out % LINE == 0:
        bad = _rows(_lines_past_cache, table, stride, count, index, first, last, out, width, (ahead, lines))
    else:
        bad = _rows(_copy_past_cache, table, stride, count, index, first, last, out, width, (ahead, lines))
    settle()
    return bad


@kernel
def copy_rows_to_places(table, stride, index, place, first, last, out, width, ahead, lines):
    """As `copy_rows`, for ids in the table, with row `index[i]` written to row `place[i]` of `out`."""
    for i in range(first, last):
        if i + ahead < last:
            later = table + np.int64(index[i + ahead]) * stride
            for line in range(lines):
                fetch(later + line * LINE)
        copy(out + np.int64(place[i]) * width, table + np.int64(index[i]) * stride, width)
