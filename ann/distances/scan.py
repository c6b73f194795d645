"""Exact search over chosen rows, shared by the exact index and by filtered searches of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import threads_in_use

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_PER_PART = 2048
_POOL_ENTRIES = 1 << 24


def nearest_rows(
    rows: Any,
    queries: NDArray[Any],
    query_scale: NDArray[np.float32],
    k: int,
    *,
    allowed: NDArray[np.bool_] | None,
    num_rows: int,
    labels: NDArray[np.int64] | None = None,
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
    """Distances, row labels (-1 past the end) and counts of the k nearest allowed rows among the first `num_rows`.

    `rows` and `queries` are of a kind of `rows_cpu`; distances are those of kernels, -dot for inner products (see
    `exact.finish`). `allowed` is None or a table (1, num_rows) or (num_queries, num_rows). `labels`, a permutation of
    the rows, decides ties; row numbers do by default. O(num_queries * allowed rows * dim).
    """
    from . import scan_cpu as kernels

    num_queries = queries.shape[0]
    distances = np.empty((num_queries, k), np.float32)
    found = np.empty((num_queries, k), np.int64)
    counts = np.zeros(num_queries, np.int32)
    ranks = np.arange(num_rows, dtype=np.int64) if labels is None else labels
    one_by_one = allowed is not None and allowed.shape[0] > 1
    chosen = np.arange(num_rows) if allowed is None else np.flatnonzero(allowed[0])
    step = 1 if one_by_one else max(64, _POOL_ENTRIES // max(1, k))
    with threads_in_use(threads) as count:
        for begin in range(0, num_queries, step):
            part = slice(begin, min(begin + step, num_queries))
            if one_by_one and allowed is not None:
                chosen = np.flatnonzero(allowed[begin])
            size = part.stop - begin
            parts = max(1, min(4 * count * 64 // (size + 63), len(chosen) // max(_ROWS_PER_PART, 4 * k)))
            pools = np.empty((parts, size, k), np.int64)
            sizes = np.zeros((parts, size), np.int64)
            scan = kernels.scan if rows[0].dtype == np.float32 else kernels.scan_each
            scan(rows, chosen, queries[part], query_scale[part], ranks, parts, pools, sizes)
            kernels.merge(pools, sizes, k, distances[part], found[part], counts[part])
    return distances, found, counts
