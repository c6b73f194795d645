"""k-means: centroids that rows are near to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ..distances.scan import nearest_rows
from ..metrics import L2
from ..storage.floats import floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 10


def kmeans(rows: NDArray[np.float32], count: int, rng: np.random.Generator, threads: int | None) -> NDArray[np.float32]:
    """Lloyd's iteration from distinct random rows, under squared distances, ten rounds; float32 (count, dim).

    An empty cluster takes the row farthest from its centroid. O(10 * rows * count * dim).
    """
    from . import lists_cpu as kernels

    centroids = rows[rng.choice(len(rows), count, replace=False)].copy()
    ones = np.ones(len(rows), np.float32)
    for _ in range(_ROUNDS):
        near, found, _ = nearest_rows(
            floats(centroids, ones[:1], L2), rows, ones, 1, allowed=None, num_rows=count, threads=threads
        )  # fmt: skip
        lists = found[:, 0]
        sizes = np.bincount(lists, minlength=count)
        empty = np.flatnonzero(sizes == 0)
        if len(empty):
            far = np.argsort(-near[:, 0], kind="stable")[: len(empty)]
            lists[far] = empty
            sizes = np.bincount(lists, minlength=count)
        members = np.argsort(lists, kind="stable")
        sums = np.zeros((count, rows.shape[1]))
        with threads_in_use(threads):
            kernels.list_sums(rows, np.concatenate([[0], np.cumsum(sizes)]), members, sums)
        filled = sizes > 0
        centroids[filled] = (sums[filled] / sizes[filled, None]).astype(np.float32)
    return centroids


__all__ = ["kmeans"]
