"""What a look-up in an N-cache returns, and the join of the dictionaries of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput
from ..arguments import node_positions, threads_for

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False, repr=False)
class CacheRead:
    """Copies of the occupied slots of some nodes.

    Attributes
    ----------
    nodes : int64 (n,)
    indptr : int64 (n + 1,)
        Slots `indptr[i]:indptr[i + 1]` are those of `nodes[i]`, hop 0 first.
    column : int16 (slots,)
        Where each stands in the cache's columns; `hop` follows from it.
    key, edge_id, time, value : (slots,), value (slots, value_dim)
    place : int32 (n, sum of sizes)
        The number of the slot that column j of `nodes[i]` became, or -1 where it was empty.
    """

    nodes: NDArray[np.int64]
    indptr: NDArray[np.int64]
    column: NDArray[np.int16]
    key: NDArray[Any]
    edge_id: NDArray[np.int64]
    time: NDArray[np.float64]
    value: NDArray[np.float32]
    place: NDArray[np.int32]
    starts: NDArray[np.int64]
    hop_of: NDArray[np.int64]
    threads: int | None = None

    @property
    def hop(self) -> NDArray[np.int64]:
        """The hop of each slot."""
        return self.hop_of[self.column]

    def __len__(self) -> int:
        return int(self.key.shape[0])

    def __repr__(self) -> str:
        return f"CacheRead({self.nodes.shape[0]:,} nodes, {len(self):,} occupied slots)"

    def join(self, first: ArrayLike, second: ArrayLike) -> JointRead:
        """Join the dictionaries of pairs of the read's nodes.

        Parameters
        ----------
        first, second : int arrays (p,)
            Positions in `nodes`.

        Returns
        -------
        JointRead
            A row per pair and distinct key of either dictionary, in order of first visit.
        """
        from ...graphlib.compute.jit import threads_in_use
        from . import cache_cpu as ncache_cpu

        count = self.nodes.shape[0]
        one, two = (node_positions(name, ids, count) for name, ids in (("first", first), ("second", second)))
        if one.shape != two.shape:
            raise InvalidInput(f"join: first and second must be equally long; got {one.shape[0]} and {two.shape[0]}")
        sizes = np.diff(self.indptr)
        bounds = np.zeros(one.shape[0] + 1, np.int64)
        np.cumsum(sizes[one] + sizes[two], out=bounds[1:])
        members = int(bounds[-1])
        slots = 4 << int(2 * sizes.max(initial=1)).bit_length()
        counts, rows = np.empty(one.shape[0], np.int64), np.empty(one.shape[0] + 1, np.int64)
        key, code = np.empty(members, self.key.dtype), np.empty(members, np.uint8)
        member_row, slot = np.empty(members, np.int32), np.empty(members, np.int32)
        hops = self.starts.shape[0] - 1
        with threads_in_use(threads_for(self.threads, one.shape[0], 512)):
            ncache_cpu.join(
                *((self.indptr, self.column, self.key), self.hop_of, hops, (one, two), bounds, slots, counts),
                (key, code, member_row),
            )
        used = int(counts.sum())
        out_key, out_code, row = np.empty(used, key.dtype), np.empty(used, np.uint8), np.empty(members, np.int32)
        ncache_cpu.close_gaps(
            self.indptr, (one, two), bounds, counts, rows, (key, code, member_row), (out_key, out_code, slot, row)
        )
        return JointRead(rows, out_key, out_code, bounds, slot, row, hops)


@dataclass(frozen=True, eq=False, repr=False)
class JointRead:
    """Joint neighbourhoods of pairs: which keys either knows, how, and which slots say so.

    Attributes
    ----------
    indptr : int64 (p + 1,)
        Rows `indptr[i]:indptr[i + 1]` are those of pair i.
    key : (rows,)
    code : uint8 (rows,)
        The distance encoding: bit k where the key stands at hop k of the first node, bit hops + k at hop k of the
        second.
    member_indptr : int64 (p + 1,)
    slot, row : int32 (members,)
        Slot `slot[m]` of the read belongs to row `row[m]`; a key known in several ways has a member for each.
    hops : int
    """

    indptr: NDArray[np.int64]
    key: NDArray[Any]
    code: NDArray[np.uint8]
    member_indptr: NDArray[np.int64]
    slot: NDArray[np.int32]
    row: NDArray[np.int32]
    hops: int

    def __len__(self) -> int:
        return int(self.key.shape[0])

    def __repr__(self) -> str:
        return f"JointRead({self.indptr.shape[0] - 1:,} pairs, {len(self):,} rows of {self.row.shape[0]:,} slots)"

    def bits(self) -> NDArray[np.bool_]:
        """The distance encodings as columns, (rows, 2 * hops)."""
        return (self.code[:, None] >> np.arange(2 * self.hops, dtype=np.uint8) & 1).astype(np.bool_)

    def sums(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Per row, the sum of the `values` (slots, dim) of its slots (Q_uv in the paper)."""
        out = np.zeros((len(self), values.shape[1]), np.float32)
        np.add.at(out, self.row, values[self.slot])
        return out
