"""The sum over one row of a matrix and one query, written as vector instructions: the inner loop of every graph walk.

Left to itself LLVM makes 256-bit code of such loops and reads the last elements one by one. Here four sums of the
processor's full width run side by side, and the last vector overlaps the one before it, with what was counted already
set to zero. The sum is one function per kernel, which is given addresses: an array given to a function would be
reference-counted, two locked instructions that cost more than a short row's sum. The order of additions depends on the
row's width and the processor alone.

| dtype of a row | meaning | dtype of the query |
|---|---|---|
| float32 | as they are | float32 |
| uint16 | the bits of float16 numbers | float32 |
| uint8 | numbers plus 128 | float32 |
| uint64 | bits, compared by counting those that differ | uint64 |
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_F32 = ir.FloatType()
_ELEMENTS = {types.float32: _F32, types.uint16: _I16, types.uint8: _I8, types.uint64: _I64}
_SUMS = 4
_SHORT = 4  # lanes, for rows shorter than a full vector
_HALF_TO_FLOAT = 2.0**112
_CODE_ZERO = 128

Term = Callable[[Any, int, Any, Any], Any]


def features(context: Any) -> frozenset[str]:
    """What the processor that Numba compiles for can do; Numba's cache keys on it too."""
    _, _, names = context.codegen().magic_tuple()
    return frozenset(name[1:] for name in names.split(",") if name.startswith("+"))


def integer(value: int) -> Any:
    return ir.Constant(_I64, value)


def declared(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """An LLVM intrinsic of that name and type."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector that holds the value in every lane."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def row_start(context: Any, builder: Any, kind: Any, table: Any, node: Any) -> tuple[Any, Any]:
    """The address of the first byte of row `node`, a 64-bit integer, and the row's length in bytes."""
    view = context.make_array(kind)(context, builder, table)
    stride = builder.extract_value(view.strides, 0)
    start = builder.gep(builder.bitcast(view.data, _I8.as_pointer()), [builder.mul(node, stride)])
    return start, stride


def row_sum(
    context: Any, builder: Any, kinds: tuple[Any, Any], table: Any, node: Any, query: Any, squares: bool
) -> Any:
    """Float32: the sum of squared differences, or of products, of row `node` and the query; or of differing bits.

    `kinds` are the array types of the table and the query, both in C order; the query's length counts.
    """
    rows_kind, query_kind = kinds
    start, _ = row_start(context, builder, rows_kind, table, node)
    element = _ELEMENTS[rows_kind.dtype]
    view = context.make_array(query_kind)(context, builder, query)
    able = features(context)

    def body(inner: Any, row: Any, asked: Any, width: Any) -> Any:
        if element == _I64:
            return inner.uitofp(_bit_sum(inner, row, asked, width, able), _F32)
        converts = bool(able & {"f16c", "avx512f", "neon", "fullfp16"})
        return _sums(inner, width, _lanes(able), _F32, [_float_term(inner, element, row, asked, squares, converts)])[0]

    name = f"nearhop_row_sum_{rows_kind.dtype}_{'squares' if squares else 'products'}"
    values = [builder.bitcast(start, element.as_pointer()), view.data, builder.extract_value(view.shape, 0)]
    return outlined(builder, name, _F32, values, body)


def _lanes(able: frozenset[str]) -> int:
    return 16 if "avx512f" in able else 8 if "avx" in able else _SHORT


def _products(typingctx: Any, table: Any, node: Any, queries: Any, count: Any, out: Any) -> Any:
    """Write the inner products of `table[node]` with the first `count` of four rows to `out`, float32 (4,).

    All arrays are float32 in C order; places behind the count are undefined. A product is the same for every count.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        node, count = (context.cast(builder, arguments[at], kinds[at], types.intp) for at in (1, 3))
        start, _ = row_start(context, builder, kinds[0], arguments[0], node)
        asked, written = (context.make_array(kinds[at])(context, builder, arguments[at]) for at in (2, 4))
        width = builder.extract_value(asked.shape, 1)

        def body(number: int, inner: Any, row: Any, asked: Any, out: Any, width: Any) -> Any:
            queries = [inner.gep(asked, [inner.mul(width, integer(j))]) for j in range(number)]
            terms = [_float_term(inner, _F32, row, query, False, True) for query in queries]
            for j, value in enumerate(_sums(inner, width, _lanes(features(context)), _F32, terms)):
                inner.store(value, inner.gep(out, [integer(j)]))
            return integer(0)

        values = [builder.bitcast(start, _F32.as_pointer()), asked.data, written.data, width]
        with builder.if_else(builder.icmp_signed("==", count, integer(1))) as (one, more):
            for branch, number in ((one, 1), (more, 4)):
                with branch:
                    outlined(builder, f"nearhop_products_{number}", _I64, values, functools.partial(body, number))
        return context.get_dummy_value()

    return types.void(table, node, queries, count, out), generate


# Called with (table, node, queries, count, out) inside kernels: the typing context is Numba's own argument.
products: Any = intrinsic(_products)


def outlined(builder: Any, name: str, result: Any, values: list[Any], body: Callable[..., Any]) -> Any:
    """A call of one function per module with `values`; `body(builder, *arguments)` writes it the first time."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [value.type for value in values]), name
    )
    if not function.blocks:
        function.linkage = "internal"
        inner = ir.IRBuilder(function.append_basic_block("entry"))
        inner.ret(body(inner, *function.args))
    return builder.call(function, values)


