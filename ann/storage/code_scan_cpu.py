"""Kernels that compare many queries with 8-bit code rows at once: no row is read more often than once per 16 queries.

Sixteen rows are laid out side by side, four bytes of each at a time, so that one vector instruction multiplies four
bytes of sixteen rows with those of one query, and no sum runs across lanes. The products of sixteen queries with
sixteen rows stay in registers until they are compared with each query's farthest rank so far, which few pass.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ...graphlib.compute.instructions import trailing_zeros
from ...graphlib.compute.jit import kernel, parallel_kernel
from ..distances.int8_dot_cpu import byte_product
from ..distances.row_sums_cpu import features, integer
from ..distances.rows_cpu import reaches
from ..hnsw.search_cpu import PATIENCE, rescore, write_result

ROWS, QUERIES = 16, 16
_NEVER, EVERY = np.int32(-(2**31)), np.int32(2**31 - 1)
_I8, _I16, _I32 = ir.IntType(8), ir.IntType(16), ir.IntType(32)
_LANES, _BYTES = ir.VectorType(_I32, ROWS), ir.VectorType(_I8, 4 * ROWS)


def _ranks_below(
    typingctx: Any, packed: Any, block: Any, queries: Any, first: Any, most: Any, ranks: Any, bits: Any
) -> Any:
    """Write the ranks of sixteen rows for sixteen queries; which queries have a rank below their `most`, as bits.

    `packed` int32 (blocks, words, 16) from `pack`, the last word of a row being its term; `queries` int8
    (any, 4 * words); `most` int32 (16,); `ranks` int32 (16, 16); `bits` uint16 (16,), the rows of each query.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        table, asked, limit, out, marks = (
            context.make_array(kinds[at])(context, builder, arguments[at]) for at in (0, 2, 4, 5, 6)
        )
        block, first = (context.cast(builder, arguments[at], kinds[at], types.intp) for at in (1, 3))
        byte = _I8.as_pointer()
        span = builder.extract_value(table.strides, 0)
        start = builder.gep(builder.bitcast(table.data, byte), [builder.mul(block, span)])
        width = builder.extract_value(asked.strides, 0)
        query = builder.gep(builder.bitcast(asked.data, byte), [builder.mul(first, width)])
        last = builder.sub(width, integer(4))
        multiply, widest = byte_product(features(context))
        together = QUERIES if widest == 512 else 4

        term = _loaded(builder, builder.gep(start, [builder.mul(last, integer(ROWS))]), _LANES)
        found = cgutils.alloca_once_value(builder, ir.Constant(_I32, 0))
        for begin in range(0, QUERIES, together):
            starts = [builder.gep(query, [builder.mul(width, integer(begin + j))]) for j in range(together)]
            sums = [cgutils.alloca_once(builder, _LANES) for _ in starts]
            for slot in sums:
                builder.store(ir.Constant(_LANES, [0] * ROWS), slot)
            with cgutils.for_range_slice(builder, integer(0), last, integer(4)) as (at, _):
                codes = _loaded(builder, builder.gep(start, [builder.mul(at, integer(ROWS))]), _BYTES)
                for place, slot in zip(starts, sums, strict=True):
                    four = _spread(builder, _loaded(builder, builder.gep(place, [at]), _I32))
                    builder.store(
                        _product(builder, multiply, widest, builder.load(slot), codes, builder.bitcast(four, _BYTES)),
                        slot,
                    )
            for j, slot in enumerate(sums, begin):
                rank = builder.sub(term, builder.shl(builder.load(slot), ir.Constant(_LANES, [1] * ROWS)))
                row = builder.gep(out.data, [integer(ROWS * j)])
                builder.store(rank, builder.bitcast(row, _LANES.as_pointer()), align=4)
                most = _spread(builder, builder.load(builder.gep(limit.data, [integer(j)])))
                mask = builder.bitcast(builder.icmp_signed("<", rank, most), _I16)
                builder.store(mask, builder.gep(marks.data, [integer(j)]))
                some = builder.zext(builder.icmp_unsigned("!=", mask, ir.Constant(_I16, 0)), _I32)
                builder.store(builder.or_(builder.load(found), builder.shl(some, ir.Constant(_I32, j))), found)
        return builder.zext(builder.load(found), ir.IntType(64))

    return types.int64(packed, block, queries, first, most, ranks, bits), generate


def _loaded(builder: Any, place: Any, kind: Any) -> Any:
    return builder.load(builder.bitcast(place, kind.as_pointer()), align=4)


def _spread(builder: Any, value: Any) -> Any:
    """A 32-bit value in every lane."""
    undefined = ir.Constant(_LANES, ir.Undefined)
    placed = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(placed, undefined, ir.Constant(_LANES, [0] * ROWS))


