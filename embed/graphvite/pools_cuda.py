"""Pools of samples drawn on the GPU that trains on them: the same walks, pairs and order as `pools.PoolMaker`'s.

For tables that are one part, and walks that depend on their last node alone. Nothing but the number of pairs comes back
to the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config

from ...graphlib.compute.alias_cpu import alias_pick
from ...graphlib.compute.launch_cuda import Place, launching
from ...graphlib.compute.numba_cuda import cuda, cuda_kernel
from ...graphlib.compute.random_cuda import draw, high64, stream
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.compute.twins_cuda import on_device
from ...sampling.neighbors.numbering_cuda import THREADS, block_sum, place_shares
from ...sampling.walks.walks_cuda import uniform_walks, weighted_walks
from .pools import Pool, PoolMaker

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_BLOCKS, _SHARES = (3, 2) if config.ENABLE_CUDASIM else (1 << 12, 1024)  # type: ignore[attr-defined]
_alias_pick = on_device(alias_pick, high64=high64)


@cuda_kernel
def draw_starts(keep, alias, root, epoch, out, streams):
    """As `pools_cpu.draw_starts`; and the streams' numbers."""
    for i in range(cuda.grid(1), out.shape[0], cuda.gridsize(1)):
        out[i] = _alias_pick(draw(stream(root, epoch, i, 0), 0), keep, alias, 0, keep.shape[0])
        streams[i] = i


@cuda_kernel
def count_pairs(walks, step, counts, sums):
    """How many pairs each walk (a column) has, and their sum per block."""
    part = np.int64(0)
    stop = counts.shape[0] * (cuda.blockIdx.x + 1) // cuda.gridDim.x
    for w in range(counts.shape[0] * cuda.blockIdx.x // cuda.gridDim.x + cuda.threadIdx.x, stop, THREADS):
        length = 0
        while length < walks.shape[0] and walks[length, w] >= 0:
            length += 1
        reach = min(step, max(length - 1, 0))
        pairs = np.int64(reach * length - reach * (reach + 1) // 2)
        counts[w] = pairs
        part += pairs
    total = block_sum(part)
    if cuda.threadIdx.x == 0:
        sums[cuda.blockIdx.x] = total


@cuda_kernel
def place_pairs(counts, sums, offsets):
    """The number of each walk's first pair; at the end, of all pairs."""
    place_shares(counts, counts.shape[0], sums, offsets)


@cuda_kernel
def deal_pairs(walks, step, row_of, base, offsets, heads, tails):
    """As `pools_cpu.deal_pairs` for one block, a walk (a column) per thread."""
    size = heads.shape[0]
    length = walks.shape[0]
    for w in range(cuda.grid(1), walks.shape[1], cuda.gridsize(1)):
        order = offsets[w]
        for i in range(length):
            if walks[i, w] < 0:
                break
            head = row_of[walks[i, w]]
            for j in range(i + 1, min(length, i + step + 1)):
                if walks[j, w] < 0:
                    break
                residue = order % base
                place = residue * (size // base) + min(residue, size % base) + order // base
                heads[place] = head
                tails[place] = row_of[walks[j, w]]
                order += 1


class CudaPoolMaker:
    """Draws the pools of a `PoolMaker` on a GPU: the same, number for number, with device arrays.

    Parameters
    ----------
    like : PoolMaker
    place : Place
        Where the trainer runs. The graph is copied there by the first `make`.
    """

    def __init__(self, like: PoolMaker, place: Place) -> None:
        self._like, self._place = like, place
        self._held: dict[str, Any] = {}

    def make(self, number: int, samples: int) -> Pool:
        """As `PoolMaker.make`."""
        like, source = self._like, self._like.source
        count = like.walks_of(samples)
        with launching(like=self._place) as place:
            held = self._held = self._held or self._graph(place)
            starts, streams = place.empty(count, np.int64), place.empty(count, np.int32)
            walks = place.empty((like.edges + 1, count), source.rows.indices.dtype)
            common = (starts, streams, root_of(source.seed, Purpose.CORPUS), number, walks)
            root = root_of(source.seed, Purpose.POOL_STARTS)
            grid = max(1, min(_MOST_BLOCKS, -(-count // THREADS))), THREADS
            place.run(draw_starts, *grid, *held["starts"], root, number, starts, streams)
            place.run(held["kernel"], *grid, *held["rows"], *common)
            counts, offsets = place.empty(count, np.int64), place.empty(count + 1, np.int64)
            shares = min(_SHARES, grid[0])
            sums = place.empty(shares, np.int64)
            place.run(count_pairs, shares, THREADS, walks, like.step, counts, sums)
            place.run(place_pairs, shares, THREADS, counts, sums, offsets)
            total = place.number(offsets, count)
            heads, tails = (place.empty(total, np.int32) for _ in range(2))
            if total:
                place.run(deal_pairs, *grid, walks, like.step, held["row_of"], like.base, offsets, heads, tails)
        return Pool(number, heads, tails, np.array([0, total]))

    def _graph(self, place: Place) -> dict[str, Any]:
        like, rows = self._like, self._like.source.rows
        keep, alias = like.source.tables[:2]
        arrays: list[NDArray[Any]] = [rows.indptr, rows.indices, *((keep, alias) if keep.shape[0] else ())]
        return {
            "starts": [place.put(array) for array in like.starts],
            "rows": [place.put(array) for array in arrays],
            "row_of": place.put(like.grid.row_of),
            "kernel": weighted_walks if keep.shape[0] else uniform_walks,
        }


def device_maker(maker: PoolMaker, place: Place, samples: int) -> CudaPoolMaker | None:
    """A maker of the same pools at `place`; None where it cannot draw them, or where they might not fit."""
    source = maker.source
    if maker.grid.parts != 1 or source.p != 1.0 or source.q != 1.0:
        return None
    tables = [source.rows.indptr, source.rows.indices, *source.tables[:2], *maker.starts, maker.grid.row_of]
    pool = maker.walks_of(samples) * ((maker.edges + 1) * source.rows.indices.itemsize + 28) + 16 * samples
    with launching(like=place) as there:
        free = there.free_bytes()
    return CudaPoolMaker(maker, place) if sum(a.nbytes for a in tables) + pool < free / 2 else None
