"""To and from the graphs of other libraries. Columns are shared where the other side can hold the same memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import IngestError, InvalidInput, InvalidType
from ..extras import require
from ..scalars import is_integer
from ..store.store import GraphStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..guarded import Npz
    from ..types import EdgeType


def to_scipy(store: GraphStore, edge_type: EdgeType | None = None) -> Any:
    """The edges as a `scipy.sparse.csr_array` (num_sources, num_destinations).

    Values are the weights, or ones (float32). Undirected edges appear in both triangles, parallel edges as entries that
    SciPy adds up when it needs to. Neighbours and weights are the store's own arrays; row offsets are copied where
    SciPy wants int32.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.graphlib.convert import to_scipy
    >>> to_scipy(nearhop.GraphStore.from_edges(np.array([0]), np.array([1]))).toarray().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    import scipy.sparse as sp

    rows = store.csr(edge_type)
    data = np.ones(rows.num_entries, np.float32) if rows.weight is None else rows.weight
    # SciPy wants one dtype for both: the offsets, which are few, take that of the neighbours where they fit
    fits = rows.num_entries <= np.iinfo(rows.indices.dtype).max
    indptr = rows.indptr.astype(rows.indices.dtype, copy=False) if fits else rows.indptr
    return sp.csr_array((data, rows.indices, indptr), shape=(rows.num_rows, rows.num_cols), copy=False)


