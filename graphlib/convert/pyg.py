"""To and from PyTorch Geometric: columns are shared where torch has their dtype."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput
from ..extras import require
from ..store.store import GraphStore
from ..tensors import to_array
from ..types import EdgeType, one_node_type
from .arcs import store_of_arcs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_pyg(store: GraphStore, edge_type: EdgeType | None = None) -> Any:
    """A `torch_geometric.data.Data`, or `HeteroData` for a store of several types.

    With `edge_type`, a `Data` of these edges, which must join nodes of one type. What belongs to an index is left out.
    Node columns keep their names and, where torch has their dtype, their memory: do not write to them. Edge columns get
    the prefix "edge_"; weights are `edge_weight`, times `edge_time`. An undirected edge appears in both directions,
    first all edges as given, then the reverse of all that are not self-loops. Text columns are left out.
    """
    torch = require("torch", "to_pyg")
    data = require("torch_geometric.data", "to_pyg")
    if edge_type is not None or (len(store.node_types) == 1 and len(store.edge_types) == 1):
        chosen = one_node_type(store, "to_pyg", edge_type)
        single = data.Data(num_nodes=store.num_nodes_of(chosen[0]))
        _fill(single, node_tensors(torch, store, chosen[0]))
        _fill(single, _edge_tensors(torch, store, chosen))
        return single
    several = data.HeteroData()
    for name in store.node_types:
        several[name].num_nodes = store.num_nodes_of(name)
        _fill(several[name], node_tensors(torch, store, name))
    for edge_type in store.edge_types:
        _fill(several[edge_type], _edge_tensors(torch, store, edge_type))
    return several


def _fill(target: Any, tensors: Mapping[str, Any]) -> None:
    for name, tensor in tensors.items():
        target[name] = tensor


def node_tensors(torch: Any, store: GraphStore, node_type: str | None) -> dict[str, Any]:
    """Node columns that torch can hold, but those of indexes, as tensors over the same memory."""
    columns, names = store.nodes(node_type), store._parts.graph_columns(store._parts.node_type(node_type))
    return {name: as_tensor(torch, columns[name]) for name in names if columns[name].dtype.kind in "biufM"}


def as_tensor(torch: Any, array: NDArray[Any]) -> Any:
    """A tensor over the same memory; dates as int64."""
    if array.dtype.kind == "M":
        array = array.view(np.int64)
    with warnings.catch_warnings():
        # torch has no read-only tensors and warns; that shared arrays must not be written to is documented
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _edge_tensors(torch: Any, store: GraphStore, edge_type: EdgeType | None) -> dict[str, Any]:
    edges = store.edge_list(edge_type)
    back = np.empty(0, np.int64) if store.is_directed(edge_type) else np.flatnonzero(edges.src != edges.dst)
    index = np.empty((2, len(edges) + back.shape[0]), np.int64)
    for row, (there, other) in enumerate(((edges.src, edges.dst), (edges.dst, edges.src))):
        index[row, : len(edges)] = there
        index[row, len(edges) :] = other[back]
    tensors = {"edge_index": torch.from_numpy(index)}
    columns = {name: store.edges(edge_type)[name] for name in store.edges(edge_type)}
    for name, array in {"weight": edges.weight, "time": edges.time, **columns}.items():
        if array is None or array.dtype.kind not in "biufM":
            continue
        both = np.concatenate([array, array[back]]) if back.shape[0] else array
        tensors[name if name.startswith("edge_") else f"edge_{name}"] = as_tensor(torch, both)
    return tensors


def from_pyg(
    data: Any, *, directed: bool | None = None, weight: str | None = None, time: str | None = None
) -> GraphStore:
    """A store of a PyG `Data` or `HeteroData`.

    Tensors per node become node columns of the same name and memory; tensors per edge become edge columns without the
    prefix "edge_" (`edge_attr` keeps its name). `edge_weight` and `edge_time` become weights and times, unless `weight`
    or `time` name other tensors. By default a `Data` whose edges and edge columns are symmetric is undirected, with
    each pair of opposite edges stored once; a `HeteroData` is directed.
    """
    if hasattr(data, "edge_types"):
        return _from_hetero(data, directed, weight, time)
    if data.edge_index is None:
        raise InvalidInput("this PyG Data has no edge_index; convert SparseTensor adjacency to edge_index first")
    index = to_array(data.edge_index)
    columns = edge_columns({n: data[n] for n in data.keys() if data.is_edge_attr(n)}, index.shape[1], weight, time)  # noqa: SIM118
    store = store_of_arcs(index[0], index[1], int(data.num_nodes), directed, columns, "the PyG Data")
    put_node_columns(store, None, {n: data[n] for n in data.keys() if not data.is_edge_attr(n)}, int(data.num_nodes))  # noqa: SIM118
    return store


def _from_hetero(data: Any, directed: bool | None, weight: str | None, time: str | None) -> GraphStore:
    nodes = {str(name): int(data[name].num_nodes) for name in data.node_types}
    store = GraphStore.from_typed(nodes, {})
    for edge_type in data.edge_types:
        index = to_array(data[edge_type].edge_index)
        columns = edge_columns(dict(data[edge_type].items()), index.shape[1], weight, time)
        weights, times = columns.pop("weight", None), columns.pop("time", None)
        store.add_edge_type(
            edge_type, index[0], index[1], weight=weights, time=times, directed=directed is not False, positions=True
        )
        for name, values in columns.items():
            store.edges(edge_type)[name] = values
    for name, count in nodes.items():
        put_node_columns(store, name, dict(data[name].items()), count)
    return store


def edge_columns(
    tensors: Mapping[str, Any], count: int, weight: str | None, time: str | None
) -> dict[str, NDArray[Any]]:
    columns = {}
    roles = {weight or "edge_weight": "weight", time or "edge_time": "time"}
    for asked in (weight, time):
        if asked is not None and asked not in tensors:
            raise InvalidInput(f"edges have no tensor {asked!r}; they have {sorted(tensors)}")
    for name, tensor in tensors.items():
        if name == "edge_index" or not hasattr(tensor, "numpy"):
            continue
        array = to_array(tensor, name)
        if array.ndim and array.shape[0] == count:
            plain = name if name == "edge_attr" else name.removeprefix("edge_")
            columns[roles.get(name, plain)] = array.reshape(-1) if name in roles else array
    return columns


def put_node_columns(store: GraphStore, node_type: str | None, tensors: Mapping[str, Any], count: int) -> None:
    for name, tensor in tensors.items():
        if name != "edge_index" and hasattr(tensor, "numpy") and tensor.ndim and tensor.shape[0] == count:
            store.nodes(node_type)[name] = to_array(tensor, name)
