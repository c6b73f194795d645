"""Kernels that multiply sparse rows (Gustavson): every output row is made by one worker, products in one fixed order.

Rows that compress are summed in a dense array of values, each beside the stamp of the row that it belongs to, so that
nothing is cleared between rows. The others, and masked ones, go through an array of places in the worker's output,
where a place before the row's first one means "not met yet", and short rows of very wide matrices, where arrays would
miss the caches, through a small hash table. All give the same bits, so the choice is free to follow what rows were like
so far. Rows of B are prefetched many products ahead: on random graphs that halves the time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ...compute.jit import kernel, parallel_kernel
from .accumulate_cpu import COMPLEMENT, KEEP, NO_MASK, dense_row, hash_row, kept_row, placed_row
from .row_cpu import U, is_rising, keep_above, keep_best, sort_alone, sort_placed
from .semirings import ANY_PAIR, MIN_PLUS

__all__ = ["COMPLEMENT", "KEEP", "NO_MASK", "STATES", "Choice", "Rows", "Scratch", "count_products", "multiply"]
TURN, WRITTEN, DENSE, MADE, ENTRIES = range(5)  # stamps given, places written, how rows go, products and entries since
STATES = 5
_LAST_PLACE = np.iinfo(np.uint32).max
_LEAST_TABLE = U(16)
_TRIAL = 1 << 15  # products by which it is judged how much rows compress


class Choice(NamedTuple):
    """What becomes of a row: its upper part alone, sorted, its best `top_k` (0: all), those of at least `threshold`."""

    upper: Any
    sort: Any
    top_k: Any
    threshold: Any
    use_threshold: Any


class Rows(NamedTuple):
    """The rows `first:last` of a call; those of at most `few_products` of their `products` go through a hash table."""

    first: Any
    last: Any
    products: Any
    few_products: Any


class Scratch(NamedTuple):
    """Working memory of one worker, zeros before its first call; `cells` and `stamps` are the same memory."""

    state: Any
    place: Any
    cells: Any
    stamps: Any
    table: Any
    bits: Any
    summary: Any
    met: Any
    row_indices: Any
    row_values: Any


@parallel_kernel
def count_products(a_indptr, a_indices, b_indptr, products):
    """`products[i]` = number of products that row i of A B is the sum of."""
    for i in numba.prange(a_indptr.shape[0] - 1):
        total = np.int64(0)
        for e in range(U(a_indptr[i]), U(a_indptr[i + 1])):
            k = U(a_indices[e])
            total += b_indptr[k + U(1)] - b_indptr[k]
        products[i] = total


@kernel(forceinline=True)
def _next_stamp(state, stamps):
    """A mark that no column of the worker bears."""
    state[TURN] += 1
    stamp = stamps.dtype.type(state[TURN])
    if stamp == 0:  # all marks are used up
        stamps[:, 1] = 0
        state[TURN] += 1
        stamp = stamps.dtype.type(state[TURN])
    return stamp


@kernel
def _select(semiring, choice, first, n, out):
    """The best entries of a row, the smallest ones for MIN_PLUS; returns the new end."""
    top_k, threshold, use_threshold = choice.top_k, choice.threshold, choice.use_threshold
    idx, val = out
    if len(semiring) == MIN_PLUS:
        for at in range(first, n):
            val[at] = -val[at]
    if use_threshold:
        n = keep_above(idx, val, first, n, -threshold if len(semiring) == MIN_PLUS else threshold)
    if top_k > 0:
        n = keep_best(idx, val, first, n, top_k)
    if len(semiring) == MIN_PLUS:
        for at in range(first, n):
            val[at] = -val[at]
    return n


@kernel
def _mark(bits, M, i, word):
    """Set the mask's bits of row i, or with `word` 0 clear them."""
    m_indptr, m_indices = M
    for e in range(U(m_indptr[i]), U(m_indptr[i + 1])):
        j = U(m_indices[e])
        if word:
            bits[j >> U(6)] |= U(1) << (j & U(63))
        else:
            bits[j >> U(6)] = U(0)


@kernel
def _close_gaps(rows, starts, sizes, out):
    """Move the rows together; returns the end of the last one."""
    idx, val = out
    to = U(0)
    for i in range(rows.first, rows.last):
        at = U(starts[i])
        if at != to:
            for s in range(U(sizes[i])):
                idx[to + s] = idx[at + s]
                if val.shape[0]:
                    val[to + s] = val[at + s]
        to += U(sizes[i])
    return to


@kernel
def multiply(semiring, masked, choice, A, B, M, rows, own, out, placed_at):
    """Write `rows` to `out`, (columns, values), from its beginning on, without gaps; returns the number of entries.

    A, B and M are (indptr, indices, values), M without values; `own` is the worker's `Scratch`; `placed_at` is (where
    each row began before gaps were closed, its entries), of all rows of A.
    """
    starts, sizes = placed_at
    state = own.state
    if state[WRITTEN] > _LAST_PLACE - out[0].shape[0]:  # places are numbers of 32 bits
        own.place[:] = 0
        own.table[:] = 0
        state[WRITTEN] = 0
    before, n = U(state[WRITTEN]), U(0)
    for i in range(rows.first, rows.last):
        first = n
        used = n
        dense = state[DENSE] != 0
        found = False
        if len(masked) == KEEP:
            n, used = kept_row(semiring, i, A, B, M, (own.place, before, own.met), n, out)
        elif rows.products[i] <= rows.few_products:
            size = _LEAST_TABLE
            while size < U(2 * rows.products[i]):
                size <<= U(1)
            n = hash_row(semiring, i, choice.upper, A, B, (own.table, size, before), n, out)
        elif rows.products[i] > 0:
            found = True
            if len(masked) == COMPLEMENT:
                _mark(own.bits, M, i, 1)
            if dense:
                stamp = _next_stamp(state, own.stamps)
                n = dense_row(semiring, masked, i, choice.upper, A, B, (own.cells, own.stamps, own.bits), stamp, n, out)
            else:
                n = placed_row(semiring, masked, i, choice.upper, A, B, (own.place, before, own.bits), n, out)
            if len(masked) == COMPLEMENT:
                _mark(own.bits, M, i, 0)
            state[MADE] += rows.products[i]
            state[ENTRIES] += np.int64(n - first)
            if state[MADE] > _TRIAL:
                state[DENSE] = state[MADE] >= (3 if choice.upper else 1.5) * state[ENTRIES]
                state[MADE], state[ENTRIES] = 0, 0
        used = max(used, n)
        if len(semiring) != ANY_PAIR and (choice.use_threshold or choice.top_k > 0):
            n = _select(semiring, choice, first, n, out)
            found = False
        if choice.sort and found:
            sort_placed(
                *(out[0], out[1], first, n, (not dense, own.place, before, own.cells), own.bits, own.summary),
                *(own.row_indices, own.row_values),
            )
        elif choice.sort and not is_rising(out[0], first, n):
            sort_alone(out[0], out[1], first, n)
        sizes[i] = n - first
        starts[i] = first
        n = used  # the next row begins behind every place that the accumulator knows
    state[WRITTEN] += np.int64(n)
    return _close_gaps(rows, starts, sizes, out)
