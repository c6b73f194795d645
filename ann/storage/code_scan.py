"""Scan of 8-bit code rows for a batch of queries that share a filter, decided by the distances of the kept vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ..hnsw.parts_cpu import Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..hnsw.walks import Queries
    from .rows import Rows

LEAST_QUERIES = 16
_PART_BYTES = 8 << 20
_POOL_ENTRIES = 1 << 22


def nanoseconds(passing: NDArray[np.int64], width: NDArray[np.int64], row_bytes: int, num_queries: int) -> Any:
    """What a query of such a batch costs: layout of rows, comparisons, keeping `width` of them, and their distances.

    A comparison takes half as long on a processor with AVX512-VNNI and twice as long on one with AVX2 alone: the same
    search is answered the same way everywhere.
    """
    layout = passing * (20 + 0.25 * row_bytes) / num_queries
    compared = passing * (0.4 + 0.006 * row_bytes)
    return 1000 + layout + compared + 12 * width * (1 + np.log(np.maximum(passing, width) / width))


def nearest_codes(
    kept: Rows, queries: Queries, rows: NDArray[np.int64], k: int, width: int, threads: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
    """Distances, rows and counts of the k nearest of `rows`, rising: the nearest among the `width` of lowest rank.

    Queries that ranks do not reach find nothing. O(queries * rows * row bytes), and 8 MiB for rows laid out anew.
    """
    from . import code_scan_cpu as kernels

    words, exact = kept.walk.data.view(np.int32), kept.exact
    num_queries, step = len(queries), max(kernels.QUERIES, _POOL_ENTRIES // (3 * width + kernels.ROWS))
    distances, found = np.empty((num_queries, k), np.float32), np.empty((num_queries, k), np.int64)
    counts = np.empty(num_queries, np.int32)
    blocks = max(1, _PART_BYTES // (4 * kernels.ROWS * words.shape[1]))
    with threads_in_use(threads):
        for begin in range(0, num_queries, step):
            part = slice(begin, min(begin + step, num_queries))
            asked = queries.part(part)
            codes = asked.walked(multiple=kernels.QUERIES)
            pools = np.empty((part.stop - begin, 3 * width + kernels.ROWS), np.int64)
            sizes, most = np.zeros(len(pools), np.int64), np.full(len(pools), kernels.EVERY, np.int32)
            for first in range(0, len(rows), blocks * kernels.ROWS):
                chosen = rows[first : first + blocks * kernels.ROWS]
                packed = np.empty((-(-len(chosen) // kernels.ROWS), words.shape[1], kernels.ROWS), np.int32)
                kernels.pack(words, chosen, packed)
                kernels.scan(packed, chosen, codes, width, pools, sizes, most)
            kernels.finish(
                exact, asked.exact, asked.factors, k, width, pools, sizes,
                Found(distances[part], found[part], counts[part]),
            )  # fmt: skip
            missed = np.empty(part.stop - begin, bool)
            kernels.unreached(kept.walk, codes, missed)
            counts[part][missed] = 0
    return distances, found, counts
