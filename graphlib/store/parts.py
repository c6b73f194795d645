"""What a store consists of, by type, and which type a call means that names none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput
from ..types import EDGE, NODE, EdgeType, choose_type
from .indexes import StoredIndex, stored_indexes

if TYPE_CHECKING:
    from .columns import Columns
    from .edges import EdgeSet


@dataclass(eq=False)
class Parts:
    """Nodes, edges and their columns by type, and the attributes: of the graph, and of the indexes beside it."""

    node_types: dict[str, Any] = field(default_factory=dict)
    node_columns: dict[str, Columns] = field(default_factory=dict)
    edge_sets: dict[EdgeType, EdgeSet] = field(default_factory=dict)
    edge_columns: dict[EdgeType, Columns] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def indexes(self) -> dict[str, StoredIndex]:
        """The indexes beside the graph, by name."""
        return stored_indexes(self.attributes, self.node_columns, self.edge_sets)

    def graph_edges(self) -> dict[EdgeType, EdgeSet]:
        """The edges of the graph itself."""
        theirs = {link for index in self.indexes().values() for link in index.links}
        return {name: edges for name, edges in self.edge_sets.items() if name not in theirs}

    def graph_nodes(self) -> dict[str, Any]:
        """The nodes of the graph itself."""
        theirs = {index.basis for index in self.indexes().values()}
        return {name: nodes for name, nodes in self.node_types.items() if name not in theirs}

    def graph_columns(self, node_type: str) -> tuple[str, ...]:
        """The names of a node type's columns that belong to no index."""
        theirs = {c for index in self.indexes().values() if index.node_type == node_type for c in index.columns}
        return tuple(column for column in self.node_columns[node_type] if column not in theirs)

    def node_type(self, wanted: Any = None) -> str:
        """The node type that a call means: the one named, else "node", else the graph's only one."""
        present = self.graph_nodes() if wanted is None else self.node_types
        return str(choose_type("node", wanted, present, NODE))

    def edge_type(self, wanted: Any = None) -> EdgeType:
        """The edge type that a call means: the one named, else ("node", "edge", "node"), else the graph's only one."""
        present = self.graph_edges() if wanted is None else self.edge_sets
        if not present and self.edge_sets:
            links = ", ".join(map(repr, self.edge_sets))
            raise InvalidInput(f"this store has no edges but the links of its indexes; name one of them: {links}")
        chosen: EdgeType = choose_type("edge", wanted, present, EDGE)
        return chosen
