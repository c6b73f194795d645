"""Exact scores of colours on a GPU: every feature of a query against every point, colour after colour.

A block takes one colour and some features; tiles of both pass through its shared memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config, float32, float64

from ...graphlib.compute.launch_cuda import device_number, launching
from ...graphlib.compute.numba_cuda import cuda, cuda_kernel
from ...graphlib.compute.twins_cuda import on_device
from ...graphlib.errors import NotFitted
from ..ids import ids_of
from ..metrics import check_count
from . import scoring_cpu
from .arguments import query_sets
from .parts_cpu import Ellipse
from .ranking import best_colors
from .result import ColorResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .index import CANN

# features of a block, groups of its threads, points of a thread, and dimensions of a tile
FEATURES, GROUPS, EACH, DIMS = (4, 2, 2, 8) if config.ENABLE_CUDASIM else (64, 4, 8, 32)  # type: ignore[attr-defined]
THREADS, POINTS = FEATURES * GROUPS, GROUPS * EACH
_ASKED, _TILE, _NEAREST = (DIMS, FEATURES + 1), (DIMS, POINTS + 1), (GROUPS, FEATURES)  # one more: no bank twice
_MOST_BLOCKS = 2 if config.ENABLE_CUDASIM else 1 << 14  # type: ignore[attr-defined]

_contribution = on_device(scoring_cpu.contribution)


@cuda.jit(device=True)
def _load(rows, first, stop, dim, less, tile):
    """Rows first..stop and dimensions dim.. into a tile, dimension by dimension; zeros past the ends."""
    for i in range(cuda.threadIdx.x, (tile.shape[1] - 1) * DIMS, THREADS):
        row, j = first + i // DIMS, dim + i % DIMS
        value = float32(0)
        if row < stop and j < rows.shape[1]:
            value = float32(rows[row, j]) - less
        tile[i % DIMS, i // DIMS] = value


@cuda_kernel
def scan_colors(asked, points, centre, starts, rule, sums):
    """`sums` float64 (blocks of features, colours): what the features give to each colour, by its nearest point.

    `points` are in the order of their colours, colour c in rows starts[c]..starts[c + 1]; bytes lie around `centre`.
    """
    halved, radius, power = rule
    features = cuda.shared.array(_ASKED, float32)
    tile = cuda.shared.array(_TILE, float32)
    nearest = cuda.shared.array(_NEAREST, float32)
    given = cuda.shared.array(FEATURES, float64)
    apart = cuda.local.array(EACH, float32)
    f, group = cuda.threadIdx.x % FEATURES, cuda.threadIdx.x // FEATURES
    for task in range(cuda.blockIdx.x, sums.shape[0] * sums.shape[1], cuda.gridDim.x):
        part, color = task % sums.shape[0], task // sums.shape[0]
        begin = part * FEATURES
        best = float32(np.inf)
        for first in range(starts[color], starts[color + 1], POINTS):
            for e in range(EACH):
                apart[e] = float32(0)
            for dim in range(0, asked.shape[1], DIMS):
                cuda.syncthreads()
                _load(asked, begin, asked.shape[0], dim, float32(0), features)
                _load(points, first, starts[color + 1], dim, centre, tile)
                cuda.syncthreads()
                for j in range(DIMS):
                    for e in range(EACH):
                        difference = features[j, f] - tile[j, group * EACH + e]
                        apart[e] += difference * difference
            for e in range(EACH):
                if first + group * EACH + e < starts[color + 1]:
                    best = min(best, apart[e])
        nearest[group, f] = best
        cuda.syncthreads()
        if group == 0:
            for other in range(1, GROUPS):
                best = min(best, nearest[other, f])
            given[f] = _contribution(best, halved, radius, power) if begin + f < asked.shape[0] else float64(0)
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            total = float64(0)
            for feature in range(FEATURES):
                total += given[feature]
            sums[part, color] = total
        cuda.syncthreads()


class CudaScan:
    """Searches of a `CANN` on a GPU that compare every point: what its `search(..., exact=True)` finds.

    Parameters
    ----------
    index : CANN
        As it is now: its points are copied to the GPU.
    device : int, str or torch.device, optional
        The GPU, "cuda:1" for the second; by default the current one. Kernels run on torch's current stream there.

    Raises
    ------
    NotFitted
        The index is empty.

    Notes
    -----
    O(vectors of the query * points * dim) a set. Distances are sums in another order than the processor's, so scores
    agree to float32's precision, and colours whose scores agree so may change places. The result of one device is the
    same in every run. A search waits for the device once a set.
    """

    def __init__(self, index: CANN, *, device: Any = None) -> None:
        index._join()
        self._device = device_number(device)
        with index._lock.reading():
            points, rule = index._points, index._rule()
            if points is None:
                raise NotFitted("CudaScan: the index is empty; add points first")
            by_color, ids = index._by_color(), index._rows
            self._ids: NDArray[Any] = ids.values.copy()
            self._labels = np.arange(len(self._ids)) if ids.is_text else self._ids
            self._asked = index.metric, points.vectors.shape[1], points.vectors.dtype
            self._rule = Ellipse(rule.halved, rule.radius, rule.power)
            with launching(self._device) as place:
                self._points = place.put(points.vectors[by_color.order])
                self._starts = place.put(by_color.starts)

    def search(self, queries: Any, k: int) -> ColorResult:
        """The k colours of highest score for every set of query vectors, without matches; see `CANN.search`."""
        k = check_count("k", k)
        metric, dim, dtype = self._asked
        asked = query_sets(queries, metric, dim, dtype)
        scores, best = np.zeros((len(asked), k)), np.full((len(asked), k), -1, np.int64)
        counts = np.zeros(len(asked), np.int32)
        for s in range(len(asked)):
            sums = self._sums(asked[s], np.float32(128 if dtype == np.uint8 else 0))
            found = best_colors(sums, k, self._labels)
            counts[s], best[s, : len(found)] = len(found), found
            scores[s, : len(found)] = sums[found] / len(asked[s])
        return ColorResult(scores, ids_of(self._ids, best), counts, None)

    def _sums(self, features: NDArray[np.float32], centre: np.float32) -> NDArray[np.float64]:
        colors, parts = len(self._ids), -(-len(features) // FEATURES)
        with launching(self._device) as place:
            sums = place.empty((parts, colors), np.float64)
            grid = min(parts * colors, _MOST_BLOCKS), THREADS
            place.run(scan_colors, *grid, place.put(features), self._points, centre, self._starts, self._rule, sums)
            found = place.fetch(sums)[0]
        total: NDArray[np.float64] = found.sum(axis=0)
        return total


__all__ = ["CudaScan"]
