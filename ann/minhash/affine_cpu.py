"""MinHash signatures under K affine permutations of 32-bit words, and datasketch's older 61-bit family.

The affine kernel is bound by the processor's 32-bit multiplier: for 32 slots at a time the multipliers, the offsets and
the running minima stay in vector registers while the mixed elements of the row stream past.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...graphlib.compute.jit import kernel, parallel_kernel
from .hashing_cpu import fmix32, fold32

LANES = 32  # slots per register block: 4 + 4 + 4 AVX2 registers of 16; arrays of slots are padded to a multiple
EMPTY = np.uint32(0xFFFFFFFF)
_BLOCK = 512  # mixed elements held in L1 while all slots pass over them
_MERSENNE = np.uint64((1 << 61) - 1)
_S61 = np.uint64(61)
_LOW32 = np.uint64(0xFFFFFFFF)


def _affine_min(typingctx: Any, words: Any, count: Any, a: Any, b: Any, minima: Any, slot: Any) -> Any:
    """`minima[s] = min(minima[s], a[s] * words[i] + b[s])` for i < count and the LANES slots s from `slot` on.

    Written as vector code because the minima must stay in registers over the loop on `i`, which LLVM cannot conclude
    from scalar code (it would have to know that `minima` and `words` do not overlap). `count` must be positive.
    """
    word = types.uint32
    arrays = (words, a, b, minima)
    if any(not isinstance(x, types.Array) or x.dtype != word or x.layout != "C" for x in arrays):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def data(position: int) -> Any:
            return context.make_array(signature.args[position])(context, builder, arguments[position]).data

        i32, i64 = ir.IntType(32), ir.IntType(64)
        lanes = ir.VectorType(i32, LANES)
        base, end, first_slot = data(0), arguments[1], arguments[5]

        def place(position: int) -> Any:
            return builder.bitcast(builder.gep(data(position), [first_slot]), lanes.as_pointer())

        target = place(4)
        factor, shift, before = (builder.load(p, align=4) for p in (place(2), place(3), target))
        start = builder.block
        loop = builder.append_basic_block("elements")
        done = builder.append_basic_block("elements.done")
        builder.branch(loop)

        builder.position_at_end(loop)
        index, minimum = builder.phi(i64), builder.phi(lanes)
        element = builder.load(builder.gep(base, [index]))
        undefined = ir.Constant(lanes, ir.Undefined)
        spread = builder.shuffle_vector(
            builder.insert_element(undefined, element, ir.Constant(i32, 0)),
            undefined,
            ir.Constant(ir.VectorType(i32, LANES), [0] * LANES),
        )
        hashed = builder.add(builder.mul(spread, factor), shift)
        smaller = builder.select(builder.icmp_unsigned("<", hashed, minimum), hashed, minimum)
        following = builder.add(index, ir.Constant(i64, 1))
        index.add_incoming(ir.Constant(i64, 0), start)
        index.add_incoming(following, loop)
        minimum.add_incoming(before, start)
        minimum.add_incoming(smaller, loop)
        builder.cbranch(builder.icmp_signed("<", following, end), loop, done)

        builder.position_at_end(done)
        builder.store(smaller, target, align=4)
        return context.get_dummy_value()

    return types.void(words, types.int64, a, b, minima, types.int64), generate


# Called inside kernels without the typing context, which is Numba's own argument.
affine_min: Any = intrinsic(_affine_min)


@kernel(inline="always")
def _affine_row(values, start, stop, a, b, ceiling, minima, block):
    minima[:] = ceiling if stop > start else EMPTY
    first = start
    while first < stop:
        count = min(block.shape[0], stop - first)
        for i in range(count):
            block[i] = fmix32(fold32(values[first + i]))
        for slot in range(0, minima.shape[0], LANES):
            affine_min(block, count, a, b, minima, slot)
        first += count


@parallel_kernel
def affine_signatures(offsets, values, bounds, a, b, ceiling, out):
    """Signature of every row; task t does rows bounds[t]..bounds[t + 1].

    `a` and `b` are padded to a multiple of LANES. Slots of a row that has elements start from `ceiling`.
    """
    for task in numba.prange(bounds.shape[0] - 1):
        minima = np.empty(a.shape[0], np.uint32)
        block = np.empty(_BLOCK, np.uint32)
        for row in range(bounds[task], bounds[task + 1]):
            start, stop = offsets[row], offsets[row + 1]
            _affine_row(values, start, stop, a, b, ceiling, minima, block)
            signature = out[row]
            for slot in range(signature.shape[0]):
                signature[slot] = minima[slot]


@kernel(inline="always")
def _mersenne_slot(word, a, b):
    """`((a * word + b) mod 2**64 mod (2**61 - 1)) mod 2**32`; the last subtraction is a carried bit."""
    t = a * word + b
    t = (t & _MERSENNE) + (t >> _S61)
    return np.uint32((t + ((t + np.uint64(1)) >> _S61)) & _LOW32)


@parallel_kernel
def mersenne_signatures(offsets, values, bounds, a, b, out):
    """As `affine_signatures` for the family of datasketch before version 2."""
    for task in numba.prange(bounds.shape[0] - 1):
        for row in range(bounds[task], bounds[task + 1]):
            start, stop = offsets[row], offsets[row + 1]
            signature = out[row]
            signature[:] = EMPTY
            for i in range(start, stop):
                word = np.uint64(fold32(values[i]))
                for slot in range(signature.shape[0]):
                    signature[slot] = min(signature[slot], _mersenne_slot(word, a[slot], b[slot]))


@kernel(inline="always")
def matches(left, right):
    """Number of equal slots of two signatures."""
    equal = np.int32(0)
    for slot in range(left.shape[0]):
        equal = np.int32(equal + np.int32(left[slot] == right[slot]))
    return equal


@kernel(inline="always")
def is_empty(signature):
    """Whether this is the signature of the empty set: every slot at the sentinel."""
    for slot in range(signature.shape[0]):  # noqa: SIM110  compiled code knows no generator
        if signature[slot] != EMPTY:
            return False
    return True


@parallel_kernel
def match_pairs(left_rows, left, right_rows, right, out):
    """Share of equal slots of row `left[p]` of one matrix and row `right[p]` of the other; 0 for empty sets."""
    for p in numba.prange(left.shape[0]):
        x, y = left_rows[left[p]], right_rows[right[p]]
        out[p] = np.float32(0) if is_empty(x) else np.float32(matches(x, y)) / np.float32(x.shape[0])


@parallel_kernel
def match_all(left_rows, right_rows, out):
    """Share of equal slots of every row of one matrix with every row of the other; 0 for empty sets."""
    for i in numba.prange(left_rows.shape[0]):
        x = left_rows[i]
        empty = is_empty(x)
        for j in range(right_rows.shape[0]):
            share = np.float32(matches(x, right_rows[j])) / np.float32(x.shape[0])
            out[i, j] = np.float32(0) if empty else share


@kernel
def _match_row(rows, i, out):
    """Row i with itself and all later rows, both ways."""
    x = rows[i]
    empty = is_empty(x)
    for j in range(i, rows.shape[0]):
        share = np.float32(matches(x, rows[j])) / np.float32(x.shape[0])
        out[i, j] = np.float32(0) if empty else share
        out[j, i] = out[i, j]


@parallel_kernel
def match_within(rows, out):
    """As `match_all` of a matrix with itself, each pair compared once; rows p and n - 1 - p together are equal work."""
    count = rows.shape[0]
    for p in numba.prange((count + 1) // 2):
        _match_row(rows, p, out)
        if count - 1 - p != p:
            _match_row(rows, count - 1 - p, out)


@kernel
def minimum_rows(left, right, out):
    """Slotwise minimum: the signature of the union of two sets."""
    for row in range(left.shape[0]):
        x, y, z = left[row], right[row], out[row]
        for slot in range(x.shape[0]):
            z[slot] = min(x[slot], y[slot])
