"""Uniform neighbour sampling on a GPU; the sample is the one that `NeighborSampler` draws on the processor.

Adjacency arrays may be device arrays or pinned host memory that the GPU reads over the bus: a row costs a read per
pick, not one per neighbour.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config

from ...graphlib.compute.launch_cuda import Place, device_number, launching
from ...graphlib.compute.warp_cuda import LANES, WARPS_PER_BLOCK
from .numbering_cuda import THREADS, count_new, enter, number_new, read_numbers, reset_table
from .picks import neighbor_root
from .picks_cuda import Rule, count_picks, pick_uniform, place_picks
from .subgraph import SampledSubgraph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.types import EdgeType

_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_MOST_BLOCKS = 4 if _SIMULATED else 4096
_SHARES = 3 if _SIMULATED else 1024  # blocks that a sum is divided among
_RECORD_AT = 3  # samples of a size are recorded from this one on
_ROOMS = 4  # sizes that room is kept for
_BOUND = 64 if _SIMULATED else 1 << 22  # hops that may have this many edges get room for all that they may have


def _blocks(size: int, threads: int = THREADS) -> int:
    return max(1, min(_MOST_BLOCKS, -(-size // threads)))


class _Hop:
    """Room for a hop of at most `size` nodes and `room` edges."""

    def __init__(self, place: Place, size: int, room: int) -> None:
        self.size, self.room = size, room
        self.counts, self.offsets = place.empty(size, np.int64), place.empty(size + 1, np.int64)
        self.positions, self.targets, self.slots = (place.empty(room, np.int64) for _ in range(3))


class _Room:
    """Where a sample of so many seeds is made; results are copied from here."""

    def __init__(self, place: Place, seeds: int, hops: list[_Hop], num_nodes: int, ids: Any) -> None:
        self.hops = hops
        edges = sum(hop.room for hop in hops)
        self.near, self.far, self.edges = (place.empty(edges, kind) for kind in (np.int64, np.int64, ids))
        self.words, self.given = place.exchanged(seeds + 1, np.int64)  # the epoch and the seeds
        self.counts, self.state = place.exchanged(3 * len(hops) + 2, np.int64)
        self.every = place.put(np.arange(seeds, dtype=np.int64))
        self.slots, self.seed_index = place.empty(seeds, np.int64), place.empty(seeds, np.int64)
        most = min(num_nodes, seeds + edges)
        self.nodes = place.empty(most, np.int64)
        self.keys, self.order = (place.empty(1 << int(2 * most).bit_length(), np.int64) for _ in range(2))
        self.sums = place.empty(_SHARES, np.int64)
        self.mark: Any = None
        self.samples = 0
        self.replay: Any = None


class CudaSampler:
    """Uniform neighbour samples drawn by the GPU, equal to those of `NeighborSampler` with the same seed.

    Parameters
    ----------
    rows : Adjacency
        `store.csc()` to follow in-edges, `store.csr()` for out-edges.
    fanouts : sequence of int
        Edges per node, nearest hop first; -1 takes all.
    replace : bool, default False
    direction : {"in", "out"}, default "in"
        Which of the two `rows` are.
    seed : int, default 0
    edge_type : optional
        Of `rows`, where the store names it: other edge types draw other numbers.
    arrays : (indptr, indices, edge_ids), optional
        The arrays of `rows` where the GPU can reach them, such as those of a `PinnedAdjacency`; by default they are
        copied to it.
    device : int, str or torch.device, optional
        The GPU, "cuda:1" for the second; by default the current one.

    Notes
    -----
    Kernels run on the stream that is torch's current one when `sample` is called. Results are `SampledSubgraph`s of
    arrays on the device, torch's tensors where torch is loaded (`to_host` copies one). A sample waits for its stream
    once, for the numbers of its nodes and edges; hops are given room for the most edges there can be, or, where that
    would be millions, for a guess, and a sample that needs more is drawn again, the same. Samples of one number of
    seeds are replayed as a CUDA graph from the third on. Time O(edges sampled + most nodes there can be); memory
    kept: some 90 bytes per edge that there is room for.
    """

    def __init__(
        self,
        rows: Adjacency,
        fanouts: Sequence[int],
        *,
        replace: bool = False,
        direction: str = "in",
        seed: int = 0,
        edge_type: EdgeType | None = None,
        arrays: tuple[Any, Any, Any] | None = None,
        device: Any = None,
    ) -> None:
        from ..arguments import check_fanouts

        self.fanouts = check_fanouts("fanouts", fanouts)
        self.replace = replace
        self.direction = direction
        self.seed = seed
        self._root = neighbor_root(seed, direction, edge_type)
        self._num_nodes = rows.num_rows
        self._device = device_number(device)
        self._num_edges = int(rows.indices.shape[0])
        self._ids = rows.edge_ids.dtype
        self._rooms: dict[int, _Room] = {}
        self._lock = threading.Lock()
        with launching(self._device) as place:
            if arrays is None:
                self._arrays = tuple(map(place.put, (rows.indptr, rows.indices, rows.edge_ids)))
            else:
                self._arrays = tuple(arrays)

    def sample(self, seeds: ArrayLike, epoch: int = 0) -> SampledSubgraph:
        """Sample around `seeds` (node positions on the host); arrays of the result are on the device."""
        from ..arguments import check_epoch, node_positions

        given = node_positions("seeds", seeds, self._num_nodes)
        with self._lock, launching(self._device) as place:
            return self._sample(place, given, check_epoch(epoch))

    def _sample(self, place: Place, seeds: NDArray[np.int64], epoch: int) -> SampledSubgraph:
        size, hops = seeds.shape[0], len(self.fanouts)
        room = self._rooms.pop(size, None) or self._make(place, size, None)
        place.after(room.mark)
        while True:
            room.words[0], room.words[1:] = epoch, seeds
            place.update(room.given, room.words)
            self._run(place, room)
            place.send(room.state, room.counts)
            place.wait()
            needed = room.counts[2 * hops + 2 :]
            if not needed.any():
                break
            room = self._make(place, size, [max(h.room, int(n)) for h, n in zip(room.hops, needed, strict=True)])
        ends, edges = room.counts[: hops + 2].tolist(), room.counts[hops + 2 : 2 * hops + 2].tolist()
        near, far, edge_ids, nodes, seed_index = (
            place.copied(array[:count])
            for array, count in (
                *((room.near, sum(edges)), (room.far, sum(edges)), (room.edges, sum(edges))),
                *((room.nodes, ends[-1]), (room.seed_index, size)),
            )
        )
        room.mark = place.mark()
        self._rooms[size] = room  # the last one used is the last to go
        if len(self._rooms) > _ROOMS:
            del self._rooms[next(iter(self._rooms))]
        row, col = (far, near) if self.direction == "in" else (near, far)
        return SampledSubgraph(
            nodes=nodes,
            row=row,
            col=col,
            edge_ids=edge_ids,
            num_sampled_nodes=tuple(after - before for before, after in itertools.pairwise(ends)),
            num_sampled_edges=tuple(edges),
            seed_index=seed_index,
        )

    def _make(self, place: Place, seeds: int, needed: list[int] | None) -> _Room:
        """Room for a sample: for the edges that its hops needed, where they are known, and a little more."""
        hops: list[_Hop] = []
        size = min(seeds, self._num_nodes)
        for h, fanout in enumerate(self.fanouts):
            most = self._num_edges if fanout < 0 else size * fanout
            if not self.replace:
                most = min(most, self._num_edges)
            if most > _BOUND:
                usual = size * (1 + 2 * self._num_edges // max(1, self._num_nodes))
                most = min(most, max(_BOUND, usual if needed is None else needed[h] + needed[h] // 4))
            hops.append(_Hop(place, max(1, size), max(1, most)))
            size = min(most, self._num_nodes)
        return _Room(place, seeds, hops, self._num_nodes, self._ids)

    def _run(self, place: Place, room: _Room) -> None:
        room.samples += 1
        if room.samples == _RECORD_AT:
            room.replay = place.recorded(lambda there: self._queue(there, room))
        if room.replay is None:
            self._queue(place, room)
        else:
            room.replay()

    def _queue(self, place: Place, room: _Room) -> None:
        """The kernels of a sample of the seeds and epoch in `room.given`."""
        indptr, indices, edge_ids = self._arrays
        hops, state = len(self.fanouts), room.state
        place.run(reset_table, _blocks(room.keys.shape[0]), THREADS, room.keys, room.order, state)
        seeds = room.given[1:]
        self._number(place, room, -1, seeds, room.every, room.every, room.slots, room.seed_index, room.seed_index)
        for h, (hop, fanout) in enumerate(zip(room.hops, self.fanouts, strict=True)):
            shares = min(_SHARES, _blocks(hop.size))
            place.run(
                count_picks, shares, THREADS, indptr, room.nodes, state, h, fanout, self.replace, hop.counts, room.sums
            )
            place.run(place_picks, shares, THREADS, hop.counts, state, h, hops, room.sums, hop.room, hop.offsets)
            place.run(
                *(pick_uniform, _blocks(hop.size, WARPS_PER_BLOCK), WARPS_PER_BLOCK * LANES),
                *(indptr, room.nodes, state, room.given, Rule(self._root, h, hops, fanout, self.replace)),
                *(hop.offsets, hop.targets, hop.positions, room.near),
            )
            self._number(place, room, h, indices, edge_ids, hop.positions, hop.slots, room.far, room.edges)

    def _number(
        self,
        place: Place,
        room: _Room,
        hop: int,
        indices: Any,
        edge_ids: Any,
        positions: Any,
        slots: Any,
        far: Any,
        edges: Any,
    ) -> None:
        """Number the nodes at the edges of a hop, or the seeds."""
        hops, state, size = len(self.fanouts), room.state, positions.shape[0]
        if size == 0:  # no seeds
            return
        shares = min(_SHARES, _blocks(size))
        place.run(enter, _blocks(size), THREADS, indices, positions, state, hop, hops, room.keys, room.order, slots)
        place.run(count_new, shares, THREADS, state, hop, hops, size, room.order, slots, room.sums)
        place.run(
            number_new, shares, THREADS, indices, positions, state, hop, hops, room.order, slots, room.sums, room.nodes
        )
        place.run(
            read_numbers, _blocks(size), THREADS, edge_ids, positions, state, hop, hops, room.order, slots, far, edges
        )


def to_host(sample: SampledSubgraph, *, device: Any = None) -> SampledSubgraph:
    """A sample with its arrays copied from the device, on the current stream: the one that it was drawn on."""
    with launching(device_number(device)) as place:
        nodes, row, col, edge_ids, seed_index = place.fetch(
            sample.nodes, sample.row, sample.col, sample.edge_ids, sample.seed_index
        )
    return SampledSubgraph(
        nodes=nodes,
        row=row,
        col=col,
        edge_ids=edge_ids,
        num_sampled_nodes=sample.num_sampled_nodes,
        num_sampled_edges=sample.num_sampled_edges,
        seed_index=seed_index,
    )
