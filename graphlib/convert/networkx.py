"""To and from NetworkX: Python objects, about 1 KiB per edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput
from ..extras import require
from ..given_store import check_store, one_node_type
from ..scalars import is_integer
from ..store.store import GraphStore
from ..types import EdgeType
from .arcs import Names, check_graph, check_one_type
from .attributes import attribute_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_networkx(store: GraphStore, edge_type: EdgeType | None = None) -> Any:
    """A NetworkX graph with user ids (else positions) as nodes, and columns as attributes.

    The class is Graph or DiGraph, and the Multi form where there are parallel edges. Everything is copied into Python
    objects, dates into `numpy.datetime64`, about 1 KiB per edge. Of a store of several node or edge types, `edge_type`
    says which edges; they must join nodes of one type. What belongs to an index is left out. An edge column "weight"
    beside weights is refused, and so is "time" beside times.
    """
    check_store(store)
    nx = require("networkx", "to_networkx")
    if edge_type is None:
        check_one_type(store, "to_networkx")
    chosen = one_node_type(store, "to_networkx", edge_type)
    node_type, count = chosen[0], store.num_nodes_of(chosen[0])
    edges = store.edge_list(chosen)
    directed = store.is_directed(chosen)
    names = range(count) if (ids := store.ids(node_type)) is None else ids.tolist()
    near, far = (
        (edges.src, edges.dst) if directed else (np.minimum(edges.src, edges.dst), np.maximum(edges.src, edges.dst))
    )
    keys = near.astype(np.int64) * max(count, 1) + far
    graph = _networkx_class(nx, directed, np.unique(keys).shape[0] < len(edges))()
    graph.add_nodes_from(names)
    for name in store._parts.graph_columns(node_type):
        for node, value in zip(names, _objects(store.nodes(node_type)[name]), strict=True):
            graph.nodes[node][name] = value
    columns, taken = {}, Names("to_networkx", {})
    for name, array in (("weight", edges.weight), ("time", edges.time)):
        if array is not None:
            taken.take(name, f"the {name}s")
            columns[name] = array.tolist()
    for name, values in store.edges(chosen).items():
        taken.take(name, f"the edge column {name!r}")
        columns[name] = _objects(values)
    ends = zip(edges.src.tolist(), edges.dst.tolist(), strict=True)
    graph.add_edges_from(
        (names[a], names[b], {name: values[i] for name, values in columns.items()}) for i, (a, b) in enumerate(ends)
    )
    return graph


def _networkx_class(nx: Any, directed: bool, parallel: bool) -> Any:
    if parallel:
        return nx.MultiDiGraph if directed else nx.MultiGraph
    return nx.DiGraph if directed else nx.Graph


def from_networkx(
    graph: Any, *, directed: bool | None = None, weight: str | None = None, time: str | None = None
) -> GraphStore:
    """A store of a NetworkX graph.

    Nodes 0..n-1 keep their numbers; other integers and texts become user ids, nodes being numbered in sorted order.
    Attributes that hold numbers, booleans, `numpy.datetime64` of one unit or equally long vectors become columns (NaN
    or NaT where a node or edge has none), texts become text columns, and so do integers that float64 could not hold
    where some are missing, among fractions, or beyond 64 bits. `weight` names the edge attribute of the weights, by
    default "weight" where every edge has it. Keys of parallel edges are not kept.
    """
    return read_nx(graph, directed=directed, weight=weight, time=time)[0]


def read_nx(
    graph: Any, *, directed: bool | None = None, weight: str | None = None, time: str | None = None
) -> tuple[GraphStore, dict[str, str]]:
    """`from_networkx`, and what of the graph is left out and why."""
    check_graph("from_networkx", graph, "a graph of NetworkX", "nodes", "is_multigraph")
    nodes = list(graph.nodes)
    numbered = all(is_integer(n) for n in nodes)
    if not numbered and not all(isinstance(n, str) for n in nodes):
        raise InvalidInput(
            "the nodes of a NetworkX graph must be all integers or all texts; use "
            "networkx.convert_node_labels_to_integers(graph, label_attribute=...) first"
        )
    ranked = sorted(nodes, key=int if numbered else lambda text: text.encode())
    position = {node: i for i, node in enumerate(ranked)}
    given = list(graph.edges(data=True))
    ends = np.array([(position[a], position[b]) for a, b, _ in given], np.int64).reshape(-1, 2)
    columns, left = attribute_columns([data for _, _, data in given])
    whole = given and all("weight" in data for _, _, data in given)
    if weight is None and whole and "weight" in columns and columns["weight"].dtype.kind in "biuf":
        weight = "weight"
    for role, name, kinds in (("weight", weight, "biuf"), ("time", time, "iufM")):
        if name is not None and (name not in columns or columns[name].dtype.kind not in kinds):
            raise InvalidInput(f"{role}={name!r}: edges have no such attribute of numbers; they have {sorted(columns)}")
    store = GraphStore.from_edges(
        ends[:, 0],
        ends[:, 1],
        num_nodes=len(nodes),
        directed=graph.is_directed() if directed is None else directed,
        weight=None if weight is None else columns.pop(weight),
        time=None if time is None else columns.pop(time),
    )
    if ranked != list(range(len(ranked))):
        store.set_ids(np.array(ranked) if numbered else np.array(ranked, np.dtypes.StringDType()))
    for name, values in columns.items():
        store.edges[name] = values
    columns, unfit = attribute_columns([graph.nodes[node] for node in ranked])
    for name, values in columns.items():
        store.nodes[name] = values
    left |= {f"nodes: {name}": why for name, why in unfit.items()}
    if _has_keys(graph):
        left["keys of parallel edges"] = "give edges an attribute with them to keep them"
    return store, left


def _has_keys(graph: Any) -> bool:
    """Whether parallel edges have keys other than 0, 1, 2, ..., which NetworkX gives by itself."""
    return graph.is_multigraph() and any(
        key != i for _, near in graph.adjacency() for keyed in near.values() for i, key in enumerate(keyed)
    )


def _objects(values: NDArray[Any]) -> list[Any]:
    """Python objects of a column; dates as NumPy's, since Python's hold no nanoseconds and no NaT."""
    return list(np.array(values)) if values.dtype.kind == "M" else values.tolist()
