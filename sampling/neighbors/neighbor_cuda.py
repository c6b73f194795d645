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
from numba import cuda as _cuda

from ...graphlib.compute.random_cuda import bounded, draw, high64, mix64, stream
from ...graphlib.compute.warp_cuda import LANES, WARPS_PER_BLOCK, any_lane, broadcast, wait_for_lanes
from .picks import neighbor_root
from .subgraph import SampledSubgraph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.types import EdgeType

cuda: Any = _cuda  # its own types leave out what kernels use

_EMPTY = -1
_UNSEEN = np.iinfo(np.int64).max
_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_THREADS = 32 if _SIMULATED else 256
_SCAN_THREADS = 4 if _SIMULATED else 1024
_MOST_BLOCKS = 4 if _SIMULATED else 4096


@cuda.jit
def fill(array, value):
    """Every element = `value`."""
    for i in range(cuda.grid(1), array.shape[0], cuda.gridsize(1)):
        array[i] = value


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


@cuda.jit
def scan(counts, offsets):
    """`offsets[i]` = sum of `counts[:i]`, by one block: sums of slices, a scan of those, then each slice again."""
    sums = cuda.shared.array(_SCAN_THREADS, np.int64)
    thread = cuda.threadIdx.x
    total = counts.shape[0]
    start = total * thread // _SCAN_THREADS
    stop = total * (thread + 1) // _SCAN_THREADS
    part = np.int64(0)
    for i in range(start, stop):
        part += counts[i]
    sums[thread] = part
    cuda.syncthreads()
    if thread == 0:
        running = np.int64(0)
        for t in range(_SCAN_THREADS):
            mine = sums[t]
            sums[t] = running
            running += mine
        offsets[total] = running
    cuda.syncthreads()
    running = sums[thread]
    for i in range(start, stop):
        offsets[i] = running
        running += counts[i]


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


@cuda.jit(device=True)
def _slot_of(keys, key):
    """The slot that holds `key`, which is entered if it is new; open addressing over 2^b slots."""
    mask = np.int64(keys.shape[0] - 1)
    slot = np.int64(mix64(np.uint64(key)) >> np.uint64(1)) & mask
    while True:
        held = cuda.atomic.cas(keys, slot, _EMPTY, key)
        if held == _EMPTY:
            return slot
        if held == key:
            return slot
        slot = (slot + 1) & mask


@cuda.jit
def enter(indices, positions, base, keys, order):
    """Enter the nodes at `positions`; `order` of a node is the least base + i at which it occurs."""
    for i in range(cuda.grid(1), positions.shape[0], cuda.gridsize(1)):
        slot = _slot_of(keys, np.int64(indices[positions[i]]))
        cuda.atomic.min(order, slot, np.int64(base + i))


@cuda.jit
def mark_first(indices, positions, base, keys, order, flags):
    """`flags[i]` = 1 where entry i is the first occurrence of a node not numbered before."""
    for i in range(cuda.grid(1), positions.shape[0], cuda.gridsize(1)):
        slot = _slot_of(keys, np.int64(indices[positions[i]]))
        flags[i] = 1 if order[slot] == base + i else 0


