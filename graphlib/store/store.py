"""The graph store: nodes, edges, columns and user ids, in memory or on disk, behind one object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput, InvalidType, NotFound
from ..scalars import is_integer
from ..types import EDGE, NODE, EdgeType
from . import describe
from .columns import Columns, TypedColumns, check_name
from .edges import EdgeList, EdgeSet, check_edges, widest_id
from .guard import Guard
from .idmap import IdMap
from .ingest_report import KEY, IngestReport
from .parts import Parts
from .pickling import reduced
from .times import UNIT, given_unit, plain_times

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from ..disk.folder import StoreFolder
    from ..disk.folders import Version
    from ..disk.verify import Verified
    from .adjacency import Adjacency
    from .describe import Estimate
    from .indexes import StoredIndex


_MOST_NODES = 1 << 40
_FREE_GROWTH = 1 << 24  # nodes that appended edges may bring in any case


class _NodeType:
    def __init__(self, count: int, ids: IdMap | None = None) -> None:
        self.count = count
        self.ids = ids


class _Home:
    """The folder of a store, once it has one. Columns hold this and not the store, which goes with its last user."""

    def __init__(self) -> None:
        self.folder: StoreFolder | None = None

    def changing(self) -> None:
        if self.folder is not None:
            self.folder.begin_writing()

    def create(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        return np.zeros(shape, dtype) if self.folder is None else self.folder.create(shape, dtype)


class GraphStore:
    """A graph with columns on its nodes and edges.

    Make one with `from_edges` or `from_typed` (in memory), `nearhop.ingest` (from files, on disk) or `nearhop.open`.
    Node positions are 0..n-1 throughout; user ids, where the store has them, are mapped by `ids` and `lookup`. Arrays
    handed out are shared with the store: treat them as read-only.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> store = nearhop.GraphStore.from_edges(np.array([0, 0, 2]), np.array([1, 2, 3]))
    >>> store.num_nodes, store.num_edges, store.csr().neighbors(0).tolist()
    (4, 3, [1, 2])
    >>> store.nodes["x"] = np.eye(4, dtype=np.float32)
    """

    def __init__(self) -> None:
        self._parts = Parts()
        self._node_types: dict[str, _NodeType] = self._parts.node_types
        self._edge_sets = self._parts.edge_sets
        self._node_columns = self._parts.node_columns
        self._edge_columns = self._parts.edge_columns
        self._home = _Home()
        self._guard = Guard()
        self.nodes = TypedColumns(self._parts.node_type, self._node_columns)
        self.edges = TypedColumns(self._parts.edge_type, self._edge_columns)

    @classmethod
    def from_edges(
        cls,
        src: ArrayLike,
        dst: ArrayLike,
        *,
        num_nodes: int | None = None,
        directed: bool = False,
        weight: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> GraphStore:
        """A store of one node type and one edge type, in memory.

        Parameters
        ----------
        src, dst : integer arrays (num_edges,)
            Ends of the edges, >= 0. Parallel edges and self-loops are kept. int32 and int64 arrays are not copied.
        num_nodes : int, optional
            By default one more than the largest id.
        directed : bool, default False
            An undirected edge is stored once and appears in the rows of both of its ends.
        weight : array (num_edges,), optional
            Kept as float32; finite.
        time : array (num_edges,), optional
            Integers are kept as int64, floats as float64; finite. Moments (datetime64, datetime objects, a column with
            a time zone) become int64 in UTC, in their own unit, which the attribute `time_unit` names; moments given
            later are converted to it.

        Raises
        ------
        InvalidInput, InvalidType
            Ids that are negative, not integers or >= num_nodes; lengths that differ; weights or times that are not
            finite. The message names the position.
        """
        if num_nodes is not None:
            num_nodes = _check_count("num_nodes", num_nodes)
        store = cls()
        time, unit = store._plain_times(time)
        edges = check_edges(src, dst, weight, time, limits=(num_nodes, num_nodes))
        store._take_unit(unit)
        store._add_nodes(NODE, max(widest_id(edges)) if num_nodes is None else num_nodes)
        store._add_edges(EDGE, edges, check_directed(directed))
        return store

    @classmethod
    def from_typed(
        cls,
        nodes: Mapping[str, int],
        edges: Mapping[EdgeType, Any],
        *,
        directed: bool = True,
    ) -> GraphStore:
        """A store of several node and edge types, in memory.

        Parameters
        ----------
        nodes : mapping from a node type's name to its number of nodes
        edges : mapping from (source type, relation, destination type) to (src, dst) or to a mapping with keys src, dst
            and optionally weight, time, directed
        directed : bool, default True
            For edge types that do not say it themselves; undirected needs equal source and destination types.

        Examples
        --------
        >>> import numpy as np, nearhop
        >>> shop = nearhop.GraphStore.from_typed(
        ...     nodes={"user": 2, "item": 3}, edges={("user", "buys", "item"): (np.array([0, 1]), np.array([2, 0]))}
        ... )
        >>> shop.csr(("user", "buys", "item")).neighbors(0).tolist()
        [2]
        """
        store = cls()
        for name, count in nodes.items():
            store.add_node_type(name, count)
        for edge_type, given in edges.items():
            parts = dict(given) if isinstance(given, Mapping) else dict(zip(("src", "dst"), given, strict=True))
            unknown = set(parts) - {"src", "dst", "weight", "time", "directed"}
            if unknown or not {"src", "dst"} <= set(parts):
                raise InvalidInput(
                    f"edges of {edge_type!r}: give (src, dst) or a mapping with src, dst and optionally weight, time, "
                    f"directed; got keys {sorted(parts)}"
                )
            store.add_edge_type(edge_type, **{"directed": directed, **parts})
        return store

    # what is there

    @property
    def _folder(self) -> StoreFolder | None:
        return self._home.folder

    @_folder.setter
    def _folder(self, folder: StoreFolder) -> None:
        self._home.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        """A stored graph is pickled and copied as its path and version; see `pickling`."""
        return reduced(self, changed=self._folder is not None and self._folder.changed, opener=open)

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
        given: NDArray[Any] = np.atleast_1d(np.asarray(user_ids))
        if given.size == 0:
            return np.empty(0, np.int64)
        if given.dtype.kind not in "iu":
            raise InvalidType(f"this store has no user ids, so nodes are positions; got dtype {given.dtype}")
        outside = (given < 0) | (given >= nodes.count)
        if outside.any():
            raise NotFound(f"node {given[int(np.argmax(outside))]} is not in the store; nodes are 0..{nodes.count - 1}")
        return given.astype(np.int64, copy=False)

    def set_ids(self, user_ids: ArrayLike, node_type: str | None = None) -> None:
        """Give every node of a type a user id: distinct integers, or distinct texts."""
        ids = IdMap.from_values(user_ids)
        with self._guard.lock:
            nodes = self._nodes_of(node_type)
            if len(ids) != nodes.count:
                raise InvalidInput(f"there are {nodes.count} nodes but {len(ids)} user ids")
            self._home.changing()
            nodes.ids = ids

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

    @property
    def ingest_report(self) -> IngestReport | None:
        """What `nearhop.ingest` took for what when it made this store; None for stores made in other ways."""
        return IngestReport.from_dict(self.attributes.get(KEY))

    def estimate(self) -> Estimate:
        """Bytes the store needs on disk, in memory with every array in use, and while it is written."""
        return describe.estimate_store(self)

    # changes

    def add_node_type(self, name: str, count: int) -> None:
        """Add `count` nodes of a new type."""
        check_name(name)
        count = _check_count(f"the number of {name!r} nodes", count)
        with self._guard.lock:
            if name in self._node_types:
                raise InvalidInput(f"node type {name!r} exists already, with {self._node_types[name].count} nodes")
            self._home.changing()
            self._add_nodes(name, count)

    def add_edge_type(
        self,
        edge_type: EdgeType,
        src: ArrayLike,
        dst: ArrayLike,
        *,
        weight: ArrayLike | None = None,
        time: ArrayLike | None = None,
        directed: bool = True,
        exist_ok: bool = False,
        positions: bool = False,
    ) -> None:
        """Add a set of edges between existing node types, such as the links of an index: ("node", "knn", "node").

        `src` and `dst` are user ids where the nodes have them, unless `positions` says that they are positions.
        `exist_ok` replaces an edge type of the same name, and its columns.
        """
        edge_type = check_edge_type(edge_type)
        directed = check_directed(directed)
        source, _, target = edge_type
        with self._guard.lock:
            for name in (source, target):
                if name not in self._node_types:
                    raise NotFound(f"edge type {edge_type!r} needs node type {name!r}, which does not exist")
            if not directed and source != target:
                raise InvalidInput(f"undirected edges need one node type at both ends; got {edge_type!r}")
            if edge_type in self._edge_sets and not exist_ok:
                raise InvalidInput(f"edge type {edge_type!r} exists already; use exist_ok=True to replace it")
            limits = self._node_types[source].count, self._node_types[target].count
            time, unit = self._plain_times(time)
            src, dst = self._ends("add_edge_type", edge_type, src, dst, positions)
            edges = check_edges(src, dst, weight, time, limits=limits)
            self._home.changing()
            self._take_unit(unit)
            self._add_edges(edge_type, edges, directed)

    def append_edges(
        self,
        src: ArrayLike,
        dst: ArrayLike,
        *,
        weight: ArrayLike | None = None,
        time: ArrayLike | None = None,
        edge_type: EdgeType | None = None,
        positions: bool = False,
    ) -> None:
        """Add edges behind the present ones; their ids continue.

        `src` and `dst` are user ids where the nodes have them (`NotFound` for one that `add_nodes` did not bring),
        unless `positions` says that they are positions. Of nodes without user ids, ends beyond the last node add nodes.

        Visible to this object at once, and to others that open the store after `commit()`. On a stored graph the edges
        go to an append log, so the cost is proportional to what is appended until `compact()` merges it. Columns that
        became too short say so when read; assign them again, or use `pad`. Moments (datetime64 of any unit) are
        converted to the unit of the times so far.
        """
        with self._guard.lock:
            time, unit = self._plain_times(time)
            edge_set = self._edges_of(edge_type)
            src, dst = self._ends("append_edges", edge_set.edge_type, src, dst, positions)
            self._append(edge_set, check_edges(src, dst, weight, time))
            self._take_unit(unit)

    def _ends(
        self, what: str, edge_type: EdgeType, src: ArrayLike, dst: ArrayLike, positions: bool
    ) -> tuple[ArrayLike, ArrayLike]:
        """Positions of both ends, which are given as user ids where the nodes have them."""
        found = []
        for node_type, given in ((edge_type[0], src), (edge_type[2], dst)):
            ids = self._node_types[node_type].ids
            try:
                found.append(given if ids is None or positions else ids.lookup(given))
            except (NotFound, InvalidType) as error:
                raise type(error)(
                    f"{what}: {error}; {node_type} nodes have user ids: bring new ones with add_nodes(ids=...), and "
                    "name nodes by position with positions=True"
                ) from error
        return found[0], found[1]

    def _append(self, edge_set: EdgeSet, edges: EdgeList) -> None:
        source, _, target = edge_set.edge_type
        widest: dict[str, int] = {}
        for name, needed in zip((source, target), widest_id(edges), strict=True):
            widest[name] = max(needed, widest.get(name, 0))
        for name, needed in widest.items():
            self._check_growth(name, needed)
        edge_set.check_fits(edges)
        self._home.changing()
        number, counts = edge_set.count, {name: self._node_types[name].count for name in widest}
        try:
            for name, needed in widest.items():
                self._node_types[name].count = max(counts[name], needed)
            if self._folder is not None:
                self._folder.log(edge_set, edges)
            edge_set.append(edges)
        except BaseException:
            if edge_set.count == number:  # all of it, or nothing
                for name, count in counts.items():
                    self._node_types[name].count = count
            raise

    def _check_growth(self, name: str, needed: int) -> None:
        nodes = self._node_types[name]
        if nodes.ids is not None and needed > nodes.count:
            raise InvalidInput(
                f"append_edges names node {needed - 1}, but there are {nodes.count} {name} nodes, with user "
                "ids; give the new ones theirs first, with add_nodes(ids=...)"
            )
        if needed > max(16 * nodes.count, nodes.count + _FREE_GROWTH):
            raise InvalidInput(
                f"append_edges names node {needed - 1}, but there are {nodes.count} {name} nodes, and every node "
                f"between would take room in each index; if that is meant, call add_nodes({needed - nodes.count}) first"
            )

    def add_nodes(
        self, count: int | None = None, *, ids: ArrayLike | None = None, node_type: str | None = None
    ) -> None:
        """Add nodes behind the present ones: `count` of them, or one per user id where nodes have user ids.

        New ids are of the kind of the present ones, integers or text, and distinct from them.
        """
        with self._guard.lock:
            nodes = self._nodes_of(node_type)
            if (nodes.ids is not None) != (ids is not None) or (count is None) == (ids is None):
                need = "ids=..., since nodes have user ids" if nodes.ids is not None else "a count"
                raise InvalidInput(f"add_nodes: give {need}")
            if ids is None:
                whole = _check_count("the number of nodes", nodes.count + _check_count("count", count))
                self._home.changing()
                nodes.count = whole
            else:
                both = nodes.ids.extended(ids)  # type: ignore[union-attr]
                self._home.changing()
                nodes.ids, nodes.count = both, len(both)

    def drop(
        self,
        *,
        index: str | None = None,
        edge_type: EdgeType | None = None,
        column: str | None = None,
        of: str | EdgeType | None = None,
    ) -> None:
        """Take an index, an edge type with its columns, or a column out of the store.

        Older versions of a stored graph keep it, until `compact(keep=...)` drops them and frees the room.

        Parameters
        ----------
        index : str, optional
            The name of one of `indexes`: its links and columns go. The column it was made from stays.
        edge_type : edge type, optional
            Edges, with their columns.
        column : str, optional
            A node column; with `of`, of that node type, or of that edge type.

        Raises
        ------
        NotFound, InvalidInput
            There is nothing of that name; it belongs to an index, or an index was made from it, which must go first.

        Examples
        --------
        >>> import numpy as np, nearhop
        >>> store = nearhop.GraphStore.from_edges(np.array([0, 1]), np.array([1, 2]))
        >>> store.nodes["x"] = np.zeros(3, np.float32)
        >>> store.drop(column="x")
        >>> list(store.nodes)
        []
        """
        from .dropping import drop

        with self._guard.lock:
            drop(self._parts, self._home.changing, index=index, edge_type=edge_type, column=column, of=of)

    # on disk

    def save(self, path: str | Path, *, message: str = "saved") -> GraphStore:
        """Write everything as a new store and open it. All of it appears at `path`, or nothing.

        Raises `StoreExists` if the path is taken. The store at hand stays as it is.

        Examples
        --------
        >>> import numpy as np, nearhop
        >>> store = nearhop.GraphStore.from_edges(np.array([0, 1]), np.array([1, 2])).save("path.nh")
        >>> store.append_edges(np.array([2]), np.array([3]))
        >>> store.commit("one more edge")
        2
        >>> nearhop.open("path.nh").num_edges, nearhop.open("path.nh", version=1).num_edges
        (3, 2)
        """
        from ..disk.folders import save_as

        with self._guard.lock:
            save_as(self, Path(path), message)
        return open(path)

    def commit(self, message: str = "") -> int:
        """Make every change since the last commit a new version, at once and durably; returns its number.

        Until then nobody else sees the changes, and a crash loses them and nothing else. Columns that were assigned are
        memory maps of their files afterwards. Without changes, nothing is written.

        Raises
        ------
        StoreWriteFailed
            The disk is full or failed. The last version is whole and the changes are still in this object.
        """
        with self._guard.lock:
            return self._stored("commit").commit(self, message)

    def compact(self, *, keep: int | None = None) -> int:
        """Merge appended edges into the adjacency, commit, and free the files that no version needs.

        `keep` drops all but the newest `keep` versions; by default every version stays readable. Returns the
        bytes freed. Readers that have a dropped version open can go on with it.
        """
        folder = self._stored("compact")
        if keep is not None and _check_count("keep", keep) < 1:
            raise InvalidInput(f"keep must be at least 1 version; got {keep}")
        from ..disk.folders import remove_unused

        with self._guard.lock:
            folder.commit(self, "compacted", merge=True)
            folder.lock()
            try:
                return remove_unused(folder.path, keep)[1]
            finally:
                folder.release()

    def versions(self) -> list[Version]:
        """The committed versions, oldest first: number, time, message and size."""
        from ..disk.folders import versions

        return versions(self._stored("versions").path)

    def verify(self) -> Verified:
        """Read everything and check it: checksums of every file, ranges of every id, order of every row.

        Opening a store checks headers and sizes only. Raises `StoreCorrupt`, which names the file.
        """
        from ..disk.verify import verify

        return verify(self)

    def close(self) -> None:
        """Forget what was not committed and let others write. Arrays handed out stay usable."""
        with self._guard.lock:
            if self._folder is not None:
                self._folder.discard()

    def __enter__(self) -> GraphStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add_nodes(self, name: str, count: int, ids: IdMap | None = None) -> None:
        owner = "nodes" if name == NODE else f"{name} nodes"
        nodes = _NodeType(_check_count(f"the number of {name!r} nodes", count), ids)
        columns = Columns(owner, lambda: nodes.count, self._home.changing, self._home.create, self._guard)
        self._node_columns[name], self._node_types[name] = columns, nodes

    def _replace_nodes(self, name: str, made: GraphStore) -> None:
        """Take the nodes of a type, with ids and columns, from another store; edges stay, and their ends must exist."""
        new = made._node_types[name]
        with self._guard.lock:
            self._home.changing()
            if name not in self._node_types:
                self._add_nodes(name, new.count)
            columns, nodes = self._node_columns[name], self._node_types[name]
            for column in list(columns):
                del columns[column]
            nodes.count, nodes.ids = new.count, new.ids
            for column, values in made._node_columns[name].items():
                columns[column] = values

    def _remove_nodes(self, name: str) -> None:
        """Take out the nodes of a type that no edge joins, with their columns."""
        with self._guard.lock:
            self._home.changing()
            del self._node_types[name], self._node_columns[name]

    def _add_edges(self, edge_type: EdgeType, edges: EdgeList, directed: bool) -> EdgeSet:
        node_types = self._node_types
        edge_set = EdgeSet(edge_type, directed, edges, lambda name: node_types[name].count, self._guard)
        owner = "edges" if edge_type == EDGE else f"{edge_type[1]} edges"
        columns = Columns(owner, lambda: edge_set.count, self._home.changing, self._home.create, self._guard)
        self._edge_columns[edge_type], self._edge_sets[edge_type] = columns, edge_set
        return edge_set

    def _plain_times(self, time: Any) -> tuple[Any, str | None]:
        """Times as numbers, and the unit that the store takes from them: the first moments that it is given set it."""
        unit = given_unit(time)
        timed = any(edges.has("time") and edges.count for edges in self._edge_sets.values())
        if unit is None or UNIT in self.attributes or timed:
            return plain_times(time, self.attributes), None
        return plain_times(time, {UNIT: unit}), unit

    def _take_unit(self, unit: str | None) -> None:
        if unit is not None:
            self.attributes[UNIT] = unit

    def _stored(self, what: str) -> StoreFolder:
        if self._folder is None:
            raise InvalidInput(f"{what} needs a store on disk, and this one is in memory; write it with save(path)")
        return self._folder

    def _nodes_of(self, node_type: str | None) -> _NodeType:
        return self._node_types[self._parts.node_type(node_type)]

    def _edges_of(self, edge_type: EdgeType | None) -> EdgeSet:
        return self._edge_sets[self._parts.edge_type(edge_type)]


def check_edge_type(edge_type: Any) -> EdgeType:
    """A triple of names: source node type, relation, destination node type."""
    if isinstance(edge_type, str) or len(tuple(edge_type)) != 3:
        raise InvalidInput(f"an edge type is (source node type, relation, destination node type); got {edge_type!r}")
    source, relation, target = edge_type
    for name in (source, relation, target):
        check_name(name)
        if "/" in name:
            raise InvalidInput(f"the names of an edge type must not contain '/'; got {edge_type!r}")
    return source, relation, target


def check_directed(directed: Any) -> bool:
    """True or False, of Python or NumPy."""
    if not isinstance(directed, bool | np.bool_):
        raise InvalidType(f"directed must be True or False; got {directed!r}")
    return bool(directed)


def _check_count(what: str, count: Any) -> int:
    if not is_integer(count) or count < 0:
        raise InvalidInput(f"{what} must be an integer >= 0; got {count!r}")
    if count >= _MOST_NODES:
        raise InvalidInput(f"{what} must be less than 2**40; got {count}")
    return int(count)


def open(path: str | Path, *, version: int | None = None) -> GraphStore:
    """Open a stored graph: its arrays are memory-mapped, so this takes milliseconds whatever its size.

    Any number of processes can have a store open; the first change takes the one writer's lock until `commit` or
    `close`. An older `version` is read-only. Headers and sizes are checked here, and adjacency when it is first used;
    `verify` checks every byte.

    Raises
    ------
    StoreMissing, StoreCorrupt, NotFound
        There is no store at `path`; a file of it is damaged (the message names it); there is no such version.
    """
    from ..disk.folders import open_store

    return open_store(Path(path), None if version is None else _check_count("version", version), GraphStore)
