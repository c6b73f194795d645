"""Local numbers: the nodes of one type that a batch has reached, in order of first visit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.relay import relay
from ...graphlib.compute.threads import pieces, spread, threads_now

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scratch import Scratch

_SLOTS = 4096
AT_ONCE = 1 << 14  # rows or picks before the clock is asked


class Numbers:
    """Numbers of nodes, or of (tree, node) pairs where trees are disjoint; in the memory of `scratch`."""

    def __init__(self, scratch: Scratch, num_nodes: int, disjoint: bool) -> None:
        self.scratch = scratch
        self.num_nodes = num_nodes
        self.disjoint = disjoint
        self.count = 0
        self._slots = 0

    def nodes(self, first: int = 0) -> NDArray[np.int64]:
        """The nodes numbered from `first` on."""
        return self.scratch.array("nodes", self.count)[first:]

    def tree(self, first: int = 0) -> NDArray[np.int64]:
        return self.scratch.array("tree", self.count)[first:]

    def enter(
        self,
        indices: NDArray[Any],
        edge_ids: NDArray[Any],
        picked: NDArray[np.int64],
        shares: NDArray[np.int64],
        trees: NDArray[np.int64],
        far: NDArray[np.int32],
        edges: NDArray[Any],
    ) -> None:
        """Write the numbers of the nodes `indices[picked]` to `far` and their edges to `edges`; number new ones.

        The picks `shares[i]:shares[i + 1]` belong to the tree `trees[i]`.
        """
        from . import number_cpu

        nodes = self.scratch.array("nodes", self.count + picked.shape[0], keep=self.count)
        if not self.disjoint:
            marks = self.scratch.mark, self.scratch.base
            if threads_now() > 1 and picked.shape[0] > 4 * AT_ONCE and indices.dtype == far.dtype:
                self._enter_in_turn((indices, edge_ids), picked, marks, nodes, (far, edges))
                return
            for a, b in pieces(picked.shape[0], first=AT_ONCE):
                self.count = number_cpu.number_nodes(
                    (indices, edge_ids), picked[a:b], marks, nodes, self.count, far[a:b], edges[a:b]
                )
            return
        tree = self.scratch.array("tree", nodes.shape[0], keep=self.count)
        spread(lambda a, b, _: number_cpu.gather(edge_ids, picked[a:b], edges[a:b]), picked.shape[0], few=AT_ONCE)
        table = self._table(nodes, tree)
        for a, b in pieces(trees.shape[0], first=AT_ONCE):
            self.count = number_cpu.number_pairs(
                indices, picked, shares[a : b + 1], trees[a:b], table, self.num_nodes, (nodes, tree), self.count, far
            )

    def _enter_in_turn(
        self,
        entries: tuple[NDArray[Any], NDArray[Any]],
        picked: NDArray[np.int64],
        marks: tuple[NDArray[np.int32], int],
        nodes: NDArray[np.int64],
        found: tuple[NDArray[Any], NDArray[Any]],
    ) -> None:
        """Threads look up what is picked while one of them numbers it."""
        from . import number_cpu

        def piece(i: int) -> slice:
            return slice(i * AT_ONCE, (i + 1) * AT_ONCE)

        def look_up(i: int) -> None:
            far, edges = (part[piece(i)] for part in found)
            number_cpu.look_up(*entries, picked[piece(i)], far, edges)

        def number(i: int) -> None:
            self.count = number_cpu.number_far(found[0][piece(i)], marks, nodes, self.count)

        relay(-(-picked.shape[0] // AT_ONCE), look_up, number)

    def _table(self, nodes: NDArray[Any], tree: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The hash table of (tree, node) pairs, at most half full when all of `nodes` is in use."""
        from . import number_cpu

        grow = 2 * nodes.shape[0] > self._slots
        if grow:
            self._slots = max(_SLOTS, 2 << int(2 * nodes.shape[0]).bit_length())
        keys, values = (self.scratch.array(name, self._slots) for name in ("slot_keys", "slot_values"))
        if grow:
            keys.fill(-1)
            number_cpu.enter_pairs(nodes[: self.count], tree[: self.count], self.num_nodes, keys, values)
        return keys, values

    def forget(self) -> None:
        """End the batch."""
        if not self.disjoint:
            self.scratch.forget(self.count)
