"""The N-cache on a GPU: the same keys as `NCache` on the processor, slot for slot.

Writes of a batch race for slots in two steps: every accepted write claims its slot with an atomic maximum of its rank
(event, side, slot it comes from), then one thread per claimed slot lets the winner write. A join needs no table: a key
has one slot per hop, so whether the other node holds it is one comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import config

from ...graphlib.compute.launch_cuda import Place, device_number, launching
from ...graphlib.compute.numba_cuda import cuda, cuda_kernel
from ...graphlib.compute.random_cuda import stream, uniform
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.compute.twins_cuda import on_device
from ...graphlib.errors import InvalidInput
from ..arguments import check_epoch, node_positions
from . import cache_cpu
from .cache import COLUMNS, HASHES, NCache

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_THREADS = 32 if config.ENABLE_CUDASIM else 256  # type: ignore[attr-defined]

slot_of = on_device(cache_cpu.slot_of)
accepted = on_device(cache_cpu.accepted, uniform=uniform)


@cuda_kernel
def fill(array, value):
    """Every element = `value`."""
    for i in range(cuda.grid(1), array.shape[0], cuda.gridsize(1)):
        array[i] = value


@cuda_kernel
def read_rows(keys, edge_ids, times, values, nodes, out_key, out_edge, out_time, out_value):
    """Copy the rows of `nodes`, a slot per thread."""
    width = keys.shape[1]
    for t in range(cuda.grid(1), nodes.shape[0] * width, cuda.gridsize(1)):
        i, j = t // width, t % width
        node = nodes[i]
        out_key[i, j] = keys[node, j]
        out_edge[i, j] = edge_ids[node, j]
        out_time[i, j] = times[node, j]
        for f in range(values.shape[2]):
            out_value[i, j, f] = values[node, j, f]


@cuda_kernel
def join_rows(keys, starts, hop_of, kind, parameter, first, second, code, member):
    """Per pair and slot of either node: the distance encoding of its key and the slots that hold it, at its first slot.

    keys (n, width) as read; code (pairs, 2 width), 0 for an empty slot and for a key that an earlier slot of the pair
    holds; member (pairs, 2 width, 2 hops), numbers row * width + column of slots, -1 where a table lacks the key.
    """
    width = keys.shape[1]
    hops = starts.shape[0] - 1
    for t in range(cuda.grid(1), code.shape[0] * 2 * width, cuda.gridsize(1)):
        p, place = t // (2 * width), t % (2 * width)
        key = keys[first[p] if place < width else second[p], place % width]
        bits = 0
        mine = (hops if place >= width else 0) + hop_of[place % width]
        for bit in range(2 * hops):
            found = -1
            if key >= 0:
                hop = bit % hops
                row = first[p] if bit < hops else second[p]
                j = starts[hop]
                if hop > 0:
                    j += slot_of(key, starts[hop + 1] - starts[hop], kind, parameter)
                if keys[row, j] == key:
                    found = row * width + j
                    bits |= 1 << bit
            member[p, place, bit] = found
        if bits & ((1 << mine) - 1):
            bits = 0
        if bits == 0:
            for bit in range(2 * hops):
                member[p, place, bit] = -1
        code[p, place] = bits


@cuda_kernel
def sum_members(values, member, total):
    """Per row of `member` (rows, 2 hops), the sum of the values (slots, F) it names."""
    for t in range(cuda.grid(1), total.shape[0] * total.shape[1], cuda.gridsize(1)):
        row, f = t // total.shape[1], t % total.shape[1]
        whole = np.float32(0)
        for bit in range(member.shape[1]):
            if member[row, bit] >= 0:
                whole += values[member[row, bit], f]
        total[row, f] = whole


class Rule(NamedTuple):
    """How keys find their slots and take them from others, and the name of the streams that decide."""

    kind: int
    parameter: int
    alpha: float
    keep_self: bool
    root: int
    epoch: int


class Events(NamedTuple):
    """Events in order of time: their nodes, ids, and the rows of the nodes in the read."""

    src: Any
    dst: Any
    ids: Any
    src_row: Any
    dst_row: Any


class Columns(NamedTuple):
    """A table of slots (rows, width), or a copy of some of its rows."""

    keys: Any
    edge_ids: Any
    times: Any
    values: Any


@cuda_kernel
def claim(keys, starts, rule, events, read_key, winner):
    """A thread per event, side and write: accepted writes claim their slot of `winner` (rows read, width) by rank.

    Write 0 is hop 0, write 1 is hop 1, write 2 + s comes from slot s of the other's hop 1.
    """
    kind, parameter, alpha, keep_self, root, epoch = rule
    src, dst, event_id, src_row, dst_row = events
    hops = starts.shape[0] - 1
    near = starts[2] - starts[1] if hops > 1 else 0
    writes = 2 + near
    for t in range(cuda.grid(1), src.shape[0] * 2 * writes, cuda.gridsize(1)):
        event, side, write = t // (2 * writes), t // writes % 2, t % writes
        node = dst[event] if side else src[event]
        other = src[event] if side else dst[event]
        mine = dst_row[event] if side else src_row[event]
        theirs = src_row[event] if side else dst_row[event]
        if write == 0:
            cuda.atomic.max(winner, (mine, 0), np.int64(t))
        elif write == 1:
            if hops > 1:
                j = starts[1] + slot_of(other, near, kind, parameter)
                name = stream(root, epoch, event_id[event], 2 + side)
                if accepted(keys[node, j], other, alpha, name, 0):
                    cuda.atomic.max(winner, (mine, j), np.int64(t))
        elif hops > 2:
            source = starts[1] + write - 2
            far = read_key[theirs, source]
            if far >= 0 and (far != node or keep_self):
                j = starts[2] + slot_of(far, starts[3] - starts[2], kind, parameter)
                name = stream(root, epoch, event_id[event], 4 + side)
                if accepted(keys[node, j], far, alpha, name, source):
                    cuda.atomic.max(winner, (mine, j), np.int64(t))


@cuda_kernel
def write_winners(columns, starts, events, event_time, nodes, read, winner):
    """A thread per slot of the nodes read: the winner's entry is written, no two to one slot."""
    keys, edge_ids, times, values = columns
    src, dst, event_id, src_row, dst_row = events
    read_key, read_edge, read_time, new_value = read
    width = winner.shape[1]
    hops = starts.shape[0] - 1
    writes = 2 + (starts[2] - starts[1] if hops > 1 else 0)
    for s in range(cuda.grid(1), winner.shape[0] * width, cuda.gridsize(1)):
        row, j = s // width, s % width
        rank = winner[row, j]
        if rank < 0:
            continue
        event, side, write = rank // (2 * writes), rank // writes % 2, rank % writes
        node = nodes[row]
        theirs = src_row[event] if side else dst_row[event]
        from_row, from_column = row, j
        if write >= 2:
            from_row, from_column = theirs, starts[1] + write - 2
            keys[node, j] = read_key[from_row, from_column]
            edge_ids[node, j] = read_edge[from_row, from_column]
            times[node, j] = read_time[from_row, from_column]
        else:
            key = node
            if write == 1:
                key = src[event] if side else dst[event]
            keys[node, j] = key
            edge_ids[node, j] = event_id[event]
            times[node, j] = event_time[event]
            if read_key[row, j] != key:
                from_row = -1
        for f in range(values.shape[2]):
            values[node, j, f] = new_value[from_row, from_column, f] if from_row >= 0 else np.float32(0)


