"""From DGL: the ends and columns of a homogeneous graph."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidInput
from ..store.store import GraphStore
from ..tensors import to_array
from .arcs import check_graph, store_of_arcs
from .pyg import edge_columns, put_node_columns


def from_dgl(
    graph: Any, *, directed: bool | None = None, weight: str | None = None, time: str | None = None
) -> GraphStore:
    """A store of a homogeneous DGL graph, with its `ndata` and `edata` as columns; `weight` and `time` name `edata`."""
    check_graph("from_dgl", graph, "a graph of DGL", "ntypes", "edata")
    if len(graph.ntypes) != 1 or len(graph.etypes) != 1:
        raise InvalidInput("from_dgl reads homogeneous graphs; convert this one with dgl.to_homogeneous first")
    src, dst = (to_array(end) for end in graph.edges(order="eid"))
    found = edge_columns(dict(graph.edata.items()), src.shape[0], weight, time)
    store = store_of_arcs(src, dst, int(graph.num_nodes()), directed, found.roles, found.columns, "the DGL graph")
    put_node_columns(store, None, dict(graph.ndata.items()), int(graph.num_nodes()))
    return store
