"""What a loader makes of a sample: the rows of its tables, as a torch_geometric `Data` or `HeteroData`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, InvalidType, NotFound
from ...graphlib.extras import require
from ..features.unified_tensor import UnifiedTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType
    from ..neighbors.subgraph import SampledSubgraph
    from ..neighbors.typed import TypedSubgraph

_DEFAULTS = ("x", "y")
_OWN = frozenset(
    {
        "edge_index", "num_nodes", "n_id", "e_id", "batch_size", "num_sampled_nodes", "num_sampled_edges", "batch",
        "input_id", "edge_label", "edge_label_index", "edge_label_time", "seed_time",
    }
)  # fmt: skip


class PlainForm:
    """Batches of one node type and one edge type of a store.

    `given` maps attribute names to `UnifiedTensor`s, arrays, or names of columns; by default x and y, where the store
    has them. Names that begin with `edge_` are indexed by edge.
    """

    def __init__(self, store: GraphStore, edge_type: EdgeType, given: Mapping[str, Any] | None) -> None:
        nodes, edges = store.nodes(edge_type[0]), store.edges(edge_type)
        sizes = store.num_nodes_of(edge_type[0]), store.num_edges_of(edge_type)
        if given is None:
            given = {name: name for name in _DEFAULTS if name in nodes}
        if not isinstance(given, Mapping):
            raise InvalidType(f"tables must map attribute names to columns or arrays; got {type(given).__name__}")
        self.tables: dict[Any, UnifiedTensor] = {}
        for name, value in given.items():
            _check_name(name)
            by_edge = name.startswith("edge_")
            columns, size, unit = (edges, sizes[1], "edges") if by_edge else (nodes, sizes[0], "nodes")
            self.tables[name] = _table(repr(name), value, columns, size, unit)

    def gather(self, sample: SampledSubgraph) -> dict[str, Any]:
        """The rows of every table that a sample needs."""
        return {
            name: table[sample.edge_ids if name.startswith("edge_") else sample.nodes]
            for name, table in self.tables.items()
        }

    def data(self, sample: SampledSubgraph, rows: Mapping[str, Any], extra: Mapping[Any, Mapping[str, Any]]) -> Any:
        """A `Data` named as PyG's own loaders name things; arrays in `extra` become tensors.

        `n_id` and `e_id` are positions in the store, `batch_size` counts the seeds' nodes, which come first.
        """
        data = require("torch_geometric.data", "loaders").Data()
        data.edge_index = _tensor(np.stack([sample.row, sample.col]))
        data.num_nodes = sample.num_nodes
        data.n_id = _tensor(sample.nodes)
        data.e_id = _tensor(sample.edge_ids)
        data.batch_size = sample.num_sampled_nodes[0]
        data.num_sampled_nodes = list(sample.num_sampled_nodes)
        data.num_sampled_edges = list(sample.num_sampled_edges)
        if sample.tree is not None:
            data.batch = _tensor(sample.tree)
        for values in extra.values():
            _fill(data, values)
        _fill(data, rows)
        return _on_one_device(data, rows.values())


class TypedForm:
    """Batches of a store of several types.

    `given` maps a node or edge type to what `PlainForm` takes for it; by default x and y of every node type.
    """

    def __init__(self, store: GraphStore, given: Mapping[Any, Mapping[str, Any]] | None) -> None:
        if given is None:
            given = {t: {n: n for n in _DEFAULTS if n in store.nodes(t)} for t in store.node_types}
        if not isinstance(given, Mapping) or not all(isinstance(named, Mapping) for named in given.values()):
            raise InvalidType("tables must map node and edge types to mappings from attribute names to columns")
        self.tables: dict[Any, UnifiedTensor] = {}
        types = (*store.edge_types, *store.link_types)
        for kind, named in given.items():
            if kind not in store.node_types and kind not in types:
                known = ", ".join(map(repr, (*store.node_types, *types)))
                raise NotFound(f"tables name the type {kind!r}; the store has {known}")
            by_edge = kind in types
            columns = store.edges(kind) if by_edge else store.nodes(kind)
            size = store.num_edges_of(kind) if by_edge else store.num_nodes_of(kind)
            unit = f"{'edges' if by_edge else 'nodes'} of type {kind!r}"
            for name, value in named.items():
                _check_name(name)
                self.tables[kind, name] = _table(f"{name!r} of {kind!r}", value, columns, size, unit)

    def gather(self, sample: TypedSubgraph) -> dict[Any, Any]:
        """The rows of every table that a sample needs."""
        rows = {}
        for (kind, name), table in self.tables.items():
            ids = sample.nodes[kind] if kind in sample.nodes else sample.edge_ids.get(kind)
            if ids is not None:  # an edge type that is not followed has no edges in a batch
                rows[kind, name] = table[ids]
        return rows

    def data(self, sample: TypedSubgraph, rows: Mapping[Any, Any], extra: Mapping[Any, Mapping[str, Any]]) -> Any:
        """A `HeteroData`; as `PlainForm.data`, by type, with `extra` by type too."""
        data = require("torch_geometric.data", "loaders").HeteroData()
        for name, nodes in sample.nodes.items():
            kept = {"n_id": nodes, "num_nodes": len(nodes), "num_sampled_nodes": list(sample.num_sampled_nodes[name])}
            if name in sample.seed_index:
                kept["batch_size"] = sample.num_sampled_nodes[name][0]
            if sample.tree is not None:
                kept["batch"] = sample.tree[name]
            _fill(data[name], kept)
        for edge_type, edges in sample.edge_ids.items():
            ends = np.stack([sample.row[edge_type], sample.col[edge_type]])
            counts = list(sample.num_sampled_edges[edge_type])
            _fill(data[edge_type], {"edge_index": ends, "e_id": edges, "num_sampled_edges": counts})
        for kind, values in extra.items():
            _fill(data[kind], values)
        for (kind, name), values in rows.items():
            data[kind][name] = values
        return _on_one_device(data, rows.values())


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise InvalidType(f"tables must map texts, attribute names, to columns or arrays; got the name {name!r:.50}")
    if name in _OWN:
        raise InvalidInput(f"tables: a batch has an attribute {name!r} of its own; give the table another name")


def _table(called: str, value: Any, columns: Any, size: int, unit: str) -> UnifiedTensor:
    if isinstance(value, str):
        value = columns[value]
    table = value if isinstance(value, UnifiedTensor) else UnifiedTensor(value, threads=1)
    if len(table) != size:
        raise InvalidInput(f"table {called} has {len(table)} rows but the store has {size} {unit}")
    return table


def _tensor(array: NDArray[Any]) -> Any:
    return require("torch", "loaders").from_numpy(np.ascontiguousarray(array))


def _fill(target: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        target[name] = _tensor(value) if isinstance(value, np.ndarray) else value


def _on_one_device(data: Any, rows: Any) -> Any:
    devices = {value.device for value in rows}
    return data.to(devices.pop(), non_blocking=True) if len(devices) == 1 else data
