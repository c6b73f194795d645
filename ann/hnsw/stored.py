"""HNSW graphs in stores: rows, levels and links are columns, parameters fields; arrays and numbers, and no index.

An index saved by itself keeps its links as fixed-width node columns, which are used where they lie: opening one reads
the parameters and looks at shapes, whatever its size. Beside a column of another store, and in indexes saved before
layout 2, the links of each level are an edge type, which is read and checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch, InvalidInput, NotFound
from ..ids import RowIds
from ..storage.rows import Rows, rows_of
from ..store_rows import NodeCondition, checksum, store_column, store_ids
from ..stored import NODE, checked_fields, identified_rows, index_fields, laid_out, new_store, next_id_field, sound
from .check import MOST_LEVELS, check_graph, level_rows
from .graph import HNSWGraph
from .parameters import check_parameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore

_UPPER = "upper"
_LAYOUT = 2
_WIDEST = 1 << 24  # what a file may say of its vectors' width before they are looked at
COLUMNS = frozenset({
    "vector", "dead", "level", "scale", "code", "hnsw_links", "hnsw_counts", "hnsw_upper_row", "hnsw_blocks",
})  # fmt: skip
_FIELDS = {
    "metric": str, "dim": int, "M": int, "ef_construction": int, "storage": str, "seed": int, "entry": int, "top": int,
}  # fmt: skip
Opened = tuple[dict[str, Any], HNSWGraph | None, RowIds]


def store_of(graph: HNSWGraph, rows: RowIds, parameters: dict[str, Any], *, edges: bool = False) -> GraphStore:
    """A graph as a store in memory that shares its arrays; `edges` adds the links as edge types."""
    n, used = graph.count, graph.upper_rows(graph.count)
    kept = graph.rows.columns(n)
    store = new_store(kept.pop("vector"), rows)
    columns = store.nodes(NODE)
    columns["level"], columns["hnsw_upper_row"] = graph.levels[:n], graph.upper_row[:n]
    columns["hnsw_links"], columns["hnsw_counts"] = graph.links[:n], graph.counts[:n]
    if graph.blocks is not None and graph.blocks.fresh:
        columns["hnsw_blocks"] = graph.blocks.data[:n]
    for name, column in kept.items():
        columns[name] = column
    if used:
        store.add_node_type(_UPPER, used)
        upper = store.nodes(_UPPER)
        upper["links"], upper["count"] = graph.upper[:used], graph.upper_count[:used]
    if edges:
        _write_edges(graph, store, NODE, "link")
    _write_tables(graph.rows, store, "")
    store.attributes["index"] = {**_fields(parameters, graph), "layout": _LAYOUT, **next_id_field(rows)}
    return store


def store_of_none(rows: RowIds, parameters: dict[str, Any]) -> GraphStore:
    """An index all of whose rows are gone."""
    store = new_store(np.empty((0, 1), np.float32), rows)
    store.attributes["index"] = {**parameters, "rows": 0, "layout": _LAYOUT, **next_id_field(rows)}
    return store


def put_into(graph: HNSWGraph, rows: RowIds, parameters: dict[str, Any], store: GraphStore, name: str) -> None:
    """Put a graph's links beside the column it was made from."""
    if not graph.rows.in_column:
        raise InvalidInput(
            f"save_into: {parameters['storage']!r} rows are no column of the store; use save(path), or 'float32'"
        )
    node_type, column = _home(store, graph)
    if rows.num_dead:
        raise InvalidInput("save_into: the index has deleted rows but the column still has them; compact() and save()")
    if name in store.indexes:
        store.drop(index=name)
    listed = store.attributes.get("indexes")
    listed = listed if isinstance(listed, dict) else {}
    columns = store.nodes(node_type)
    columns[f"{name}_level"] = graph.levels[: graph.count].copy()
    for what, column_of in graph.rows.columns(graph.count).items():
        if what != "vector":
            columns[f"{name}_{what}"] = column_of
    _write_edges(graph, store, node_type, f"{name}_link")
    _write_tables(graph.rows, store, f"{name}_")
    fields = {
        **_fields(parameters, graph), "node_type": node_type, "column": column,
        "column_crc32": checksum(graph.rows.kept[: graph.count]),
    }  # fmt: skip
    if rows.is_text:
        fields["text_ids"] = True
    store.attributes["indexes"] = {**listed, name: fields}


