"""How a store changes: nodes, edges, ids and types added, appended, replaced and dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput, InvalidType, NotFound
from ..types import EDGE, NODE, EdgeType
from .arguments import check_count, check_directed, check_edge_type
from .columns import Columns, check_name
from .contents import Contents, NodeType
from .edges import EdgeList, EdgeSet, check_edges, widest_id
from .idmap import IdMap
from .times import UNIT, given_unit, plain_times

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


_FREE_GROWTH = 1 << 24  # nodes that appended edges may bring in any case


class Changes(Contents):
    """The changing half of a `GraphStore`."""

    def set_ids(self, user_ids: ArrayLike, node_type: str | None = None) -> None:
        """Give every node of a type a user id: distinct integers, or distinct texts."""
        ids = IdMap.from_values(user_ids)
        with self._guard.lock:
            nodes = self._nodes_of(node_type)
            if len(ids) != nodes.count:
                raise InvalidInput(f"there are {nodes.count} nodes but {len(ids)} user ids")
            self._home.changing()
            nodes.ids = ids

    def add_node_type(self, name: str, count: int) -> None:
        """Add `count` nodes of a new type."""
        check_name(name)
        count = check_count(f"the number of {name!r} nodes", count)
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
                whole = check_count("the number of nodes", nodes.count + check_count("count", count))
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

    def _add_nodes(self, name: str, count: int, ids: IdMap | None = None) -> None:
        owner = "nodes" if name == NODE else f"{name} nodes"
        nodes = NodeType(check_count(f"the number of {name!r} nodes", count), ids)
        columns = Columns(owner, lambda: nodes.count, self._home, self._guard)
        self._node_columns[name], self._node_types[name] = columns, nodes

    def _replace_nodes(self, name: str, made: Contents) -> None:
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
        columns = Columns(owner, lambda: edge_set.count, self._home, self._guard)
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
