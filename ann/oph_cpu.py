"""One-permutation hashing: one hash per element decides its slot and its value; empty slots borrow afterwards."""

from __future__ import annotations

import numba
import numpy as np

from ..graphlib.jit import kernel, parallel_kernel
from ..graphlib.random_cpu import draw, stream
from .hashing_cpu import fmix32, fold32
from .minhash_cpu import EMPTY

_S16, _S32 = np.uint32(16), np.uint64(32)
_LOW16 = np.uint32(0xFFFF)
_CEILING = np.uint32(0xFFFFFFFE)


@kernel(inline="always")
def home_slot(value, slots):
    """The slot an element with this hash falls into: the hash range is cut into `slots` equal parts."""
    return np.int64((np.uint64(value) * np.uint64(slots)) >> _S32)


@kernel
def densify(signature, ranks, probes, donors, best):
    """Fill each empty slot from the filled slot that comes first in the slot's own random order of slots.

    The orders are fixed for the scheme, so two sets whose filled slots agree borrow alike. `probes[s]` lists the order;
    `ranks[d]` holds (rank of d in the order of s) << 16 | d for every s, for rows with few filled slots, where probing
    would be slow.
    """
    slots = signature.shape[0]
    filled = 0
    for slot in range(slots):
        if signature[slot] != EMPTY:
            donors[filled] = slot
            filled += 1
    if filled == 0 or filled == slots:
        return
    if 3 * filled < slots:
        best[:] = EMPTY
        for d in range(filled):
            rank = ranks[donors[d]]
            for slot in range(slots):
                best[slot] = min(best[slot], rank[slot])
        for slot in range(slots):
            best[slot] = signature[best[slot] & _LOW16]  # a filled slot is first in its own order
        for slot in range(slots):
            signature[slot] = best[slot]
        return
    for slot in range(slots):
        best[slot] = signature[slot]
    for slot in range(slots):
        if best[slot] == EMPTY:
            order = probes[slot]
            t = 0
            while best[order[t]] == EMPTY:
                t += 1
            signature[slot] = best[order[t]]


@parallel_kernel
def one_permutation_signatures(offsets, values, bounds, key, ranks, probes, out):
    """Densified signature of every row."""
    for task in numba.prange(bounds.shape[0] - 1):
        slots = out.shape[1]
        donors, best = np.empty(slots, np.int64), np.empty(slots, np.uint32)
        for row in range(bounds[task], bounds[task + 1]):
            start, stop = offsets[row], offsets[row + 1]
            signature = out[row]
            signature[:] = EMPTY
            for i in range(start, stop):
                value = min(fmix32(fold32(values[i]) ^ key), _CEILING)
                slot = home_slot(value, slots)
                signature[slot] = min(signature[slot], value)
            densify(signature, ranks, probes, donors, best)


@parallel_kernel
def merge_one_permutation(left, right, ranks, probes, out):
    """Signatures of the unions: borrowed values are dropped (a value tells its home), minima taken, slots filled."""
    for row in numba.prange(out.shape[0]):
        slots = out.shape[1]
        donors, best = np.empty(slots, np.int64), np.empty(slots, np.uint32)
        x, y, signature = left[row], right[row], out[row]
        for slot in range(slots):
            value = x[slot] if home_slot(x[slot], slots) == slot else EMPTY
            if home_slot(y[slot], slots) == slot:
                value = min(value, y[slot])
            best[slot] = value
        for slot in range(slots):
            signature[slot] = best[slot]
        densify(signature, ranks, probes, donors, best)


@kernel
def probe_tables(seed, probes, ranks):
    """A random order of all slots for every slot, and the ranks in it; a slot comes first in its own."""
    slots = probes.shape[0]
    words = np.empty(slots, np.uint64)
    for slot in range(slots):
        key = stream(seed, 5, slot, 0)
        for other in range(slots):
            words[other] = draw(key, other)
        words[slot] = np.uint64(0)
        order = np.argsort(words, kind="mergesort")
        for place in range(slots):
            probes[slot, place] = order[place]
            ranks[order[place], slot] = np.uint32(place << 16) | np.uint32(order[place])
