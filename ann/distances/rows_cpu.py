"""Rows of any storage inside kernels: a named tuple of arrays per kind of row, and what kernels ask of it.

`row_kind` says how a kind of row answers; kernels then ask, whatever the kind:

| question | answer |
|---|---|
| `distance(rows, node, query, factor)` | float32, the distance that decides |
| `key_of(rows, query, factor, node)` | (distance or rank, node) as one sortable integer: see `distances_cpu.pack` |
| `own_query(rows, node, room)` | a stored row as a query, written out in `room` where it has to be |
| `own_factor(rows, node)`, `room_of(rows)` | its factor, and that room |
| `ask(rows, queries, factors)` | given queries as the kind compares them |
| `ranks(rows)` | whether keys are ranks, so that what a walk found has to be ordered by distances of other rows |
| `reaches(rows, query)` | whether ranks of a query tell near rows from far ones; else rows are scanned |
| `patience(rows, ef)` | how many of them in turn may be no better than the k-th before the rest is given up |
| `prefetch_row(rows, node, first, last)`, `prefetch_row_ahead` | cache lines of the row, asked for ahead |

The first field of every kind holds a row of bytes per node, in C order. `distance`, `key_of` and `prefetch_row` are
written into the kernels that call them: passed to a function, an array would be reference-counted, two locked
instructions that cost more than a short row's sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from ...graphlib.compute.compiling.kernel_cache import source_digest
from .row_sums_cpu import declared, integer, row_start

_LINE = 64
HEAD = 4 * _LINE  # bytes of a row that are asked for first
FAR = 1 << 20
Emitter = Callable[..., Any]


@dataclass(frozen=True)
class _Kind:
    distance: Emitter
    near: Emitter
    own: Callable[..., Any]
    own_factor: Callable[..., Any]
    room: Callable[..., Any]
    ask: Callable[..., Any]
    ranks: bool
    reaches: Callable[..., Any]
    patience: Callable[..., Any]


_KINDS: dict[type, _Kind] = {}


def row_kind(
    kind: type,
    *,
    distance: Callable[..., Any],
    own: Callable[..., Any],
    own_factor: Callable[..., Any] | None = None,
    room: Callable[..., Any] | None = None,
    ask: Callable[..., Any] | None = None,
    rank: Emitter | None = None,
    reaches: Callable[..., Any] | None = None,
    patience: Callable[..., Any] | None = None,
) -> None:
    """Make a named tuple class a kind of row.

    Parameters
    ----------
    kind : class of named tuples whose first field is the array of rows
    distance : function of (rows, node, query, factor) that Numba compiles, or an emitter
        An emitter writes LLVM code: it is called with (context, builder, kind, rows, node, query_kind, query, factor)
        and returns a float32 value. A function costs the reference counts of its arrays, per row.
    own, own_factor, room, ask : functions of (rows, node, room), (rows, node), (rows), (rows, queries, factors)
        By default 1, an empty array, and the queries as they are. `ask` may overwrite `factors`.
    rank : emitter, optional
        An int64 value that orders rows nearly as distances do, at most 32 bits of it used; rows found by ranks are
        ordered by the distances of another kind.
    reaches : function of (rows, query), optional
        Asked about queries as ranks compare them; always by default.
    patience : function of (rows, ef), optional
        How many rows found by ranks, in their order, may be no better than the k-th so far; a third of the beam by
        default. A kind whose ranks are far from distances has to look longer.
    """
    file = Path(own.__code__.co_filename)
    kind.__name__ = f"{kind.__name__}_{source_digest(file)[:12]}"  # machine code on disk is for this source alone
    written = distance if getattr(distance, "is_emitter", False) else _calling(distance)
    _KINDS[kind] = _Kind(
        written, rank or float_bits(written), own, own_factor or _one, room or _no_room, ask or _as_they_are,
        rank is not None, reaches or _always, patience or _third,
    )  # fmt: skip


def emitter(function: Emitter) -> Emitter:
    """Mark a function that writes LLVM code."""
    function.is_emitter = True  # type: ignore[attr-defined]
    return function


def field(kind: Any, builder: Any, rows: Any, name: str) -> tuple[Any, Any]:
    """Numba's type and the value of a field of rows, inside an emitter."""
    place = kind.fields.index(name)
    return kind[place], builder.extract_value(rows, place)


def _calling(function: Callable[..., Any]) -> Emitter:
    body = getattr(function, "py_func", function)

    def emit(context: Any, builder: Any, kind: Any, rows: Any, node: Any, query_kind: Any, query: Any, f: Any) -> Any:
        arguments = types.float32(kind, types.intp, query_kind, types.float32)
        return context.compile_internal(builder, body, arguments, [rows, node, query, f])

    return emit


