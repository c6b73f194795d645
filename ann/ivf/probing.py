"""Searches of chosen lists, shared by every index that keeps its rows in lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ..filters import num_passing
from ..hnsw.parts_cpu import Asked, Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .lists import Lists

EVERYTHING = np.empty((0, 0), bool)
RERANKED = 40  # rows of lowest rank whose distances decide, at least, where codes are scanned: see `ScalarCodes`


def nearest_in_lists(
    exact: Any,
    walk: Any,
    lists: Lists,
    asked: Asked,
    k: int,
    choose: Callable[[NDArray[np.int64], int], NDArray[np.int64]],
    probes: int,
    num_rows: int,
    allowed: NDArray[np.bool_] | None,
    threads: int | None,
    again: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
    """Distances, rows and counts of the k nearest in the lists that `choose(queries, how many)` names, -1 for none.

    Queries whose lists hold fewer than k rows that pass are asked again with twice as many lists; with `again`, also
    where all of them were asked for, since `choose` may have named fewer the first time.
    """
    from . import lists_cpu as kernels

    count = len(asked.exact)
    distances = np.full((count, k), np.inf, np.float32)
    found = np.full((count, k), -1, np.int64)
    counts = np.zeros(count, np.int32)
    passing = np.full(count, num_rows)
    if allowed is not None:
        passing[:] = num_passing(allowed)
    left, most = np.arange(count), len(lists.sizes)
    width = k if walk is exact else max(4 * k, RERANKED)
    while len(left):
        table = EVERYTHING if allowed is None else allowed if len(allowed) == 1 else allowed[left]
        d, f, c = distances[left], found[left], counts[left]
        chosen = choose(left, probes)
        with threads_in_use(threads):
            kernels.scan_lists(
                *(exact, walk, (lists.starts, lists.sizes, lists.members), Asked(*(part[left] for part in asked))),
                *(chosen, table, k, width, Found(d, f, c)),
            )
        distances[left], found[left], counts[left] = d, f, c
        left = left[c < np.minimum(k, passing[left])] if probes < most or again else left[:0]
        probes, again = min(2 * probes, most), False
    return distances, found, counts


__all__ = ["Asked", "nearest_in_lists"]
