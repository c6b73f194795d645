"""Kernels of the 8-bit codes: products of row matrices, orthonormal rows, encoding, and how walks read them.

Sums run in an order fixed by the shapes, so that codes do not depend on threads, as they would with a threaded BLAS.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.moves_cpu import copy_to
from ..distances.distances_cpu import dot
from ..distances.int8_dot_cpu import emit_dot
from ..distances.numbers import ABSENT
from ..distances.row_sums_cpu import integer, products, row_start
from ..distances.rows_cpu import emitter, field, row_kind
from ..distances.scan_cpu import _dot_block
from .directions_cpu import LANES, PAIR, TOGETHER, in_words, turned
from .halves_cpu import widened
from .limits import HELD, MISSED, MISSED_ALONE


class Ranks(NamedTuple):
    """uint8 code rows (rows, bytes), a row's term in its last four bytes, and how queries become codes.

    `width` coordinates count. `centre`, `directions` (as `in_blocks` lays them out; none: the coordinates as they are)
    and `step` are those of queries; `origin` is `ScalarCodes.origin`.
    """

    data: Any
    centre: Any
    directions: Any
    step: Any
    origin: Any
    width: int


class Frame(NamedTuple):
    """What vectors are centred by, the directions that are kept (none: all coordinates), and the width of a step."""

    centre: Any
    basis: Any
    step: Any


OK, ILL, CLIPPED = 0, 1, 2
_MOST_TERM = np.float32(1 << 29)
_MOST_CODE = np.float32(128.5)
_ROWS, _TERM = 4, 4
_TILE_BYTES, _PASS = 1 << 19, 64  # of the second factor of a product, and rows of the first that pass it in a turn
_FIRST = np.int64(0)


@kernel
def _tile_of(b):
    """How many rows of b stay in the second level of the cache while rows of a pass: a multiple of four."""
    return max(4, _TILE_BYTES // (4 * max(1, b.shape[1])) // 4 * 4)


@parallel_kernel
def row_products(a, b, symmetric, out):
    """out[i, j] = a[i] . b[j] for float32 rows; `symmetric`: b is a, and each product is made once."""
    last_a, last_b = a.shape[0] - 1, b.shape[0] - 1
    turns = ((b.shape[0] + _tile_of(b) - 1) // _tile_of(b)) * ((a.shape[0] + _PASS - 1) // _PASS)
    for number in numba.prange(turns):
        block = np.empty((2, 4), np.float32)
        passes = (a.shape[0] + _PASS - 1) // _PASS
        turn = number // 2 if number % 2 == 0 else turns - 1 - number // 2  # the first have most to do if symmetric
        low, first = turn // passes * _tile_of(b), turn % passes * _PASS
        high, last = min(low + _tile_of(b), b.shape[0]), min(first + _PASS, a.shape[0])
        for p in range(max(first, low) if symmetric else first, last, 4):
            for j in range(low, high, 2):
                _dot_block(
                    a[p], a[min(p + 1, last_a)], a[min(p + 2, last_a)], a[min(p + 3, last_a)],
                    b[j], b[min(j + 1, last_b)], block,
                )  # fmt: skip
                for s in range(min(4, a.shape[0] - p)):
                    for t in range(min(2, b.shape[0] - j)):
                        out[p + s, j + t] = block[t, s]
                        if symmetric:
                            out[j + t, p + s] = block[t, s]


@kernel(fastmath={"reassoc", "nsz", "contract"})
def _subtract(row, shares, others):
    """Take the shares of up to four rows off a row."""
    if others.shape[0] == _ROWS:
        a, b, c, d = others[0], others[1], others[2], others[3]
        for j in range(row.shape[0]):
            row[j] -= (shares[0] * a[j] + shares[1] * b[j]) + (shares[2] * c[j] + shares[3] * d[j])
        return
    for i in range(others.shape[0]):
        for j in range(row.shape[0]):
            row[j] -= shares[i] * others[i, j]


@kernel
def _scale(row, factor):
    for j in range(row.shape[0]):
        row[j] = row[j] * factor if factor > 0 else np.float32(0)


@kernel
def orthonormalise(rows):
    """Modified Gram-Schmidt, four rows at a time and twice over for accuracy; a row that vanishes becomes zero."""
    shares = np.empty(_ROWS, np.float32)
    for i in range(rows.shape[0]):
        before = np.sqrt(dot(rows[i], rows[i]))
        for _ in range(2):
            for j in range(0, i, _ROWS):
                others = rows[j : min(j + _ROWS, i)]
                products(rows, i, others, others.shape[0], shares)
                _subtract(rows[i], shares, others)
        length = np.sqrt(dot(rows[i], rows[i]))
        if length > np.float32(1e-5) * before:
            _scale(rows[i], np.float32(1) / length)
        else:
            _scale(rows[i], np.float32(0))


@kernel
def _centre(rows, first, count, factors, centre, out):
    """out[i] = factor * row - centre for rows from `first`."""
    for i in range(count):
        factor = factors[first + i] if factors.shape[0] > 1 else factors[0]
        for j in range(rows.shape[1]):
            out[i, j] = widened(rows[first + i, j]) * factor - centre[j]


@kernel
def _project(rows, first, count, factors, centre, basis, centred, out):
    """out[i] = basis (factor * row - centre) for up to four rows from `first`; `centred` has four."""
    _centre(rows, first, count, factors, centre, centred)
    if basis.shape[0] == 0:
        for i in range(count):
            copy_to(out[i], centred[i])
        return
    four = np.empty(_ROWS, np.float32)
    for b in range(basis.shape[0]):
        products(basis, b, centred, count, four)
        for i in range(count):
            out[i, b] = four[i]


@parallel_kernel
def encode_rows(vectors, factors, frame, centred_terms, alone, first, last, codes, terms, ill):
    """Write code rows first..last-1: round(x / step) + 128 for each coordinate x, and the row's term at its end.

    The term is |code|^2 plus the squared length outside the basis, in squared steps, so that term - 2 code . query
    ranks by squared distance; it is 0 where `centred_terms` is false, which ranks by inner product. Coordinates beyond
    the range become its ends. A row of factor 0 (cosine of a zero vector) has length 1 outside the basis, which puts it
    at distance 1 from everything; of codes `alone` its term says `ABSENT` instead.

    `ill` (last - first,) marks rows of which the code holds less than `HELD` of the squared length, for what lies
    outside the basis, or misses more than `MISSED` of it, for what is rounded away, as `ILL`; where coordinates lie
    beyond the range, as `CLIPPED`.
    """
    centre, basis, step = frame
    most_missed = MISSED_ALONE if alone else MISSED
    width = basis.shape[0] if basis.shape[0] > 0 else vectors.shape[1]
    place = terms.shape[1] - 1
    inverse = np.float32(1) / step
    for part in numba.prange((last - first + 63) // 64):
        centred = np.zeros((_ROWS, vectors.shape[1]), np.float32)
        out = np.empty((_ROWS, width), np.float32)
        end = min(first + 64 * part + 64, last)
        for start in range(first + 64 * part, end, _ROWS):
            count = min(_ROWS, end - start)
            _project(vectors, start, count, factors, centre, basis, centred, out)
            for at in range(count):
                total, length, missed, outside, beyond = np.int64(0), np.float64(0), 0.0, 0.0, False
                for j in range(width):
                    value = out[at, j] * inverse
                    near = min(max(np.round(value), np.float32(-128)), np.float32(127))
                    code = np.int64(near) if value == value else np.int64(0)  # not a number: beyond float32 on the way
                    codes[start + at, j] = np.uint8(code + 128)
                    beyond |= not abs(value) <= _MOST_CODE
                    total += code * code
                    length += np.float64(value) * np.float64(value)
                    missed += (np.float64(value) - code) * (np.float64(value) - code)
                for j in range(width, codes.shape[1]):
                    codes[start + at, j] = 0
                if basis.shape[0] > 0:
                    whole = dot(centred[at], centred[at])
                    rest = max(np.float32(0), whole - dot(out[at], out[at])) * inverse * inverse
                    rest = min(rest, _MOST_TERM) if np.isfinite(whole) else _MOST_TERM
                    total, length, outside = total + np.int64(rest), length + rest, np.float64(rest)
                is_zero = (factors[start + at] if factors.shape[0] > 1 else factors[0]) == 0
                if is_zero:
                    total += np.int64(ABSENT if alone else min(inverse * inverse, _MOST_TERM))
                terms[start + at, place] = np.int32(total if centred_terms else 0)
                held = (
                    np.isfinite(length) and missed <= most_missed * length and missed + outside <= (1 - HELD) * length
                )
                ill[start + at - first] = OK if held or is_zero else CLIPPED if beyond else ILL


@kernel
def project_queries(queries, factors, centre, basis, step, width, out):
    """Write basis (factor * query - centre) / step into the first `width` columns."""
    centred = np.zeros((_ROWS, queries.shape[1]), np.float32)
    values = np.empty((_ROWS, width), np.float32)
    inverse = np.float32(1) / step
    for start in range(0, queries.shape[0], _ROWS):
        count = min(_ROWS, queries.shape[0] - start)
        _project(queries, start, count, factors, centre, basis, centred, values)
        for at in range(count):
            for j in range(width):
                out[start + at, j] = values[at, j] * inverse


@kernel
def encode_queries(queries, factors, centre, directions, width, step, first, last, out):
    """Signed codes of queries first..last-1; `step` 0 gives each query a step of its own (inner products)."""
    together = TOGETHER if last - first > 1 else 1
    centred = np.empty((together, queries.shape[1]), np.float32)
    words = np.empty((together, PAIR * directions.shape[1]), np.int16)
    sums = np.empty((together, LANES * directions.shape[0]), np.int32)
    units = np.ones(together, np.float64)
    for start in range(first, last, TOGETHER):
        count = min(TOGETHER, last - start)
        _centre(queries, start, count, factors, centre, centred)
        if directions.shape[0] > 0:
            for at in range(count):
                units[at] = in_words(centred[at], words[at])
            turned(directions, words, count, sums)
            for at in range(count):
                for j in range(width):
                    centred[at, j] = np.float32(np.float64(sums[at, j]) * units[at])
        for at in range(count):
            _write_query(centred[at], width, step, units[at] == np.inf, out[start + at])


@kernel
def _write_query(values, width, step, is_far, out):
    inverse = np.float32(0)
    if step > 0:
        inverse = np.float32(1) / step
    else:
        largest = np.float32(0)
        for j in range(width):
            largest = max(largest, abs(values[j]))
        if largest > 0:
            inverse = np.float32(127) / largest
    for j in range(width):
        value = min(max(np.round(values[j] * inverse), np.float32(-128)), np.float32(127))
        out[j] = np.int8(127) if is_far else np.int8(value)
    for j in range(width, out.shape[0]):
        out[j] = 0


@emitter
def _rank(context: Any, builder: Any, kind: Any, rows: Any, node: Any, asked_kind: Any, asked: Any, f: Any) -> Any:
    """The row's own term, kept in its last four bytes, less twice the product with the signed query."""
    data_kind, data = field(kind, builder, rows, "data")
    product = emit_dot(context, builder, (data_kind, asked_kind), data, node, asked)
    start, length = row_start(context, builder, data_kind, data, node)
    place = builder.gep(start, [builder.sub(length, integer(_TERM))])
    term = builder.load(builder.bitcast(place, ir.IntType(32).as_pointer()), align=4)
    wide = ir.IntType(64)
    return builder.sub(builder.sext(term, wide), builder.shl(builder.sext(product, wide), integer(1)))


