"""Indexes as stores: rows, levels and links are columns, parameters an attribute.

An index saved by itself keeps its links as fixed-width node columns, which are used where they lie: opening one reads
the parameters and looks at shapes, whatever its size. Beside a column of another store, and in indexes saved before
layout 2, the links of each level are an edge type, which is read and checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.compute.jit import plain_view
from ..graphlib.errors import IndexMismatch, InvalidInput, NotFitted, NotFound, StoreCorrupt
from .exact import Exact
from .hnsw.check import MOST_LEVELS, check_graph, level_rows
from .hnsw.graph import HNSWGraph
from .hnsw.index import DEFAULT_EF, HNSW
from .ids import RowIds
from .metrics import COSINE, HAMMING, metric_code
from .storage.rows import BitRows, CodeRows, FloatRows, HalfRows, form_of
from .storage.scalar_codes import ENOUGH, ScalarCodes
from .store_rows import NodeCondition, checksum, store_column, store_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.store.store import GraphStore
    from .ivf.index import IVFFlat
    from .lsh.index import LSH

_NODE = "node"
_UPPER = "upper"
_LAYOUT = 2
_EXACT_FIELDS = {"kind": str, "metric": str, "dim": int}
_FIELDS = {**_EXACT_FIELDS, "M": int, "ef_construction": int, "storage": str, "seed": int, "entry": int, "top": int}


def load(path: str | Path) -> Exact | HNSW | IVFFlat | LSH:
    """Open an index that `save` wrote.

    Rows and links stay where they are, memory-mapped; changes go to copies of the pages they touch, never to the file.
    Opening checks the
    parameters and the shapes. Searches stay within bounds whatever a damaged file holds; `verify()`, and the first use
    of the graph for anything else, check every link. `HNSW` written before version 0.2 is read as a whole.

    Raises
    ------
    StoreMissing
        There is nothing at the path.
    IndexMismatch
        The store holds no index.
    StoreCorrupt
        The index's parameters, links or vectors contradict one another.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop import ann
    >>> ann.HNSW().add(np.eye(3, dtype=np.float32), ids=[7, 8, 9]).save("three.nh")
    >>> ann.load("three.nh").search([0, 1, 0], k=1).ids.tolist()
    [[8]]
    """
    from ..graphlib.store.store import open as open_store  # type: ignore[attr-defined, unused-ignore]

    return from_saved(open_store(path))


def from_saved(store: GraphStore) -> Exact | HNSW | IVFFlat | LSH:
    """The index in a store whose folder (or object) is the index, as `save` lays it out."""
    where = "the store" if store.path is None else store.path.name
    given = store.attributes.get("index")
    if given is None:
        raise IndexMismatch(f"{where} holds no index (attribute 'index' is missing); open it with nearhop.open")
    kind = given.get("kind") if isinstance(given, dict) else None
    if kind == "lsh":
        from .lsh.stored import lsh_from_store

        return lsh_from_store(store)
    if kind == "ivf":
        from .ivf.stored import ivf_from_store

        return ivf_from_store(store)
    if kind not in ("hnsw", "exact"):
        raise IndexMismatch(f"{where}: index kind {kind!r} is not known; known: 'exact', 'hnsw', 'ivf', 'lsh'")
    try:
        if kind == "hnsw" and given.get("layout") is not None:
            return _open_in_place(store, given)
        if kind == "exact" and given.get("metric") == "hamming":
            return _open_bits(store, given)
        vectors = store_column(store, "vector", _NODE)
        rows = _row_ids(store, given, store_ids(store, _NODE, len(vectors), text=True))
        if kind == "hnsw":
            return _open_hnsw(store, given, vectors, rows, _NODE, "link", "level", "scale")
        fields = _checked_fields(given, _EXACT_FIELDS)
        exact = Exact(fields["metric"])
        metric = metric_code(exact.metric)
        _check_dim(fields, vectors)
        exact._dim = vectors.shape[1]
        exact._hold(vectors, metric)
        exact._rows = rows
    except (IndexMismatch, InvalidInput, NotFound) as error:
        raise StoreCorrupt(f"{where}: {error}") from error
    return exact


def _open_bits(store: GraphStore, given: dict[str, Any]) -> Exact:
    fields = _checked_fields(given, _EXACT_FIELDS)
    exact, rows = Exact("hamming"), store.nodes(_NODE)["vector"]
    words = _laid_out("vector", rows, np.uint8, (len(rows), -(-fields["dim"] // 8) * 8))
    exact._hold(words.view(np.uint64), HAMMING)
    exact._dim = fields["dim"]
    exact._rows = _row_ids(store, given, store_ids(store, _NODE, len(rows), text=True))
    return exact


def save_exact(index: Exact, path: str | Path) -> None:
    """Write an exact index as a new store."""
    exact_store(index).save(path)


def exact_store(index: Exact) -> GraphStore:
    """The index as a store in memory that shares its arrays."""
    index._check_parameters()
    if index._vectors is None:
        raise NotFitted("save: the index is empty; add vectors first")
    bits = index._vectors.dtype == np.uint64
    store = _new_store(index._vectors.view(np.uint8) if bits else index._vectors, index._rows)
    store.attributes["index"] = {
        "kind": "exact", "metric": index.metric, "dim": index.dim, **next_id_field(index._rows)
    }  # fmt: skip
    return store


def save_hnsw(index: HNSW, path: str | Path, *, edges: bool = False) -> None:
    """Write an HNSW index as a new store."""
    hnsw_store(index, edges=edges).save(path)


def hnsw_store(index: HNSW, *, edges: bool = False) -> GraphStore:
    """The index as a store in memory that shares its arrays; `edges` adds the links as edge types."""
    graph = index.graph
    n, used = graph.count, graph.upper_rows(graph.count)
    store = _new_store(stored_rows(graph), index._rows)
    columns = store.nodes(_NODE)
    columns["level"], columns["hnsw_upper_row"] = graph.levels[:n], graph.upper_row[:n]
    columns["hnsw_links"], columns["hnsw_counts"] = graph.links[:n], graph.counts[:n]
    if graph.metric == COSINE:
        columns["scale"] = graph.scale[:n]
    if used:
        store.add_node_type(_UPPER, used)
        upper = store.nodes(_UPPER)
        upper["links"], upper["count"] = graph.upper[:used], graph.upper_count[:used]
    if edges:
        _write_edges(graph, store, _NODE, "link")
    coder = graph.form.coder if isinstance(graph.form, CodeRows) else graph.codes
    if graph.codes is not None:
        columns["code"] = graph.codes.codes[:n]
    if coder is not None:
        _write_basis(coder, store, "code_basis")
    store.attributes["index"] = {**_fields(index, graph), "layout": _LAYOUT, **next_id_field(index._rows)}
    return store


def stored_rows(graph: HNSWGraph) -> NDArray[Any]:
    """The rows in use as a column: float32, float16, or bytes."""
    rows = graph.vectors[: graph.count]
    if rows.dtype == np.uint16:
        return rows.view(np.float16)
    return rows.view(np.uint8) if rows.dtype == np.uint64 else rows


def save_into(index: HNSW, store: GraphStore, name: str) -> None:
    """Put an index's links beside the column it was made from."""
    graph = index.graph
    if index.storage not in ("float32", "int8") or type(graph.form) is not FloatRows:
        raise InvalidInput(
            f"save_into: {index.storage!r} rows are no column of the store; use save(path), or 'float32'"
        )
    node_type, column = _home(store, graph)
    if index._rows.num_dead:
        raise InvalidInput("save_into: the index has deleted rows but the column still has them; compact() and save()")
    listed = store.attributes.get("indexes", {})
    columns = store.nodes(node_type)
    columns[f"{name}_level"] = graph.levels[: graph.count].copy()
    if graph.metric == COSINE:
        columns[f"{name}_scale"] = graph.scale[: graph.count]
    _write_edges(graph, store, node_type, f"{name}_link")
    if graph.codes is not None:
        columns[f"{name}_code"] = graph.codes.codes[: graph.count]
        _write_basis(graph.codes, store, f"{name}_code_basis")
    fields = {
        **_fields(index, graph), "node_type": node_type, "column": column,
        "column_crc32": checksum(graph.vectors[: graph.count]),
    }  # fmt: skip
    if index._rows.is_text:
        fields["text_ids"] = True
    store.attributes["indexes"] = {**listed, name: fields}


