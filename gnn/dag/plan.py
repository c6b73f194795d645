"""When every edge of a directed acyclic graph fires: its edges cut into levels, in the order that kernels read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...graphlib.checks import unmasked
from ...graphlib.compute.grouping import runs_of
from ...graphlib.errors import InvalidInput, NotFound
from ...graphlib.sparse.levels import Levels, topological_levels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.store.edges import EdgeType
    from ...graphlib.store.store import GraphStore


@dataclass(frozen=True, eq=False, repr=False)
class Slice:
    """The edges of one relation that fire together, all int64; edges lie in the order of the rows they end at.

    Attributes
    ----------
    rows : (num_rows,)
        Nodes with at least one of these edges, counted from `start`, the first node of the level.
    indptr : (num_rows + 1,)
        The edges of `rows[r]` are `indptr[r]:indptr[r + 1]`.
    src : (num_edges,)
        Where the edges come from, as places in level order.
    row_of : (num_edges,)
        The r of every edge.
    sources, source_indptr, source_edges
        The same edges by source: those of `sources[s]` are `source_edges[source_indptr[s]:source_indptr[s + 1]]`.
    first, last : int
        The edges' places among all edges of the relation.
    """

    start: int
    first: int
    last: int
    rows: Tensor
    indptr: Tensor
    src: Tensor
    row_of: Tensor
    sources: Tensor
    source_indptr: Tensor
    source_edges: Tensor

    @property
    def num_rows(self) -> int:
        return int(self.rows.shape[0])

    @property
    def num_edges(self) -> int:
        return self.last - self.first


class Relation:
    """The edges of one type, sorted by the node they end at, and cut into slices at the levels."""

    def __init__(self, src: NDArray[np.int64], dst: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        order = np.lexsort((src, dst))
        self.src, self.dst, self.offsets = src[order], dst[order], offsets
        self.edge_ids = order
        self.cuts = np.searchsorted(self.dst, offsets)
        self._slices: dict[tuple[int, int, torch.device], Slice | None] = {}
        self._reversed: Relation | None = None
        self._orders: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self._wires: tuple[NDArray[np.int64], ...] | None = None

    @property
    def num_edges(self) -> int:
        return int(self.src.shape[0])

    def reversed(self) -> Relation:
        """The same edges from their destination to their source; they fit no levels, only slice -1."""
        if self._reversed is None:
            self._reversed = Relation(self.dst, self.src, self.offsets)
        return self._reversed

    def wires(self, num_nodes: int) -> tuple[NDArray[np.int64], ...]:
        """(indptr, src, dst, out_indptr, out_edges): the edges by destination, and which of them start at a node."""
        if self._wires is None:
            by_source, nodes = np.argsort(self.src, kind="stable"), np.arange(num_nodes + 1)
            ends = (np.searchsorted(self.dst, nodes), np.searchsorted(self.src[by_source], nodes))
            self._wires = (ends[0], self.src, self.dst, ends[1], by_source)
        return self._wires

    def orders_on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Given edges in the order of the slices, and the inverse: a permutation each, on a device."""
        if device not in self._orders:
            order = torch.from_numpy(self.edge_ids).to(device)
            self._orders[device] = (order, torch.argsort(order))
        return self._orders[device]

    def slice(self, level: int, device: torch.device) -> Slice | None:
        """The edges that end in a level, or None if there are none; level -1 stands for all levels at once."""
        return self.span(*((0, -1) if level < 0 else (level, level + 1)), device)

    def span(self, first: int, last: int, device: torch.device) -> Slice | None:
        """The edges that end in levels `first` to `last` (-1: all), the latter not included, or None."""
        if (first, last, device) not in self._slices:
            self._slices[first, last, device] = self._cut(first, last, device)
        return self._slices[first, last, device]

    def _cut(self, low: int, high: int, device: torch.device) -> Slice | None:
        first, last = (0, self.num_edges) if high < 0 else (int(self.cuts[low]), int(self.cuts[high]))
        if first == last:
            return None
        start = 0 if high < 0 else int(self.offsets[low])
        src, dst = self.src[first:last], self.dst[first:last]
        by_source = np.argsort(src, kind="stable")
        rows, indptr = runs_of(dst)
        sources, source_indptr = runs_of(src[by_source])
        row_of = np.repeat(np.arange(rows.shape[0]), np.diff(indptr))
        arrays = (rows - start, indptr, src, row_of, sources, source_indptr, by_source)
        tensors = [torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(device) for array in arrays]
        return Slice(start, first, last, *tensors)