class CudaRead:
    """Rows of a `CudaNCache`: device arrays key, edge_id, time (n, width), value (n, width, F); key -1 where empty."""

    def __init__(self, nodes: NDArray[np.int64], key: Any, edge_id: Any, time: Any, value: Any) -> None:
        self.nodes, self.key, self.edge_id, self.time, self.value = nodes, key, edge_id, time, value


class CudaNCache:
    """An N-cache in GPU memory; same options, contract and keys as `NCache`.

    Parameters
    ----------
    like : NCache
        Its options are taken, and its contents copied.
    device : int, str or torch.device, optional
        The GPU, "cuda:1" for the second; by default the current one. Kernels run on torch's current stream there.

    Attributes
    ----------
    keys, edge_ids, times, values : device arrays
        As in `NCache`.

    Notes
    -----
    Reads are dense: an empty slot is read too, with key -1, so that no size has to come back to the host.
    """

    def __init__(self, like: NCache, *, device: Any = None) -> None:
        self.like = like
        self._device = device_number(device)
        with launching(self._device) as place:
            for name in COLUMNS:
                setattr(self, name, place.put(getattr(like, name)))
            self._starts = place.put(like.starts)
            self._hop_of = place.put(like.hop_of)

    def lookup(self, nodes: ArrayLike) -> CudaRead:
        """Copies of the rows of `nodes`."""
        given = node_positions("nodes", nodes, self.like.num_nodes)
        shape = (given.shape[0], self.like.keys.shape[1])
        with launching(self._device) as place:
            key, edge_id = place.empty(shape, self.like.keys.dtype), place.empty(shape, np.int64)
            time, value = place.empty(shape, np.float64), place.empty((*shape, self.like.value_dim), np.float32)
            if given.shape[0]:
                columns = (getattr(self, name) for name in COLUMNS)
                grid = _grid(shape[0] * shape[1])
                place.run(read_rows, *grid, *columns, place.put(given), key, edge_id, time, value)
        return CudaRead(given, key, edge_id, time, value)

    def join(self, read: CudaRead, first: ArrayLike, second: ArrayLike) -> tuple[Any, Any]:
        """Device arrays code uint8 (p, 2 width) and member int32 (p, 2 width, 2 hops) of pairs of a read's rows.

        Where code is 0 there is no row; the others, in order, are the rows of `JointRead`. `member` names their slots
        as row * width + column of the read, -1 past them.
        """
        count, width = read.key.shape
        one, two = (node_positions(name, ids, count) for name, ids in (("first", first), ("second", second)))
        if one.shape != two.shape:
            raise InvalidInput(f"join: first and second must be equally long; got {one.shape[0]} and {two.shape[0]}")
        with launching(self._device) as place:
            code = place.empty((one.shape[0], 2 * width), np.uint8)
            member = place.empty((one.shape[0], 2 * width, 2 * len(self.like.sizes)), np.int32)
            if one.shape[0]:
                ends = place.put(np.stack([one, two]))
                arguments = (read.key, self._starts, self._hop_of, *self._hash(), ends[0], ends[1], code, member)
                place.run(join_rows, *_grid(one.shape[0] * 2 * width), *arguments)
        return code, member

    def sums(self, values: Any, member: Any) -> Any:
        """Device array float32 (p, 2 width, F): per row of a join, the sum of its slots' `values` (n, width, F)."""
        rows, width = member.shape[0] * member.shape[1], values.shape[2]
        with launching(self._device) as place:
            total = place.empty((rows, width), np.float32)
            if rows and width:
                slots = values.reshape(values.shape[0] * values.shape[1], width)
                place.run(sum_members, *_grid(rows * width), slots, member.reshape(rows, member.shape[2]), total)
        return total.reshape(*member.shape[:2], width)

    def insert(
        self,
        src: ArrayLike,
        dst: ArrayLike,
        *,
        time: ArrayLike,
        edge_ids: ArrayLike,
        values: Any = None,
        read: CudaRead | None = None,
        epoch: int = 0,
    ) -> None:
        """As `NCache.insert`; `values` is a device array (n, width, F) of the nodes of `read`."""
        like, epoch = self.like, check_epoch(epoch)
        ends = [node_positions(name, ids, like.num_nodes) for name, ids in (("src", src), ("dst", dst))]
        times, names = like._stamps(time, edge_ids, ends[0].shape[0])
        if ends[0].shape[0] != ends[1].shape[0]:
            raise InvalidInput(f"insert: src and dst must be equally long; got {len(ends[0])} and {len(ends[1])}")
        if ends[0].shape[0] == 0:
            return
        order = np.lexsort((names, times))
        if read is None:
            read = self.lookup(np.unique(np.concatenate(ends)))
        lookup = np.argsort(read.nodes, kind="stable")
        rows = [lookup[np.searchsorted(read.nodes, part, sorter=lookup) % lookup.shape[0]] for part in ends]
        for part, row in zip(ends, rows, strict=True):
            if (read.nodes[row] != part).any():
                missing = part[int(np.argmax(read.nodes[row] != part))]
                raise InvalidInput(f"insert: node {missing} is not among the nodes of the read")
        words = np.take(np.stack([*ends, names, *rows]), order, axis=1)
        with launching(self._device) as place:
            self._write(place, words, times[order], read, read.value if values is None else values, epoch)
        like.num_events += ends[0].shape[0]

    def _write(
        self, place: Place, words: NDArray[np.int64], times: NDArray[np.float64], read: CudaRead, new: Any, epoch: int
    ) -> None:
        """The events `words` (src, dst, id, rows of both in `read`), in the order of time."""
        like = self.like
        events = place.put(words)
        given = Events(*(events[i] for i in range(5)))
        winner = place.empty(read.key.shape, np.int64)
        slots = winner.shape[0] * winner.shape[1]
        place.run(fill, *_grid(slots), winner.reshape(slots), -1)
        writes = 2 + (like.sizes[1] if len(like.sizes) > 1 else 0)
        rule = Rule(*self._hash(), like.replace_prob, like.keep_self, root_of(like.seed, Purpose.NCACHE), epoch)
        grid = _grid(2 * writes * words.shape[1])
        place.run(claim, *grid, self.keys, self._starts, rule, given, read.key, winner)
        place.run(
            *(write_winners, *_grid(slots)),
            *(Columns(*(getattr(self, column) for column in COLUMNS)), self._starts, given, place.put(times)),
            *(place.put(read.nodes), Columns(read.key, read.edge_id, read.time, new), winner),
        )

    def from_host(self) -> None:
        """Copy the contents of `like` here again."""
        with launching(self._device) as place:
            for name in COLUMNS:
                place.update(getattr(self, name), getattr(self.like, name))

    def to_host(self) -> NCache:
        """The contents, copied back into the cache this one was made from."""
        with launching(self._device) as place:
            for name in COLUMNS:
                getattr(self.like, name)[...] = place.fetch(getattr(self, name))[0]
        return self.like

    keys: Any
    edge_ids: Any
    times: Any
    values: Any

    def _hash(self) -> tuple[int, int]:
        return HASHES.index(self.like.hash), self.like.seed % 100


def _grid(items: int) -> tuple[int, int]:
    return max(1, min(-(-items // _THREADS), 1 << 16)), _THREADS
