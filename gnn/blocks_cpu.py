"""Products of small matrices in vector registers, for kernels that make them of a few dozen rows at a time.

Sums stay in registers over the loop, which LLVM cannot conclude from scalar code: it would have to know that the result
overlaps neither factor. So the blocks are written as vectors. How large they are depends on the processor's registers;
results do not: every element is one sum, in one order, whatever its block.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..graphlib.compute.jit import kernel

_LANES = 16
_WIDE = bool(llvm.get_host_cpu_features().get("avx512f", False))  # 32 registers of 16 numbers, not 16 of 8
_ROWS, _VECTORS = (8, 2) if _WIDE else (4, 1)  # of a block
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
    """An intrinsic `name(a, b, c, row, column, count)` that adds a block of products to `c`; `count` is positive."""

    def typed(typingctx: Any, a: Any, b: Any, c: Any, row: Any, column: Any, count: Any) -> Any:
        if any(not isinstance(x, types.Array) or x.ndim != 2 or x.dtype != c.dtype for x in (a, b, c)):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emit(builder, _Arrays(context, builder, signature.args[:3], arguments[:3]), *arguments[3:])
            return context.get_dummy_value()

        return types.void(a, b, c, types.int64, types.int64, types.int64), generate

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


def _adder(rows: int, vectors: int, lanes: int = _LANES) -> Any:
    """A block of `c[...] += a[:, :count] @ b[:count]`; `a` may have any strides."""

    def emit(builder: Any, x: _Arrays, row: Any, column: Any, count: Any) -> None:
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

        start = [builder.load(target, align=x.size) for target in targets]
        for target, total in zip(targets, _loop(builder, count, 1, start, body), strict=True):
            builder.store(total, target, align=x.size)

    return _block(f"add_{rows}_{vectors * lanes}", emit)


def _dotter(rows: int) -> Any:
    """Four columns of `c[...] += a[:, :count] @ b[:, :count].T`, count a multiple of 16; rows lie side by side."""

    def emit(builder: Any, x: _Arrays, row: Any, column: Any, count: Any) -> None:
        kind, quarter = x.vector(_LANES), x.vector(4)
        lefts, rights = [x.row(0, row, r) for r in range(rows)], [x.row(1, column, c) for c in range(4)]

        def body(index: Any, sums: list[Any]) -> list[Any]:
            place = x.bytes_of(index)
            a, b = ([x.load(base, place, kind) for base in side] for side in (lefts, rights))
            return [x.multiply_add(u, v, sums[4 * r + c]) for r, u in enumerate(a) for c, v in enumerate(b)]

        none = ir.Constant(kind, [0.0] * _LANES)
        sums = _loop(builder, count, _LANES, [none] * (4 * rows), body)
        for r in range(rows):
            target = x.at(x.row(2, row, r), x.bytes_of(column), quarter)
            found = _sums_of_four(builder, sums[4 * r : 4 * r + 4])
            builder.store(builder.fadd(builder.load(target, align=x.size), found), target, align=x.size)

    return _block(f"dot_{rows}_4", emit)


def _sums_of_four(builder: Any, vectors: list[Any]) -> Any:
    """The sums of four vectors of sixteen: halves are added until four numbers of each are left, and these in turn."""

    def choose(a: Any, b: Any, places: list[int]) -> Any:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, len(places)), places))

    def folded(a: Any, b: Any, lanes: list[list[int]]) -> Any:
        return builder.fadd(choose(a, b, lanes[0]), choose(a, b, lanes[1]))

    # Two vectors become one: halves of the first, then of the second.
    halves = [[*range(8), *range(16, 24)], [*range(8, 16), *range(24, 32)]]
    a, b = folded(vectors[0], vectors[1], halves), folded(vectors[2], vectors[3], halves)
    quarters = [[*range(4), *range(8, 12), *range(16, 20), *range(24, 28)]]
    quarters.append([place + 4 for place in quarters[0]])
    each = folded(a, b, quarters)  # four numbers of each vector, in turn
    pairs = [[place + 2 * part for start in range(0, 16, 4) for place in (start, start + 1)] for part in (0, 1)]
    two = builder.fadd(choose(each, each, pairs[0]), choose(each, each, pairs[1]))
    return builder.fadd(choose(two, two, [0, 2, 4, 6]), choose(two, two, [1, 3, 5, 7]))


_add_block: Any = _adder(_ROWS, _VECTORS)
_add_4_16: Any = _adder(4, 1)
_add_1_16: Any = _adder(1, 1)
_add_4_8: Any = _adder(4, 1, 8)
_add_1_8: Any = _adder(1, 1, 8)
_dot_4_4: Any = _dotter(4)
_dot_1_4: Any = _dotter(1)


@kernel
def add_products(a, b, c, rows, count, width):
    """`c[:rows, :width] += a[:rows, :count] @ b[:count, :width]`, fastest for widths that are multiples of 8.

    `a` may be a transposed array; columns of `b` and `c` lie side by side.
    """
    if count <= 0:
        return
    wide, whole = _VECTORS * 16, rows - rows % _ROWS
    for column in range(0, width - width % wide, wide):
        for row in range(0, whole, _ROWS):
            _add_block(a, b, c, row, column, count)
    _add_narrow(a, b, c, whole, rows, 0, width - width % wide, count)
    _add_narrow(a, b, c, 0, rows, width - width % wide, width, count)


@kernel
def _add_narrow(a, b, c, first, last, begin, end, count):
    """The rows first..last-1 and columns begin..end-1 of `add_products`, in blocks of four rows and of one."""
    fours, whole = last - (last - first) % 4, end - (end - begin) % 16
    for column in range(begin, whole, 16):
        for row in range(first, fours, 4):
            _add_4_16(a, b, c, row, column, count)
        for row in range(fours, last):
            _add_1_16(a, b, c, row, column, count)
    if (end - begin) % 16 >= 8:
        for row in range(first, fours, 4):
            _add_4_8(a, b, c, row, whole, count)
        for row in range(fours, last):
            _add_1_8(a, b, c, row, whole, count)
        whole += 8
    if whole < end:
        for row in range(first, last):
            for i in range(count):
                s = a[row, i]
                for j in range(whole, end):
                    c[row, j] += s * b[i, j]


@kernel
def add_products_turned(a, b, c, rows, count, width):
    """`c[:rows, :width] += a[:rows, :count] @ b[:width, :count].T`, fastest for counts of many times 16.

    Rows of all three lie side by side. The sums of an element are sixteen, added in pairs.
    """
    whole, fours, columns = count & -16, rows & -4, width & -4
    if whole > 0:
        for column in range(0, columns, 4):
            for row in range(0, fours, 4):
                _dot_4_4(a, b, c, row, column, whole)
            for row in range(fours, rows):
                _dot_1_4(a, b, c, row, column, whole)
    first = columns if whole == count else 0  # columns with something left
    if first < width:
        for row in range(rows):
            u, o = a[row], c[row]
            for column in range(first, width):
                v, total = b[column], o[column]
                for i in range(whole if column < columns else 0, count):
                    total += u[i] * v[i]
                o[column] = total