def _product(builder: Any, multiply: Any, widest: int, total: Any, codes: Any, four: Any) -> Any:
    """`total` plus the products of four bytes in each lane, in halves where vectors are narrower."""
    if widest == 512:
        return multiply(builder, 512, total, codes, four)
    halves = []
    for half in range(2):
        parts = []
        for value in (total, codes, four):
            count = value.type.count // 2
            chosen = ir.Constant(ir.VectorType(_I32, count), list(range(half * count, (half + 1) * count)))
            parts.append(builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), chosen))
        halves.append(multiply(builder, 256, *parts))
    return builder.shuffle_vector(*halves, ir.Constant(_LANES, list(range(ROWS))))


# Called inside kernels: the typing context is Numba's own argument.
ranks_below: Any = intrinsic(_ranks_below)


@parallel_kernel
def pack(words, rows, packed):
    """Lay the code rows `words[rows]` (int32, a row's term last) out as `packed` int32 (blocks, words, 16).

    Places behind the last row rank behind every row.
    """
    for block in numba.prange(packed.shape[0]):
        for lane in range(ROWS):
            place = ROWS * block + lane
            if place < rows.shape[0]:
                row = rows[place]
                for word in range(packed.shape[1]):
                    packed[block, word, lane] = words[row, word]
            else:
                packed[block, :, lane] = 0
                packed[block, packed.shape[1] - 1, lane] = EVERY


@kernel
def _keep_smallest(pools, q, size, kept):
    """Move the `kept` smallest of the distinct keys `pools[q, :size]` to the front by quickselect; the largest of them.

    Keys are parted without branches, which would be coin tosses.
    """
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) >> 1
        a, b, c = pools[q, low], pools[q, middle], pools[q, high]
        pivot = max(min(a, b), min(max(a, b), c))
        at = low if pivot == a else middle if pivot == b else high
        pools[q, at] = c
        border = low
        for j in range(low, high):
            key = pools[q, j]
            pools[q, j] = pools[q, border]
            pools[q, border] = key
            border += key < pivot
        pools[q, high] = pools[q, border]
        pools[q, border] = pivot
        if border == kept - 1:
            break
        if border < kept:
            low = border + 1
        else:
            high = border - 1
    return pools[q, kept - 1]


@kernel
def _scan_for_sixteen(packed, rows, asked, q, kept, pools, sizes, most):
    ranks, bits, limits = np.empty((QUERIES, ROWS), np.int32), np.empty(QUERIES, np.uint16), np.empty(QUERIES, np.int32)
    limits[:] = _NEVER
    count = min(QUERIES, pools.shape[0] - q)
    limits[:count] = most[q : q + count]
    for block in range(packed.shape[0]):
        met = ranks_below(packed, block, asked, q, limits, ranks, bits)
        while met:
            j = np.int64(trailing_zeros(np.uint64(met)))
            met &= met - 1
            marks, size = np.int64(bits[j]), sizes[q + j]
            while marks:
                lane = np.int64(trailing_zeros(np.uint64(marks)))
                marks &= marks - 1
                pools[q + j, size] = (np.int64(ranks[j, lane]) << 32) | (rows[ROWS * block + lane] << 1)
                size += 1
            if size > pools.shape[1] - ROWS:
                limits[j] = np.int32(_keep_smallest(pools, q + j, size, kept) >> 32)
                size = kept
            sizes[q + j] = size
    most[q : q + count] = limits[:count]


@parallel_kernel
def scan(packed, rows, asked, kept, pools, sizes, most):
    """Add the rows of `packed`, which are `rows`, to every query's pool, which holds at least its `kept` smallest keys.

    A key is a rank and a row. `asked` int8 (queries, bytes) with zeros up to a multiple of sixteen; `pools` int64
    (queries, at least kept + 32) with `sizes` int64 (queries,) keys in any order; `most` int32 (queries,): rows of that
    rank or above are left out. Rows are offered in rising order, so that of equal ranks the lower rows are kept.
    """
    for sixteen in numba.prange((pools.shape[0] + QUERIES - 1) // QUERIES):
        _scan_for_sixteen(packed, rows, asked, QUERIES * sixteen, kept, pools, sizes, most)


@kernel
def unreached(walk, asked, out):
    """Mark the queries that ranks do not reach."""
    for q in range(out.shape[0]):
        out[q] = not reaches(walk, asked[q])


@parallel_kernel
def finish(exact, asked, factors, k, kept, pools, sizes, found):
    """The k nearest of every pool's `kept` smallest keys by distances."""
    for q in numba.prange(pools.shape[0]):
        if sizes[q] > kept:
            _keep_smallest(pools, q, sizes[q], kept)
        pool, size, patience = pools[q], min(sizes[q], kept), max(PATIENCE, k, kept // 3)
        pool[:size].sort()
        size = rescore(exact, asked[q], factors[q], pool, size, k, patience)
        write_result(pool, size, q, k, found)
