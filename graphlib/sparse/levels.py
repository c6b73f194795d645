"""Topological levels of a directed acyclic graph, and the order of nodes that they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CycleFound, InvalidInput, InvalidType
from ..names import shown
from ..store.adjacency import Adjacency, build_adjacency, id_dtype
from ..store.store import GraphStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..store.edges import EdgeType

_WIDE = 1 << 12  # frontiers from which threads pay
_SHOWN = 12  # nodes of a cycle that a message lists


@dataclass(frozen=True, eq=False, repr=False)
class Levels:
    """Nodes by level: every edge goes from a lower level to a higher one.

    Attributes
    ----------
    level : int32 (num_nodes,)
        Edges on the longest path that ends at the node; 0 where none does.
    shortest : int32 (num_nodes,)
        Edges on the shortest path from any node of level 0.
    order : int32 or int64 (num_nodes,)
        Nodes by (level, id): a permutation, and a topological order.
    offsets : int64 (num_levels + 1,)
        Level l is `order[offsets[l]:offsets[l + 1]]`.
    """

    level: NDArray[np.int32]
    shortest: NDArray[np.int32]
    order: NDArray[Any]
    offsets: NDArray[np.int64]

    @property
    def num_levels(self) -> int:
        return int(self.offsets.shape[0]) - 1

    @property
    def num_nodes(self) -> int:
        return int(self.level.shape[0])

    def nodes(self, level: int) -> NDArray[Any]:
        """The nodes of one level, in order of id, as a view."""
        return self.order[self.offsets[level] : self.offsets[level + 1]]

    def widths(self) -> NDArray[np.int64]:
        """Nodes per level, int64 (num_levels,)."""
        return np.diff(self.offsets)

    def places(self) -> NDArray[Any]:
        """The place of every node in `order`: its inverse permutation."""
        inverse = np.empty_like(self.order)
        inverse[self.order] = np.arange(self.num_nodes, dtype=self.order.dtype)
        return inverse

    def __repr__(self) -> str:
        widest = int(self.widths().max(initial=0))
        return f"Levels({self.num_nodes:,} nodes in {self.num_levels:,} levels, the widest of {widest:,})"


def topological_levels(
    graph: GraphStore | Adjacency,
    *,
    edge_types: Sequence[EdgeType] | None = None,
    threads: int | None = None,
) -> Levels:
    """Level of every node: the length of the longest path that ends there.

    Parameters
    ----------
    graph : GraphStore or Adjacency
        Directed edges from earlier to later nodes; of an Adjacency, its rows (`store.csr()`).
    edge_types : sequence of edge types, optional
        Of a store, the edges that count, all between nodes of one type; by default all of its edge types.
    threads : int, optional
        Default all cores; they are used on levels of more than 4,096 nodes.

    Returns
    -------
    Levels

    Raises
    ------
    CycleFound
        There is a cycle; the message and the attribute `nodes` name its nodes in order. A self-loop is a cycle.
    InvalidInput
        Undirected edges, edges between different node types, or no edge types.

    Notes
    -----
    O(nodes + edges) time; beside the result 8 bytes a node, and the edges once more where several types count. The same
    result at any thread count. The method is that of Kahn, "Topological sorting of large networks", 1962,
    doi:10.1145/368996.369025, a frontier at a time.

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 0, 1, 2], [1, 3, 2, 3], directed=True)
    >>> levels = topological_levels(store)
    >>> levels.level.tolist(), levels.shortest.tolist()
    ([0, 1, 2, 3], [0, 1, 2, 1])
    """
    names = None
    if isinstance(graph, GraphStore):
        rows, names = _rows_of(graph, edge_types)
    elif not isinstance(graph, Adjacency):
        raise InvalidType(f"topological_levels takes a GraphStore or an Adjacency; got {type(graph).__name__}")
    elif edge_types is not None:
        raise InvalidInput("topological_levels: edge_types are those of a store; an Adjacency holds one")
    else:
        rows = graph
    if rows.num_rows != rows.num_cols:
        raise InvalidInput(f"topological_levels needs as many rows as columns; got {rows.num_rows} x {rows.num_cols}")
    return _peel(rows, names, threads)


def _peel(rows: Adjacency, names: NDArray[Any] | None, threads: int | None) -> Levels:
    from ..compute.jit import plain_view, threads_in_use
    from ..compute.sorting_cpu import order_by_count
    from . import levels_cpu as kernels

    indptr, indices = plain_view(rows.indptr), plain_view(rows.indices)
    count = rows.num_rows
    waiting = np.zeros(count, np.int32)
    kernels.count_in_edges(indices, waiting)
    level, shortest = np.zeros(count, np.int32), np.full(count, np.iinfo(np.int32).max, np.int32)
    ready, found = np.empty(count, id_dtype(count)), np.zeros(1, np.int64)
    found[0] = kernels.first_frontier(waiting, shortest, ready)
    begin, end, depth = 0, int(found[0]), 0
    arcs, state = (indptr, indices), kernels.Peeling(level, waiting, shortest, ready, found)
    with threads_in_use(threads) as used:
        most = _WIDE if used > 1 else count + 1
        while begin < end:
            if end - begin < most:
                begin, end, depth = kernels.peel_narrow(begin, end, depth, most, arcs, state)
            else:
                kernels.peel_wide(begin, end, depth, arcs, state)
                begin, end, depth = end, int(found[0]), depth + 1
    if end < count:
        raise _cycle(rows, waiting, names)
    offsets = np.zeros(depth + 1, np.int64)
    order_by_count(level, offsets, ready)
    return Levels(level, shortest, ready, offsets)


def _rows_of(store: GraphStore, edge_types: Sequence[EdgeType] | None) -> tuple[Adjacency, NDArray[Any] | None]:
    """Out-neighbours over all wanted edge types together, and the user ids of their nodes."""
    types = list(store.edge_types if edge_types is None else edge_types)
    if not types:
        raise InvalidInput(
            "topological_levels: the store has no edges to order its nodes by"
            if edge_types is None
            else "topological_levels: edge_types is empty"
        )
    node_types = {end for source, _, target in types for end in (source, target)}
    if len(node_types) != 1:
        raise InvalidInput(
            f"topological_levels needs edges between nodes of one type; {types} join {sorted(node_types)}; name those "
            "that count with edge_types="
        )
    undirected = [edge_type for edge_type in types if not store.is_directed(edge_type)]
    if undirected:
        raise InvalidInput(f"topological_levels needs directed edges; {undirected[0]!r} are undirected")
    node_type = node_types.pop()
    names = store.ids(node_type)
    if len(types) == 1:
        return store.csr(types[0]), names
    count = store.num_nodes_of(node_type)
    lists = [store.edge_list(edge_type) for edge_type in types]
    src = np.concatenate([edges.src for edges in lists])
    dst = np.concatenate([edges.dst for edges in lists])
    return build_adjacency(src, dst, count, count), names


def _cycle(rows: Adjacency, waiting: NDArray[np.int32], names: NDArray[Any] | None) -> CycleFound:
    from ..compute.jit import plain_view
    from . import levels_cpu as kernels

    before = np.full(rows.num_rows, -1, np.int64)
    kernels.waiting_predecessor(plain_view(rows.indptr), plain_view(rows.indices), waiting, before)
    seen: dict[int, int] = {}
    node = int(np.argmax(waiting > 0))
    while node not in seen:
        seen[node] = len(seen)
        node = int(before[node])
    nodes = list(seen)[seen[node] :][::-1]
    least = nodes.index(min(nodes))
    nodes = nodes[least:] + nodes[:least]
    told = [str(v) if names is None else shown(names[v]) for v in nodes[:_SHOWN]]
    rest = f" -> ... ({len(nodes)} nodes)" if len(nodes) > _SHOWN else f" -> {told[0]}"
    return CycleFound(f"the edges form a cycle: {' -> '.join(told)}{rest}; levels need a graph without one", nodes)
