"""Uniform neighbour sampling on a GPU; the sample is the one that `NeighborSampler` draws on the processor.

Rows are sampled by a warp each: up to 32 picks are drawn at once, one per lane, and Floyd's rule is then applied in
order by asking all lanes whether they hold the candidate already; more picks are drawn by the lanes in turns. Adjacency
arrays may be device arrays or pinned host memory that the GPU reads over the bus: a row costs a read per pick, not one
per neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config

from ...graphlib.compute.launch_cuda import Place, device_number, launching
from ...graphlib.compute.numba_cuda import cuda
from ...graphlib.compute.random_cuda import bounded, draw, high64, stream
from ...graphlib.compute.warp_cuda import LANES, WARPS_PER_BLOCK, any_lane, broadcast, wait_for_lanes
from .numbering_cuda import (
    EMPTY,
    SCAN_THREADS,
    UNSEEN,
    copy_part,
    enter,
    enter_numbered,
    fill,
    mark_first,
    number,
    scan,
)
from .picks import neighbor_root
from .subgraph import SampledSubgraph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.types import EdgeType

_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_THREADS = 32 if _SIMULATED else 256
_MOST_BLOCKS = 4 if _SIMULATED else 4096


@cuda.jit
def count_picks(indptr, nodes, first, fanout, replace, counts):
    """How many edges each node from `first` on yields; a fanout below zero takes all."""
    for i in range(cuda.grid(1), counts.shape[0], cuda.gridsize(1)):
        node = nodes[first + i]
        degree = indptr[node + 1] - indptr[node]
        picks = np.int64(fanout)
        if fanout < 0 or (degree < fanout and not replace) or degree == 0:
            picks = degree
        counts[i] = picks


@cuda.jit(device=True)
def _draw_in_order(key, first, degree, picks, replace, at, targets, positions):
    """What `_floyd`, `_shuffle` and draws with replacement do on the processor, by one lane, for any picks.

    The partial shuffle keeps no copy of the row: `targets` are the swaps so far, and what stands at a place is found by
    following them back.
    """
    counter = np.int64(0)
    shuffled = not replace and picks > LANES and degree <= 8 * picks
    for j in range(picks):
        if replace:
            chosen, counter = bounded(key, counter, degree)
        elif shuffled:
            chosen, counter = bounded(key, counter, degree - j)
            targets[at + j] = j + chosen
            chosen = j + chosen
            for earlier in range(j - 1, -1, -1):
                if targets[at + earlier] == chosen:
                    chosen = earlier
        else:
            top = degree - picks + j
            chosen, counter = bounded(key, counter, top + 1)
            for earlier in range(j):
                if positions[at + earlier] == first + chosen:
                    chosen = top
                    break
        positions[at + j] = first + chosen


@cuda.jit(device=True)
def _draw_together(lane, key, first, degree, picks, replace, at, targets, positions):
    """As `_draw_in_order`, by all lanes; False, with nothing settled, where a word was rejected.

    Draws do not depend on one another, so lanes make every thirty-second one. What stands at a place of the shuffled
    row is then found for each pick on its own; for Floyd's rule the lanes look through the earlier picks together.
    """
    shuffled = not replace and degree <= 8 * picks
    rejected = False
    for j in range(lane, picks, LANES):
        bound = degree if replace else degree - j if shuffled else degree - picks + j + 1
        word = draw(key, j)
        rejected = rejected or word * np.uint64(bound) < np.uint64(bound)
        value = np.int64(high64(word, np.uint64(bound)))
        targets[at + j] = j + value if shuffled else value
        positions[at + j] = first + value
    wait_for_lanes()
    if any_lane(rejected, lane):
        return False
    if replace:
        return True
    if shuffled:
        for j in range(lane, picks, LANES):
            chosen = targets[at + j]
            for earlier in range(j - 1, -1, -1):
                if targets[at + earlier] == chosen:
                    chosen = np.int64(earlier)
            positions[at + j] = first + chosen
        return True
    for j in range(picks):
        taken = False
        for earlier in range(lane, j, LANES):
            taken = taken or positions[at + earlier] == first + targets[at + j]
        if any_lane(taken, lane) and lane == 0:
            positions[at + j] = first + degree - picks + j
        wait_for_lanes()
    return True


@cuda.jit
def pick_uniform(indptr, nodes, start, root, epoch, hop, fanout, replace, offsets, targets, positions):
    """Positions of the edges picked for the nodes from `start` on, a warp per node."""
    lane = cuda.threadIdx.x % LANES
    warp = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) // LANES
    warps = cuda.gridDim.x * cuda.blockDim.x // LANES
    for i in range(warp, offsets.shape[0] - 1, warps):
        node = nodes[start + i]
        first = indptr[node]
        degree = indptr[node + 1] - first
        at = offsets[i]
        picks = offsets[i + 1] - at
        if picks == 0:
            continue
        if picks == degree and (fanout < 0 or not replace):
            for j in range(lane, picks, LANES):
                positions[at + j] = first + j
            continue
        key = stream(root, epoch, node, hop)
        if replace or picks > LANES:
            if not _draw_together(lane, key, first, degree, picks, replace, at, targets, positions) and lane == 0:
                _draw_in_order(key, first, degree, picks, replace, at, targets, positions)
            continue
        top = degree - picks + lane
        bound = np.uint64(top + 1)
        word = draw(key, lane)
        # a rejected word shifts the counter of every later draw: rare enough to leave to one lane
        if any_lane(lane < picks and word * bound < bound, lane):
            if lane == 0:
                _draw_in_order(key, first, degree, picks, replace, at, targets, positions)
            continue
        mine = np.int64(high64(word, bound))
        for j in range(1, picks):
            candidate = broadcast(mine, lane, j)
            taken = any_lane(lane < j and mine == candidate, lane)
            if lane == j and taken:
                mine = top
        if lane < picks:
            positions[at + lane] = first + mine


@cuda.jit
def repeat_numbers(offsets, first, out):
    """The local number of the sampled row's owner, once per pick."""
    for i in range(cuda.grid(1), offsets.shape[0] - 1, cuda.gridsize(1)):
        for j in range(offsets[i], offsets[i + 1]):
            out[j] = first + i