def from_scipy(matrix: Any, *, directed: bool | None = None) -> GraphStore:
    """A store of the stored entries of a square sparse matrix, in the order of its rows.

    Parameters
    ----------
    matrix : SciPy sparse array or matrix (n, n)
        Values become weights, unless they are booleans.
    directed : bool, optional
        True: every entry is an edge. False: an entry is an undirected edge, and the matrix must be symmetric, so that
        only one triangle is taken. By default False for symmetric matrices and True for others.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from nearhop.graphlib.convert import from_scipy
    >>> from_scipy(sp.csr_array([[0, 2.0], [2.0, 0]])).num_edges
    1
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidInput(f"edges between nodes of one type need a square matrix; got shape {matrix.shape}")
    entries = matrix.tocsr().tocoo(copy=False)
    weight = None if entries.data.dtype == bool else entries.data
    columns = {} if weight is None else {"weight": weight}
    if weight is not None and weight.dtype.kind not in "iuf":
        raise InvalidType(f"matrix values must be numbers or booleans; got dtype {weight.dtype}")
    return _from_arcs(entries.row, entries.col, int(matrix.shape[0]), directed, columns, "the matrix")


def read_sparse_npz(path: Path) -> Any:
    """The sparse matrix in an `.npz` file (SciPy's keys, also with the prefix adj_), or None where it holds none."""
    from ..guarded import Npz

    try:
        archive = Npz(path, name=path.name, error=IngestError)
    except IngestError as error:
        raise IngestError(f"{path.name} cannot be read as NumPy data: {error}") from error
    for prefix in ("", "adj_"):
        names = {name.removeprefix(prefix) for name in archive if name.startswith(prefix)}
        if "shape" in names and names & {"format", "indptr", "row"}:
            return _sparse_matrix(archive, prefix, names)
    return None


def _sparse_matrix(archive: Npz, prefix: str, names: set[str]) -> Any:
    import scipy.sparse as sp

    from ..guarded import guarded

    with guarded(archive.name, "a sparse matrix", IngestError):
        kind = "csr" if "indptr" in names else "coo"
        if "format" in names:
            kind = archive[prefix + "format"].item()
            kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if kind not in ("csr", "csc", "coo"):
            raise IngestError(f"{archive.name}: sparse matrices of format {kind!r} are not read; save it as csr")
        shape = tuple(archive[prefix + "shape"].tolist())
        one, two = archive.take(
            *(prefix + name for name in (("row", "col") if kind == "coo" else ("indices", "indptr")))
        )
        data = archive[prefix + "data"] if "data" in names else np.ones(one.shape[0], bool)
        if kind == "coo":
            return sp.coo_array((data, (one, two)), shape=shape)
        matrix = (sp.csr_array if kind == "csr" else sp.csc_array)((data, one, two), shape=shape)
        matrix.check_format(full_check=True)  # SciPy's own conversions do not check bounds
        return matrix


def to_networkx(store: GraphStore) -> Any:
    """A NetworkX graph with user ids (else positions) as nodes, and columns as attributes.

    The class is Graph or DiGraph, and the Multi form where there are parallel edges. Everything is copied into Python
    objects, about 1 KiB per edge. Needs a store of one node and one edge type.
    """
    nx = require("networkx", "to_networkx")
    _one_type(store, "to_networkx")
    edges = store.edge_list()
    directed = store.is_directed()
    names = range(store.num_nodes) if (ids := store.ids()) is None else ids.tolist()
    near, far = (
        (edges.src, edges.dst) if directed else (np.minimum(edges.src, edges.dst), np.maximum(edges.src, edges.dst))
    )
    keys = near.astype(np.int64) * max(store.num_nodes, 1) + far
    graph = _networkx_class(nx, directed, np.unique(keys).shape[0] < len(edges))()
    graph.add_nodes_from(names)
    for name, values in store.nodes.items():
        for node, value in zip(names, values.tolist(), strict=True):
            graph.nodes[node][name] = value
    columns = {name: values.tolist() for name, values in store.edges.items()}
    for name, array in (("weight", edges.weight), ("time", edges.time)):
        if array is not None:
            columns[name] = array.tolist()
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


def to_pyg(store: GraphStore) -> Any:
    """A `torch_geometric.data.Data`, or `HeteroData` for a store of several types.

    Node columns keep their names and, where torch has their dtype, their memory: do not write to them. Edge columns get
    the prefix "edge_"; weights are `edge_weight`, times `edge_time`. An undirected edge appears in both directions,
    first all edges as given, then the reverse of all that are not self-loops. Text columns are left out.
    """
    torch = require("torch", "to_pyg")
    data = require("torch_geometric.data", "to_pyg")
    if len(store.node_types) == 1 and len(store.edge_types) == 1:
        single = data.Data(num_nodes=store.num_nodes)
        _fill(single, node_tensors(torch, store, None))
        _fill(single, _edge_tensors(torch, store, None))
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
    """Node columns that torch can hold, as tensors over the same memory."""
    columns = store.nodes(node_type)
    return {name: as_tensor(torch, columns[name]) for name in columns if columns[name].dtype.kind in "biufM"}


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
    index = _to_array(data.edge_index)
    columns = _edge_columns({n: data[n] for n in data.keys() if data.is_edge_attr(n)}, index.shape[1], weight, time)  # noqa: SIM118
    store = _from_arcs(index[0], index[1], int(data.num_nodes), directed, columns, "the PyG Data")
    _put_node_columns(store, None, {n: data[n] for n in data.keys() if not data.is_edge_attr(n)}, int(data.num_nodes))  # noqa: SIM118
    return store


def _from_hetero(data: Any, directed: bool | None, weight: str | None, time: str | None) -> GraphStore:
    nodes = {str(name): int(data[name].num_nodes) for name in data.node_types}
    store = GraphStore.from_typed(nodes, {})
    for edge_type in data.edge_types:
        index = _to_array(data[edge_type].edge_index)
        columns = _edge_columns(dict(data[edge_type].items()), index.shape[1], weight, time)
        weights, times = columns.pop("weight", None), columns.pop("time", None)
        store.add_edge_type(
            edge_type, index[0], index[1], weight=weights, time=times, directed=directed is not False, positions=True
        )
        for name, values in columns.items():
            store.edges(edge_type)[name] = values
    for name, count in nodes.items():
        _put_node_columns(store, name, dict(data[name].items()), count)
    return store


def _edge_columns(
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
        array = _to_array(tensor, name)
        if array.ndim and array.shape[0] == count:
            plain = name if name == "edge_attr" else name.removeprefix("edge_")
            columns[roles.get(name, plain)] = array.reshape(-1) if name in roles else array
    return columns


def _put_node_columns(store: GraphStore, node_type: str | None, tensors: Mapping[str, Any], count: int) -> None:
    for name, tensor in tensors.items():
        if name != "edge_index" and hasattr(tensor, "numpy") and tensor.ndim and tensor.shape[0] == count:
            store.nodes(node_type)[name] = _to_array(tensor, name)


def _to_array(tensor: Any, name: str = "edge_index") -> NDArray[Any]:
    """A tensor as an array over the same memory; bfloat16, which NumPy lacks, as float32."""
    torch = require("torch", "reading tensors")
    if tensor.layout is not torch.strided or tensor.is_quantized:
        kind = "quantized" if tensor.is_quantized else "sparse"
        raise InvalidType(f"{name} is a {kind} tensor; give it dense, with .to_dense() or .dequantize()")
    if tensor.is_complex():
        raise InvalidType(f"{name} holds {tensor.dtype}; allowed are booleans, integers and real numbers")
    plain = tensor.detach().cpu().resolve_neg()
    array: NDArray[Any] = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    return array


def from_dgl(
    graph: Any, *, directed: bool | None = None, weight: str | None = None, time: str | None = None
) -> GraphStore:
    """A store of a homogeneous DGL graph, with its `ndata` and `edata` as columns; `weight` and `time` name `edata`."""
    if len(graph.ntypes) != 1 or len(graph.etypes) != 1:
        raise InvalidInput("from_dgl reads homogeneous graphs; convert this one with dgl.to_homogeneous first")
    src, dst = (_to_array(end) for end in graph.edges(order="eid"))
    columns = _edge_columns(dict(graph.edata.items()), src.shape[0], weight, time)
    store = _from_arcs(src, dst, int(graph.num_nodes()), directed, columns, "the DGL graph")
    _put_node_columns(store, None, dict(graph.ndata.items()), int(graph.num_nodes()))
    return store


def _from_arcs(
    src: NDArray[Any],
    dst: NDArray[Any],
    num_nodes: int,
    directed: bool | None,
    columns: dict[str, NDArray[Any]],
    what: str,
) -> GraphStore:
    """A store of arcs of which both directions may be present; `columns` may hold "weight" and "time"."""
    symmetric = directed is not True and _is_symmetric(src, dst, num_nodes, columns.values())
    if directed is False and not symmetric:
        raise InvalidInput(f"directed=False, but {what} does not hold every edge in both directions with equal values")
    if symmetric:
        keep = src <= dst
        src, dst = src[keep], dst[keep]
        columns = {name: values[keep] for name, values in columns.items()}
    given = {name: columns.pop(name, None) for name in ("weight", "time")}
    store = GraphStore.from_edges(src, dst, num_nodes=num_nodes, directed=not symmetric, **given)
    for name, values in columns.items():
        store.edges[name] = values
    return store


def _is_symmetric(src: NDArray[Any], dst: NDArray[Any], num_nodes: int, columns: Iterable[NDArray[Any]]) -> bool:
    """Whether every arc has its reverse, equally often and with the same values. O(arcs log arcs)."""
    there = src.astype(np.int64) * max(num_nodes, 1) + dst
    back = dst.astype(np.int64) * max(num_nodes, 1) + src
    one, other = np.argsort(there, kind="stable"), np.argsort(back, kind="stable")
    if not np.array_equal(there[one], back[other]):
        return False
    return all(np.array_equal(values[one], values[other], equal_nan=values.dtype.kind == "f") for values in columns)


def _one_type(store: GraphStore, what: str) -> None:
    if len(store.node_types) != 1 or len(store.edge_types) != 1:
        raise InvalidInput(f"{what} needs a store of one node type and one edge type; this has {store.edge_types}")


__all__ = [
    "from_dgl",
    "from_networkx",
    "from_pyg",
    "from_scipy",
    "read_sparse_npz",
    "to_networkx",
    "to_pyg",
    "to_scipy",
]
