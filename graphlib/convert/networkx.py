"""To and from NetworkX: Python objects, about 1 KiB per edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput
from ..extras import require
from ..scalars import is_integer
from ..store.store import GraphStore
from ..types import EdgeType, one_node_type
from .arcs import Names, check_one_type

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_networkx(store: GraphStore, edge_type: EdgeType | None = None) -> Any:
    """A NetworkX graph with user ids (else positions) as nodes, and columns as attributes.

    The class is Graph or DiGraph, and the Multi form where there are parallel edges. Everything is copied into Python
    objects, about 1 KiB per edge. Of a store of several node or edge types, `edge_type` says which edges; they must
    join nodes of one type. What belongs to an index is left out. An edge column "weight" beside weights is refused, and
    so is "time" beside times.
    """
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
        for node, value in zip(names, store.nodes(node_type)[name].tolist(), strict=True):
            graph.nodes[node][name] = value
    columns, taken = {}, Names("to_networkx", {})
    for name, array in (("weight", edges.weight), ("time", edges.time)):
        if array is not None:
            taken.take(name, f"the {name}s")
            columns[name] = array.tolist()
    for name, values in store.edges(chosen).items():
        taken.take(name, f"the edge column {name!r}")
        columns[name] = values.tolist()
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
    Attributes that hold numbers, booleans or equally long vectors become columns (NaN where a node or edge has none),
    texts become text columns. `weight` names the edge attribute of the weights, by default "weight" where every
    edge has it.
    """
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
    columns = _attribute_columns([data for _, _, data in given])
    whole = given and all("weight" in data for _, _, data in given)
    if weight is None and whole and "weight" in columns and columns["weight"].dtype.kind in "biuf":
        weight = "weight"
    for role, name in (("weight", weight), ("time", time)):
        if name is not None and (name not in columns or columns[name].dtype.kind == "U"):
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
    for name, values in _attribute_columns([graph.nodes[node] for node in ranked]).items():
        store.nodes[name] = values
    return store


def _attribute_columns(rows: list[Mapping[Any, Any]]) -> dict[str, NDArray[Any]]:
    """Columns of the attributes that fit into arrays."""
    columns = {}
    for name in dict.fromkeys(key for row in rows for key in row if isinstance(key, str)):
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values} - {type(None)}
        if kinds and all(issubclass(kind, str) for kind in kinds):
            columns[name] = np.array([value or "" for value in values], np.str_)
            continue
        sample = next(value for value in values if value is not None) if any(v is not None for v in values) else 0.0
        blank = np.full(np.shape(sample), np.nan)
        try:
            array = np.array([blank if value is None else value for value in values])
        except ValueError:
            continue
        if array.dtype.kind in "biuf":
            columns[name] = array
    return columns
