"""Ranking the candidates of a batch of queries, by estimate and by exact similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import resolve_threads, threads_in_use
from ...graphlib.errors import IndexMismatch
from ..filters import allowed_rows
from ..minhash.sets import RaggedSets, read_only
from ..result import SearchResult, empty_result
from .buckets import say_capped
from .parts_cpu import Best, Visits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .index import LSH

_VERIFIED_AT_LEAST = 100
_VERIFIED_PER_RESULT = 4


def answer(
    index: LSH,
    signatures: NDArray[np.uint32],
    nobody: NDArray[np.int64],
    k: int,
    filter: ArrayLike | None,
    verify: Any,
    query_sets: RaggedSets | None,
    query_rows: NDArray[np.int64] | None,
    threads: int | None,
) -> SearchResult:
    """The k best rows of every query but the row `nobody` names; by exact similarity with the sets of `verify`."""
    index._check_parameters()
    count, n = len(signatures), len(index._rows)
    allowed = allowed_rows(filter, index._rows, count)
    if not count or not n:
        return empty_result(count, k)
    wide = min(n, k if verify is None else max(_VERIFIED_PER_RESULT * k, _VERIFIED_AT_LEAST))
    chosen = index.threads if threads is None else threads
    shares, rows, kept, capped = best_rows(index, signatures, nobody, wide, allowed, chosen)
    if verify is not None:
        sets = RaggedSets.of(verify)
        if len(sets) != n:
            raise IndexMismatch(f"verify has {len(sets)} sets but the index has {n} rows")
        shares, rows = rerank(sets, query_sets, query_rows, shares, rows, kept, index._rows.values, chosen)
    result = empty_result(count, k)
    width = min(k, wide)
    filled = np.arange(width) < kept[:, None]
    result.distances[:, :width][filled] = 1 - shares[:, :width][filled]
    result.ids[:, :width][filled] = index._rows.values[rows[:, :width][filled]]
    result.counts[:] = np.minimum(kept, k)
    short = (capped > 0) & ((kept < k) | (shares[:, width - 1] < 1))  # k exact copies would be all there is to find
    if short.any():
        say_capped(f"search: {short.sum():,} of {count:,} queries", index.max_bucket, index._few, stacklevel=3)
    return result


def best_rows(
    index: LSH,
    queries: NDArray[np.uint32],
    masks: NDArray[np.int64],
    width: int,
    allowed: NDArray[np.bool_] | None,
    threads: int | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Similarities, rows and counts of the best `width` candidates of every query, and how many buckets were capped."""
    from .candidates_cpu import search_segment

    count, n = len(queries), len(index._rows)
    shares = np.full((count, width), -1, np.float32)
    rows, labels = np.full((count, width), -1, np.int64), np.full((count, width), -1, np.int64)
    kept, capped = np.zeros(count, np.int64), np.zeros(count, np.int64)
    best = Best(shares, rows, labels, kept)
    may = np.empty((0, 0), np.bool_) if allowed is None else allowed
    with threads_in_use(min(resolve_threads(threads), count)) as workers:
        visits = Visits(np.zeros((workers, n), np.int32), np.zeros(workers, np.int32), np.empty((workers, n), np.int32))
        for segment in index._segments:
            buckets = index._buckets_of(segment)
            search_segment(
                read_only(queries), masks, index.signatures, buckets, may, index._rows.values, visits, best, capped
            )
    return shares, rows, kept, capped


def rerank(
    sets: RaggedSets,
    query_sets: RaggedSets | None,
    query_rows: NDArray[np.int64] | None,
    shares: NDArray[np.float32],
    rows: NDArray[np.int64],
    kept: NDArray[np.int64],
    ids: NDArray[np.int64],
    threads: int | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The same rows in order of exact similarity, then id."""
    filled = np.arange(rows.shape[1]) < kept[:, None]
    which = np.nonzero(filled)[0]
    if query_sets is None:
        exact = sets.jaccard(query_rows[which] if query_rows is not None else which, rows[filled], threads=threads)
    else:
        exact = query_sets.jaccard(which, rows[filled], other=sets, threads=threads)
    found = rows[filled]
    order = np.lexsort((ids[found], -exact, which))
    new_shares, new_rows = shares.copy(), rows.copy()
    new_shares[filled], new_rows[filled] = exact[order], found[order]
    return new_shares, new_rows


__all__ = ["answer", "best_rows", "rerank"]
