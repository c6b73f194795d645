"""Kernels that make codes of few bits, and queries for them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np

from ....graphlib.compute.jit import kernel, parallel_kernel
from ...distances.numbers import COSINE, IP, L2
from ..halves_cpu import widened
from .layout import BASE, FACTORS, NIBBLES
from .rotation_cpu import rotate

_MOST = np.float32(1e38)
ABSENT_ADDEND = np.float32(1e30)  # of a row without length, for cosine
_NO, _ONE = np.float32(0), np.float32(1)
_TINY = np.float32(1e-37)
_SIZE = np.uint32(0x7FFFFFFF)
_STEPS = 9


class Form(NamedTuple):
    """How vectors become codes: the centre, the signs of the rotation, the bits of a coordinate, the metric's number.

    `step` is the width of a code's steps in deviations of the coordinates, about which the best one is looked for.
    """

    centre: Any
    signs: Any
    bits: int
    metric: int
    step: float


@kernel
def _centred(vector, factor, share, form, out):
    """out = factor * vector - share * centre, with zeros behind."""
    dim = form.centre.shape[0]
    for j in range(dim):
        out[j] = vector[j] * factor - share * form.centre[j]
    for j in range(dim, out.shape[0]):
        out[j] = _NO


@kernel(fastmath={"reassoc", "nsz", "contract"})
def _product(a, b):
    """a . b over the length of b, summed in float64."""
    total = 0.0
    for j in range(b.shape[0]):
        total += np.float64(a[j]) * np.float64(b[j])
    return total


@kernel
def _largest(values):
    """The largest of the sizes; by their bits, which order sizes."""
    largest, bits = np.uint32(0), values.view(np.uint32)
    for j in range(bits.shape[0]):
        largest = max(largest, np.uint32(bits[j] & _SIZE))
    return np.uint32(largest).view(np.float32)


@kernel(fastmath={"reassoc", "nsz", "contract"})
def _levels(values, step, bits, out):
    """Levels 0 .. 2^bits - 1 of coordinates, steps wide about 0; their product with the values and their own length.

    A level u stands for u - (2^bits - 1) / 2.
    """
    top = np.float32((1 << bits) - 1)
    middle = top * np.float32(0.5)
    lowest = np.float32(1 << bits) * np.float32(0.5)
    inverse = _ONE / step if step > _TINY else _NO
    product, length = 0.0, 0.0
    for j in range(values.shape[0]):
        level = min(max(np.floor(values[j] * inverse + lowest), _NO), top)
        out[j] = np.uint8(level)
        stands = level - middle
        product += np.float64(stands) * np.float64(values[j])
        length += np.float64(stands) * np.float64(stands)
    return product, length


@kernel
def _pack(levels, bits, out):
    """Levels of `bits` bits as bytes: of four bits two to a byte, else a plane per bit, the lowest first."""
    width = levels.shape[0]
    if bits == NIBBLES:
        for start in range(0, width, 128):
            size = min(64, (width - start) >> 1)
            for j in range(size):
                out[(start >> 1) + j] = levels[start + j] | (levels[start + size + j] << 4)
    else:
        stride = width >> 3
        for plane in range(bits):
            for k in range(stride):
                byte = np.int64(0)
                for j in range(8):
                    byte |= ((np.int64(levels[8 * k + j]) >> plane) & 1) << j
                out[plane * stride + k] = np.uint8(byte)


@kernel
def unpack(codes, bits, levels):
    """Levels of a code."""
    width = levels.shape[0]
    if bits == NIBBLES:
        for start in range(0, width, 128):
            size = min(64, (width - start) >> 1)
            for j in range(size):
                byte = codes[(start >> 1) + j]
                levels[start + j] = byte & np.uint8(15)
                levels[start + size + j] = byte >> np.uint8(4)
    else:
        stride = width >> 3
        for j in range(width):
            level = np.int64(0)
            for plane in range(bits):
                level |= ((np.int64(codes[plane * stride + (j >> 3)]) >> (j & 7)) & 1) << plane
            levels[j] = np.uint8(level)


@kernel
def _best_levels(values, deviation, form, levels, trial):
    """Levels whose direction is nearest to that of the values: their product with them, and their squared length."""
    if form.bits == 1:
        return _levels(values, np.float32(deviation), 1, levels)
    best, product, length = -1.0, 0.0, 1.0
    for at in range(_STEPS):
        step = np.float32(deviation * form.step * (0.68 + 0.08 * at))
        p, q = _levels(values, step, form.bits, trial)
        cosine = p / math.sqrt(q)
        if cosine > best:
            best, product, length = cosine, p, q
            for j in range(levels.shape[0]):
                levels[j] = trial[j]
    return product, length


@kernel
def encode_row(vector, factor, form, room, code):
    """Write the code of a vector and its factors, the last `FACTORS` floats of the row; its squared distance from
    the centre.

    The factors are (addend, multiple, decoded): see `layout`.
    """
    values, levels, trial = room
    _centred(vector, factor, _ONE, form, values)
    square, along = _product(values, values), _product(values, form.centre)
    rotate(values, form.signs)
    deviation = math.sqrt(square / values.shape[0])
    product, length = _best_levels(values, deviation, form, levels, trial)
    code[:] = 0
    _pack(levels, form.bits, code)
    multiple, decoded = 0.0, 0.0
    if square > 0 and product > 0:
        multiple, decoded = square / product, product / length
    factors = code.view(np.float32)
    place = factors.shape[0] - FACTORS
    if form.metric == COSINE:
        square /= 2
    if form.metric == COSINE and factor == 0:
        factors[place], multiple, decoded = ABSENT_ADDEND, 0.0, 0.0
    else:
        factors[place] = min(_MOST, np.float32(-along if form.metric == IP else square))
    factors[place + 1] = max(-_MOST, np.float32(-multiple * (2 if form.metric == L2 else 1)))
    factors[place + 2] = np.float32(decoded)
    return square


@kernel
def room_of_rows(form):
    """Room for `encode_row`."""
    width = form.signs.shape[1]
    return np.empty(width, np.float32), np.empty(width, np.uint8), np.empty(width, np.uint8)


@parallel_kernel
def encode_rows(vectors, factors, form, reach, first, last, codes, ill):
    """Write code rows first..last-1 of vectors, float32 or the bits of float16; `ill` (last - first,) marks rows whose
    squared distance from the centre is more than `reach`."""
    for part in numba.prange((last - first + 63) // 64):
        room = room_of_rows(form)
        vector = np.empty(vectors.shape[1], np.float32)
        for row in range(first + 64 * part, min(first + 64 * part + 64, last)):
            factor = factors[row] if factors.shape[0] > 1 else factors[0]
            for j in range(vectors.shape[1]):
                vector[j] = widened(vectors[row, j])
            far = encode_row(vector, factor, form, room, codes[row])
            ill[row - first] = not (far <= reach or (form.metric == COSINE and factor == 0))


@kernel
def _write_query(values, bits, constants, out):
    """Round rotated values to signed bytes with a step of their own; `constants` are (multiple, addend's, constant)."""
    width = values.shape[0]
    largest = _largest(values)
    inverse = np.float32(127) / largest if largest > 0 else _NO
    total = np.int64(0)
    for j in range(width):
        value = np.int8(np.rint(min(max(values[j] * inverse, np.float32(-127)), np.float32(127))))
        out[j] = value
        total += np.int64(value)
    as_integers, as_floats = out.view(np.int32), out.view(np.float32)
    place = width >> 2
    as_integers[place + BASE] = np.int32(-((1 << bits) - 1) * total)
    multiple, addend, constant = constants
    as_floats[place + 1] = np.float32(multiple * largest / 254)
    as_floats[place + 2] = np.float32(addend)
    as_floats[place + 3] = np.float32(constant)


@kernel
def encode_query(vector, factor, form, values, out):
    """Write a query for codes: see `layout`. A query without length (cosine) is at distance 1 from every row."""
    if form.metric == COSINE and factor == 0:
        values[:] = 0
        _write_query(values, form.bits, (0.0, 0.0, 1.0), out)
        return
    share, along = 1.0, 0.0
    if form.metric == IP:
        square, along = _product(form.centre, form.centre), _product(vector, form.centre)
        share = along / square if square > 0 else 0.0
    _centred(vector, factor, np.float32(share), form, values)
    length = _product(values, values)
    rotate(values, form.signs)
    constant = -along if form.metric == IP else length if form.metric == L2 else length / 2
    _write_query(values, form.bits, (1.0, share, constant), out)


@kernel
def encode_queries(queries, factors, form, first, last, out):
    """Write given queries first..last-1."""
    width = form.signs.shape[1]
    values = np.empty(width, np.float32)
    for q in range(first, last):
        factor = factors[q] if factors.shape[0] > 1 else factors[0]
        encode_query(queries[q], factor, form, values, out[q])


@kernel
def decode_values(code, bits, levels, out):
    """The rotated, centred vector that a code stands for."""
    unpack(code, bits, levels)
    factors = code.view(np.float32)
    step, middle = factors[factors.shape[0] - 1], np.float32(((1 << bits) - 1) * 0.5)
    for j in range(out.shape[0]):
        out[j] = (np.float32(levels[j]) - middle) * step


@kernel
def query_of_code(code, form, turned_centre, room, out):
    """Write a stored row as a query for codes."""
    values, levels = room
    decode_values(code, form.bits, levels, values)
    factors = code.view(np.float32)
    addend = np.float64(factors[factors.shape[0] - FACTORS])
    if form.metric == COSINE and addend >= ABSENT_ADDEND:
        values[:] = 0
        _write_query(values, form.bits, (0.0, 0.0, 1.0), out)
        return
    share, constant = 1.0, addend
    if form.metric == IP:
        square = _product(turned_centre, turned_centre)
        beside = addend / square if square > 0 else 0.0
        for j in range(values.shape[0]):
            values[j] += np.float32(beside) * turned_centre[j]
        share, constant = 1 - beside if square > 0 else 0.0, addend - square
    _write_query(values, form.bits, (1.0, share, constant), out)


@parallel_kernel
def decode_rows(codes, bits, values):
    """The rotated, centred vectors that codes stand for."""
    for part in numba.prange((codes.shape[0] + 63) // 64):
        levels = np.empty(values.shape[1], np.uint8)
        for row in range(64 * part, min(64 * part + 64, codes.shape[0])):
            decode_values(codes[row], bits, levels, values[row])


@parallel_kernel
def unpack_rows(codes, bits, levels):
    """Levels of codes."""
    for row in numba.prange(codes.shape[0]):
        unpack(codes[row], bits, levels[row])


@parallel_kernel
def rotate_rows(rows, signs):
    """Rotate rows in place."""
    for part in numba.prange((rows.shape[0] + 63) // 64):
        for row in range(64 * part, min(64 * part + 64, rows.shape[0])):
            rotate(rows[row], signs)
