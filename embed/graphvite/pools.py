"""Pools of samples: what GraphVite trains on between two exchanges of its double buffer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        Rows of the vertex and the context table; device arrays where a GPU has drawn them.
    starts : int64 (P * P + 1,)
    """

    number: int
    heads: Any
    tails: Any
    starts: NDArray[np.int64]

    @property
    def size(self) -> int:
        return int(self.heads.shape[0])


class PoolMaker:
    """Walks from edges, pairs up to `step` apart, dealt to the blocks of `grid`; every pair is kept.

    A block holds as many samples as walks put there, so its share is its measured mass.
    """

    def __init__(
        self,
        source: WalkSource,
        grid: Grid,
        *,
        step: int,
        edges: int,
        base: int,
        empty: Callable[..., NDArray[Any]] = np.empty,
    ) -> None:
        self.source, self.grid = source, grid
        self.step, self.edges, self.base = step, edges, base
        self.starts = source.alias_of(source.strength, np.array([0, source.num_nodes], np.int64))
        self.pairs_per_walk = sum(max(0, edges + 1 - k) for k in range(1, step + 1))
        self._empty = empty  # makes the arrays of pools, for a GPU in pinned memory

    def walks_of(self, samples: int) -> int:
        """How many walks are drawn for so many samples."""
        return max(1, -(-samples // self.pairs_per_walk))

    def make(self, number: int, samples: int) -> Pool:
        """Pool `number`, of as many walks as `samples` pairs take where no walk ends early (rounded up)."""
        from . import pools_cpu

        source, grid = self.source, self.grid
        count = self.walks_of(samples)
        first_nodes = np.empty(count, np.int64)
        with threads_in_use(source.threads):
            pools_cpu.draw_starts(*self.starts, root_of(source.seed, Purpose.POOL_STARTS), number, first_nodes)
        walks = source.walks(first_nodes, np.arange(count, dtype=np.int32), number, self.edges)
        with threads_in_use(source.threads):
            counts = np.zeros((-(-count // pools_cpu.CHUNK), grid.parts**2), np.int64)
            pools_cpu.count_pairs(walks, self.step, grid.row_of, grid.offsets, counts)
            starts = np.zeros(grid.parts**2 + 1, np.int64)
            np.cumsum(counts.sum(axis=0), out=starts[1:])
            before = np.cumsum(counts, axis=0) - counts
            heads, tails = (self._empty(int(starts[-1]), np.int32) for _ in range(2))
            pools_cpu.deal_pairs(walks, self.step, grid.row_of, grid.offsets, self.base, before, starts, heads, tails)
        return Pool(number, heads, tails, starts)