class LevelPlan:
    """A directed acyclic graph prepared for propagation: nodes in level order, edges cut at the levels.

    Parameters
    ----------
    levels : Levels
        Of all edges together.
    edges : mapping from a relation's name to (src, dst)
        Integer arrays (num_edges,) of node ids; every edge must go from a lower level to a higher one.

    Raises
    ------
    InvalidInput
        An edge does not rise: the levels are those of other edges, perhaps of too few edge types.

    Notes
    -----
    Making it takes O(edges log edges) time. Slices are made when a level is first used and kept: about 60 bytes an
    edge, and as much again for teacher forcing, which uses all edges at once.

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 0, 1], [1, 2, 2], directed=True)
    >>> LevelPlan.from_store(store)
    LevelPlan(3 nodes in 3 levels; edge: 3 edges)
    """

    def __init__(self, levels: Levels, edges: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> None:
        self.levels = levels
        places = levels.places().astype(np.int64, copy=False)
        self.edges: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self.relations: dict[str, Relation] = {}
        for name, (given_src, given_dst) in edges.items():
            src, dst = (_ids(name, ends, levels.num_nodes) for ends in (given_src, given_dst))
            if src.shape != dst.shape:
                raise InvalidInput(f"relation {name!r} has {src.shape[0]} sources but {dst.shape[0]} destinations")
            _check_rises(name, src, dst, levels)
            self.edges[name] = (src, dst)
            self.relations[name] = Relation(places[src], places[dst], levels.offsets)
        self.order = torch.from_numpy(levels.order.astype(np.int64))
        self.places = torch.from_numpy(places)

    @classmethod
    def from_store(cls, store: GraphStore, edge_types: Sequence[EdgeType] | None = None) -> LevelPlan:
        """A plan over a store's edge types; relations are named by the middle of each type's triple.

        The edge types are those of `topological_levels`: by default all, and all between nodes of one type.
        """
        types = list(store.edge_types if edge_types is None else edge_types)
        levels = topological_levels(store, edge_types=types)
        lists = {edge_type[1]: store.edge_list(edge_type) for edge_type in types}
        if len(lists) < len(types):
            raise InvalidInput(
                f"relations are told apart by the middle of their edge types, which is not so for {types}"
            )
        return cls(levels, {name: (edges.src, edges.dst) for name, edges in lists.items()})

    @classmethod
    def from_adjacency(cls, rows: Adjacency, name: str = "edge") -> LevelPlan:
        """A plan over one adjacency, such as `store.csr()`; edges are numbered in the order of its entries."""
        src = np.repeat(np.arange(rows.num_rows, dtype=np.int64), rows.degrees())
        return cls(topological_levels(rows), {name: (src, rows.indices)})

    @property
    def num_nodes(self) -> int:
        return self.levels.num_nodes

    @property
    def num_levels(self) -> int:
        return self.levels.num_levels

    def relation(self, name: str) -> Relation:
        """The edges of one type; `NotFound` names those there are."""
        if name not in self.relations:
            raise NotFound(f"the plan has no relation {name!r}; relations: {', '.join(map(repr, self.relations))}")
        return self.relations[name]

    def order_on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """`levels.order` and its inverse, on a device."""
        if self.order.device != device:
            self.order, self.places = self.order.to(device), self.places.to(device)
        return self.order, self.places

    def __repr__(self) -> str:
        listed = ", ".join(f"{name}: {relation.num_edges:,} edges" for name, relation in self.relations.items())
        return f"LevelPlan({self.num_nodes:,} nodes in {self.num_levels:,} levels; {listed or 'no edges'})"


def _ids(name: str, ends: ArrayLike, count: int) -> NDArray[np.int64]:
    array: NDArray[Any] = unmasked(f"relation {name!r}", ends)
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise InvalidInput(
            f"relation {name!r}: ends of edges are one-dimensional integers; got {array.dtype} {array.shape}"
        )
    if array.min() < 0 or array.max() >= count:
        bad = int(np.argmax((array < 0) | (array >= count)))
        raise InvalidInput(f"relation {name!r}: edge {bad} names node {array[bad]}, but nodes are 0..{count - 1}")
    return array.astype(np.int64, copy=False)


def _check_rises(name: str, src: NDArray[np.int64], dst: NDArray[np.int64], levels: Levels) -> None:
    falls = levels.level[src] >= levels.level[dst]
    if falls.any():
        e = int(np.argmax(falls))
        u, v = int(src[e]), int(dst[e])
        raise InvalidInput(
            f"relation {name!r}: edge {e} from node {u} (level {levels.level[u]}) to node {v} (level "
            f"{levels.level[v]}) does not rise, like {int(falls.sum()) - 1} others; the levels must count every "
            "relation's edges"
        )


def check_new(name: str, new: Tensor, piece: Slice, roots: Tensor) -> None:
    """States that a rule made have the rows of its slice and the width of the state."""
    expected = (piece.num_rows, roots.shape[1])
    if new.shape != expected:
        raise InvalidInput(f"the rule for {name!r} gave states of shape {tuple(new.shape)}; expected {expected}")