def float_bits(distance: Emitter) -> Emitter:
    """Floats as integers of the same order."""

    def emit(context: Any, builder: Any, *arguments: Any) -> Any:
        bits = builder.bitcast(distance(context, builder, *arguments), ir.IntType(32))
        near = builder.sext(bits, ir.IntType(64))
        return builder.xor(near, builder.and_(builder.ashr(near, integer(31)), integer(0x7FFFFFFF)))

    return emit


def _one(rows, node):
    return np.float32(1)


def _third(rows, ef):
    return ef // 3


def _no_room(rows):
    return np.empty(0, np.float32)


def _as_they_are(rows, queries, factors):
    return queries


def _always(rows, query):
    return True


def _cast(context: Any, builder: Any, value: Any, kind: Any, to: Any) -> Any:
    return context.cast(builder, value, kind, to)


def _distance(typingctx: Any, rows: Any, node: Any, query: Any, factor: Any) -> Any:
    """The distance of a row from a query; for inner products -dot.

    The 1 of 1 - dot is added when results are written (`exact.finish`): beside small products it would round them away.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        place = _cast(context, builder, arguments[1], kinds[1], types.intp)
        asked = _cast(context, builder, arguments[3], kinds[3], types.float32)
        emit = _KINDS[kinds[0].instance_class].distance
        return emit(context, builder, kinds[0], arguments[0], place, kinds[2], arguments[2], asked)

    return types.float32(rows, node, query, factor), generate


def _key_of(typingctx: Any, rows: Any, query: Any, factor: Any, node: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        place = _cast(context, builder, arguments[3], kinds[3], types.intp)
        asked = _cast(context, builder, arguments[2], kinds[2], types.float32)
        emit = _KINDS[kinds[0].instance_class].near
        near = emit(context, builder, kinds[0], arguments[0], place, kinds[1], arguments[1], asked)
        return builder.or_(builder.shl(near, integer(32)), builder.shl(place, integer(1)))

    return types.int64(rows, query, factor, node), generate


def _prefetching(locality: int) -> Callable[..., Any]:
    """An intrinsic that asks for rows of a kind or an array, into the first level (locality 3) or the second (2)."""

    def prefetch(typingctx: Any, rows: Any, node: Any, first: Any, last: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            node, first, last = (_cast(context, builder, arguments[at], kinds[at], types.intp) for at in (1, 2, 3))
            table_kind, table = kinds[0], arguments[0]
            if not isinstance(table_kind, types.Array):
                table_kind, table = table_kind[0], builder.extract_value(table, 0)
            start, length = row_start(context, builder, table_kind, table, node)
            end = builder.select(builder.icmp_signed("<", last, length), last, length)
            byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            ask = declared(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, word, word, word])
            with cgutils.for_range_slice(builder, first, end, integer(_LINE)) as (at, _):
                builder.call(ask, [builder.gep(start, [at]), *(ir.Constant(word, value) for value in (0, locality, 1))])
            return context.get_dummy_value()

        return types.void(rows, node, first, last), generate

    return prefetch


distance: Any = intrinsic(_distance)
key_of: Any = intrinsic(_key_of)
# Called with (rows, node, first, last): the cache lines from byte `first` to byte `last`, or the row's end. The first
# level takes no more than a few dozen lines at a time; what is wanted in a while, and is long, goes to the second.
prefetch_row: Any = intrinsic(_prefetching(3))
prefetch_row_ahead: Any = intrinsic(_prefetching(2))


def own_query(rows, node, room):
    raise TypeError("only inside kernels")


def own_factor(rows, node):
    raise TypeError("only inside kernels")


def room_of(rows):
    raise TypeError("only inside kernels")


def ask(rows, queries, factors):
    raise TypeError("only inside kernels")


def ranks(rows):
    raise TypeError("only inside kernels")


def reaches(rows, query):
    raise TypeError("only inside kernels")


def patience(rows, ef):
    raise TypeError("only inside kernels")


@overload(own_query)
def _own_query(rows, node, room):
    return _KINDS[rows.instance_class].own


@overload(own_factor)
def _own_factor(rows, node):
    return _KINDS[rows.instance_class].own_factor


@overload(room_of)
def _room_of(rows):
    return _KINDS[rows.instance_class].room


@overload(ask)
def _ask(rows, queries, factors):
    return _KINDS[rows.instance_class].ask


@overload(reaches)
def _reaches(rows, query):
    return _KINDS[rows.instance_class].reaches


@overload(ranks)
def _ranks(rows):
    if _KINDS[rows.instance_class].ranks:
        return lambda rows: True
    return lambda rows: False


@overload(patience)
def _patience(rows, ef):
    return _KINDS[rows.instance_class].patience