@emitter
def _rank_as_distance(context: Any, builder: Any, *arguments: Any) -> Any:
    return builder.sitofp(_rank(context, builder, *arguments), ir.FloatType())


def _own(rows, node, room):
    """The row made signed; about another origin where there is one."""
    if rows.origin.shape[0] == 0:
        signed(rows.data[node], rows.width, room)
    else:
        moved(rows.data[node], rows.origin, room)
    return room


def _room(rows):
    return np.empty(rows.data.shape[1], np.int8)


def _ask(rows, queries, factors):
    out = np.empty((queries.shape[0], rows.data.shape[1]), np.int8)
    encode_queries(queries, factors, rows.centre, rows.directions, rows.width, rows.step, _FIRST, queries.shape[0], out)
    return out


def _reaches(rows, query):
    """Fewer than an eighth of the coordinates are at the ends of the range, where a query beyond it is held to."""
    ends = 0
    for j in range(rows.width):
        if abs(np.int32(query[j])) >= 127:
            ends += 1
    return rows.step == 0 or 8 * ends <= rows.width


@kernel
def signed(row, width, out):
    """A code row as a query: 128 less, the bytes of its term zero."""
    for j in range(width):
        out[j] = np.int8(np.int16(row[j]) - np.int16(128))
    for j in range(width, out.shape[0]):
        out[j] = 0


@kernel
def moved(row, origin, out):
    """A code row about another origin as a query with a step of its own, the bytes of its term zero."""
    width = origin.shape[0]
    largest = np.float32(0)
    for j in range(width):
        largest = max(largest, abs(origin[j] + np.float32(np.int32(row[j]) - np.int32(128))))
    inverse = np.float32(127) / largest if largest > 0 else np.float32(0)
    for j in range(width):
        out[j] = np.int8(np.round((origin[j] + np.float32(np.int32(row[j]) - np.int32(128))) * inverse))
    for j in range(width, out.shape[0]):
        out[j] = 0


row_kind(Ranks, distance=_rank_as_distance, own=_own, room=_room, ask=_ask, rank=_rank, reaches=_reaches)
