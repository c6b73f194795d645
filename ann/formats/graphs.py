"""HNSW graphs as files hold them, and the index made of one.

Every format's reader makes a `GraphRecord` and every writer takes one, so that only this module knows how an index
keeps its graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch, InvalidInput, StoreCorrupt
from ..hnsw.check import MOST_LEVELS, level_rows
from ..hnsw.graph import HNSWGraph
from ..hnsw.index import HNSW
from ..hnsw.packed.blocks import Blocks
from ..ids import RowIds
from ..metrics import HAMMING, check_finite, metric_code
from ..storage.rows import rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..words import Layout, RowMetric, Storage


@dataclass(frozen=True, eq=False)
class LevelLinks:
    """The links of one level: row i belongs to `nodes[i]` and holds `counts[i]` ids, padded with anything."""

    nodes: NDArray[np.int64]
    table: NDArray[np.int32]
    counts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GraphRecord:
    """An HNSW graph without an index around it.

    Attributes
    ----------
    metric : {"l2", "ip", "cosine"}
    M, ef_construction, ef_search : int
        `ef_search` 0 where the file does not say.
    vectors : float32 (n, dim)
        With "cosine" of length 1, or 0.
    ids : int64 (n,); dead : bool (n,)
    levels : int (n,), 0 for nodes of the lowest level only
    links : one `LevelLinks` per level, lowest first
    entry, top : int
    """

    metric: RowMetric
    M: int
    ef_construction: int
    ef_search: int
    vectors: NDArray[np.float32]
    ids: NDArray[np.int64]
    dead: NDArray[np.bool_]
    levels: NDArray[Any]
    links: list[LevelLinks]
    entry: int
    top: int


def index_of(record: GraphRecord, where: str) -> HNSW:
    """An index over a record's arrays; every bound a search relies on is checked.

    Repeated links and links of a node to itself, which add nothing, are dropped.

    Raises
    ------
    StoreCorrupt
        The graph's parts contradict one another, or a vector is not finite.
    IndexMismatch
        A parameter lies outside what an index here can have.
    """
    n = len(record.vectors)
    index = HNSW(record.metric, record.M, ef_construction=max(1, record.ef_construction))
    try:
        metric = index._check_parameters()
    except InvalidInput as error:
        raise IndexMismatch(f"{where}: {error}") from error
    if n == 0:
        return index
    if n > np.iinfo(np.int32).max:
        raise IndexMismatch(f"{where}: holds {n:,} vectors; an index holds at most {np.iinfo(np.int32).max:,}")
    if not 0 <= record.top < MOST_LEVELS or record.levels.min() < 0 or record.levels.max() != record.top:
        raise StoreCorrupt(f"{where}: levels must be in [0, {record.top}] and reach {record.top}, below {MOST_LEVELS}")
    live = np.sort(record.ids[~record.dead])
    twice = live[1:] == live[:-1]
    if twice.any():
        raise StoreCorrupt(f"{where}: id {live[int(np.argmax(twice))]} is there twice; ids must be distinct")
    vectors = np.ascontiguousarray(record.vectors, np.float32)
    try:
        check_finite("load", vectors)
        graph = HNSWGraph(rows_of("float32", metric, vectors.shape[1]), record.M)
        graph.rows.borrowed = True
        graph.rows.append(0, vectors)
        graph.rows.borrowed = False
        graph.reserve(record.levels.astype(np.int8))
        graph.count, graph.entry, graph.top = n, record.entry, record.top
        if not 0 <= graph.entry < n or graph.levels[graph.entry] != graph.top:
            raise IndexMismatch(f"entry {graph.entry} is not a node of the highest level {graph.top}")
        for level, given in enumerate(record.links):
            _fill(graph, level, given)
    except (IndexMismatch, InvalidInput) as error:
        raise StoreCorrupt(f"{where}: {error}") from error
    index._graph, index._rows = graph, RowIds(record.ids.astype(np.int64), record.dead.astype(bool))
    return index


def recoded(index: HNSW, storage: Storage, layout: Layout = "plain") -> HNSW:
    """The index itself, with its vectors kept in another storage or layout of `HNSW`; links stay as they are."""
    if (storage, layout) != (index.storage, index.layout):
        HNSW(index.metric, storage=storage, layout=layout)._check_parameters()
        graph = index._graph
        if graph is not None and storage != index.storage:
            n, old = graph.count, graph.rows
            graph.truncate()
            graph.rows = rows_of(storage, old.metric, old.dim)
            graph.rows.borrowed = True  # so that what can be shared is
            graph.rows.append(0, old.given(old.kept[:n]))
            graph.rows.borrowed &= old.borrowed
        index.storage, index.layout = storage, layout
        index._thaw()
        if graph is not None:
            graph.blocks = Blocks(2 * graph.M) if layout == "packed" else None
            graph.write_blocks(index.threads)
    return index


def record_of(index: HNSW) -> GraphRecord:
    """The arrays of an index, ready for a writer; vectors are copied where "cosine" has to scale them."""
    graph, rows = index.graph, index._rows
    n, ids = graph.count, rows.integers("index files of other libraries")
    if metric_code(index.metric, bits=True) == HAMMING:
        raise InvalidInput(
            "indexes of bits (metric 'hamming') have no place in hnswlib and FAISS files; use save(path)"
        )
    kept = graph.rows
    vectors = kept.given(kept.kept[:n])
    if kept.has_factors:
        vectors = vectors * kept.scale[:n, None]
    links = []
    for level in range(graph.top + 1):
        nodes, places, table, counts = level_rows(graph, level)
        links.append(LevelLinks(nodes, table[places], counts.astype(np.int64)))
    return GraphRecord(
        index.metric, index.M, index.ef_construction, 0, vectors, ids[:n], rows.dead[:n],
        graph.levels[:n], links, int(graph.entry), int(graph.top),
    )  # fmt: skip


def _fill(graph: HNSWGraph, level: int, given: LevelLinks) -> None:
    from . import graphs_cpu as kernels

    nodes, places, table, _ = level_rows(graph, level)
    if not np.array_equal(nodes, given.nodes):
        raise IndexMismatch(f"level {level}: the nodes with links are not those that reach this level")
    if given.counts.min() < 0 or given.counts.max() > given.table.shape[1]:
        raise IndexMismatch(f"level {level}: a node has {given.counts.max()} links, at most {given.table.shape[1]} fit")
    links = np.ascontiguousarray(given.table, np.int32)
    counts = graph.counts if level == 0 else graph.upper_count
    wrong, row = kernels.place_links(
        nodes, links, given.counts, graph.levels[: graph.count], level, places, table, counts
    )  # fmt: skip
    if wrong:
        what = {
            kernels.OUTSIDE: f"leads outside the nodes 0..{graph.count - 1}",
            kernels.BELOW: "leads to a node that does not reach this level",
            kernels.TOO_MANY: f"is one too many: at most {table.shape[1]} are allowed",
        }[wrong]
        raise IndexMismatch(f"level {level}: a link of node {nodes[row]} {what}")
