"""Pools of samples: what GraphVite trains on between two exchanges of its double buffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.compute.streams import Purpose, root_of
from ..skipgram.walk_source import WalkSource
from .grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Pool:
    """Positive samples by block: block (i, j) is the slice `starts[i * P + j]:starts[i * P + j + 1]`.

    Attributes
    ----------
    number : int
        Which pool of the run; with the seed it decides everything in it.
    heads, tails : int32 (size,)
        Rows of the vertex and the context table.
    starts : int64 (P * P + 1,)
    """

    number: int
    heads: NDArray[np.int32]
    tails: NDArray[np.int32]
    starts: NDArray[np.int64]

    @property
    def size(self) -> int:
        return int(self.heads.shape[0])


class PoolMaker:
    """Walks from edges, pairs up to `step` apart, dealt to the blocks of `grid`; every pair is kept.

    A block holds as many samples as walks put there, so its share is its measured mass.
    """

    def __init__(self, source: WalkSource, grid: Grid, *, step: int, edges: int, base: int) -> None:
        self._source, self._grid = source, grid
        self._step, self._edges, self._base = step, edges, base
        self._starts = source.alias_of(source.strength, np.array([0, source.num_nodes], np.int64))
        self.pairs_per_walk = sum(max(0, edges + 1 - k) for k in range(1, step + 1))

    def make(self, number: int, samples: int) -> Pool:
        """Pool `number`, of as many walks as `samples` pairs take where no walk ends early (rounded up)."""
        from . import pools_cpu

        source, grid = self._source, self._grid
        count = max(1, -(-samples // self.pairs_per_walk))
        first_nodes = np.empty(count, np.int64)
        with threads_in_use(source.threads):
            pools_cpu.draw_starts(*self._starts, root_of(source.seed, Purpose.POOL_STARTS), number, first_nodes)
        walks = source.walks(first_nodes, np.arange(count, dtype=np.int32), number, self._edges)
        with threads_in_use(source.threads):
            counts = np.zeros((-(-count // pools_cpu.CHUNK), grid.parts**2), np.int64)
            pools_cpu.count_pairs(walks, self._step, grid.row_of, grid.offsets, counts)
            starts = np.zeros(grid.parts**2 + 1, np.int64)
            np.cumsum(counts.sum(axis=0), out=starts[1:])
            before = np.cumsum(counts, axis=0) - counts
            heads, tails = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
            pools_cpu.deal_pairs(walks, self._step, grid.row_of, grid.offsets, self._base, before, starts, heads, tails)
        return Pool(number, heads, tails, starts)
