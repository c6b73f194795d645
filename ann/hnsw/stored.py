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
from ..metrics import COSINE
from ..storage.rows import BitRows, CodeRows, FloatRows, HalfRows, form_of
from ..storage.scalar_codes import ENOUGH, ScalarCodes
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
COLUMNS = frozenset({"vector", "dead", "level", "scale", "code", "hnsw_links", "hnsw_counts", "hnsw_upper_row"})
_FIELDS = {
    "metric": str, "dim": int, "M": int, "ef_construction": int, "storage": str, "seed": int, "entry": int, "top": int,
}  # fmt: skip
Opened = tuple[dict[str, Any], HNSWGraph | None, RowIds]


def store_of(graph: HNSWGraph, rows: RowIds, parameters: dict[str, Any], *, edges: bool = False) -> GraphStore:
    """A graph as a store in memory that shares its arrays; `edges` adds the links as edge types."""
    n, used = graph.count, graph.upper_rows(graph.count)
    store = new_store(stored_rows(graph), rows)
    columns = store.nodes(NODE)
    columns["level"], columns["hnsw_upper_row"] = graph.levels[:n], graph.upper_row[:n]
    columns["hnsw_links"], columns["hnsw_counts"] = graph.links[:n], graph.counts[:n]
    if graph.metric == COSINE:
        columns["scale"] = graph.scale[:n]
    if used:
        store.add_node_type(_UPPER, used)
        upper = store.nodes(_UPPER)
        upper["links"], upper["count"] = graph.upper[:used], graph.upper_count[:used]
    if edges:
        _write_edges(graph, store, NODE, "link")
    coder = graph.form.coder if isinstance(graph.form, CodeRows) else graph.codes
    if graph.codes is not None:
        columns["code"] = graph.codes.codes[:n]
    if coder is not None:
        _write_basis(coder, store, "code_basis")
    store.attributes["index"] = {**_fields(parameters, graph), "layout": _LAYOUT, **next_id_field(rows)}
    return store


def store_of_none(rows: RowIds, parameters: dict[str, Any]) -> GraphStore:
    """An index all of whose rows are gone."""
    store = new_store(np.empty((0, 1), np.float32), rows)
    store.attributes["index"] = {**parameters, "rows": 0, "layout": _LAYOUT, **next_id_field(rows)}
    return store


def stored_rows(graph: HNSWGraph) -> NDArray[Any]:
    """The rows in use as a column: float32, float16, or bytes."""
    rows = graph.vectors[: graph.count]
    if rows.dtype == np.uint16:
        return rows.view(np.float16)
    return rows.view(np.uint8) if rows.dtype == np.uint64 else rows