def attach(store: GraphStore, name: str) -> HNSW:
    """The index that `save_into` put into a store under a name."""
    listed = store.attributes.get("indexes", {})
    if not isinstance(listed, dict) or name not in listed:
        known = ", ".join(map(repr, listed)) or "none"
        raise NotFound(f"the store has no index {name!r}; indexes: {known}")
    try:
        fields = _checked_fields(listed[name], {**_FIELDS, "node_type": str, "column": str})
        node_type = fields["node_type"]
        vectors = store_column(store, fields["column"], node_type)
        ids = store_ids(store, node_type, len(vectors), text=fields.get("text_ids") is True)
        index = _open_hnsw(
            store, fields, vectors, RowIds(ids), node_type, f"{name}_link", f"{name}_level", f"{name}_scale"
        )  # fmt: skip
        if "column_crc32" in fields and fields["column_crc32"] != checksum(vectors):
            raise IndexMismatch(
                f"index {name!r} was made from other values than column {fields['column']!r} now holds; the column was "
                "replaced: make the index again with from_store and save_into"
            )
        index._where = NodeCondition(store, node_type, ids, fields["column"], vectors)
    except (InvalidInput, NotFound) as error:
        raise IndexMismatch(f"index {name!r} does not fit its store: {error}; build it again") from error
    return index


