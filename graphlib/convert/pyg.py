"""To and from PyTorch Geometric: columns are shared where torch has their dtype."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput
from ..extras import require
from ..given_store import check_store, one_node_type
from ..store.store import GraphStore
from ..tensors import to_array
from ..types import EdgeType
from .arcs import Names, check_graph, store_of_arcs, undirected_half

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EDGES = {"edge_index": "the ends of the edges", "num_edges": "the number of edges"}
_ROLES = ("weight", "time")
_STRUCTURE = ("edge_index", "num_nodes", "ptr")
_NO_COLUMN = "it is neither per node nor per edge"


def to_pyg(store: GraphStore, edge_type: EdgeType | None = None) -> Any:
    """A `torch_geometric.data.Data`, or `HeteroData` for a store of several types.

    With `edge_type`, a `Data` of these edges, which must join nodes of one type. What belongs to an index is left out.
    Node columns keep their names and, where torch has their dtype, their memory: do not write to them. Edge columns get
    the prefix "edge_"; weights are `edge_weight`, times `edge_time`. An undirected edge appears in both directions,
    first all edges as given, then the reverse of all that are not self-loops. Text columns are left out. A column whose
    name there is already that of another, or of something else (an edge column "weight" beside weights), is refused.
    """
    check_store(store)
    torch = require("torch", "to_pyg")
    data = require("torch_geometric.data", "to_pyg")
    if edge_type is not None or (len(store.node_types) == 1 and len(store.edge_types) == 1):
        chosen = one_node_type(store, "to_pyg", edge_type)
        single = data.Data(num_nodes=store.num_nodes_of(chosen[0]))
        names = Names("to_pyg", {"num_nodes": "the number of nodes", **_EDGES})
        _fill(single, names, _node_items(torch, store, chosen[0]))
        _fill(single, names, _edge_items(torch, store, chosen))
        return single
    several = data.HeteroData()
    for name in store.node_types:
        several[name].num_nodes = store.num_nodes_of(name)
        names = Names("to_pyg", {"num_nodes": "the number of nodes"})
        _fill(several[name], names, _node_items(torch, store, name))
    for edge_type in store.edge_types:
        _fill(several[edge_type], Names("to_pyg", _EDGES), _edge_items(torch, store, edge_type))
    return several


def _fill(target: Any, names: Names, items: Iterable[tuple[str, str, Any]]) -> None:
    """Set tensors by their names there; the text between says what each is."""
    for name, what, tensor in items:
        if what:
            names.take(name, what)
        target[name] = tensor


def _node_items(torch: Any, store: GraphStore, node_type: str) -> Iterator[tuple[str, str, Any]]:
    for name, tensor in node_tensors(torch, store, node_type).items():
        yield name, f"the node column {name!r}", tensor


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


def _edge_items(torch: Any, store: GraphStore, edge_type: EdgeType | None) -> Iterator[tuple[str, str, Any]]:
    edges = store.edge_list(edge_type)
    back = np.empty(0, np.int64) if store.is_directed(edge_type) else np.flatnonzero(edges.src != edges.dst)
    index = np.empty((2, len(edges) + back.shape[0]), np.int64)
    for row, (there, other) in enumerate(((edges.src, edges.dst), (edges.dst, edges.src))):
        index[row, : len(edges)] = there
        index[row, len(edges) :] = other[back]
    yield "edge_index", "", torch.from_numpy(index)
    roles = [(f"edge_{role}", f"the {role}s", getattr(edges, role)) for role in _ROLES]
    columns = [
        (name if name.startswith("edge_") else f"edge_{name}", f"the edge column {name!r}", values)
        for name, values in store.edges(edge_type).items()
    ]
    for name, what, array in roles + columns:
        if array is None or array.dtype.kind not in "biufM":
            continue
        both = np.concatenate([array, array[back]]) if back.shape[0] else array
        yield name, what, as_tensor(torch, both)


def from_pyg(
    data: Any, *, directed: bool | None = None, weight: str | None = None, time: str | None = None
) -> GraphStore:
    """A store of a PyG `Data` or `HeteroData`.

    Tensors per node become node columns of the same name and memory; tensors per edge become edge columns without the
    prefix "edge_" (`edge_attr` keeps its name, and so does `edge_x` beside a tensor `x`). `edge_weight` and
    `edge_time`, else `weight` and `time`, become weights and times, unless `weight` or `time` name other tensors. By
    default a `Data` whose edges and edge columns are symmetric is undirected, with each pair of opposite edges stored
    once; a `HeteroData` is directed. With directed=False the edges must be symmetric, of each type in a `HeteroData`,
    and edges between two types of nodes are refused.
    """
    return read_pyg(data, directed=directed, weight=weight, time=time)[0]


def read_pyg(
    data: Any, *, directed: bool | None = None, weight: str | None = None, time: str | None = None
) -> tuple[GraphStore, dict[str, str]]:
    """`from_pyg`, and what of the graph is left out and why."""
    check_graph("from_pyg", data, "a Data or HeteroData of PyG", "stores", "is_undirected")
    if hasattr(data, "edge_types"):
        return _from_hetero(data, directed, weight, time)
    if data.edge_index is None:
        raise InvalidInput("this PyG Data has no edge_index; convert SparseTensor adjacency to edge_index first")
    index, count = to_array(data.edge_index), int(data.num_nodes)
    tensors = {name: data[name] for name in sorted(data.keys()) if name not in _STRUCTURE}  # its own order is a set's
    per_edge = {name: tensor for name, tensor in tensors.items() if data.is_edge_attr(name)}
    found = edge_columns(per_edge, index.shape[1], weight, time)
    store = store_of_arcs(index[0], index[1], count, directed, found.roles, found.columns, "the PyG Data")
    out = put_node_columns(store, None, {n: each for n, each in tensors.items() if n not in per_edge}, count)
    return store, dict.fromkeys(sorted(found.left + out), _NO_COLUMN)


def _from_hetero(
    data: Any, directed: bool | None, weight: str | None, time: str | None
) -> tuple[GraphStore, dict[str, str]]:
    nodes = {str(name): int(data[name].num_nodes) for name in data.node_types}
    store = GraphStore.from_typed(nodes, {})
    left = [name for name in data.stores[0].keys() if name not in _STRUCTURE]  # noqa: SIM118, what belongs to no type
    for edge_type in data.edge_types:
        if directed is False and edge_type[0] != edge_type[2]:
            raise InvalidInput(
                f"directed=False, but the edges {edge_type!r} join two types of nodes, and undirected edges need one "
                "type at both ends; leave directed out"
            )
        index = to_array(data[edge_type].edge_index)
        tensors = {name: each for name, each in data[edge_type].items() if name not in _STRUCTURE}
        found = edge_columns(tensors, index.shape[1], weight, time)
        ends = {"src": index[0], "dst": index[1]}
        values = [*found.roles.values(), *found.columns.values()]
        what = f"the HeteroData's edge type {edge_type!r}"
        half = undirected_half(index[0], index[1], nodes[str(edge_type[0])], directed is not False, values, what)
        kept: Any = slice(None) if half is None else half
        store.add_edge_type(
            edge_type,
            **{name: each[kept] for name, each in (ends | found.roles).items()},
            directed=half is None,
            positions=True,
        )
        for name, array in found.columns.items():
            store.edges(edge_type)[name] = array[kept]
        left += [f"{'-'.join(map(str, edge_type))}: {name}" for name in found.left]
    for node_type, count in nodes.items():
        tensors = {name: each for name, each in data[node_type].items() if name not in _STRUCTURE}
        left += [f"{node_type}: {name}" for name in put_node_columns(store, node_type, tensors, count)]
    return store, dict.fromkeys(left, _NO_COLUMN)


@dataclass(frozen=True)
class EdgeTensors:
    """Tensors per edge: weights and times, the columns by their names in a store, and what is neither."""

    roles: dict[str, NDArray[Any]]
    columns: dict[str, NDArray[Any]]
    left: list[str]


def edge_columns(tensors: Mapping[str, Any], count: int, weight: str | None, time: str | None) -> EdgeTensors:
    """What becomes of the tensors of edges; the same whatever their order."""
    arrays = {}
    for name, tensor in tensors.items():
        if hasattr(tensor, "numpy"):
            array = to_array(tensor, name)
            if array.ndim and array.shape[0] == count:
                arrays[name] = array
    chosen = {}
    for role, asked in (("weight", weight), ("time", time)):
        if asked is not None and asked not in arrays:
            raise InvalidInput(f"edges have no tensor {asked!r}; they have {sorted(arrays)}")
        source = asked or next((name for name in (f"edge_{role}", role) if name in arrays), None)
        if source is not None:
            chosen[role] = source
    columns = {}
    for name, array in arrays.items():
        if name not in chosen.values():
            plain = name.removeprefix("edge_")
            taken = plain in ("", "attr", "index", *_ROLES) or plain in arrays
            columns[name if taken else plain] = array
    roles = {role: arrays[name].reshape(-1) for role, name in chosen.items()}
    return EdgeTensors(roles, columns, [name for name in tensors if name not in arrays])


def put_node_columns(store: GraphStore, node_type: str | None, tensors: Mapping[str, Any], count: int) -> list[str]:
    """Keep the tensors per node as columns; the names of the others."""
    left = []
    for name, tensor in tensors.items():
        if hasattr(tensor, "numpy") and tensor.ndim and tensor.shape[0] == count:
            store.nodes(node_type)[name] = to_array(tensor, name)
        else:
            left.append(name)
    return left
