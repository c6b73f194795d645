"""Uniform samples of one edge type, drawn by a single call of a kernel.

Between two kernels a thread needs the interpreter's lock again. Threads that sample small batches side by side would
wait for it several times in every batch, tens of microseconds each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..scratch import ResultMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ..scratch import Scratch
    from .picks import RowPicker


_LONG = 1 << 22  # picks, some tenths of a second
_ENDLESS = 1 << 62


@dataclass(frozen=True)
class Hops:
    """What a sample found; edges as near ends, far ends and ids, and counts per hop."""

    nodes: NDArray[np.int64]
    near: NDArray[np.int64]
    far: NDArray[np.int64]
    edges: NDArray[Any]
    node_counts: tuple[int, ...]
    edge_counts: tuple[int, ...]
    seed_index: NDArray[np.int64]
    tree: NDArray[np.int64] | None = None


class UniformHops:
    """Draws all hops around a batch of seeds, into memory of the size that earlier batches took.

    A batch that outgrows it stops, gets more, and goes on where it was; only the first batches do.
    """

    def __init__(self, picker: RowPicker, fanouts: tuple[int, ...]) -> None:
        self._rows = picker.rows
        self._root = picker.root
        self._fanouts = np.array(fanouts, np.int64)
        self._replace = picker.draw.replace
        self._picks = _most_picks(picker.rows, fanouts)
        every = picker.rows.num_entries * len(fanouts)
        self._whole = _ENDLESS if picker.draw.replace else every  # more is not picked without replacement
        self._results = ResultMemory()
        self._working = (0, 0, 0)  # rows and picks in a hop, and nodes: the most that any batch had
        self._taken: dict[int, tuple[int, int]] = {}  # bits of the number of seeds: nodes and edges of such batches

    def is_wide(self, count: int) -> bool:
        """Whether a sample of so many seeds may take longer than Ctrl-C should wait, and is worth several threads."""
        return min(count * self._picks, self._whole) > _LONG

    def sample(self, seeds: NDArray[np.int64], scratch: dict[str, Scratch], epoch: int) -> Hops:
        """Sample around `seeds`; the nodes stay marked in `scratch["node"]`."""
        from . import hops_cpu

        rows, work, marks = self._rows, scratch[""], scratch["node"]
        last_hop = self._fanouts.shape[0]
        entries = rows.indptr, rows.indices, rows.edge_ids
        fixed = (entries, seeds, self._fanouts, self._replace, (self._root, epoch))
        reached = marks.mark, marks.base
        width, picks, room = map(max, self._working, (seeds.shape[0], 0, seeds.shape[0]))
        taken = self._taken.get(seeds.shape[0].bit_length(), (0, 0))
        (found,) = self._results.arrays((taken[0], np.int64))
        ends = self._ends(taken[1])
        node_ends, edge_ends = np.full((2, last_hop + 1), -1, np.int64)
        seed_index = np.empty(seeds.shape[0], np.int64)
        hop = 0
        while True:
            low, high, shares = work.array("low", width), work.array("high", width), work.array("shares", width + 1)
            nodes = marks.array("nodes", room, keep=max(0, int(node_ends[hop])))
            memory = low, high, shares, work.array("positions", picks), nodes
            results = *ends, found, seed_index
            hop = hops_cpu.sample_hops(*fixed, hop, reached, (node_ends, edge_ends), memory, results)
            if hop > last_hop:
                break
            count = int(node_ends[hop])
            if hop == last_hop:
                (found,) = self._results.arrays((count + (count >> 4), np.int64))
                continue
            width = max(width, count - int(node_ends[hop - 1] if hop else 0))
            if edge_ends[hop + 1] < 0:
                continue
            start, stop = int(edge_ends[hop]), int(edge_ends[hop + 1])
            picks, room = max(picks, stop - start), max(room, count + stop - start)
            if stop > ends[0].shape[0]:
                larger = self._ends(stop + (stop >> 4))
                for old, new in zip(ends, larger, strict=True):
                    new[:start] = old[:start]
                ends = larger
        count, total = int(node_ends[last_hop]), int(edge_ends[last_hop])
        self._working = (width, picks, room)
        # what is asked for follows the batches down too, so that one large batch does not burden all later ones
        self._taken[seeds.shape[0].bit_length()] = (_towards(taken[0], count), _towards(taken[1], total))
        near, far, edges = (part[:total] for part in ends)
        counts = tuple(np.diff(node_ends, prepend=0).tolist()), tuple(np.diff(edge_ends).tolist())
        return Hops(found[:count], near, far, edges, *counts, seed_index)

    def _ends(self, count: int) -> tuple[NDArray[Any], ...]:
        return self._results.arrays((count, np.int64), (count, np.int64), (count, self._rows.edge_ids.dtype))


def _most_picks(rows: Adjacency, fanouts: tuple[int, ...]) -> int:
    """Picks around one seed, where no row is shorter than the fanout."""
    average = rows.num_entries // max(1, rows.num_rows) + 1
    size, picks = 1, 0
    for fanout in fanouts:
        size *= fanout if fanout >= 0 else average
        picks += size
    return picks


def _towards(asked: int, used: int) -> int:
    """How much to ask for next time: a little more than was used, and at most an eighth less than before."""
    return max(used + (used >> 4), asked - (asked >> 3))