def _new_store(vectors: NDArray[Any], rows: RowIds) -> GraphStore:
    from ..graphlib.store.store import GraphStore

    store = GraphStore()
    store.add_node_type(_NODE, len(vectors))
    store.nodes["vector"] = vectors
    ids = rows.values.copy()
    if rows.num_dead:
        # The id of a deleted row may have been given again; stored ids are distinct, so deleted rows get unused ones.
        ids[rows.dead] = rows.unused(rows.num_dead)
        store.nodes["dead"] = rows.dead
    if rows.is_text or not np.array_equal(ids, np.arange(len(ids))):
        store.set_ids(ids)
    return store


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
    if basis_type not in store.node_types:
        store.add_node_type(basis_type, 1 + len(coder.basis))
    store.nodes(basis_type)["row"] = np.concatenate([coder.centre[None, :], coder.basis])


def _read_coder(store: GraphStore, given: dict[str, Any], coder: ScalarCodes, codes: Any, basis_type: str) -> None:
    """Fill a coder from the store, and see whether codes have its width."""
    fields = _checked_fields(given, {"code_step": float, "code_rows": int})
    rows, dim = store.nodes(basis_type)["row"], len(coder.centre)
    if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != dim or not 1 <= len(rows) <= 1 + dim:
        raise IndexMismatch(f"the basis of the codes is {rows.dtype} {rows.shape}, not (1 + width, dim) float32")
    coder.centre, coder.basis = np.array(rows[0]), np.array(rows[1:])
    coder.step, coder.fitted_rows = fields["code_step"], fields["code_rows"]
    ill, sound = given.get("code_ill"), given.get("code_sound")  # not there before version 0.4
    coder.ill_at_fit, coder.keeps_order, coder.audited = ill if type(ill) is int else 0, sound is not False, False
    if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != coder.row_bytes or not coder.step > 0:
        raise IndexMismatch(f"codes are {codes.dtype} {codes.shape}; expected uint8 (rows, {coder.row_bytes})")


