"""One-permutation hashing: one hash per element decides its slot and its value; empty slots borrow afterwards."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import draw, stream
from ...graphlib.compute.sorting_cpu import stable_order
from ...graphlib.compute.streams import SLOT_ORDERS
from .affine_cpu import EMPTY
from .hashing_cpu import fmix32, fold32

_S32 = np.uint64(32)
_CEILING = np.uint32(0xFFFFFFFE)
_BLOCK = 512  # hashes made at a time, as vector code


@kernel(inline="always")
def home_slot(value, slots):
    """The slot an element with this hash falls into: the hash range is cut into `slots` equal parts."""
    return np.int64((np.uint64(value) * np.uint64(slots)) >> _S32)


@kernel
def densify(signature, ranks, probes, donors, best):
    """Fill each empty slot from the filled slot that comes first in the slot's own random order of slots.

    The orders are fixed for the scheme, so two sets whose filled slots agree borrow alike. `probes[s]` lists the order
    of slot s, and `ranks[d, s]` is the place of d in it. Either every slot takes the least rank of all filled slots
    (vector code, filled x slots small integers), or every empty slot walks down its list; both give the same.
    """
    slots = signature.shape[0]
    filled = np.int64(0)
    for slot in range(slots):
        donors[filled] = slot
        filled += np.int64(signature[slot] != EMPTY)
    if filled == 0 or filled == slots:
        return
    if filled * slots < 32 * (slots - filled) * (12 + 3 * slots // filled):
        _borrow_by_rank(signature, ranks, probes, donors, filled, best)
    else:
        _borrow_by_probing(signature, probes, best)


@kernel(inline="always")
def _borrow_by_rank(signature, ranks, probes, donors, filled, best):
    slots = signature.shape[0]
    for slot in range(slots):
        best[slot] = ranks[donors[0], slot]
    last = filled - 1
    for d in range(1, filled, 4):
        r0, r1 = ranks[donors[d]], ranks[donors[min(d + 1, last)]]
        r2, r3 = ranks[donors[min(d + 2, last)]], ranks[donors[min(d + 3, last)]]
        for slot in range(slots):
            best[slot] = min(min(best[slot], r0[slot]), min(min(r1[slot], r2[slot]), r3[slot]))
    for slot in range(slots):  # a filled slot is first in its own order, so donors keep their values
        signature[slot] = signature[probes[slot, best[slot]]]


@kernel(inline="always")
def _borrow_by_probing(signature, probes, held):
    slots = signature.shape[0]
    for slot in range(slots):
        held[slot] = signature[slot] != EMPTY
    for slot in range(slots):
        if held[slot] == 0:
            order = probes[slot]
            t = 0
            while held[order[t]] == 0:
                t += 1
            signature[slot] = signature[order[t]]


@parallel_kernel
def one_permutation_signatures(offsets, values, bounds, key, ranks, probes, out):
    """Densified signature of every row."""
    for task in numba.prange(bounds.shape[0] - 1):
        slots = out.shape[1]
        donors, best = np.empty(slots + 1, np.int64), np.empty(slots, ranks.dtype)
        block = np.empty(_BLOCK, np.uint32)
        for row in range(bounds[task], bounds[task + 1]):
            first, stop = offsets[row], offsets[row + 1]
            signature = out[row]
            signature[:] = EMPTY
            while first < stop:
                count = min(_BLOCK, stop - first)
                for i in range(count):
                    block[i] = min(fmix32(fold32(values[first + i]) ^ key), _CEILING)
                for i in range(count):
                    slot = home_slot(block[i], slots)
                    signature[slot] = min(signature[slot], block[i])
                first += count
            densify(signature, ranks, probes, donors, best)


@parallel_kernel
def merge_one_permutation(left, right, ranks, probes, out):
    """Signatures of the unions: borrowed values are dropped (a value tells its home), minima taken, slots filled."""
    for row in numba.prange(out.shape[0]):
        slots = out.shape[1]
        donors, best, own = np.empty(slots + 1, np.int64), np.empty(slots, ranks.dtype), np.empty(slots, np.uint32)
        x, y, signature = left[row], right[row], out[row]
        for slot in range(slots):
            value = x[slot] if home_slot(x[slot], slots) == slot else EMPTY
            if home_slot(y[slot], slots) == slot:
                value = min(value, y[slot])
            own[slot] = value
        for slot in range(slots):
            signature[slot] = own[slot]
        densify(signature, ranks, probes, donors, best)


@kernel
def probe_tables(seed, probes, ranks):
    """A random order of all slots for every slot, and the ranks in it; a slot comes first in its own."""
    slots = probes.shape[0]
    words = np.empty(slots, np.uint64)
    for slot in range(slots):
        key = stream(seed, SLOT_ORDERS, slot, 0)
        for other in range(slots):
            words[other] = draw(key, other)
        words[slot] = np.uint64(0)
        order = stable_order(words)
        for place in range(slots):
            probes[slot, place] = order[place]
            ranks[order[place], slot] = place
