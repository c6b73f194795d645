"""Kernels that multiply sparse rows (Gustavson): every output row is made by one worker, products in one fixed order.

Workers take tasks, runs of rows with about equal numbers of products, from a shared ticket counter. Rows that compress
are summed in a dense array of values, each beside the stamp of the row that it belongs to, so that nothing is cleared
between rows. The others, and masked ones, go through an array of places in the worker's output, where a place before
the row's first one means "not met yet", and short rows of very wide matrices, where arrays would miss the caches,
through a small hash table. All give the same bits, so the choice is free to follow what rows were like so far. Rows of
B are prefetched many products ahead: on random graphs that halves the time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ...compute.instructions import fetch_add
from ...compute.jit import kernel, parallel_kernel
from .accumulate_cpu import COMPLEMENT, KEEP, NO_MASK, dense_row, hash_row, kept_row, placed_row
from .row_cpu import U, keep_above, keep_best, sort_alone, sort_placed
from .semirings import ANY_PAIR, MIN_PLUS

__all__ = ["COMPLEMENT", "KEEP", "NO_MASK", "Choice", "Scratch", "Tasks", "count_products", "gather", "multiply"]
_LEAST_TABLE = U(16)
_ZERO: Any = np.int64(0)
_TRIAL = 1 << 15  # products by which it is judged how much rows compress


class Choice(NamedTuple):
    """What becomes of a row: its upper part alone, sorted, its best `top_k` (0: all), those of at least `threshold`."""

    upper: Any
    sort: Any
    top_k: Any
    threshold: Any
    use_threshold: Any


class Tasks(NamedTuple):
    """Rows `starts[t]:starts[t + 1]` of task t, written from `room[t]` on; the worker that takes a ticket does it.

    Rows of at most `few_products` of their `products` go through a hash table.
    """

    ticket: Any
    starts: Any
    room: Any
    products: Any
    few_products: Any


class Scratch(NamedTuple):
    """Working memory, a row per worker; `cells` and `stamps` are the same memory."""

    place: Any
    cells: Any
    stamps: Any
    turns: Any
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
def _next_stamp(turns, w, stamps):
    """A mark that no column of the worker bears."""
    turns[w] += U(1)
    stamp = stamps.dtype.type(turns[w])
    if stamp == 0:  # all marks are used up
        stamps[:, 1] = 0
        turns[w] += U(1)
        stamp = stamps.dtype.type(turns[w])
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
def _close_gaps(first_row, last_row, row_starts, row_sizes, out):
    """Move the rows of a task together."""
    idx, val = out
    to = U(row_starts[first_row]) if first_row < last_row else U(0)
    for i in range(first_row, last_row):
        at = U(row_starts[i])
        if at != to:
            for s in range(U(row_sizes[i])):
                idx[to + s] = idx[at + s]
                if val.shape[0]:
                    val[to + s] = val[at + s]
        to += U(row_sizes[i])


@parallel_kernel
def multiply(semiring, masked, choice, A, B, M, tasks, scratch, out, rows):
    """Run all tasks; A, B and M are (indptr, indices, values), M without values; `out` is (columns, values).

    `rows` is (where each row begins in `out`, its entries).
    """
    for w in numba.prange(rows[0].shape[0] and scratch.table.shape[0]):
        row_starts, row_sizes = rows
        place, table, bits, met = scratch.place[w], scratch.table[w], scratch.bits[w], scratch.met[w]
        cells, stamps = scratch.cells[w], scratch.stamps[w]
        placed = True  # rows hardly compress, as far as is known
        place[:] = 0
        table[:] = 0
        while True:
            task = fetch_add(tasks.ticket, 0, 1)
            if task >= tasks.room.shape[0]:
                break
            n, made, entries = U(tasks.room[task]), _ZERO, _ZERO
            for i in range(tasks.starts[task], tasks.starts[task + 1]):
                first = n
                used = n
                found, appended = False, placed
                if len(masked) == KEEP:
                    n, used = kept_row(semiring, i, A, B, M, place, met, n, out)
                elif tasks.products[i] <= tasks.few_products:
                    size = _LEAST_TABLE
                    while size < U(2 * tasks.products[i]):
                        size <<= U(1)
                    n = hash_row(semiring, i, choice.upper, A, B, table, size, n, out)
                elif tasks.products[i] > 0:
                    found = True
                    if len(masked) == COMPLEMENT:
                        _mark(bits, M, i, 1)
                    if placed:
                        n = placed_row(semiring, masked, i, choice.upper, A, B, (place, bits), n, out)
                    else:
                        stamp = _next_stamp(scratch.turns, w, stamps)
                        n = dense_row(semiring, masked, i, choice.upper, A, B, (cells, stamps, bits), stamp, n, out)
                    if len(masked) == COMPLEMENT:
                        _mark(bits, M, i, 0)
                    made += tasks.products[i]
                    entries += np.int64(n - first)
                    if made > _TRIAL:
                        placed = made < (3 if choice.upper else 1.5) * entries
                        made, entries = _ZERO, _ZERO
                used = max(used, n)
                if len(semiring) != ANY_PAIR and (choice.use_threshold or choice.top_k > 0):
                    n = _select(semiring, choice, first, n, out)
                    found = False
                if choice.sort and found:
                    sort_placed(
                        *(out[0], out[1], first, n, (appended, place, cells), bits, scratch.summary[w]),
                        *(scratch.row_indices[w], scratch.row_values[w]),
                    )
                elif choice.sort:
                    sort_alone(out[0], out[1], first, n)
                row_sizes[i] = n - first
                row_starts[i] = first
                n = used  # the next row begins behind every place that the accumulator knows
            _close_gaps(tasks.starts[task], tasks.starts[task + 1], row_starts, row_sizes, out)


@parallel_kernel
def gather(starts, room, offsets, idx, val, out_indices, out_values):
    """Move the rows of every task from where it was written to where they belong."""
    for task in numba.prange(room.shape[0]):
        first = offsets[starts[task]] - offsets[0]
        length = offsets[starts[task + 1]] - offsets[starts[task]]
        at = room[task]
        for e in range(length):
            out_indices[first + e] = idx[at + e]
        if val.shape[0]:
            for e in range(length):
                out_values[first + e] = val[at + e]
