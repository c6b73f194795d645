"""Indexes as stores: vectors are a node column, the links of each level an edge type, parameters an attribute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import IndexMismatch, InvalidInput, NotFitted, NotFound, StoreCorrupt
from .exact import Exact
from .hnsw import DEFAULT_EF, HNSW
from .hnsw_codes import ScalarCodes
from .hnsw_graph import HNSWGraph
from .ids import RowIds
from .metrics import COSINE, inverse_norms, metric_code
from .store_rows import NodeCondition, store_column, store_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.store import GraphStore
    from .ivf import IVFFlat
    from .lsh import LSH

_NODE = "node"
_MOST_LEVELS = 31
_EXACT_FIELDS = {"kind": str, "metric": str, "dim": int}
_FIELDS = {**_EXACT_FIELDS, "M": int, "ef_construction": int, "storage": str, "seed": int, "entry": int, "top": int}


def load(path: str | Path) -> Exact | HNSW | IVFFlat | LSH:
    """Open an index that `save` wrote. Vectors stay memory-mapped; links are read (about 8 * M bytes per row).

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
    from ..graphlib.store import open as open_store  # type: ignore[attr-defined, unused-ignore]

    return from_saved(open_store(path))


def from_saved(store: GraphStore) -> Exact | HNSW | IVFFlat | LSH:
    """The index in a store whose folder (or object) is the index, as `save` lays it out."""
    where = "the store" if store.path is None else store.path.name
    given = store.attributes.get("index")
    if given is None:
        raise IndexMismatch(f"{where} holds no index (attribute 'index' is missing); open it with nearhop.open")
    kind = given.get("kind") if isinstance(given, dict) else None
    if kind == "lsh":
        from .lsh_persist import lsh_from_store

        return lsh_from_store(store)
    if kind == "ivf":
        from .ivf_persist import ivf_from_store

        return ivf_from_store(store)
    if kind not in ("hnsw", "exact"):
        raise IndexMismatch(f"{where}: index kind {kind!r} is not known; known: 'exact', 'hnsw', 'ivf', 'lsh'")
    try:
        vectors = store_column(store, "vector", _NODE)
        dead = _dead(store)
        rows = RowIds(store_ids(store, _NODE, len(vectors), text=True), dead)
        if kind == "hnsw":
            return _open_hnsw(store, given, vectors, rows, _NODE, "link", "level", "scale")
        fields = _checked_fields(given, _EXACT_FIELDS)
        exact = Exact(fields["metric"])
        metric = metric_code(exact.metric)
        _check_dim(fields, vectors)
        exact._vectors, exact._scale, exact._rows = vectors, inverse_norms(vectors, metric), rows
    except (IndexMismatch, InvalidInput, NotFound) as error:
        raise StoreCorrupt(f"{where}: {error}") from error
    return exact


def save_exact(index: Exact, path: str | Path) -> None:
    """Write an exact index as a new store."""
    if index._vectors is None:
        raise NotFitted("save: the index is empty; add vectors first")
    store = _new_store(index._vectors, index._rows)
    store.attributes["index"] = {"kind": "exact", "metric": index.metric, "dim": int(index._vectors.shape[1])}
    store.save(path)


def save_hnsw(index: HNSW, path: str | Path) -> None:
    """Write an HNSW index as a new store."""
    hnsw_store(index).save(path)


def hnsw_store(index: HNSW) -> GraphStore:
    """The index as a store in memory that shares its vectors."""
    graph = index.graph
    store = _new_store(graph.vectors[: graph.count], index._rows)
    _write_links(index, graph, store, _NODE, "link", "level", "scale")
    _write_codes(graph, store, _NODE, "code", "code_basis")
    store.attributes["index"] = _fields(index, graph)
    return store


def save_into(index: HNSW, store: GraphStore, name: str) -> None:
    """Put an index's links beside the column it was made from."""
    graph = index.graph
    node_type, column = _home(store, graph)
    if index._rows.num_dead:
        raise InvalidInput("save_into: the index has deleted rows but the column still has them; compact() and save()")
    listed = store.attributes.get("indexes", {})
    _write_links(index, graph, store, node_type, f"{name}_link", f"{name}_level", f"{name}_scale")
    _write_codes(graph, store, node_type, f"{name}_code", f"{name}_code_basis")
    fields = {**_fields(index, graph), "node_type": node_type, "column": column}
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
        index._where = NodeCondition(store, node_type, ids)
    except (InvalidInput, NotFound) as error:
        raise IndexMismatch(f"index {name!r} does not fit its store: {error}; build it again") from error
    return index


def check_graph(graph: HNSWGraph) -> None:
    """Every bound a search relies on; `IndexMismatch` names the first that does not hold."""
    n = graph.count
    if not 0 <= graph.entry < n or not 0 <= graph.top < _MOST_LEVELS or graph.levels[graph.entry] != graph.top:
        raise IndexMismatch(f"entry {graph.entry} at level {graph.top} is not a node of that level")
    levels = graph.levels[:n]
    if levels.min() < 0 or levels.max() > graph.top:
        raise IndexMismatch(f"levels must be in [0, {graph.top}]; found {levels.min()}..{levels.max()}")
    for level in range(graph.top + 1):
        nodes, rows, table, counts = level_rows(graph, level)
        if counts.min() < 0 or counts.max() > table.shape[1]:
            raise IndexMismatch(f"level {level}: a node has {counts.max()} links, at most {table.shape[1]} are allowed")
        present = np.arange(table.shape[1]) < counts[:, None]
        if (table[rows][~present] >= 0).any():
            raise IndexMismatch(f"level {level}: a row holds links behind its count; rows must be padded with -1")
        sources, targets = np.repeat(nodes, counts), table[rows][present]
        if targets.size and (targets.min() < 0 or targets.max() >= n):
            raise IndexMismatch(f"level {level}: links lead to {targets.min()}..{targets.max()}, nodes are 0..{n - 1}")
        if (levels[targets] < level).any():
            raise IndexMismatch(f"level {level}: a link leads to a node that does not reach this level")
        if (sources == targets).any():
            raise IndexMismatch(f"level {level}: node {sources[sources == targets][0]} is linked to itself")
        pairs = np.sort(sources.astype(np.int64) * n + targets)
        if (pairs[1:] == pairs[:-1]).any():
            raise IndexMismatch(f"level {level}: a link is there twice")