def _float_term(builder: Any, element: Any, row: Any, asked: Any, squares: bool, converts: bool) -> Term:
    def term(start: Any, lanes: int, total: Any, keep: Any) -> Any:
        kind = ir.VectorType(_F32, lanes)
        a = _loaded(builder, row, start, element, lanes)
        b = _loaded(builder, asked, start, _F32, lanes)
        if element == _I16:
            a = _widened(builder, a, lanes, converts)
        elif element == _I8:
            words = builder.zext(a, ir.VectorType(_I32, lanes))
            a = builder.sitofp(builder.sub(words, ir.Constant(words.type, [_CODE_ZERO] * lanes)), kind)
        if squares:
            a = b = builder.fsub(a, b)
        if keep is not None:
            a = builder.select(keep, a, ir.Constant(kind, [0.0] * lanes))
            b = a if squares else b
        fused = declared(builder, f"llvm.fmuladd.v{lanes}f32", kind, [kind, kind, kind])
        return builder.call(fused, [a, b, total])

    return term


def _bit_sum(builder: Any, row: Any, asked: Any, width: Any, able: frozenset[str]) -> Any:
    def term(start: Any, lanes: int, total: Any, keep: Any) -> Any:
        kind = ir.VectorType(_I64, lanes)
        differ = builder.xor(*(_loaded(builder, data, start, _I64, lanes) for data in (row, asked)))
        if keep is not None:
            differ = builder.select(keep, differ, ir.Constant(kind, [0] * lanes))
        count = declared(builder, f"llvm.ctpop.v{lanes}i64", kind, [kind])
        return builder.add(total, builder.call(count, [differ]))

    return _sums(builder, width, 8 if "avx512vpopcntdq" in able else _SHORT, _I64, [term])[0]


def _loaded(builder: Any, data: Any, start: Any, element: Any, lanes: int) -> Any:
    kind = ir.VectorType(element, lanes).as_pointer()
    align = 4 if element == _F32 else element.width // 8
    return builder.load(builder.bitcast(builder.gep(data, [start]), kind), align=align)


def _widened(builder: Any, bits: Any, lanes: int, converts: bool) -> Any:
    """Halves as float32: by the processor's conversion, or by moving their bits, exact for subnormal halves too."""
    wide = ir.VectorType(_F32, lanes)
    if converts:
        return builder.fpext(builder.bitcast(bits, ir.VectorType(ir.HalfType(), lanes)), wide)

    def every(value: int) -> Any:
        return ir.Constant(ir.VectorType(_I32, lanes), [value] * lanes)

    words = builder.zext(bits, ir.VectorType(_I32, lanes))
    magnitude = builder.bitcast(builder.shl(builder.and_(words, every(0x7FFF)), every(13)), wide)
    scaled = builder.fmul(magnitude, ir.Constant(wide, [_HALF_TO_FLOAT] * lanes))
    sign = builder.shl(builder.and_(words, every(0x8000)), every(16))
    return builder.bitcast(builder.or_(builder.bitcast(scaled, sign.type), sign), wide)


