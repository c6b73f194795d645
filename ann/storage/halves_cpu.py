"""How kernels read vectors of float16, given as uint16."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.core import types
from numba.extending import overload

from ...graphlib.compute.jit import kernel
from ..distances.numbers import COSINE
from ..distances.rows_cpu import row_kind
from .floats_cpu import distance


class Halves(NamedTuple):
    """The bits of float16 as uint16 (rows, dim); 1 / |row| for cosine; the metric's number."""

    data: Any
    scale: Any
    metric: int


_MAGNITUDE, _SIGN = np.uint32(0x7FFF), np.uint32(0x8000)
_SHIFT, _SIGN_SHIFT = np.uint32(13), np.uint32(16)
_HALF_TO_FLOAT = np.float32(2.0**112)


@kernel(forceinline=True)
def _wide(half):
    """The bits of a float16 number as float32, exactly."""
    bits = np.uint32(half)
    magnitude = np.uint32((bits & _MAGNITUDE) << _SHIFT)
    scaled = np.float32(np.float32(np.uint32(magnitude).view(np.float32)) * _HALF_TO_FLOAT)
    sign = np.uint32((bits & _SIGN) << _SIGN_SHIFT)
    joined = np.uint32(np.float32(scaled).view(np.uint32) | sign)
    return np.uint32(joined).view(np.float32)


def widened(number):
    raise TypeError("only inside kernels")


@overload(widened)
def _widened(number):
    """float32 as it is; the bits of a float16 number widened."""
    if number == types.uint16:
        return lambda number: _wide(number)
    return lambda number: number


def _own(rows, node, room):
    """The row widened, exactly."""
    for j in range(room.shape[0]):
        room[j] = _wide(rows.data[node, j])
    return room


def _own_factor(rows, node):
    if rows.metric == COSINE:
        return rows.scale[node]
    return np.float32(1)


def _room(rows):
    return np.empty(rows.data.shape[1], np.float32)


row_kind(Halves, distance=distance, own=_own, own_factor=_own_factor, room=_room)
