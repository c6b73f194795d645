"""Queries in the directions of codes, by products of 16-bit numbers: twice the rate of float32 products.

Directions lie in blocks of 16, two coordinates of each side by side, so that one instruction (`vpmaddwd`, or
`vpdpwssd` where there is VNNI) adds two products for 16 directions and nothing is summed across lanes at the end.
Sums are exact 32-bit integers, the same on every processor and for every number of queries.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ...graphlib.compute.jit import kernel
from ..distances.int8_dot_cpu import pair_products
from ..distances.row_sums_cpu import features, integer, outlined, splat
from .room import aligned_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

LANES, PAIR, TOGETHER = 16, 2, 4  # directions of a block, coordinates side by side, queries at a time
_LONGEST = 32_767  # units of a row, so that sums stay below 2^31
_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_WORDS, _SUMS = ir.VectorType(_I16, PAIR * LANES), ir.VectorType(_I32, LANES)


def in_blocks(basis: NDArray[np.float32]) -> NDArray[np.int16]:
    """Rows of length 1, or 0, as int16 (blocks, pairs, 32), in units of 1 / 32,767, with zeros behind."""
    width, dim = basis.shape
    blocks, pairs = -(-width // LANES), -(-dim // PAIR)
    whole = np.zeros((blocks * LANES, pairs * PAIR), np.int16)
    with np.errstate(invalid="ignore", over="ignore"):  # a damaged file may hold anything
        whole[:width, :dim] = np.clip(np.nan_to_num(np.rint(basis * _LONGEST)), -_LONGEST, _LONGEST)
    laid: NDArray[np.int16] = aligned_bytes(blocks * pairs, 2 * PAIR * LANES).view(np.int16)
    laid = laid.reshape(blocks, pairs, PAIR * LANES)
    laid.reshape(blocks, pairs, LANES, PAIR)[:] = whole.reshape(blocks, LANES, pairs, PAIR).transpose(0, 2, 1, 3)
    return laid


@kernel(fastmath={"reassoc", "nsz", "contract"})
def _length(row):
    total = np.float64(0)
    for j in range(row.shape[0]):
        total += np.float64(row[j]) * np.float64(row[j])
    return np.sqrt(total)


@kernel
def in_words(row, out):
    """Write a float32 row as int16 with zeros behind; what a unit is worth, times that of directions.

    A row of length 0 becomes zeros, and a unit is worth 0; one that is too long for a number, zeros and infinity.
    """
    length = _length(row)
    scale = _LONGEST / length if 0 < length < np.inf else 0.0
    for j in range(row.shape[0]):
        out[j] = np.int16(np.round(np.float64(row[j]) * scale))
    for j in range(row.shape[0], out.shape[0]):
        out[j] = 0
    return length / (np.float64(_LONGEST) * _LONGEST) if length < np.inf else np.float64(np.inf)


def _turned(typingctx: Any, blocks: Any, queries: Any, count: Any, out: Any) -> Any:
    """Write the products of `queries[:count]`, int16 (4, 2 pairs), with all directions to int32 `out` (4, 16 blocks).

    Rows of `out` behind the count are undefined.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        views = [context.make_array(kinds[at])(context, builder, arguments[at]) for at in (0, 1, 3)]
        count = context.cast(builder, arguments[2], kinds[2], types.intp)
        values = [view.data for view in views] + [builder.extract_value(views[0].shape, at) for at in (0, 1)]
        most = 2 if "avx512bw" in features(context) else 1
        with builder.if_else(builder.icmp_signed("==", count, integer(1))) as (one, more):
            for branch, number, wide in ((one, 1, 4), (more, TOGETHER, most)):
                with branch:
                    body = functools.partial(_products, number, wide)
                    outlined(builder, f"nearhop_turned_{number}", _I64, values, body)
        return context.get_dummy_value()

    return types.void(blocks, queries, count, out), generate


# Called with (blocks, queries, count, out) inside kernels: the typing context is Numba's own argument.
turned: Any = intrinsic(_turned)


def _products(number: int, wide: int, builder: Any, data: Any, asked: Any, out: Any, blocks: Any, pairs: Any) -> Any:
    """`number` queries with `wide` blocks at a time, and what is left block by block."""
    whole = builder.mul(builder.sdiv(blocks, integer(wide)), integer(wide))
    for first, last, step in ((integer(0), whole, wide), (whole, blocks, 1)):
        with cgutils.for_range_slice(builder, first, last, integer(step)) as (block, _):
            _some_blocks(number, step, builder, data, asked, out, block, blocks, pairs)
    return integer(0)


def _some_blocks(
    number: int, step: int, builder: Any, data: Any, asked: Any, out: Any, block: Any, blocks: Any, pairs: Any
) -> None:
    zero = ir.Constant(_SUMS, [0] * LANES)
    sums = [[cgutils.alloca_once(builder, _SUMS) for _ in range(step)] for _ in range(number)]
    for slot in (slot for row in sums for slot in row):
        builder.store(zero, slot)
    starts = [builder.mul(builder.add(block, integer(at)), pairs) for at in range(step)]
    with cgutils.for_range_slice(builder, integer(0), pairs, integer(1)) as (pair, _):
        loaded = []
        for start in starts:
            place = builder.gep(data, [builder.mul(builder.add(start, pair), integer(PAIR * LANES))])
            loaded.append(builder.load(builder.bitcast(place, _WORDS.as_pointer()), align=64))
        for query, own in enumerate(sums):
            place = builder.add(builder.mul(integer(query), pairs), pair)
            both = builder.load(builder.gep(builder.bitcast(asked, _I32.as_pointer()), [place]), align=2)
            spread = builder.bitcast(splat(builder, both, LANES), _WORDS)
            for directions, slot in zip(loaded, own, strict=True):
                builder.store(builder.add(builder.load(slot), pair_products(builder, directions, spread)), slot)
    for query, own in enumerate(sums):
        for at, slot in enumerate(own):
            place = builder.add(builder.mul(integer(query), blocks), builder.add(block, integer(at)))
            address = builder.gep(out, [builder.mul(place, integer(LANES))])
            builder.store(builder.load(slot), builder.bitcast(address, _SUMS.as_pointer()), align=4)
