"""Kernels of the best products of sparse rows: postings by blocks of rows, and a search that skips what cannot win."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel

BLOCK = 1 << 15  # rows of a block, whose sums stay in the processor's second cache
_FURTHER = np.float32(0.25)  # columns are added up beyond what is needed: fewer rows are then finished one by one
_CHUNK = 64  # sums that are looked at together
_FIRST_LOOKS = 256  # rows that the rarest grams lead to and that are scored before all others


class Best(NamedTuple):
    """Per query its best rows and their scores (queries, k), how many there are, and the products summed for it."""

    rows: Any
    scores: Any
    counts: Any
    work: Any


@parallel_kernel
def post(indptr, indices, weights, starts, rows, values):
    """Postings of every block: gram g of block b has rows and values from starts[b, g] to starts[b, g + 1].

    `rows` count from the block's first row. `starts` holds the blocks' first postings at [b, 0]; the rest is written.
    """
    for b in numba.prange(starts.shape[0]):
        first, last = b * BLOCK, min((b + 1) * BLOCK, indptr.shape[0] - 1)
        begin, width = starts[b, 0], starts.shape[1]
        for g in range(1, width):
            starts[b, g] = 0
        for e in range(indptr[first], indptr[last]):
            starts[b, indices[e] + 1] += 1
        for g in range(1, width):
            starts[b, g] += begin if g == 1 else starts[b, g - 1]
        starts[b, 0] = begin
        for i in range(last - 1, first - 1, -1):  # filled from the ends, so that rows rise
            for e in range(indptr[i], indptr[i + 1]):
                g = indices[e]
                at = starts[b, g + 1] - 1
                starts[b, g + 1] = at
                rows[at] = i - first
                values[at] = weights[e]
        for g in range(1, width - 1):  # ends have become beginnings: move them one place down
            starts[b, g] = starts[b, g + 1]
        starts[b, width - 1] = begin + indptr[last] - indptr[first]


@kernel
def _score(indptr, indices, weights, row, asked):
    """Inner product of a row with a query laid out densely, in the row's order."""
    total = np.float32(0)
    for e in range(indptr[row], indptr[row + 1]):
        total += weights[e] * asked[indices[e]]
    return total


@kernel
def _offer(row, score, found, scores, size):
    """Keep the best, lower rows first among equals; returns the new size."""
    k = found.shape[0]
    if size == k and not (score > scores[k - 1] or (score == scores[k - 1] and row < found[k - 1])):
        return size
    at = size if size < k else k - 1
    while at > 0 and (scores[at - 1] < score or (scores[at - 1] == score and found[at - 1] > row)):
        found[at], scores[at] = found[at - 1], scores[at - 1]
        at -= 1
    found[at], scores[at] = row, score
    return min(size + 1, k)


@kernel
def _best_of(q, asked_rows, forward, postings, highest, least, own, scratch, found, scores):
    """The best rows of query q; how many there are, and how many products were summed."""
    a_indptr, a_indices, a_values = asked_rows
    indptr, indices, weights = forward
    starts, rows, values = postings
    asked, sums, seen = scratch
    first, last = a_indptr[q], a_indptr[q + 1]
    count = last - first
    grams, bounds, rest = np.empty(count, np.int64), np.empty(count, np.float32), np.empty(count + 1, np.float32)
    for j in range(count):
        g, value = a_indices[first + j], a_values[first + j]
        asked[g] = value
        bound = value * highest[g]
        at = j  # by falling bound
        while at > 0 and bounds[at - 1] < bound:
            bounds[at], grams[at] = bounds[at - 1], grams[at - 1]
            at -= 1
        bounds[at], grams[at] = bound, g
    rest[count] = 0
    for j in range(count - 1, -1, -1):
        rest[j] = rest[j + 1] + bounds[j]
    slack = np.float32(1) + np.float32(1e-5)  # sums are rounded in another order than bounds
    size, work, looked = 0, 0, 0
    # A few rows that share a rare gram give a score to beat.
    for j in range(count):
        if looked >= _FIRST_LOOKS:
            break
        for b in range(starts.shape[0]):
            begin, end = starts[b, grams[j]], starts[b, grams[j] + 1]
            for e in range(begin, min(end, begin + _FIRST_LOOKS)):
                row = b * BLOCK + rows[e]
                if looked < _FIRST_LOOKS and seen[row] != q and row != own:
                    seen[row] = q
                    looked += 1
                    score = _score(indptr, indices, weights, row, asked)
                    if score >= least:
                        size = _offer(row, score, found, scores, size)
    k = found.shape[0]
    for b in range(starts.shape[0]):
        base = b * BLOCK
        bar = max(least, scores[k - 1] if size == k else np.float32(0))
        stop = 0
        while stop < count and rest[stop] * slack >= _FURTHER * bar and rest[stop] > 0:
            g, factor = grams[stop], asked[grams[stop]]
            for e in range(starts[b, g], starts[b, g + 1]):
                sums[rows[e]] += factor * values[e]
            work += starts[b, g + 1] - starts[b, g]
            stop += 1
        if stop == 0:
            continue
        for chunk in range(0, sums.shape[0], _CHUNK):
            end, largest = min(chunk + _CHUNK, sums.shape[0]), np.float32(0)
            for row in range(chunk, end):
                largest = max(largest, sums[row])
            if largest > 0 and (largest + rest[stop]) * slack >= bar:
                for row in range(chunk, end):
                    most = (sums[row] + rest[stop]) * slack
                    if sums[row] == 0 or most < bar or seen[base + row] == q or base + row == own:
                        continue
                    score = _score(indptr, indices, weights, base + row, asked)
                    if score >= least:
                        size = _offer(base + row, score, found, scores, size)
                        bar = max(least, scores[k - 1] if size == k else np.float32(0))
            for row in range(chunk, end):
                sums[row] = 0
    for j in range(count):
        asked[grams[j]] = 0
    return size, work


@parallel_kernel
def best_products(asked_rows, forward, postings, highest, least, skip, group, best):
    """For every query the rows of largest inner product, at least `least` and above 0, falling; ties by lower row.

    `asked_rows` and `forward` are (indptr, indices, values), all values above 0; `postings` those of `post`; `highest`
    the largest value of each gram. `skip` >= 0: query q is row skip + q and not its own result. Queries are dealt in
    groups, which share scratch memory.
    """
    found, scores, counts, work = best
    for part in numba.prange((counts.shape[0] + group - 1) // group):
        n = forward[0].shape[0] - 1
        scratch = (
            np.zeros(highest.shape[0], np.float32), np.zeros(min(BLOCK, n), np.float32), np.full(n, -1, np.int32),
        )  # fmt: skip
        for q in range(part * group, min((part + 1) * group, counts.shape[0])):
            own = skip + q if skip >= 0 else np.int64(-1)
            counts[q], work[q] = _best_of(
                q, asked_rows, forward, postings, highest, least, own, scratch, found[q], scores[q]
            )
