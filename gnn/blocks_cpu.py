"""Products of small matrices in vector registers, for kernels that make them of a few dozen rows at a time.

Sums stay in registers over the loop, which LLVM cannot conclude from scalar code: it would have to know that the result
overlaps neither factor. So the blocks are written as vectors. How large they are depends on the processor's registers;
results do not: every element is one sum, in one order, whatever its block.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..graphlib.compute.jit import kernel

_LANES = 16
_WIDE = bool(llvm.get_host_cpu_features().get("avx512f", False))  # 32 registers of 16 numbers, not 16 of 8
_ROWS, _VECTORS = (8, 2) if _WIDE else (6, 1)  # of a block
_PANEL = 32  # columns that are turned at a time
_FUSED = ("contract",)
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


class _Arrays:
    """Three matrices as IR: where rows and vectors of them lie."""

    def __init__(self, context: Any, builder: Any, kinds: Any, values: Any) -> None:
        self.builder = builder
        self.views = [
            context.make_array(kind)(context, builder, value) for kind, value in zip(kinds, values, strict=True)
        ]
        self.scalar = self.views[2].data.type.pointee
        self.size = 4 if kinds[2].dtype == types.float32 else 8
        self.steps = [[builder.extract_value(view.strides, axis) for axis in (0, 1)] for view in self.views]

    def vector(self, lanes: int) -> Any:
        return ir.VectorType(self.scalar, lanes)

    def row(self, which: int, number: Any, ahead: int = 0) -> Any:
        """The address of a row `ahead` rows below `number`."""
        place = self.builder.add(number, ir.Constant(_I64, ahead))
        return self.offset(self.views[which].data, self.builder.mul(place, self.steps[which][0]))

    def offset(self, base: Any, count: Any) -> Any:
        return self.builder.gep(self.builder.bitcast(base, _I8.as_pointer()), [count])

    def load(self, base: Any, count: Any, kind: Any) -> Any:
        return self.builder.load(self.at(base, count, kind), align=self.size)

    def at(self, base: Any, count: Any, kind: Any) -> Any:
        return self.builder.bitcast(self.offset(base, count), kind.as_pointer())

    def bytes_of(self, columns: Any, more: int = 0) -> Any:
        return self.builder.mul(self.builder.add(columns, ir.Constant(_I64, more)), ir.Constant(_I64, self.size))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        return self.builder.fadd(self.builder.fmul(a, b, flags=_FUSED), c, flags=_FUSED)


def _loop(builder: Any, end: Any, step: int, start: list[Any], body: Any) -> list[Any]:
    """Sums after `body(index, sums)` for 0, step, ... below `end`, which is at least `step`."""
    before = builder.block
    loop, done = builder.append_basic_block("products"), builder.append_basic_block("products.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(_I64)
    sums = [builder.phi(value.type) for value in start]
    added = body(index, sums)
    following = builder.add(index, ir.Constant(_I64, step))
    index.add_incoming(ir.Constant(_I64, 0), before)
    index.add_incoming(following, loop)
    for total, first, new in zip(sums, start, added, strict=True):
        total.add_incoming(first, before)
        total.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, end), loop, done)
    builder.position_at_end(done)
    return added


def _block(name: str, emit: Any) -> Any:
    """An intrinsic `name(a, b, c, row, column, count, afresh)` that makes a block of products; `count` is positive."""

    def typed(typingctx: Any, a: Any, b: Any, c: Any, row: Any, column: Any, count: Any, afresh: Any) -> Any:
        if any(not isinstance(x, types.Array) or x.ndim != 2 or x.dtype != c.dtype for x in (a, b, c)):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emit(builder, _Arrays(context, builder, signature.args[:3], arguments[:3]), *arguments[3:])
            return context.get_dummy_value()

        return types.void(a, b, c, types.int64, types.int64, types.int64, types.boolean), generate

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


def _maker(rows: int, vectors: int, lanes: int = _LANES) -> Any:
    """A block of `c[...] += a[:, :count] @ b[:count]`, or of `c[...] =` it if `afresh`; `a` may have any strides."""

    def emit(builder: Any, x: _Arrays, row: Any, column: Any, count: Any, afresh: Any) -> None:
        kind, (across, down) = x.vector(lanes), (x.steps[0][1], x.steps[1][0])
        columns = [x.bytes_of(column, v * lanes) for v in range(vectors)]
        targets = [x.at(x.row(2, row, r), place, kind) for r in range(rows) for place in columns]
        lefts, right = [x.row(0, row, r) for r in range(rows)], x.views[1].data
        undefined, zeros = ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes)

        def body(index: Any, sums: list[Any]) -> list[Any]:
            line = builder.mul(index, down)
            lines = [x.load(right, builder.add(line, place), kind) for place in columns]
            added = []
            for r, left in enumerate(lefts):
                element = x.load(left, builder.mul(index, across), x.scalar)
                first = builder.insert_element(undefined, element, ir.Constant(_I32, 0))
                spread = builder.shuffle_vector(first, undefined, zeros)
                added += [x.multiply_add(spread, lines[v], sums[r * vectors + v]) for v in range(vectors)]
            return added

        before = builder.block  # what is overwritten is not read
        read, go = builder.append_basic_block("products.read"), builder.append_basic_block("products.go")
        builder.cbranch(builder.trunc(afresh, ir.IntType(1)), go, read)
        builder.position_at_end(read)
        found = [builder.load(target, align=x.size) for target in targets]
        builder.branch(go)
        builder.position_at_end(go)
        start = [builder.phi(kind) for _ in targets]
        for total, value in zip(start, found, strict=True):
            total.add_incoming(ir.Constant(kind, [0.0] * lanes), before)
            total.add_incoming(value, read)
        for target, total in zip(targets, _loop(builder, count, 1, start, body), strict=True):
            builder.store(total, target, align=x.size)

    return _block(f"products_{rows}_{vectors * lanes}", emit)


def _turner(lanes: int) -> Any:
    """An intrinsic `turn(b, row, column, out)`: `out[:lanes, :lanes]` is that block of `b` with both axes exchanged.

    In every round, half of each pair of rows changes places; after as many as numbers have bits, rows are columns.
    """

    def typed(typingctx: Any, b: Any, row: Any, column: Any, out: Any) -> Any:
        if any(not isinstance(x, types.Array) or x.ndim != 2 or x.dtype != out.dtype for x in (b, out)):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds, values = (b, b, out), (arguments[0], arguments[0], arguments[3])
            x = _Arrays(context, builder, kinds, values)
            kind, place = x.vector(lanes), x.bytes_of(arguments[2])
            rows = [x.load(x.row(0, arguments[1], r), place, kind) for r in range(lanes)]
            step = lanes // 2
            while step:
                low = [i if not i & step else lanes + i - step for i in range(lanes)]
                high = [i + step if not i & step else lanes + i for i in range(lanes)]
                for r in range(lanes):
                    if not r & step:
                        pair = rows[r], rows[r + step]
                        rows[r], rows[r + step] = (
                            builder.shuffle_vector(*pair, ir.Constant(ir.VectorType(_I32, lanes), places))
                            for places in (low, high)
                        )
                step //= 2
            for r, value in enumerate(rows):
                at = x.at(x.row(2, ir.Constant(_I64, r)), ir.Constant(_I64, 0), kind)
                builder.store(value, at, align=x.size)
            return context.get_dummy_value()

        return types.void(b, types.int64, types.int64, out), generate

    typed.__name__ = typed.__qualname__ = f"turn_{lanes}"
    return intrinsic(typed)


_rows_1, _rows_2, _rows_3, _rows_4, _rows_5, _rows_6, _rows_7, _rows_8 = (_maker(r, _VECTORS) for r in range(1, 9))
_rows_8_of_16: Any = _maker(8, 1)
_rows_4_of_16: Any = _maker(4, 1)
_rows_1_of_16: Any = _maker(1, 1)
_rows_4_of_8: Any = _maker(4, 1, 8)
_rows_1_of_8: Any = _maker(1, 1, 8)
_turn: Any = _turner(_LANES)


@kernel
def add_products(a, b, c, rows, count, width):
    """`c[:rows, :width] += a[:rows, :count] @ b[:count, :width]`: see `products`."""
    products(a, b, c, rows, count, width, False)


@kernel
def products(a, b, c, rows, count, width, afresh):
    """To `c[:rows, :width]`, or instead of it if `afresh`, `a[:rows, :count] @ b[:count, :width]`.

    Fastest for widths that are multiples of 8. `a` may be a transposed array; columns of `b` and `c` lie side by side.
    """
    if count <= 0:
        if afresh:
            c[:rows, :width] = 0
        return
    wide, turns = _VECTORS * 16, (rows + _ROWS - 1) // _ROWS
    whole = width - width % wide
    for column in range(0, whole, wide):
        for turn in range(turns):  # blocks of as many rows as can be, none of much fewer than others
            row = turn * rows // turns
            _rows(a, b, c, row, (turn + 1) * rows // turns - row, column, count, afresh)
    if whole < width:
        _narrow(a, b, c, rows, whole, width, count, afresh)


@kernel(forceinline=True)
def _rows(a, b, c, row, rows, column, count, afresh):
    """A block of so many rows, at most `_ROWS`."""
    if rows == 6:
        _rows_6(a, b, c, row, column, count, afresh)
    elif rows == 5:
        _rows_5(a, b, c, row, column, count, afresh)
    elif rows == 4:
        _rows_4(a, b, c, row, column, count, afresh)
    elif rows == 3:
        _rows_3(a, b, c, row, column, count, afresh)
    elif rows == 2:
        _rows_2(a, b, c, row, column, count, afresh)
    elif rows == 1:
        _rows_1(a, b, c, row, column, count, afresh)
    elif _WIDE:
        if rows == 7:
            _rows_7(a, b, c, row, column, count, afresh)
        else:
            _rows_8(a, b, c, row, column, count, afresh)


@kernel
def _narrow(a, b, c, rows, begin, end, count, afresh):
    """The columns begin..end-1 of `products`, in blocks of eight rows, of four and of one."""
    eights, fours, whole = rows & -8, rows & -4, end - (end - begin) % 16
    for column in range(begin, whole, 16):
        for row in range(0, eights, 8):
            _rows_8_of_16(a, b, c, row, column, count, afresh)
        for row in range(eights, fours, 4):
            _rows_4_of_16(a, b, c, row, column, count, afresh)
        for row in range(fours, rows):
            _rows_1_of_16(a, b, c, row, column, count, afresh)
    if (end - begin) % 16 >= 8:
        for row in range(0, fours, 4):
            _rows_4_of_8(a, b, c, row, whole, count, afresh)
        for row in range(fours, rows):
            _rows_1_of_8(a, b, c, row, whole, count, afresh)
        whole += 8
    if whole < end:
        for row in range(rows):
            if afresh:
                c[row, whole:end] = 0
            for i in range(count):
                s = a[row, i]
                for j in range(whole, end):
                    c[row, j] += s * b[i, j]


@kernel
def products_turned(a, b, c, rows, count, width, afresh):
    """`products` with `b[:width, :count].T`, turned a few columns at a time; rows of all three lie side by side."""
    panel = np.empty((count, _PANEL), b.dtype)
    for column in range(0, width, _PANEL):
        columns = min(_PANEL, width - column)
        whole, across = count & -16, columns & -16
        for i in range(0, whole, 16):
            for j in range(0, across, 16):
                _turn(b, column + j, i, panel[i:, j:])
        for j in range(columns):
            line = b[column + j]
            for i in range(whole if j < across else 0, count):
                panel[i, j] = line[i]
        products(a, panel, c[:, column:], rows, count, columns, afresh)
