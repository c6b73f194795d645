"""Kernels that multiply sparse rows (Gustavson): every output row is made by one worker, products in one fixed order.

Workers take tasks, runs of rows with about equal numbers of products, from a shared ticket counter. An accumulator maps
a column to the place of its entry in the worker's output; a place before the row's first one means "not met yet", so
that nothing is cleared between rows. Two accumulators share this trick: a dense array of places, and a small hash
table for short rows of very wide matrices, where the dense array would miss the caches. Rows of B are prefetched many
products ahead: on random graphs that halves the time.

`semiring` and `masked` are tuples whose lengths are the codes: each is a type of its own to the compiler, which makes
one kernel per semiring and kind of mask, without tests in the loops.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ...compute.instructions import fetch_add
from ...compute.jit import kernel, parallel_kernel, prefetch
from ..csr_cpu import lower_bound
from .row_cpu import U, keep_above, keep_best, sort_alone, sort_placed
from .semirings import ANY_PAIR, MAX_TIMES, MIN_PLUS, PLUS_PAIR, PLUS_TIMES

NO_MASK, KEEP, COMPLEMENT = range(3)
_GOLDEN = U(0x9E3779B97F4A7C15)
_FAR, _NEAR = U(32), U(16)  # entries of A ahead: of B's offsets, and of its rows
_LEAST_TABLE = U(16)


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
def _counts(semiring):
    """Whether values are not read."""
    return len(semiring) == PLUS_PAIR or len(semiring) == ANY_PAIR


@kernel(forceinline=True)
def _product(semiring, a, b_values, f):
    if len(semiring) == PLUS_TIMES or len(semiring) == MAX_TIMES:
        return a * b_values[f]
    return a + b_values[f]


@kernel(forceinline=True)
def _set(semiring, values, p, a, b_values, f):
    if len(semiring) == PLUS_PAIR:
        values[p] = 1
    elif len(semiring) != ANY_PAIR:
        values[p] = _product(semiring, a, b_values, f)


@kernel(forceinline=True)
def _merge(semiring, values, p, a, b_values, f):
    if len(semiring) == PLUS_TIMES:
        values[p] += a * b_values[f]
    elif len(semiring) == PLUS_PAIR:
        values[p] += 1
    elif len(semiring) == MAX_TIMES:
        values[p] = max(values[p], a * b_values[f])
    elif len(semiring) == MIN_PLUS:
        values[p] = min(values[p], a + b_values[f])


@kernel(forceinline=True)
def _factor(semiring, a_values, e):
    return a_values.dtype.type(1) if _counts(semiring) else a_values[e]


@kernel(forceinline=True)
def _first(b_indptr, b_indices, k, i, upper):
    start = U(b_indptr[k])
    return lower_bound(b_indices, start, U(b_indptr[k + U(1)]), i) if upper else start


@kernel(forceinline=True)
def _prefetch_rows(semiring, a_indices, B, e, end):
    b_indptr, b_indices, b_values = B
    prefetch(b_indptr, a_indices[min(e + _FAR, end)])
    at = b_indptr[a_indices[min(e + _NEAR, end)]]
    prefetch(b_indices, at)
    if not _counts(semiring):
        prefetch(b_values, at)


@kernel
def _dense_row(semiring, masked, i, upper, A, B, place, bits, n, out):
    """Append row i; under COMPLEMENT, columns whose bit is set are left out."""
    a_indptr, a_indices, a_values = A
    b_indptr, b_indices, b_values = B
    idx, val = out
    start = n
    end = U(a_indices.shape[0] - 1)
    for e in range(U(a_indptr[i]), U(a_indptr[i + 1])):
        _prefetch_rows(semiring, a_indices, B, e, end)
        k = U(a_indices[e])
        a = _factor(semiring, a_values, e)
        for f in range(_first(b_indptr, b_indices, k, i, upper), U(b_indptr[k + U(1)])):
            j = b_indices[f]
            p = U(place[j])
            if p < start:
                if len(masked) == COMPLEMENT and (bits[U(j) >> U(6)] >> (U(j) & U(63))) & U(1):
                    continue
                place[j] = n
                idx[n] = j
                _set(semiring, val, n, a, b_values, f)
                n += U(1)
            else:
                _merge(semiring, val, p, a, b_values, f)
    return n


@kernel
def _hash_row(semiring, i, upper, A, B, table, size, n, out):
    """Append row i through a table of at least twice its products, a power of two."""
    a_indptr, a_indices, a_values = A
    b_indptr, b_indices, b_values = B
    idx, val = out
    start = n
    end = U(a_indices.shape[0] - 1)
    mask = size - U(1)
    for e in range(U(a_indptr[i]), U(a_indptr[i + 1])):
        _prefetch_rows(semiring, a_indices, B, e, end)
        k = U(a_indices[e])
        a = _factor(semiring, a_values, e)
        for f in range(_first(b_indptr, b_indices, k, i, upper), U(b_indptr[k + U(1)])):
            j = b_indices[f]
            h = ((U(j) * _GOLDEN) >> U(32)) & mask
            p = U(table[h])
            while p >= start and idx[p] != j:
                h = (h + U(1)) & mask
                p = U(table[h])
            if p < start:
                table[h] = n
                idx[n] = j
                _set(semiring, val, n, a, b_values, f)
                n += U(1)
            else:
                _merge(semiring, val, p, a, b_values, f)
    return n


@kernel
def _kept_row(semiring, i, A, B, M, place, met, n, out):
    """Append the entries of row i that the mask names, in its order; returns their end and that of all places used."""
    a_indptr, a_indices, a_values = A
    b_indptr, b_indices, b_values = B
    m_indptr, m_indices = M
    idx, val = out
    start, last = n, n
    for e in range(U(m_indptr[i]), U(m_indptr[i + 1])):
        j = m_indices[e]
        if U(place[j]) < start:
            place[j] = last
            idx[last] = j
            met[last - start] = False
            last = last + U(1)
    end = U(a_indices.shape[0] - 1)
    for e in range(U(a_indptr[i]), U(a_indptr[i + 1])):
        _prefetch_rows(semiring, a_indices, B, e, end)
        k = U(a_indices[e])
        a = _factor(semiring, a_values, e)
        for f in range(U(b_indptr[k]), U(b_indptr[k + U(1)])):
            p = U(place[b_indices[f]])
            if p >= start:
                if met[p - start]:
                    _merge(semiring, val, p, a, b_values, f)
                else:
                    met[p - start] = True
                    _set(semiring, val, p, a, b_values, f)
    for at in range(start, last):
        if met[at - start]:
            place[idx[at]] = n
            idx[n] = idx[at]
            if val.shape[0]:
                val[n] = val[at]
            n += U(1)
    return n, last


@kernel
def _select(semiring, best, first, n, out):
    """The best entries of a row, the smallest ones for MIN_PLUS; returns the new end."""
    top_k, threshold, use_threshold = best
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


class Rule(NamedTuple):
    """What a product is: its `semiring`, how it is `masked`, whether only entries from the diagonal on are made and
    rows are sorted, and which entries stay: `best` is (top_k or 0, threshold, whether it counts)."""

    semiring: Any
    masked: Any
    upper: bool
    sort: bool
    best: Any


class Tasks(NamedTuple):
    """Rows starts[t]:starts[t + 1], written from room[t] on; `ticket[0]` is the next task that a worker takes."""

    ticket: Any
    starts: Any
    room: Any


@parallel_kernel
def multiply(rule, A, B, M, products, few_products, tasks, scratch, out, rows):
    """Run all tasks, each on the worker that takes it.

    A, B and M are (indptr, indices, values), M without values; rows of more than `few_products` products go through
    the dense accumulator. `out` is (columns, values) of the whole wave, `rows` (where each row begins there, lengths).
    The arrays of `scratch` have one row per worker.
    """
    semiring, masked, upper, sort, best = rule
    ticket, starts, room = tasks
    row_starts, row_sizes = rows
    for w in numba.prange(row_sizes.shape[0] and scratch[0].shape[0]):
        place, table, bits, summary = scratch[0][w], scratch[1][w], scratch[2][w], scratch[3][w]
        met, row_indices, row_values = scratch[4][w], scratch[5][w], scratch[6][w]
        place[:] = 0
        table[:] = 0
        while True:
            task = fetch_add(ticket, 0, 1)
            if task >= room.shape[0]:
                break
            n = U(room[task])
            for i in range(starts[task], starts[task + 1]):
                first = n
                used = n
                found = products[i] > few_products
                if len(masked) == KEEP:
                    n, used = _kept_row(semiring, i, A, B, M, place, met, n, out)
                elif not found:
                    size = _LEAST_TABLE
                    while size < U(2 * products[i]):
                        size <<= U(1)
                    n = _hash_row(semiring, i, upper, A, B, table, size, n, out)
                else:
                    if len(masked) == COMPLEMENT:
                        _mark(bits, M, i, 1)
                    n = _dense_row(semiring, masked, i, upper, A, B, place, bits, n, out)
                    if len(masked) == COMPLEMENT:
                        _mark(bits, M, i, 0)
                used = max(used, n)
                if len(semiring) != ANY_PAIR and (best[2] or best[0] > 0):
                    n = _select(semiring, best, first, n, out)
                    found = False
                if sort and found:
                    sort_placed(out[0], out[1], first, n, place, bits, summary, row_indices, row_values)
                elif sort:
                    sort_alone(out[0], out[1], first, n)
                row_sizes[i] = n - first
                row_starts[i] = first
                n = used  # the next row begins behind every place that the accumulator knows
            _close_gaps(starts[task], starts[task + 1], row_starts, row_sizes, out)


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
