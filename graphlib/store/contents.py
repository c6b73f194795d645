"""What a store holds and how it is read: counts, adjacency, columns, ids, filters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import unmasked
from ..disk.filling import Filling
from ..errors import InvalidInput, InvalidType, NotFound
from ..types import EdgeType
from . import describe
from .columns import TypedColumns
from .edges import EdgeList, EdgeSet
from .guard import Guard
from .idmap import IdMap
from .ingest_report import KEY, IngestReport
from .parts import Parts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from ..disk.folder import StoreFolder
    from .adjacency import Adjacency
    from .describe import Estimate
    from .indexes import StoredIndex


class NodeType:
    def __init__(self, count: int, ids: IdMap | None = None) -> None:
        self.count = count
        self.ids = ids


class Home:
    """The folder of a store, once it has one. Columns hold this and not the store, which goes with its last user."""

    def __init__(self) -> None:
        self.folder: StoreFolder | None = None

    def changing(self) -> None:
        if self.folder is not None:
            self.folder.begin_writing()

    def create(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        return np.zeros(shape, dtype) if self.folder is None else self.folder.create(shape, dtype)

    def fill(self, key: str, shape: tuple[int, ...], dtype: np.dtype[Any], keep: Callable[[Filling], None]) -> Filling:
        if self.folder is None:
            return Filling(shape, dtype, None, keep)
        from ..disk.unfinished import Unfinished

        folder = self.folder
        folder.begin_writing()
        under_way = Unfinished(folder, key, shape, dtype)

        def own(filling: Filling) -> None:
            folder.own(under_way.path, under_way.array)
            keep(filling)

        return Filling(shape, dtype, under_way, own)


class Contents:
    """The reading half of a `GraphStore`."""

    def __init__(self) -> None:
        self._parts = Parts()
        self._node_types: dict[str, NodeType] = self._parts.node_types
        self._edge_sets = self._parts.edge_sets
        self._node_columns = self._parts.node_columns
        self._edge_columns = self._parts.edge_columns
        self._home = Home()
        self._guard = Guard()
        self.nodes = TypedColumns(self._parts.node_type, self._node_columns)
        self.edges = TypedColumns(self._parts.edge_type, self._edge_columns)

    @property
    def _folder(self) -> StoreFolder | None:
        return self._home.folder

    @_folder.setter
    def _folder(self, folder: StoreFolder) -> None:
        self._home.folder = folder

    @property
    def path(self) -> Path | None:
        """The store's folder, absolute, or None for a store in memory."""
        return None if self._folder is None else self._folder.path

    @property
    def version(self) -> int | None:
        """The version that was opened or committed last, or None for a store in memory."""
        return None if self._folder is None else self._folder.version

    @property
    def attributes(self) -> dict[str, Any]:
        """Plain JSON values by name, kept with the store."""
        return self._parts.attributes

    @attributes.setter
    def attributes(self, values: dict[str, Any]) -> None:
        self._parts.attributes = values

    @property
    def num_nodes(self) -> int:
        """Nodes of all types."""
        return sum(node_type.count for node_type in self._parts.graph_nodes().values())

    @property
    def num_edges(self) -> int:
        """Edges of all types, without the links of `indexes`; an undirected edge counts once."""
        return sum(edges.count for edges in self._parts.graph_edges().values())

    @property
    def directed(self) -> bool:
        """Whether any edge type of the graph is directed."""
        return any(edges.directed for edges in self._parts.graph_edges().values())

    @property
    def node_types(self) -> tuple[str, ...]:
        """The graph's node types."""
        return tuple(self._parts.graph_nodes())

    @property
    def edge_types(self) -> tuple[EdgeType, ...]:
        """The graph's edge types. The links of `indexes` can be named wherever an edge type can."""
        return tuple(self._parts.graph_edges())

    @property
    def link_types(self) -> tuple[EdgeType, ...]:
        """The edge types that are links of `indexes`, which are none of the graph's own."""
        return tuple(link for index in self._parts.indexes().values() for link in index.links)

    @property
    def indexes(self) -> dict[str, StoredIndex]:
        """The indexes that `HNSW.save_into` put beside the graph, by name, with the parts of the store they own.

        Examples
        --------
        >>> import numpy as np, nearhop
        >>> store = nearhop.GraphStore.from_edges(np.array([0, 1]), np.array([1, 2]))
        >>> store.nodes["x"] = np.eye(3, dtype=np.float32)
        >>> nearhop.ann.HNSW.from_store(store, "x").save_into(store, "near")
        >>> store.num_edges, store.indexes["near"].column, store.indexes["near"].links
        (2, 'x', (('node', 'near_link0', 'node'),))
        """
        return self._parts.indexes()

    def num_nodes_of(self, node_type: str) -> int:
        return self._nodes_of(node_type).count

    def num_edges_of(self, edge_type: EdgeType) -> int:
        return self._edges_of(edge_type).count

    def is_directed(self, edge_type: EdgeType | None = None) -> bool:
        return self._edges_of(edge_type).directed

    def csr(self, edge_type: EdgeType | None = None, *, order: str = "id") -> Adjacency:
        """Out-neighbours: row v lists the destinations of v's edges, sorted by id, or by time with `order="time"`.

        Built once in O(nodes + edges) and kept; on a stored graph it is a memory map.
        """
        return self._rows("csr", edge_type, order)

    def csc(self, edge_type: EdgeType | None = None, *, order: str = "id") -> Adjacency:
        """In-neighbours: row v lists the sources of the edges that end at v. The same as `csr` for undirected edges."""
        return self._rows("csc", edge_type, order)

    def _rows(self, side: str, edge_type: EdgeType | None, order: str) -> Adjacency:
        if order not in ("id", "time"):
            raise InvalidInput(f'order must be "id" or "time"; got {order!r}')
        edges = self._edges_of(edge_type)
        if order == "time" and edges.list.time is None:
            raise InvalidInput(f'order="time" needs edge times, and edges {edges.edge_type!r} have none')
        return edges.rows(side, order)

    def edge_list(self, edge_type: EdgeType | None = None) -> EdgeList:
        """The edges as they were given, in edge-id order."""
        return self._edges_of(edge_type).list

    def ids(self, node_type: str | None = None) -> NDArray[Any] | None:
        """User ids in node order (int64 or NumPy text), or None where positions are the ids."""
        ids = self._nodes_of(node_type).ids
        return None if ids is None else ids.values()

    def lookup(self, user_ids: ArrayLike, node_type: str | None = None) -> NDArray[np.int64]:
        """Positions of user ids, int64; `NotFound` names the first unknown one."""
        nodes = self._nodes_of(node_type)
        if nodes.ids is not None:
            return nodes.ids.lookup(user_ids)
        given: NDArray[Any] = np.atleast_1d(unmasked("user ids", user_ids))
        if given.size == 0:
            return np.empty(0, np.int64)
        if given.dtype.kind not in "iu":
            raise InvalidType(f"this store has no user ids, so nodes are positions; got dtype {given.dtype}")
        outside = (given < 0) | (given >= nodes.count)
        if outside.any():
            raise NotFound(f"node {given[int(np.argmax(outside))]} is not in the store; nodes are 0..{nodes.count - 1}")
        return given.astype(np.int64, copy=False)

    def where(
        self, sql: str, *, node_type: str | None = None, as_bitmap: bool = False, timeout_s: float = 60.0
    ) -> NDArray[Any]:
        """Positions of the nodes whose columns satisfy an SQL condition, such as "year >= 2010 AND country = 'FR'".

        Returns sorted int64 positions, or with `as_bitmap` a boolean array over all nodes of the type. A missing number
        is NULL; a condition is given up after `timeout_s` seconds.
        """
        from .filters import where

        return where(self, sql, node_type=node_type, as_bitmap=as_bitmap, timeout_s=timeout_s)

    def describe(self) -> dict[str, Any]:
        """Everything a person or a program wants to know at a glance, as plain Python values."""
        return describe.describe(self)

    def __repr__(self) -> str:
        return describe.summary(self)

    def _repr_html_(self) -> str:
        return describe.as_html(self)

    @property
    def ingest_report(self) -> IngestReport | None:
        """What `nearhop.ingest` took for what when it made this store; None for stores made in other ways."""
        return IngestReport.from_dict(self.attributes.get(KEY))

    def estimate(self) -> Estimate:
        """Bytes the store needs on disk, in memory with every array in use, and while it is written."""
        return describe.estimate_store(self)

    def _nodes_of(self, node_type: str | None) -> NodeType:
        return self._node_types[self._parts.node_type(node_type)]

    def _edges_of(self, edge_type: EdgeType | None) -> EdgeSet:
        return self._edge_sets[self._parts.edge_type(edge_type)]