def _sums(builder: Any, width: Any, lanes: int, element: Any, terms: list[Term]) -> list[Any]:
    """The sum of each term over `width` elements: full vectors, short ones for short rows, or one by one."""
    outs = [cgutils.alloca_once(builder, element) for _ in terms]
    with builder.if_else(builder.icmp_signed(">=", width, integer(lanes)), likely=True) as (then, otherwise):
        with then:
            _wide_sums(builder, width, lanes, _SUMS, element, terms, outs)
        with otherwise:
            if lanes == _SHORT:
                _single_sums(builder, width, element, terms, outs)
            else:
                with builder.if_else(builder.icmp_signed(">=", width, integer(_SHORT))) as (then, otherwise):
                    with then:
                        _wide_sums(builder, width, _SHORT, 1, element, terms, outs)
                    with otherwise:
                        _single_sums(builder, width, element, terms, outs)
    return [builder.load(out) for out in outs]


def _wide_sums(
    builder: Any, width: Any, lanes: int, sums: int, element: Any, terms: list[Term], outs: list[Any]
) -> None:
    """Store the sums over `width` >= `lanes` elements in `outs`."""
    kind = ir.VectorType(element, lanes)
    slots = [[cgutils.alloca_once(builder, kind) for _ in range(sums)] for _ in terms]
    for slot in itertools.chain(*slots):
        builder.store(ir.Constant(kind, [0] * lanes), slot)
    whole = builder.and_(width, integer(-lanes * sums))
    with cgutils.for_range_slice(builder, integer(0), whole, integer(lanes * sums)) as (start, _):
        for at in range(sums):
            place = builder.add(start, integer(at * lanes))
            for term, own in zip(terms, slots, strict=True):
                builder.store(term(place, lanes, builder.load(own[at]), None), own[at])
    full = builder.and_(width, integer(-lanes))
    with cgutils.for_range_slice(builder, whole, full, integer(lanes)) as (start, _):
        for term, own in zip(terms, slots, strict=True):
            builder.store(term(start, lanes, builder.load(own[0]), None), own[0])
    rest = builder.sub(width, full)
    with builder.if_then(builder.icmp_signed(">", rest, integer(0))):
        lane = ir.VectorType(_I32, lanes)
        spread = splat(builder, builder.trunc(builder.sub(integer(lanes), rest), _I32), lanes)
        keep = builder.icmp_signed(">=", ir.Constant(lane, list(range(lanes))), spread)
        place = builder.sub(width, integer(lanes))
        for term, own in zip(terms, slots, strict=True):
            builder.store(term(place, lanes, builder.load(own[-1]), keep), own[-1])
    for own, out in zip(slots, outs, strict=True):
        _store_total(builder, lanes, element, own, out)


def _store_total(builder: Any, lanes: int, element: Any, slots: list[Any], out: Any) -> None:
    kind = ir.VectorType(element, lanes)
    totals = [builder.load(slot) for slot in slots]
    while len(totals) > 1:
        totals = [_added(builder, *totals[i : i + 2]) for i in range(0, len(totals), 2)]
    if element == _F32:
        add = declared(builder, f"llvm.vector.reduce.fadd.v{lanes}f32", _F32, [_F32, kind])
        builder.store(builder.call(add, [ir.Constant(_F32, 0.0), totals[0]], fastmath=("reassoc", "nsz")), out)
    else:
        add = declared(builder, f"llvm.vector.reduce.add.v{lanes}i64", _I64, [kind])
        builder.store(builder.call(add, totals), out)


def _single_sums(builder: Any, width: Any, element: Any, terms: list[Term], outs: list[Any]) -> None:
    """Store the sums, taken element by element, in `outs`."""
    kind = ir.VectorType(element, 1)
    for out in outs:
        builder.store(ir.Constant(element, 0), out)
    with cgutils.for_range_slice(builder, integer(0), width, integer(1)) as (start, _):
        for term, out in zip(terms, outs, strict=True):
            one = builder.extract_element(term(start, 1, ir.Constant(kind, [0]), None), ir.Constant(_I32, 0))
            builder.store(_added(builder, builder.load(out), one), out)


def _added(builder: Any, a: Any, b: Any) -> Any:
    kind = a.type.element if isinstance(a.type, ir.VectorType) else a.type
    return builder.fadd(a, b) if kind == _F32 else builder.add(a, b)