def _open_in_place(store: GraphStore, given: dict[str, Any]) -> HNSW:
    """An index of layout 2 over the store's own arrays; only parameters, dtypes and shapes are looked at."""
    fields = _checked_fields(given, {**_FIELDS, "layout": int})
    if fields["layout"] != _LAYOUT:
        raise IndexMismatch(f"layout {fields['layout']} is not known (1 and 2 are); update nearhop to open the index")
    index = _new_index(fields)
    metric, dim, M = index._check_parameters(), fields["dim"], fields["M"]
    if dim < 1:
        raise IndexMismatch(f"dim must be positive; got {dim}")
    columns, top, entry = store.nodes(_NODE), fields["top"], fields["entry"]
    rows = columns["vector"]
    n = len(rows)
    few = rows.dtype == np.float32  # of "int8-only", not coded yet
    form = form_of(index.storage, metric, dim, 0 if few else ENOUGH)
    graph = HNSWGraph(form.metric, M, dim)
    graph.form, graph.count, graph.entry, graph.top = form, n, entry, top
    if isinstance(form, CodeRows):
        _read_coder(store, given, form.coder, rows, "code_basis")
        graph.vectors, graph.scale = _laid_out("vector", rows, np.uint8, (n, form.coder.row_bytes)), form.scale
    elif isinstance(form, BitRows):
        graph.vectors = _laid_out("vector", rows, np.uint8, (n, -(-dim // 8) * 8)).view(np.uint64)
    elif isinstance(form, HalfRows):
        graph.vectors = _laid_out("vector", rows, np.float16, (n, dim)).view(np.uint16)
    else:
        graph.vectors = _laid_out("vector", rows, np.float32, (n, dim))
    if graph.metric == COSINE:
        graph.scale = _laid_out("scale", columns["scale"], np.float32, (n,))
    if index.storage == "int8":
        graph.codes = ScalarCodes(metric, dim)
        _read_coder(store, given, graph.codes, columns["code"], "code_basis")
        graph.codes.codes = _laid_out("code", columns["code"], np.uint8, (n, graph.codes.row_bytes))
    graph.levels = _laid_out("level", columns["level"], np.int8, (n,))
    graph.upper_row = _laid_out("hnsw_upper_row", columns["hnsw_upper_row"], np.int64, (n,))
    graph.links = _laid_out("hnsw_links", columns["hnsw_links"], np.int32, (n, 2 * M))
    graph.counts = _laid_out("hnsw_counts", columns["hnsw_counts"], np.int32, (n,))
    graph.clean = np.zeros(n, np.int32)
    if _UPPER in store.node_types:
        upper = store.nodes(_UPPER)
        used = len(upper["links"])
        graph.upper = _laid_out("upper links", upper["links"], np.int32, (used, M))
        graph.upper_count = _laid_out("upper count", upper["count"], np.int32, (used,))
        graph.upper_clean = np.zeros(used, np.int32)
    if not 0 <= entry < n or not 0 <= top < MOST_LEVELS or graph.levels[entry] != top:
        raise IndexMismatch(f"entry {entry} at level {top} is not one of {n} nodes of that level, below {MOST_LEVELS}")
    graph.borrowed = graph.unchecked = True
    index._graph, index._rows = graph, _row_ids(store, given, store_ids(store, _NODE, n, text=True))
    return index


def _laid_out(name: str, array: NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A column as kernels take and change it (its pages are private); `IndexMismatch` where it is another."""
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous or not array.flags.aligned:
        raise IndexMismatch(f"column {name!r} must be {np.dtype(dtype)} {shape}; got {array.dtype} {array.shape}")
    return plain_view(array)


def _new_index(fields: dict[str, Any]) -> HNSW:
    return HNSW(
        fields["metric"], fields["M"], ef_construction=fields["ef_construction"], storage=fields["storage"],
        seed=fields["seed"], ef_search=fields.get("ef_search", DEFAULT_EF),
    )  # fmt: skip


def _open_hnsw(
    store: GraphStore,
    given: dict[str, Any],
    vectors: NDArray[np.float32],
    rows: RowIds,
    node_type: str,
    link: str,
    level_name: str,
    scale_name: str,
) -> HNSW:
    fields = _checked_fields(given, _FIELDS)
    index = _new_index(fields)
    metric = index._check_parameters()
    if index.storage not in ("float32", "int8") or index.metric == "hamming":
        raise IndexMismatch(f"layout 1 holds storage 'float32' and 'int8'; got {index.storage!r}")
    _check_dim(fields, vectors)
    columns = store.nodes(node_type)
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
    graph = HNSWGraph(metric, index.M, vectors.shape[1])
    graph.reserve(vectors, scale, np.asarray(levels))
    graph.count, graph.entry, graph.top, graph.borrowed = len(vectors), fields["entry"], top, True
    for level in range(top + 1):
        adjacency = store.csr((node_type, f"{link}{level}", node_type))
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
    if index.storage == "int8":
        prefix = link.removesuffix("link")
        graph.codes = ScalarCodes(metric, vectors.shape[1])
        codes = columns[f"{prefix}code"]
        _read_coder(store, given, graph.codes, codes, f"{prefix}code_basis")
        graph.codes.codes = _laid_out("code", codes, np.uint8, (graph.count, graph.codes.row_bytes))
    check_graph(graph)
    index._graph, index._rows = graph, rows
    return index


def _checked_fields(given: Any, wanted: dict[str, type]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise IndexMismatch(f"the index's parameters must be a JSON object; got {type(given).__name__}")
    for name, kind in wanted.items():
        value = given.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise IndexMismatch(f"index parameter {name!r} must be {kind.__name__}; got {value!r}")
    return given


def _fields(index: HNSW, graph: HNSWGraph) -> dict[str, Any]:
    codes = graph.form.coder if isinstance(graph.form, CodeRows) else graph.codes
    coded: dict[str, Any] = {}
    if codes is not None:
        coded = {"code_step": codes.step, "code_rows": codes.fitted_rows, "code_ill": codes.ill_at_fit}
        coded["code_sound"] = codes.sound
    return {
        **coded,
        "kind": "hnsw", "metric": index.metric, "dim": graph.form.dim, "M": index.M,
        "ef_construction": index.ef_construction, "storage": index.storage, "seed": index.seed,
        "entry": int(graph.entry), "top": int(graph.top), "ef_search": index.ef_search,
    }  # fmt: skip


def _check_dim(fields: dict[str, Any], vectors: NDArray[np.float32]) -> None:
    if fields["dim"] != vectors.shape[1]:
        raise IndexMismatch(f"the index says dim {fields['dim']} but its vectors have width {vectors.shape[1]}")


def next_id_field(rows: RowIds) -> dict[str, int]:
    """Where default ids go on, as a field of an index's parameters; nothing where the living ids tell it."""
    after = int(rows.values[rows.live].max(initial=-1)) + 1 if not rows.is_text else 0
    return {"next_id": rows.next_id} if rows.next_id > after else {}


def next_id_of(given: dict[str, Any]) -> int:
    """What `next_id_field` wrote; 0 where it wrote nothing."""
    value = given.get("next_id", 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise IndexMismatch(f"index parameter 'next_id' must be an integer in [0, 2**63); got {value!r}")
    return value


def _row_ids(store: GraphStore, given: dict[str, Any], ids: NDArray[Any]) -> RowIds:
    """Ids, marks of deleted rows and the next default id, as a store holds them."""
    dead = _dead(store)
    if dead is not None and len(dead) != len(ids):
        raise IndexMismatch(f"there are {len(ids)} ids but {len(dead)} marks of deleted rows")
    return RowIds(ids, dead, next_id=next_id_of(given))


def _dead(store: GraphStore) -> NDArray[np.bool_] | None:
    columns = store.nodes(_NODE)
    if "dead" not in columns:
        return None
    dead = columns["dead"]
    if dead.dtype != np.bool_ or dead.ndim != 1:
        raise IndexMismatch(f"column 'dead' must be boolean of one dimension; got {dead.dtype} {dead.shape}")
    return np.array(dead)


def _home(store: GraphStore, graph: HNSWGraph) -> tuple[str, str]:
    """The node type and column of a store that an index's vectors are."""
    for node_type in store.node_types:
        columns = store.nodes(node_type)
        for name in columns:
            kept = columns.stored(name)
            if kept.shape == graph.vectors.shape and np.shares_memory(kept, graph.vectors):
                return node_type, name
    raise IndexMismatch("save_into: the index was not made by from_store on a column of this store; use save(path)")


__all__ = ["attach", "from_saved", "hnsw_store", "load", "save_exact", "save_hnsw", "save_into"]
