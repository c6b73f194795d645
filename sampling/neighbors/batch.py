"""One call of a neighbour sampler: hops that draw from adjacency rows and number what they reach.

Stores of one node and one edge type are the special case of a single relation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.threads import spread
from .numbers import AT_ONCE, Numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scratch import ResultMemory, Scratch
    from .picks import RowPicker

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Relation:
    """An edge type as a sampler follows it: from rows of `near` nodes to `far` nodes."""

    edge_type: Any
    near: str
    far: str
    picker: RowPicker
    fanouts: tuple[int, ...]
    index: int


@dataclass
class _Found:
    """Edges of one relation: how many, in each hop, and where their rows' shares begin."""

    count: int
    per_hop: list[int]
    hops: list[tuple[NDArray[Any], int, int]]


class Batch:
    """Nodes numbered and edges found so far, in scratch memory: "" for picks and edges, a node type for its nodes."""

    def __init__(
        self,
        relations: tuple[Relation, ...],
        num_nodes: Mapping[str, int],
        scratch: Mapping[str, Scratch],
        disjoint: bool,
        epoch: int,
    ) -> None:
        self.relations = relations
        self.work = scratch[""]
        self.disjoint = disjoint
        self.epoch = epoch
        self.numbers = {name: Numbers(scratch[name], count, disjoint) for name, count in num_nodes.items()}
        self.node_counts: dict[str, list[int]] = {name: [] for name in num_nodes}
        self.found = [_Found(0, [], []) for _ in relations]
        self.times: NDArray[Any] | None = None
        self.tree_key = np.empty(0, np.uint64)

    def enter_seeds(
        self, seeds: Mapping[str, NDArray[np.int64]], times: Mapping[str, NDArray[Any]] | None
    ) -> dict[str, NDArray[np.int64]]:
        """Number the seeds of every type; returns the local number of each."""
        from . import pick_cpu

        local: dict[str, NDArray[np.int64]] = {}
        trees = 0
        total = sum(nodes.shape[0] for nodes in seeds.values())
        if self.disjoint:
            self.tree_key = np.empty(total, np.uint64)
        if times is not None:
            self.times = np.concatenate([times[name] for name in seeds]) if seeds else _NONE
        for kind, name in enumerate(self.numbers):
            nodes = seeds.get(name, _NONE)
            size = nodes.shape[0]
            own = np.arange(size + 1, dtype=np.int64)
            far, edges = self.work.array("far", size, np.int32), self.work.array("seeds", size)
            tree = own[:size]
            if self.disjoint and size:
                tree = tree + trees
                when = _NONE if times is None else times[name]
                pick_cpu.tree_keys(nodes, when, kind, self.tree_key[trees : trees + size])
                trees += size
            self.numbers[name].enter(nodes, nodes, own[:size], own, tree, far, edges)
            self.node_counts[name].append(self.numbers[name].count)
            if name in seeds:
                local[name] = far.astype(np.int64)
        return local

    def run(self, num_hops: int) -> None:
        """Sample all hops."""
        first = dict.fromkeys(self.numbers, 0)
        for hop in range(num_hops):
            counts = {name: numbers.count for name, numbers in self.numbers.items()}
            for relation, found in zip(self.relations, self.found, strict=True):
                self._follow(relation, found, hop, first[relation.near], counts[relation.near])
            for name, numbers in self.numbers.items():
                self.node_counts[name].append(numbers.count - counts[name])
            first = counts

    def _follow(self, relation: Relation, found: _Found, hop: int, first: int, last: int) -> None:
        """Draw edges of one relation for the near nodes numbered `first` to `last - 1`."""
        from . import pick_cpu

        near = self.numbers[relation.near]
        frontier = near.nodes()[first:last]
        size = frontier.shape[0]
        items, tree, now = frontier, _NONE, None
        if self.disjoint:
            tree = near.tree()[first:last]
            items = self.work.array("items", size)
            pick_cpu.tree_items(self.tree_key, tree, frontier, items)
            now = None if self.times is None else self.times[tree]
        slot = f"shares {relation.index} {hop}"
        fanout = relation.fanouts[hop]
        picked, shares = relation.picker.pick(self.work, frontier, items, now, fanout, self.epoch, hop, slot)
        rows, start = relation.picker.rows, found.count
        found.count += picked.shape[0]
        found.per_hop.append(picked.shape[0])
        found.hops.append((shares, first, start))
        far = self.work.array(f"far {relation.index}", found.count, np.int32, keep=start)[start:]
        edges = self.work.array(f"edges {relation.index}", found.count, rows.edge_ids.dtype, keep=start)[start:]
        self.numbers[relation.far].enter(rows.indices, rows.edge_ids, picked, shares, tree, far, edges)

    def results_of_edges(self, memory: ResultMemory) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """Near ends, far ends and edge ids of every relation, in memory of their own."""
        wanted: list[tuple[int, Any]] = []
        for relation, found in zip(self.relations, self.found, strict=True):
            dtype = relation.picker.rows.edge_ids.dtype
            wanted += [(found.count, np.int64), (found.count, np.int64), (found.count, dtype)]
        arrays = memory.arrays(*wanted)
        results = []
        for relation, found in zip(self.relations, self.found, strict=True):
            near, far, edges = arrays[3 * relation.index : 3 * relation.index + 3]
            _copy(self.work.array(f"far {relation.index}", found.count, np.int32), far)
            _copy(self.work.array(f"edges {relation.index}", found.count, edges.dtype), edges)
            for shares, first, start in found.hops:
                _repeat(shares, first, near[start:])
            results.append((near, far, edges))
        return results

    def results_of_nodes(self, memory: ResultMemory) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Nodes of every type and, where trees are disjoint, their trees, in memory of their own."""
        counts = [(numbers.count, np.int64) for numbers in self.numbers.values()]
        nodes = dict(zip(self.numbers, memory.arrays(*counts), strict=True))
        for name, numbers in self.numbers.items():
            nodes[name][:] = numbers.nodes()
        if not self.disjoint:
            return nodes, {}
        return nodes, {name: numbers.tree().copy() for name, numbers in self.numbers.items()}

    def forget(self) -> None:
        """Leave the scratch memory ready for the next batch."""
        for numbers in self.numbers.values():
            numbers.forget()


def _copy(source: NDArray[Any], target: NDArray[Any]) -> None:
    def turns(a: int, b: int, _: int) -> None:
        target[a:b] = source[a:b]

    spread(turns, source.shape[0], few=16 * AT_ONCE)


def _repeat(shares: NDArray[Any], first: int, near: NDArray[Any]) -> None:
    from . import number_cpu

    def turns(a: int, b: int, _: int) -> None:
        number_cpu.repeat_numbers(shares[a : b + 1], first + a, near)

    spread(turns, shares.shape[0] - 1, few=AT_ONCE)
