"""N-cache: per node, a few hash dictionaries of fixed size that remember recent neighbours at one and two hops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_integer, is_number
from ...graphlib.store.times import float_times
from ..arguments import check_count, check_epoch, node_positions, threads_for
from .read import CacheRead
from .sizes import check_sizes, key_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

HASHES = ("prime", "quadratic")
COLUMNS = ("keys", "edge_ids", "times", "values")


class NCache:
    """Dictionaries of recent neighbours, read and written in batches, at a cost that does not grow with the history.

    Node u has a table of `sizes[k]` slots per hop k. A slot holds a key (a node), the id and the time of the event
    that put it there, and a value of `value_dim` numbers. Key a may stand in one slot only, h_k(a), so a look-up is one
    comparison. Table 0 is the node itself; table 1 holds nodes it met; table 2 holds nodes that those had met.

    Parameters
    ----------
    num_nodes : int >= 0
    sizes : ints, default (1, 32, 16)
        Slots per hop (M_k): 1 for hop 0, then those of hop 1 and, if wanted, hop 2. Trailing zeros are dropped.
    value_dim : int >= 0, default 4
        Width of a value (F).
    replace_prob : float in [0, 1], default 0.9
        Probability (alpha) that a slot held by another key is overwritten.
    seed : int, default 0
        Of the draws that decide this.
    hash : {"prime", "quadratic"}, default "prime"
        h_k(a) = (q a) mod M_k with the prime q = 2654435761, or the rule of the released code,
        (b s + b^2 (s + 1)) mod M_k with b = a + 1 and s = seed mod 100.
    keep_self : bool, default True
        Whether u may be a key of its own table 2, which it becomes when a neighbour that already knew it is met again.
    threads : int, optional
        All cores by default; the result does not depend on it.

    Attributes
    ----------
    keys : int32 or int64 (num_nodes, sum of sizes)
        -1 where a slot is empty. Column `starts[k] + j` is slot j of hop k; `table(k)` cuts one hop out.
    edge_ids, times : int64, float64 (num_nodes, sum of sizes)
        Of the event that wrote the slot; edge id -1 in table 0 of a node that has met nobody.
    values : float32 (num_nodes, sum of sizes, value_dim)
    starts : int64 (hops + 1,)

    Notes
    -----
    A batch is inserted as if its events happened at once: whether a slot is taken is judged by what it held before the
    batch, the draw of an event depends on (seed, epoch, event, side, hop) alone, and of several accepted writes to a
    slot the last event's stays (by time, then by event id; within one event, the one from the highest slot). So neither
    the number of threads nor the order within the batch changes anything.

    Memory is `estimate(...)`: 20 bytes per slot (24 from 2**31 nodes on) and 4 per number of a value. Reading or
    writing an event costs O(sum of sizes).

    Differences from the paper: the released code lets simultaneous writes race, keeps ids and times in float32, takes
    time zero for an empty slot, starts values at random and writes refused entries to a dump slot; here values start
    at zero and emptiness is a key of -1.

    References
    ----------
    Y. Luo and P. Li, "Neighborhood-aware scalable temporal network representation learning", LoG 2022,
    arXiv:2209.01084, section 4.1 and algorithm 1.

    Examples
    --------
    >>> from nearhop.sampling import NCache
    >>> cache = NCache(4, sizes=(1, 8, 4), value_dim=2)
    >>> cache.insert([0, 1], [1, 2], time=[10, 20])
    >>> read = cache.lookup([1, 2])
    >>> read.key[read.indptr[0] : read.indptr[1]].tolist()   # 1 itself; 0 and 2, which it met, by slot
    [1, 0, 2]
    >>> cache.find([1, 1], [2, 3], hop=1).tolist()           # the slot of 2; 3 is not there
    [2, -1]
    >>> read.join([0], [1]).code.tolist()                    # 1: self of the first, 1-hop of the second; ...
    [17, 2, 10]
    """

    def __init__(
        self,
        num_nodes: int,
        sizes: Sequence[int] = (1, 32, 16),
        *,
        value_dim: int = 4,
        replace_prob: float = 0.9,
        seed: int = 0,
        hash: str = "prime",
        keep_self: bool = True,
        threads: int | None = None,
    ) -> None:
        self.num_nodes = check_count("num_nodes", num_nodes)
        self.sizes = check_sizes(sizes)
        self.value_dim = check_count("value_dim", value_dim)
        if not is_number(replace_prob) or not 0 <= replace_prob <= 1:
            raise InvalidInput(f"replace_prob must be a probability in [0, 1]; got {replace_prob!r}")
        if hash not in HASHES:
            raise InvalidInput(f"hash must be one of {', '.join(map(repr, HASHES))}; got {hash!r}")
        self.replace_prob = float(replace_prob)
        self.seed = seed
        self.hash = hash
        self.keep_self = keep_self
        self.threads = threads
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        self.hop_of = np.repeat(np.arange(len(self.sizes)), self.sizes)
        shape = (self.num_nodes, int(self.starts[-1]))
        self.keys: NDArray[Any] = np.empty(shape, key_dtype(self.num_nodes))
        self.edge_ids = np.empty(shape, np.int64)
        self.times = np.empty(shape, np.float64)
        self.values = np.empty((*shape, self.value_dim), np.float32)
        self.num_events = 0
        self._marks = np.full(self.num_nodes, -1, np.int32)
        self.reset()

    def reset(self) -> None:
        """Forget everything: each node holds its own key at hop 0, with value zero, and nothing else."""
        self.keys[:] = -1
        self.keys[:, 0] = np.arange(self.num_nodes)
        self.edge_ids[:] = -1
        self.times[:] = 0
        self.values[:] = 0
        self.num_events = 0

    def table(self, hop: int) -> NDArray[Any]:
        """The keys of one hop, (num_nodes, sizes[hop]), as a view."""
        return self.keys[:, self._columns(hop)]

    def lookup(self, nodes: ArrayLike) -> CacheRead:
        """Copy the occupied slots of `nodes`.

        Parameters
        ----------
        nodes : int array (n,)
            A node that is given twice is read twice; `distinct` names each once.

        Returns
        -------
        CacheRead
            The copies: later inserts do not change them.
        """
        from ...graphlib.compute.jit import threads_in_use
        from . import cache_cpu as ncache_cpu

        given = node_positions("nodes", nodes, self.num_nodes)
        indptr = np.empty(given.shape[0] + 1, np.int64)
        ncache_cpu.count_slots(self.keys, given, indptr)
        total = int(indptr[-1])
        place = np.empty((given.shape[0], self.keys.shape[1]), np.int32)
        column, edge_id, time = np.empty(total, np.int16), np.empty(total, np.int64), np.empty(total)
        key, value = np.empty(total, self.keys.dtype), np.empty((total, self.value_dim), np.float32)
        with threads_in_use(threads_for(self.threads, given.shape[0], 512)):
            ncache_cpu.read_slots(
                (self.keys, self.edge_ids, self.times, self.values),
                given,
                indptr,
                place,
                (column, key, edge_id, time, value),
            )
        return CacheRead(
            given, indptr, column, key, edge_id, time, value, place, self.starts, self.hop_of, self.threads
        )

    def distinct(self, *nodes: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The distinct nodes of several arrays in order of first visit, and the number of each given node among them.

        The numbers are those of all arrays, one behind the other.
        """
        from . import cache_cpu as ncache_cpu

        given = np.concatenate([node_positions("nodes", part, self.num_nodes) for part in nodes])
        found, number = np.empty_like(given), np.empty_like(given)
        count = ncache_cpu.number_distinct(given, self._marks, found, number)
        return found[:count], number

    def rows_of(self, read: CacheRead, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The position of each node among the nodes of a read, -1 where it was not read."""
        self._marks[read.nodes] = np.arange(read.nodes.shape[0], dtype=np.int32)
        rows = self._marks[nodes].astype(np.int64)
        self._marks[read.nodes] = -1
        return rows

    def find(self, nodes: ArrayLike, keys: ArrayLike, *, hop: int) -> NDArray[np.int64]:
        """The slot of table `hop` of `nodes[i]` that holds `keys[i]`, or -1 where it does not."""
        from . import cache_cpu as ncache_cpu

        self._columns(hop)
        given = node_positions("nodes", nodes, self.num_nodes)
        wanted = node_positions("keys", keys, self.num_nodes)
        if wanted.shape != given.shape:
            raise InvalidInput(f"find: nodes and keys must be equally long; got {given.shape[0]} and {wanted.shape[0]}")
        out = np.empty(given.shape[0], np.int64)
        ncache_cpu.find_slots(self.keys, self.starts, hop, given, wanted, *self._hash(), out)
        return out

    def insert(
        self,
        src: ArrayLike,
        dst: ArrayLike,
        *,
        time: ArrayLike | None = None,
        edge_ids: ArrayLike | None = None,
        read: CacheRead | None = None,
        values: ArrayLike | None = None,
        epoch: int = 0,
    ) -> None:
        """Write a batch of events into the tables of both their ends.

        Of event (u, v), in the tables of u and likewise of v: hop 0 takes the event's id and time; hop 1 takes the key
        v, with the value it had if it was there, else zero; hop 2 takes the keys of v's hop 1 as v holds them.

        Parameters
        ----------
        src, dst : int arrays (n,)
        time : array (n,), optional
            Finite; by default the number of events inserted before.
        edge_ids : int array (n,), optional
            Distinct ids >= 0 that name the events' draws; by default the number of events inserted before.
        read : CacheRead, optional
            A read of at least all of `src` and `dst`, made since the last insert; made here by default.
        values : float array (slots of `read`, value_dim), optional
            What the slots' values have become, such as after a recurrent update; by default what was read.
        epoch : int, default 0
            Draws differ between epochs.

        Raises
        ------
        InvalidInput
            Nodes, shapes or ids that do not fit.
        """
        from ...graphlib.compute.jit import threads_in_use
        from . import cache_cpu as ncache_cpu

        ends = [node_positions(name, ids, self.num_nodes) for name, ids in (("src", src), ("dst", dst))]
        count, epoch = ends[0].shape[0], check_epoch(epoch)
        if ends[1].shape[0] != count:
            raise InvalidInput(f"insert: src and dst must be equally long; got {count} and {ends[1].shape[0]}")
        times, names = self._stamps(time, edge_ids, count)
        if count == 0:
            return
        if read is None:
            if values is not None:
                raise InvalidInput("insert: values belong to the slots of a read; give that read too")
            read = self.lookup(self.distinct(*ends)[0])
        new = read.value if values is None else np.ascontiguousarray(unmasked("insert: values", values), np.float32)
        if new.shape != read.value.shape:
            raise InvalidInput(f"insert: values must have shape {read.value.shape}, as the read has; got {new.shape}")
        both = np.concatenate(ends)
        rows = self.rows_of(read, both)
        if rows.min() < 0:
            raise InvalidInput(f"insert: node {both[int(np.argmin(rows))]} is not among the nodes of the read")
        order = _by_rank(times, names)
        columns = [*ends, times, names, rows[:count], rows[count:]]
        if order is not None:
            columns = [np.ascontiguousarray(part[order]) for part in columns]
        head, follow, targets = self._marks, np.empty(2 * count, np.int32), np.empty(2 * count, np.int64)
        targets = targets[: ncache_cpu.chain(columns[0], columns[1], head, follow, targets)]
        with threads_in_use(threads_for(self.threads, targets.shape[0], 128)):
            ncache_cpu.write_events(
                (self.keys, self.edge_ids, self.times, self.values, self.starts),
                (*self._hash(), float(self.replace_prob), self.keep_self),
                (root_of(self.seed, Purpose.NCACHE), epoch),
                tuple(columns[:4]),
                tuple(columns[4:]),
                targets,
                (head, follow),
                (read.place, read.key, read.edge_id, read.time, new),
            )
        head[targets] = -1
        self.num_events += count

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Copies of all columns, for `restore`."""
        found = {name: getattr(self, name).copy() for name in COLUMNS}
        return {**found, "num_events": np.array(self.num_events)}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Put a snapshot's columns back, into the arrays that are there.

        Raises
        ------
        InvalidInput
            It was taken from a cache of another shape, or holds keys, events or times that no cache holds. All of it
            is checked first, so the cache is as it was.
        """
        self.check_snapshot(snapshot)
        for name in COLUMNS:
            getattr(self, name)[:] = snapshot[name]
        self.num_events = int(snapshot["num_events"])

    def check_snapshot(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Refuse a snapshot that `restore` cannot put back; kernels index with what it holds."""
        expected = {**{name: getattr(self, name) for name in COLUMNS}, "num_events": np.array(0)}
        for name, here in expected.items():
            if name not in snapshot or snapshot[name].shape != here.shape or snapshot[name].dtype != here.dtype:
                given = f"{snapshot[name].dtype} {snapshot[name].shape}" if name in snapshot else "missing"
                raise InvalidInput(f"restore: {name} must be {here.dtype} {here.shape}, but the snapshot's is {given}")
        keys, edge_ids = snapshot["keys"], snapshot["edge_ids"]
        if (keys[:, 0] != np.arange(self.num_nodes)).any():
            raise InvalidInput("restore: hop 0 of every node must hold the node itself")
        if keys.size and (keys.min() < -1 or keys.max() >= self.num_nodes):
            raise InvalidInput(f"restore: keys must be -1 or nodes 0..{self.num_nodes - 1}")
        if edge_ids.size and (edge_ids.min() < -1 or ((edge_ids >= 0) & (keys < 0)).any()):
            raise InvalidInput("restore: edge_ids must be -1, or events of slots that hold a key")
        if not np.isfinite(snapshot["times"]).all() or snapshot["num_events"] < 0:
            raise InvalidInput("restore: times must be finite and num_events at least 0")

    def overlap_vectors(self, *, hop: int = 1, code_dim: int = 8) -> NDArray[np.float32]:
        """A vector per node whose inner products estimate how many keys two nodes share at a hop.

        A key fills its slot's `code_dim` columns with random signs of its own, divided by sqrt(code_dim). Shared keys,
        which stand in the same slot, add 1 each; different keys in one slot add noise of mean 0 and standard deviation
        1 / sqrt(code_dim). As a column of a store's nodes an index can search it.

        Returns
        -------
        float32 array (num_nodes, sizes[hop] * code_dim)

        Examples
        --------
        >>> from nearhop.sampling import NCache
        >>> cache = NCache(5, sizes=(1, 8))
        >>> cache.insert([0, 0, 1, 1, 2], [3, 4, 3, 4, 4])
        >>> x = cache.overlap_vectors()
        >>> round(float(x[0] @ x[1]), 3), round(float(x[0] @ x[2]), 3)    # 0 and 1 share two neighbours
        (2.0, 1.0)
        """
        from . import vectors_cpu as ncache_vectors_cpu

        columns = self._columns(hop)
        width = check_count("code_dim", code_dim, 1)
        out = np.empty((self.num_nodes, self.sizes[hop] * width), np.float32)
        ncache_vectors_cpu.sign_codes(self.keys[:, columns], width, root_of(self.seed, Purpose.SIGN_CODES), out)
        return out

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(getattr(self, name).nbytes for name in COLUMNS) + self._marks.nbytes

    @staticmethod
    def estimate(num_nodes: int, sizes: Sequence[int] = (1, 32, 16), *, value_dim: int = 4) -> int:
        """Bytes a cache will take, without making one.

        >>> NCache.estimate(9227) == NCache(9227).nbytes
        True
        """
        slots = sum(check_sizes(sizes))
        return num_nodes * (slots * (np.dtype(key_dtype(num_nodes)).itemsize + 16 + 4 * value_dim) + 4)

    def __repr__(self) -> str:
        return (
            f"NCache({self.num_nodes:,} nodes, sizes {self.sizes}, values of {self.value_dim}, "
            f"{self.num_events:,} events, {self.nbytes / 2**20:.1f} MiB)"
        )

    def _hash(self) -> tuple[int, int]:
        return HASHES.index(self.hash), self.seed % 100

    def _columns(self, hop: int) -> slice:
        if not is_integer(hop) or not 0 <= hop < len(self.sizes):
            raise InvalidInput(f"hop must be 0..{len(self.sizes) - 1}, the tables of this cache; got {hop!r}")
        return slice(int(self.starts[hop]), int(self.starts[hop + 1]))

    def _stamps(
        self, time: ArrayLike | None, edge_ids: ArrayLike | None, count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Times and names of a batch's events."""
        running = np.arange(self.num_events, self.num_events + count)
        times = running.astype(np.float64) if time is None else float_times(time, "insert: time")
        names: NDArray[Any] = running if edge_ids is None else unmasked("insert: edge_ids", edge_ids)
        for name, given in (("time", times), ("edge_ids", names)):
            if given.shape != (count,):
                raise InvalidInput(f"insert: {name} must have shape ({count},), one per event; got {given.shape}")
        if count and not np.isfinite(times).all():
            raise InvalidInput("insert: time holds a value that is not finite")
        if count and (names.dtype.kind not in "iu" or names.min() < 0 or int(names.max()) >> 63):
            told = f"{names.dtype} from {names.min()} to {names.max()}"
            raise InvalidInput(f"insert: edge_ids must be integers >= 0 and below 2^63; got {told}")
        return times, np.ascontiguousarray(names, np.int64)


def _by_rank(times: NDArray[np.float64], names: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The order of events by time and name; None where they are given in it."""
    later = (times[1:] > times[:-1]) | ((times[1:] == times[:-1]) & (names[1:] > names[:-1]))
    return None if later.all() else np.lexsort((names, times))