def attached(store: GraphStore, name: str) -> tuple[dict[str, Any], HNSWGraph, RowIds, NodeCondition]:
    """Parameters, graph and ids that `put_into` put into a store under a name, and the nodes they belong to."""
    listed = store.attributes.get("indexes", {})
    if not isinstance(listed, dict) or name not in listed:
        known = ", ".join(map(repr, listed)) or "none"
        raise NotFound(f"the store has no index {name!r}; indexes: {known}")
    try:
        fields = checked_fields(listed[name], {**_FIELDS, "node_type": str, "column": str})
        node_type, column = fields["node_type"], fields["column"]
        vectors = store_column(store, column, node_type)
        ids = store_ids(store, node_type, len(vectors), text=fields.get("text_ids") is True)
        graph = _from_edges(store, fields, vectors, node_type, f"{name}_")
        if "column_crc32" in fields and fields["column_crc32"] != checksum(vectors):
            raise IndexMismatch(
                f"index {name!r} was made from other values than column {column!r} now holds; the column was replaced: "
                "make the index again with from_store and save_into"
            )
    except (InvalidInput, NotFound) as error:
        raise IndexMismatch(f"index {name!r} does not fit its store: {error}; build it again") from error
    return fields, graph, RowIds(ids), NodeCondition(store, node_type, ids, column, vectors)


def opened(store: GraphStore) -> Opened:
    """Parameters, graph and ids of a store that is an index; no graph where its rows are all gone."""
    with sound(store):
        given = index_fields(store)
        if given.get("layout") is not None:
            return _in_place(store, given)
        vectors = store_column(store, "vector", NODE)
        graph = _from_edges(store, checked_fields(given, _FIELDS), vectors, NODE, "")
        return given, graph, identified_rows(store, given, store_ids(store, NODE, len(vectors), text=True))


def _write_edges(graph: HNSWGraph, store: GraphStore, node_type: str, link: str) -> None:
    for level in range(graph.top + 1):
        nodes, rows, table, counts = level_rows(graph, level)
        present = np.arange(table.shape[1]) < counts[:, None]
        store.add_edge_type(
            (node_type, f"{link}{level}", node_type),
            np.repeat(nodes, counts).astype(np.int32),
            table[rows][present],
            exist_ok=True,
            positions=True,
        )


def _write_tables(rows: Rows, store: GraphStore, prefix: str) -> None:
    """The matrices of a storage, as the rows of node types of their own."""
    for name, matrix in rows.tables().items():
        store.add_node_type(f"{prefix}{name}", len(matrix))
        store.nodes(f"{prefix}{name}")["row"] = matrix


class _Tables:
    """What `_write_tables` wrote, by name."""

    def __init__(self, store: GraphStore, prefix: str) -> None:
        self._store, self._prefix = store, prefix

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._store.nodes(f"{self._prefix}{name}")["row"]


class _Columns:
    """The columns of a storage beside a column of a store, by the names it gave them."""

    def __init__(self, columns: Any, prefix: str, vectors: NDArray[np.float32]) -> None:
        self._columns, self._prefix, self._vectors = columns, prefix, vectors

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._vectors if name == "vector" else self._columns[f"{self._prefix}{name}"]


def _in_place(store: GraphStore, given: dict[str, Any]) -> Opened:
    """An index of layout 2 over the store's own arrays; only parameters, dtypes and shapes are looked at."""
    if given.get("rows") == 0:
        checked_fields(given, {"metric": str, "M": int, "ef_construction": int, "storage": str, "seed": int})
        _check(given)
        return given, None, identified_rows(store, given, store_ids(store, NODE, 0, text=True))
    fields = checked_fields(given, {**_FIELDS, "layout": int})
    if fields["layout"] != _LAYOUT:
        raise IndexMismatch(f"layout {fields['layout']} is not known (1 and 2 are); update nearhop to open the index")
    metric, dim, M, storage = _check(fields), fields["dim"], fields["M"], fields["storage"]
    if not 1 <= dim <= _WIDEST:
        raise IndexMismatch(f"dim must be in [1, {_WIDEST}]; got {dim}")
    columns, top, entry = store.nodes(NODE), fields["top"], fields["entry"]
    n = len(columns["vector"])
    graph = HNSWGraph(rows_of(storage, metric, dim), M, packed=layout_of(given) == "packed")
    graph.rows.open(n, columns, _Tables(store, ""), given)
    graph.count, graph.entry, graph.top = n, entry, top
    graph.levels = laid_out("level", columns["level"], np.int8, (n,))
    graph.upper_row = laid_out("hnsw_upper_row", columns["hnsw_upper_row"], np.int64, (n,))
    graph.links = laid_out("hnsw_links", columns["hnsw_links"], np.int32, (n, 2 * M))
    graph.counts = laid_out("hnsw_counts", columns["hnsw_counts"], np.int32, (n,))
    graph.clean = np.zeros(n, np.int32)
    if graph.blocks is not None and graph.is_coded:
        codes = graph.rows.codes  # type: ignore[attr-defined]
        graph.blocks.open(n, columns["hnsw_blocks"], codes.width, codes.basis)
    if _UPPER in store.node_types:
        upper = store.nodes(_UPPER)
        used = len(upper["links"])
        graph.upper = laid_out("upper links", upper["links"], np.int32, (used, M))
        graph.upper_count = laid_out("upper count", upper["count"], np.int32, (used,))
        graph.upper_clean = np.zeros(used, np.int32)
    if not 0 <= entry < n or not 0 <= top < MOST_LEVELS or graph.levels[entry] != top:
        raise IndexMismatch(f"entry {entry} at level {top} is not one of {n} nodes of that level, below {MOST_LEVELS}")
    graph.unchecked = True
    return given, graph, identified_rows(store, given, store_ids(store, NODE, n, text=True))