def put_into(graph: HNSWGraph, rows: RowIds, parameters: dict[str, Any], store: GraphStore, name: str) -> None:
    """Put a graph's links beside the column it was made from."""
    if parameters["storage"] not in ("float32", "int8") or type(graph.form) is not FloatRows:
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
    if graph.metric == COSINE:
        columns[f"{name}_scale"] = graph.scale[: graph.count]
    _write_edges(graph, store, node_type, f"{name}_link")
    if graph.codes is not None:
        columns[f"{name}_code"] = graph.codes.codes[: graph.count]
        _write_basis(graph.codes, store, f"{name}_code_basis")
    fields = {
        **_fields(parameters, graph), "node_type": node_type, "column": column,
        "column_crc32": checksum(graph.vectors[: graph.count]),
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


def _write_basis(coder: ScalarCodes, store: GraphStore, basis_type: str) -> None:
    """The centre and the basis of codes, as the rows of a node type of their own."""
    store.add_node_type(basis_type, 1 + len(coder.basis))
    store.nodes(basis_type)["row"] = np.concatenate([coder.centre[None, :], coder.basis])


def _read_coder(store: GraphStore, given: dict[str, Any], coder: ScalarCodes, codes: Any, basis_type: str) -> None:
    """Fill a coder from the store, and see whether codes have its width."""
    fields = checked_fields(given, {"code_step": float, "code_rows": int})
    rows, dim = store.nodes(basis_type)["row"], len(coder.centre)
    if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != dim or not 1 <= len(rows) <= 1 + dim:
        raise IndexMismatch(f"the basis of the codes is {rows.dtype} {rows.shape}, not (1 + width, dim) float32")
    coder.centre, coder.basis = np.array(rows[0]), np.array(rows[1:])
    coder.step, coder.fitted_rows = fields["code_step"], fields["code_rows"]
    ill, sound = given.get("code_ill"), given.get("code_sound")  # not there before version 0.4
    coder.ill_at_fit, coder.keeps_order, coder.audited = ill if type(ill) is int else 0, sound is not False, False
    if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != coder.row_bytes or not coder.step > 0:
        raise IndexMismatch(f"codes are {codes.dtype} {codes.shape}; expected uint8 (rows, {coder.row_bytes})")


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
    if dim < 1:
        raise IndexMismatch(f"dim must be positive; got {dim}")
    columns, top, entry = store.nodes(NODE), fields["top"], fields["entry"]
    rows = columns["vector"]
    n = len(rows)
    few = rows.dtype == np.float32  # of "int8-only", not coded yet
    form = form_of(storage, metric, dim, 0 if few else ENOUGH)
    graph = HNSWGraph(form.metric, M, dim)
    graph.form, graph.count, graph.entry, graph.top = form, n, entry, top
    if isinstance(form, CodeRows):
        _read_coder(store, given, form.coder, rows, "code_basis")
        graph.vectors, graph.scale = laid_out("vector", rows, np.uint8, (n, form.coder.row_bytes)), form.scale
    elif isinstance(form, BitRows):
        graph.vectors = laid_out("vector", rows, np.uint8, (n, -(-dim // 8) * 8)).view(np.uint64)
    elif isinstance(form, HalfRows):
        graph.vectors = laid_out("vector", rows, np.float16, (n, dim)).view(np.uint16)
    else:
        graph.vectors = laid_out("vector", rows, np.float32, (n, dim))
    if graph.metric == COSINE:
        graph.scale = laid_out("scale", columns["scale"], np.float32, (n,))
    if storage == "int8":
        graph.codes = ScalarCodes(metric, dim)
        _read_coder(store, given, graph.codes, columns["code"], "code_basis")
        graph.codes.codes = laid_out("code", columns["code"], np.uint8, (n, graph.codes.row_bytes))
    graph.levels = laid_out("level", columns["level"], np.int8, (n,))
    graph.upper_row = laid_out("hnsw_upper_row", columns["hnsw_upper_row"], np.int64, (n,))
    graph.links = laid_out("hnsw_links", columns["hnsw_links"], np.int32, (n, 2 * M))
    graph.counts = laid_out("hnsw_counts", columns["hnsw_counts"], np.int32, (n,))
    graph.clean = np.zeros(n, np.int32)
    if _UPPER in store.node_types:
        upper = store.nodes(_UPPER)
        used = len(upper["links"])
        graph.upper = laid_out("upper links", upper["links"], np.int32, (used, M))
        graph.upper_count = laid_out("upper count", upper["count"], np.int32, (used,))
        graph.upper_clean = np.zeros(used, np.int32)
    if not 0 <= entry < n or not 0 <= top < MOST_LEVELS or graph.levels[entry] != top:
        raise IndexMismatch(f"entry {entry} at level {top} is not one of {n} nodes of that level, below {MOST_LEVELS}")
    graph.borrowed = graph.unchecked = True
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
    columns, level_name, scale_name = store.nodes(node_type), f"{prefix}level", f"{prefix}scale"
    levels = columns[level_name]
    if levels.dtype != np.int8 or levels.ndim != 1:
        raise IndexMismatch(f"column {level_name!r} must be int8 of one dimension; got {levels.dtype} {levels.shape}")
    top = fields["top"]
    if not 0 <= top < MOST_LEVELS or levels.size == 0 or levels.min() < 0 or levels.max() != top:
        raise IndexMismatch(f"levels must be in [0, {top}] and reach {top}, below {MOST_LEVELS}")
    scale = np.ones(1, np.float32)
    if metric == COSINE:
        scale = columns[scale_name]
        if scale.dtype != np.float32 or scale.ndim != 1 or not np.isfinite(scale).all():
            raise IndexMismatch(f"column {scale_name!r} must be finite float32 of one dimension; got {scale.dtype}")
    graph = HNSWGraph(metric, M, vectors.shape[1])
    graph.reserve(vectors, scale, np.asarray(levels))
    graph.count, graph.entry, graph.top, graph.borrowed = len(vectors), fields["entry"], top, True
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
    if storage == "int8":
        graph.codes = ScalarCodes(metric, vectors.shape[1])
        codes = columns[f"{prefix}code"]
        _read_coder(store, fields, graph.codes, codes, f"{prefix}code_basis")
        graph.codes.codes = laid_out("code", codes, np.uint8, (graph.count, graph.codes.row_bytes))
    check_graph(graph)
    return graph


def _fields(parameters: dict[str, Any], graph: HNSWGraph) -> dict[str, Any]:
    codes = graph.form.coder if isinstance(graph.form, CodeRows) else graph.codes
    coded: dict[str, Any] = {}
    if codes is not None:
        coded = {"code_step": codes.step, "code_rows": codes.fitted_rows, "code_ill": codes.ill_at_fit}
        coded["code_sound"] = codes.sound
    return {
        **coded,
        "kind": parameters["kind"], "metric": parameters["metric"], "dim": graph.form.dim, "M": parameters["M"],
        "ef_construction": parameters["ef_construction"], "storage": parameters["storage"],
        "seed": parameters["seed"], "entry": int(graph.entry), "top": int(graph.top),
        "ef_search": parameters["ef_search"],
    }  # fmt: skip


def _check(fields: dict[str, Any]) -> int:
    """The metric's number of parameters whose types are right."""
    return check_parameters(
        fields["metric"], fields["M"], fields["ef_construction"], fields.get("ef_search", 1), fields["seed"],
        fields["storage"],
    )  # fmt: skip


def _home(store: GraphStore, graph: HNSWGraph) -> tuple[str, str]:
    """The node type and column of a store that an index's vectors are."""
    for node_type in store.node_types:
        columns = store.nodes(node_type)
        for name in columns:
            kept = columns.stored(name)
            if kept.shape == graph.vectors.shape and np.shares_memory(kept, graph.vectors):
                return node_type, name
    raise IndexMismatch("save_into: the index was not made by from_store on a column of this store; use save(path)")


__all__ = ["COLUMNS", "Opened", "attached", "opened", "put_into", "store_of", "store_of_none"]