def level_rows(graph: HNSWGraph, level: int) -> tuple[Any, Any, Any, Any]:
    """The nodes that reach a level, their rows in its table, the table and their counts."""
    nodes = np.flatnonzero(graph.levels[: graph.count] >= level)
    if level == 0:
        return nodes, nodes, graph.links, graph.counts[nodes]
    rows = graph.upper_row[nodes] + level - 1
    return nodes, rows, graph.upper, graph.upper_count[rows]


def _new_store(vectors: NDArray[np.float32], rows: RowIds) -> GraphStore:
    from ..graphlib.store import GraphStore

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


def _write_links(
    index: HNSW, graph: HNSWGraph, store: GraphStore, node_type: str, link: str, level_name: str, scale_name: str
) -> None:
    columns = store.nodes(node_type)
    columns[level_name] = graph.levels[: graph.count].copy()
    if graph.metric == COSINE:
        columns[scale_name] = graph.scale[: graph.count]
    for level in range(graph.top + 1):
        nodes, rows, table, counts = level_rows(graph, level)
        present = np.arange(table.shape[1]) < counts[:, None]
        store.add_edge_type(
            (node_type, f"{link}{level}", node_type),
            np.repeat(nodes, counts).astype(np.int32),
            table[rows][present],
            exist_ok=True,
        )


def _write_codes(graph: HNSWGraph, store: GraphStore, node_type: str, name: str, basis_type: str) -> None:
    """Codes as a node column; the centre and the basis as the rows of a node type of their own."""
    if graph.codes is None:
        return
    store.nodes(node_type)[name] = graph.codes.codes[: graph.count]
    if basis_type not in store.node_types:
        store.add_node_type(basis_type, 1 + len(graph.codes.basis))
    store.nodes(basis_type)["row"] = np.concatenate([graph.codes.centre[None, :], graph.codes.basis])


def _read_codes(store: GraphStore, given: dict[str, Any], graph: HNSWGraph, codes: Any, basis_type: str) -> None:
    fields = _checked_fields(given, {"code_step": float, "code_rows": int})
    kept = ScalarCodes(graph.metric, graph.vectors.shape[1])
    rows = store.nodes(basis_type)["row"]
    if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != graph.vectors.shape[1] or not len(rows):
        raise IndexMismatch(f"the basis of the codes is {rows.dtype} {rows.shape}, not (1 + width, dim) float32")
    kept.centre, kept.basis = np.array(rows[0]), np.array(rows[1:])
    kept.step, kept.fitted_rows = fields["code_step"], fields["code_rows"]
    if codes.dtype != np.uint8 or codes.shape != (graph.count, kept.row_bytes) or not kept.step > 0:
        raise IndexMismatch(f"codes are {codes.dtype} {codes.shape}; expected uint8 {(graph.count, kept.row_bytes)}")
    kept.codes = codes
    graph.codes = kept


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
    index = HNSW(
        fields["metric"], fields["M"], ef_construction=fields["ef_construction"], storage=fields["storage"],
        seed=fields["seed"], ef_search=fields.get("ef_search", DEFAULT_EF),
    )  # fmt: skip
    metric = index._check_parameters()
    _check_dim(fields, vectors)
    columns = store.nodes(node_type)
    levels = columns[level_name]
    if levels.dtype != np.int8 or levels.ndim != 1:
        raise IndexMismatch(f"column {level_name!r} must be int8 of one dimension; got {levels.dtype} {levels.shape}")
    top = fields["top"]
    if not 0 <= top < _MOST_LEVELS or levels.size == 0 or levels.min() < 0 or levels.max() != top:
        raise IndexMismatch(f"levels must be in [0, {top}] and reach {top}, below {_MOST_LEVELS}")
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
        _read_codes(store, given, graph, columns[f"{prefix}code"], f"{prefix}code_basis")
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
    codes = graph.codes
    coded = {} if codes is None else {"code_step": codes.step, "code_rows": codes.fitted_rows}
    return {
        **coded,
        "kind": "hnsw", "metric": index.metric, "dim": int(graph.vectors.shape[1]), "M": index.M,
        "ef_construction": index.ef_construction, "storage": index.storage, "seed": index.seed,
        "entry": int(graph.entry), "top": int(graph.top), "ef_search": index.ef_search,
    }  # fmt: skip


def _check_dim(fields: dict[str, Any], vectors: NDArray[np.float32]) -> None:
    if fields["dim"] != vectors.shape[1]:
        raise IndexMismatch(f"the index says dim {fields['dim']} but its vectors have width {vectors.shape[1]}")


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


__all__ = ["attach", "check_graph", "from_saved", "hnsw_store", "load", "save_exact", "save_hnsw", "save_into"]