def _from_edges(
    store: GraphStore, fields: dict[str, Any], vectors: NDArray[np.float32], node_type: str, prefix: str
) -> HNSWGraph:
    """A graph whose links are edge types, read and checked; its parts are named `prefix` and what they are."""
    metric, M, storage = _check(fields), fields["M"], fields["storage"]
    if storage not in ("float32", "int8") or fields["metric"] == "hamming":
        raise IndexMismatch(f"layout 1 holds storage 'float32' and 'int8'; got {storage!r}")
    if fields["dim"] != vectors.shape[1]:
        raise IndexMismatch(f"the index says dim {fields['dim']} but its vectors have width {vectors.shape[1]}")
    columns, level_name = store.nodes(node_type), f"{prefix}level"
    levels = columns[level_name]
    if levels.dtype != np.int8 or levels.shape != vectors.shape[:1]:
        raise IndexMismatch(f"column {level_name!r} must be int8, one per row; got {levels.dtype} {levels.shape}")
    top = fields["top"]
    if not 0 <= top < MOST_LEVELS or levels.size == 0 or levels.min() < 0 or levels.max() != top:
        raise IndexMismatch(f"levels must be in [0, {top}] and reach {top}, below {MOST_LEVELS}")
    graph = HNSWGraph(rows_of(storage, metric, vectors.shape[1]), M, packed=layout_of(fields) == "packed")
    graph.rows.open(len(vectors), _Columns(columns, prefix, vectors), _Tables(store, prefix), fields)
    graph.reserve(np.asarray(levels))
    graph.count, graph.entry, graph.top = len(vectors), fields["entry"], top
    for level in range(top + 1):
        adjacency = store.csr((node_type, f"{prefix}link{level}", node_type))
        degrees = np.diff(np.asarray(adjacency.indptr))
        nodes, places, table, _ = level_rows(graph, level)
        if degrees.min() < 0 or degrees.max() > table.shape[1] or degrees.sum() != degrees[nodes].sum():
            raise IndexMismatch(
                f"level {level}: a node has {degrees.max()} links (at most {table.shape[1]} are allowed), or links "
                "start at a node that does not reach this level"
            )
        kept = degrees[nodes]
        present = np.arange(table.shape[1]) < kept[:, None]
        filled = np.full((len(nodes), table.shape[1]), -1, np.int32)
        filled[present] = adjacency.indices
        table[places] = filled
        (graph.counts if level == 0 else graph.upper_count)[places] = kept
    check_graph(graph)
    graph.write_blocks(None)
    return graph


def _fields(parameters: dict[str, Any], graph: HNSWGraph) -> dict[str, Any]:
    return {
        **graph.rows.fields(),
        "kind": parameters["kind"], "metric": parameters["metric"], "dim": graph.rows.dim, "M": parameters["M"],
        "ef_construction": parameters["ef_construction"], "storage": parameters["storage"],
        "seed": parameters["seed"], "entry": int(graph.entry), "top": int(graph.top),
        "ef_search": parameters["ef_search"], "packed": parameters.get("packed", False),
        **({"beams": parameters["beams"]} if parameters.get("beams") else {}),
    }  # fmt: skip


def _check(fields: dict[str, Any]) -> int:
    """The metric's number of parameters whose types are right."""
    beams_of(fields)
    return check_parameters(
        fields["metric"], fields["M"], fields["ef_construction"], fields.get("ef_search", 1), fields["seed"],
        fields["storage"], layout_of(fields),
    )  # fmt: skip


def layout_of(fields: dict[str, Any]) -> Any:
    """The layout that fields of a file say; files from before there was another have none."""
    packed = fields.get("packed", False)
    if type(packed) is not bool:
        raise IndexMismatch(f"index parameter packed must be true or false; got {packed!r}")
    return "packed" if packed else "plain"


def beams_of(fields: dict[str, Any]) -> dict[str, int]:
    """The beams of classes of queries that fields of a file say."""
    beams = fields.get("beams", {})
    if type(beams) is not dict or not all(type(beam) is int and beam > 0 for beam in beams.values()):
        raise IndexMismatch(f"index parameter beams must hold positive integers by name; got {beams!r}")
    return dict(beams)


def _home(store: GraphStore, graph: HNSWGraph) -> tuple[str, str]:
    """The node type and column of a store that an index's vectors are."""
    for node_type in store.node_types:
        columns = store.nodes(node_type)
        for name in columns:
            kept = columns.stored(name)
            if kept.shape == graph.rows.kept.shape and np.shares_memory(kept, graph.rows.kept):
                return node_type, name
    raise IndexMismatch("save_into: the index was not made by from_store on a column of this store; use save(path)")


__all__ = ["COLUMNS", "Opened", "attached", "beams_of", "opened", "put_into", "store_of", "store_of_none"]