@cuda.jit
def number(indices, edge_ids, positions, base, keys, order, ranks, nodes, far, edges):
    """Local numbers and edge ids of the entries at `positions`; new nodes go to `nodes` in first-visit order."""
    for i in range(cuda.grid(1), positions.shape[0], cuda.gridsize(1)):
        node = np.int64(indices[positions[i]])
        seen = order[_slot_of(keys, node)]
        local = seen if seen < base else base + ranks[seen - base]
        if seen == base + i:
            nodes[local] = node
        far[i] = local
        edges[i] = edge_ids[positions[i]]


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

    Notes
    -----
    Results are `SampledSubgraph`s of device arrays (`to_host` copies one). Time O(edges sampled), and a few launches
    per hop; memory 24 bytes per node and pick for the table that numbers nodes.
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
    ) -> None:
        from ..arguments import check_fanouts

        self.fanouts = check_fanouts("fanouts", fanouts)
        self.replace = replace
        self.direction = direction
        self.seed = seed
        self._root = neighbor_root(seed, direction, edge_type)
        self._num_nodes = rows.num_rows
        self._edge_dtype = rows.edge_ids.dtype
        host = (rows.indptr, rows.indices, rows.edge_ids)
        self._arrays = tuple(map(cuda.to_device, host)) if arrays is None else arrays

    def sample(self, seeds: ArrayLike, epoch: int = 0) -> SampledSubgraph:
        """Sample around `seeds` (node positions on the host); arrays of the result are on the device."""
        from ..arguments import node_positions

        indptr, indices, edge_ids = self._arrays
        given = cuda.to_device(node_positions("seeds", seeds, self._num_nodes))
        every = cuda.to_device(np.arange(given.shape[0], dtype=np.int64))
        nodes = cuda.device_array(0, np.int64)
        nodes, count, seed_index, _ = self._number(given, given, every, nodes, 0)
        node_counts, edge_counts, hops = [count], [], []
        first = 0
        for hop, fanout in enumerate(self.fanouts):
            size = count - first
            offsets, total = self._offsets(indptr, nodes, first, size, fanout)
            positions, targets = (cuda.device_array(total, np.int64) for _ in range(2))
            near = cuda.device_array(total, np.int64)
            if total:
                name = (self._root, epoch, hop, fanout, self.replace)
                grid = _grid(size, WARPS_PER_BLOCK)[0], WARPS_PER_BLOCK * LANES
                pick_uniform[grid](indptr, nodes, first, *name, offsets, targets, positions)
                repeat_numbers[_grid(size)](offsets, first, near)
            before = count
            nodes, count, far, edges = self._number(indices, edge_ids, positions, nodes, count)
            hops.append((near, far, edges))
            first = before
            node_counts.append(count - before)
            edge_counts.append(total)
        near, far, edges = (_joined([hop[k] for hop in hops]) for k in range(3))
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

    def _offsets(self, indptr: Any, nodes: Any, first: int, size: int, fanout: int) -> tuple[Any, int]:
        offsets = cuda.device_array(size + 1, np.int64)
        if size == 0:
            return offsets, 0
        counts = cuda.device_array(size, np.int64)
        count_picks[_grid(size)](indptr, nodes, first, fanout, self.replace, counts)
        scan[1, _SCAN_THREADS](counts, offsets)
        return offsets, int(offsets[size])

    def _number(self, indices: Any, edge_ids: Any, positions: Any, nodes: Any, count: int) -> tuple[Any, int, Any, Any]:
        """All nodes, how many there are, and the local number and edge id of every entry at `positions`."""
        picks = positions.shape[0]
        far, edges = cuda.device_array(picks, np.int64), cuda.device_array(picks, self._edge_dtype)
        if picks == 0:
            return nodes, count, far, edges
        slots = 1 << int(2 * (count + picks)).bit_length()
        keys, order = cuda.device_array(slots, np.int64), cuda.device_array(slots, np.int64)
        flags, ranks = cuda.device_array(picks, np.int64), cuda.device_array(picks + 1, np.int64)
        larger = cuda.device_array(count + picks, np.int64)
        fill[_grid(slots)](keys, _EMPTY)
        fill[_grid(slots)](order, _UNSEEN)
        if count:
            known = cuda.to_device(np.arange(count, dtype=np.int64))
            enter[_grid(count)](nodes, known, 0, keys, order)
            _copy[_grid(count)](nodes, larger, 0, count)
        grid = _grid(picks)
        enter[grid](indices, positions, count, keys, order)
        mark_first[grid](indices, positions, count, keys, order, flags)
        scan[1, _SCAN_THREADS](flags, ranks)
        number[grid](indices, edge_ids, positions, count, keys, order, ranks, larger, far, edges)
        return larger, count + int(ranks[picks]), far, edges


@cuda.jit
def _copy(source, target, start, count):
    for i in range(cuda.grid(1), count, cuda.gridsize(1)):
        target[start + i] = source[i]


def _joined(parts: list[Any]) -> Any:
    """Device arrays end to end."""
    if not parts:
        return cuda.device_array(0, np.int64)
    whole = cuda.device_array(sum(part.shape[0] for part in parts), parts[0].dtype)
    start = 0
    for part in parts:
        if part.shape[0]:
            _copy[_grid(part.shape[0])](part, whole, start, part.shape[0])
        start += part.shape[0]
    return whole


def to_host(sample: SampledSubgraph) -> SampledSubgraph:
    """A sample with its arrays copied from the device."""

    def fetched(array: Any) -> NDArray[Any]:
        return np.asarray(array.copy_to_host())

    return SampledSubgraph(
        nodes=fetched(sample.nodes),
        row=fetched(sample.row),
        col=fetched(sample.col),
        edge_ids=fetched(sample.edge_ids),
        num_sampled_nodes=sample.num_sampled_nodes,
        num_sampled_edges=sample.num_sampled_edges,
        seed_index=fetched(sample.seed_index),
    )