def _grid(size: int, threads: int = _THREADS) -> tuple[int, int]:
    return max(1, min(_MOST_BLOCKS, -(-size // threads))), threads


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
    Kernels run on the stream that is torch's current one when `sample` is called; memory comes from torch's pool where
    torch is loaded. A hop waits for that stream twice, for the numbers of its edges and of its nodes. Results are
    `SampledSubgraph`s of device arrays (`to_host` copies one). Time O(edges sampled), and a few launches per hop;
    memory 24 bytes per node and pick for the table that numbers nodes.
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
        with launching(self._device) as place:
            if arrays is None:
                self._arrays = tuple(map(place.put, (rows.indptr, rows.indices, rows.edge_ids)))
            else:  # wrapped once: at a launch, tensors would be wrapped again and wait for another stream
                self._arrays = tuple(map(_wrapped, arrays))

    def sample(self, seeds: ArrayLike, epoch: int = 0) -> SampledSubgraph:
        """Sample around `seeds` (node positions on the host); arrays of the result are on the device."""
        from ..arguments import node_positions

        given = node_positions("seeds", seeds, self._num_nodes)
        with launching(self._device) as place:
            return self._sample(place, given, epoch)

    def _sample(self, place: Place, seeds: NDArray[np.int64], epoch: int) -> SampledSubgraph:
        indptr, indices, edge_ids = self._arrays
        given = place.put(seeds)
        every = place.put(np.arange(seeds.shape[0], dtype=np.int64))
        nodes = place.empty(0, np.int64)
        nodes, count, seed_index, _ = self._number(place, given, given, every, nodes, 0)
        node_counts, edge_counts, hops = [count], [], []
        first = 0
        for hop, fanout in enumerate(self.fanouts):
            size = count - first
            offsets, total = self._offsets(place, indptr, nodes, first, size, fanout)
            positions, targets, near = (place.empty(total, np.int64) for _ in range(3))
            if total:
                name = (self._root, epoch, hop, fanout, self.replace)
                blocks = _grid(size, WARPS_PER_BLOCK)[0]
                pick_uniform[blocks, WARPS_PER_BLOCK * LANES, place.stream](
                    indptr, nodes, first, *name, offsets, targets, positions
                )
                repeat_numbers[(*_grid(size), place.stream)](offsets, first, near)
            before = count
            nodes, count, far, edges = self._number(place, indices, edge_ids, positions, nodes, count)
            hops.append((near, far, edges))
            first = before
            node_counts.append(count - before)
            edge_counts.append(total)
        near, far, edges = (_joined(place, [hop[k] for hop in hops]) for k in range(3))
        row, col = (far, near) if self.direction == "in" else (near, far)
        return SampledSubgraph(
            nodes=nodes[:count],
            row=row,
            col=col,
            edge_ids=edges,
            num_sampled_nodes=tuple(node_counts),
            num_sampled_edges=tuple(edge_counts),
            seed_index=seed_index,
        )

    def _offsets(self, place: Place, indptr: Any, nodes: Any, first: int, size: int, fanout: int) -> tuple[Any, int]:
        offsets = place.empty(size + 1, np.int64)
        if size == 0:
            return offsets, 0
        counts = place.empty(size, np.int64)
        count_picks[(*_grid(size), place.stream)](indptr, nodes, first, fanout, self.replace, counts)
        scan[1, SCAN_THREADS, place.stream](counts, offsets)
        return offsets, place.number(offsets, size)

    def _number(
        self, place: Place, indices: Any, edge_ids: Any, positions: Any, nodes: Any, count: int
    ) -> tuple[Any, int, Any, Any]:
        """All nodes, how many there are, and the local number and edge id of every entry at `positions`."""
        picks, stream = positions.shape[0], place.stream
        far, edges = place.empty(picks, np.int64), place.empty(picks, edge_ids.dtype)
        if picks == 0:
            return nodes, count, far, edges
        slots = 1 << int(2 * (count + picks)).bit_length()
        keys, order = place.empty(slots, np.int64), place.empty(slots, np.int64)
        flags, ranks = place.empty(picks, np.int64), place.empty(picks + 1, np.int64)
        larger = place.empty(count + picks, np.int64)
        fill[(*_grid(slots), stream)](keys, EMPTY)
        fill[(*_grid(slots), stream)](order, UNSEEN)
        if count:
            enter_numbered[(*_grid(count), stream)](nodes, count, keys, order)
            copy_part[(*_grid(count), stream)](nodes, larger, 0, count)
        grid = (*_grid(picks), stream)
        enter[grid](indices, positions, count, keys, order)
        mark_first[grid](indices, positions, count, keys, order, flags)
        scan[1, SCAN_THREADS, stream](flags, ranks)
        number[grid](indices, edge_ids, positions, count, keys, order, ranks, larger, far, edges)
        return larger, count + place.number(ranks, picks), far, edges


def _wrapped(array: Any) -> Any:
    """A device array over CUDA memory; the simulator takes arrays of the host as they are."""
    return cuda.as_cuda_array(array, sync=False) if hasattr(array, "__cuda_array_interface__") else array


def _joined(place: Place, parts: list[Any]) -> Any:
    """Device arrays end to end."""
    if not parts:
        return place.empty(0, np.int64)
    whole = place.empty(sum(part.shape[0] for part in parts), parts[0].dtype)
    start = 0
    for part in parts:
        if part.shape[0]:
            copy_part[(*_grid(part.shape[0]), place.stream)](part, whole, start, part.shape[0])
        start += part.shape[0]
    return whole


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
