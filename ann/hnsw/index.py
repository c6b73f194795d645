"""Hierarchical navigable small world graphs: approximate nearest neighbours of high recall."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import IndexMismatch, InvalidInput, NotFitted, StoreCorrupt
from ...graphlib.given_store import check_store
from ..ids import RowIds
from ..index import Progress, VectorIndex
from ..metrics import check_count, check_finite, check_rows, metric_code, query_scales
from ..result import RangeResult, SearchResult
from ..storage.rows import Rows, rows_of
from ..store_rows import NodeCondition, store_column, store_ids
from . import stored
from .bulk.linking import BULK_FROM, link_all
from .choosing import choose
from .deletes import compacted, places_for
from .few import search_few
from .graph import HNSWGraph
from .parameters import check_parameters
from .plan import answer, least_beam
from .statistics import HNSWStatistics, held_bytes, statistics
from .tuning import Explanation, MemoryEstimate, estimate_memory, explain, tune, tune_classes
from .within import search_within

if TYPE_CHECKING:
    from typing import Unpack

    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ..words import HNSWParameters, Layout, RowMetric, Storage

DEFAULT_EF = 64


@functools.cache
def _root_of_levels(seed: int) -> int:
    return root_of(seed, Purpose.LEVELS)


class HNSW(VectorIndex):
    """A hierarchy of proximity graphs, searched by a beam.

    Parameters
    ----------
    metric : {"l2", "ip", "cosine", "hamming"}, default "l2"
        Distances are squared for "l2", 1 - dot for "ip" and 1 - cos for "cosine". With "ip", vectors of very different
        norms cost recall: the graph's pruning rule assumes a metric. For "hamming" rows are packed bits, uint8
        (see `numpy.packbits`), and the distance is the number of bits that differ.
    M : int in [2, 1024], default 16
        Links a new node makes per level; a node keeps at most M, and 2M at level 0.
    ef_construction : int >= 1, default 200
        Beam width while building (efC); raised to M.
    storage : str, default "float32"
        "float32", "float16", "int8", "int8-float16", "int8-only", "int4", "1bit", "int4-only", "1bit-only" or "auto".
        How vectors are kept and what walks compare. "int8" keeps float32 vectors and beside them 8-bit codes of their
        principal directions (see `storage.scalar_codes.ScalarCodes`): a walk reads a half to a twentieth of the bytes,
        and float32 distances order and decide what is returned. "int8-float16" keeps halves instead of float32, which
        loses nothing of vectors that were float16 and is a little faster. "float16" keeps halves alone, "int8-only" one
        byte per coordinate alone; distances are those of the rounded vectors (see Notes). "int4" and "1bit" keep halves
        and beside them codes of 4 bits or 1 bit a coordinate (see `storage.rabitq.codes.BitCodes`), whose estimates
        walks compare; "int4-only" and "1bit-only" keep the codes alone, and distances are the estimates. "auto" becomes
        what is fastest for the width and number of the first rows and half of the free memory, with the layout for it;
        `storage` and `layout` then say what was chosen.
    seed : int, default 0
        Draws the levels. Same vectors in the same calls and same seed: same graph, at any number of threads.
    threads : int, optional
        All cores by default.
    ef_search : int >= 1, default 64
        Beam width of searches that do not give one; see `tune`.
    layout : {"plain", "packed"}, default "plain"
        "packed", for storage "int8" and "int8-float16": every node keeps codes of its neighbours beside its links (see
        Notes). Searches read one block a step instead of a row a neighbour, 1.3 to 2.5 times as many queries a second
        on vectors of a hundred dimensions or more, for 1 to 2.5 KiB a row.
    fit_queries : float32 (num_queries, dim), optional
        For storage "int8" and "int8-float16": examples of queries that come from elsewhere than the rows, such as
        questions asked of documents. Codes then keep the directions in which rows or queries vary, and their width is
        tried on these queries. The first `add` reads them and keeps up to 2,048; "auto" takes them where it becomes
        "int8".

    Notes
    -----
    Build O(n log n * ef_construction * M) distances, search O(ef_search * M * log n). Memory per row: 4 * dim bytes,
    and about 8 * M + 35 of links, levels and ids (`estimate_memory`); rows added in several calls leave room for up to
    half as many again. Vectors are copied by `add`; by `from_store` only where rows have to be kept otherwise than they
    are given.

    Coordinates are rounded by at most 2^-11 of their size (2^-25 below 2^-14) with "float16" and "int8-float16", by
    half a step with "int8-only". A step is a 254th of the range that all but one in ten thousand centred coordinates of
    ordinary rows keep to, and 1 where all numbers are whole and within 256 values, which are then kept exactly. The
    rounded vector lies within e = step / 2 * sqrt(dim) of the given one, so a distance (not squared) is off by at most
    e; but a coordinate beyond the range becomes its end, and rows that have one may be off by more. The first 255 rows
    of "int8-only" are kept as they are, until there are enough to choose a step from.

    Differences from the paper: rows are inserted in batches of up to 2 % of the graph whose members search the graph
    as it was before the batch, and one another. The first 20,000 rows or more that one call adds to an empty index are
    linked together instead, in about half of the time: at level 0 their candidates are found in small parts of the rows
    that overlap, ef_construction / 50 times, not by searches (see `bulk.linking.link_all`), with at most 0.5 GiB and
    0.7 KiB a row of memory meanwhile. At most a quarter of a node's links lead to copies of its vector. Nodes that
    pruning cut off are linked again at the end of `add`, or each time 1 % of the rows were added (5 % of many).

    References
    ----------
    Y. Malkov and D. Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
    Small World graphs", IEEE TPAMI 42 (2020), arXiv:1603.09320, Algorithms 1, 2, 4 and 5; T. Rubel et al., "PiPNN:
    Ultra-Scalable Graph-Based Nearest Neighbor Indexing", arXiv:2602.21247.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.ann import HNSW
    >>> vectors = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)
    >>> index = HNSW(metric="cosine").add(vectors)
    >>> index.search(vectors[7], k=3).ids[0, 0]
    np.int64(7)
    """

    KIND = "hnsw"
    KNOB = "ef_search"
    COLUMNS = stored.COLUMNS
    FROZEN = "metric", "M", "storage", "layout"

    def __init__(
        self,
        metric: RowMetric = "l2",
        M: int = 16,
        *,
        ef_construction: int = 200,
        storage: Storage | Literal["auto"] = "float32",
        seed: int = 0,
        threads: int | None = None,
        ef_search: int = DEFAULT_EF,
        layout: Layout = "plain",
        fit_queries: ArrayLike | None = None,
    ) -> None:
        super().__init__()
        self.metric = metric
        self.M = M
        self.ef_construction = ef_construction
        self.storage: Any = storage
        self.seed = seed
        self.threads = threads
        self.ef_search = ef_search
        self._beams: dict[str, int] = {}
        self.layout = layout
        self._fit_queries = fit_queries
        self._graph: HNSWGraph | None = None
        self._anew: Rows | None = None  # what keeps the first rows, where they were kept before

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_"):
            self._metric: int | None = None  # parameters are checked before they are next used

    def _holds_rows(self) -> bool:
        return self.__dict__.get("_graph") is not None

    @classmethod
    def from_store(
        cls,
        store: GraphStore,
        column: str,
        *,
        node_type: str | None = None,
        text_ids: bool = False,
        progress: Progress | None = None,
        **parameters: Unpack[HNSWParameters],
    ) -> HNSW:
        """Index a float32 node column where it lies; `parameters` are the constructor's.

        Results speak the store's user ids where they are integers or, with `text_ids`, text; else node positions.
        """
        check_store(store)
        index = cls(**parameters)
        vectors = store_column(store, column, node_type)
        check_finite("from_store", vectors, f"column {column!r}")
        ids = store_ids(store, node_type, len(vectors), text=text_ids)
        index._where = NodeCondition(store, node_type, ids, column, vectors)
        index._insert(vectors, ids, progress, borrowed=True)
        return index

    @property
    def dim(self) -> int | None:
        """Width of the vectors, or None before the first `add`."""
        return None if self._graph is None else self._graph.rows.dim

    @property
    def fit_queries(self) -> ArrayLike | None:
        """The queries that codes are chosen for: those given or, once there are rows, those kept; None without."""
        return self._fit_queries if self._graph is None else getattr(self._graph.codes, "fit_queries", None)

    @property
    def ids(self) -> NDArray[Any]:
        """User ids in row order, deleted rows included; the order of bitmap filters.

        New rows take the places of deleted ones where there are free ones, so the order can change with every `add`.
        """
        return self._rows.values.copy()

    @property
    def graph(self) -> HNSWGraph:
        """The arrays of the graph, shared: treat them as read-only. `NotFitted` before the first `add`.

        Of an index that `load` opened in place, every link is checked the first time.
        """
        graph = self._filled()
        graph.check()
        return graph

    def add(
        self,
        vectors: ArrayLike,
        ids: ArrayLike | None = None,
        *,
        progress: Progress | None = None,
    ) -> HNSW:
        """Add rows.

        Parameters
        ----------
        vectors : float32 (count, dim)
            Copied. Other real dtypes are converted.
        ids : int64 or text (count,), optional
            Distinct, and not in the index; by default they continue behind the largest integer so far. All ids of an
            index are of one kind.
        progress : callable (done, total), optional
            Called after every batch of at most 512 rows. It may search and save the index, not change it. Of many first
            rows (see the class's Notes) it is told what share of the work is done, and the index is empty until the
            last call.

        Raises
        ------
        IndexMismatch
            Vectors of another width than those before.
        InvalidInput, InvalidType
            NaN or infinite values, ids given twice, present or of another kind. The index is unchanged.

        Notes
        -----
        The rows take the places of deleted ones first. Once 5 % of the rows are deleted and still linked (1 % where
        memory would have to grow), links are first led around them: O(links), and about 20 selections per deleted row.

        An interrupt (Ctrl-C, or an exception of `progress`) leaves a valid index of the rows linked so far, of many
        first rows an empty one.
        """
        return self._add("add", vectors, ids, progress)

    def upsert(self, vectors: ArrayLike, ids: ArrayLike, *, progress: Progress | None = None) -> HNSW:
        """Add rows, replacing those whose ids the index holds; parameters and errors are those of `add`.

        Every search finds the old row or the new one. Interrupted, rows not linked yet keep their old vectors.
        """
        return self._add("upsert", vectors, ids, progress, replacing=True)

    def _insert(
        self,
        rows: NDArray[Any],
        ids: NDArray[Any],
        progress: Progress | None,
        *,
        borrowed: bool = False,
        replacing: bool = False,
    ) -> None:
        metric = self._check_parameters()
        if not len(rows):
            return
        if self.storage == "auto":
            self.storage, self.layout = choose(metric, rows.shape[1], len(rows), self.M)
            self._fit_queries = self._fit_queries if self.storage == "int8" else None
        graph = self._graph
        if graph is not None and not len(self):  # nothing to keep
            with self._lock.changing():
                graph = self._graph = None
                self._rows = self._rows.chosen(np.empty(0, np.int64))
        if graph is None:
            kept = self._anew or self._empty_rows(metric, rows.shape[1])
            graph = HNSWGraph(kept, self.M, packed=self.layout == "packed")
            graph.lock, graph.rows.borrowed = self._lock, borrowed
        ef = max(self.ef_construction, self.M)
        graph.check()
        places = places_for(graph, self._rows.dead, len(rows), ef, self.threads)

        def published(first: int, last: int) -> None:
            self._rows.place(members[first:last], ids[first:last], replacing=replacing)
            if self._where is not None and not borrowed:
                self._where.in_order = False

        def committed(done: int) -> None:
            if progress is not None:
                progress(done, len(rows))

        graph.rows.check(rows)
        total, most = graph.count + len(rows) - len(places), np.iinfo(np.int32).max
        if total > most:
            raise InvalidInput(f"add: an index holds at most {most} rows; this would make {total}")
        behind = self._behind(graph, rows) if not len(places) else None
        if len(rows) >= BULK_FROM and self._graph is None:
            members = self._make_room(graph, places, rows, behind)
            link_all(graph, len(rows), ef, self.seed, self.threads, committed)
            with self._lock.changing():
                published(0, len(rows))
                self._graph = graph
            committed(len(rows))
        elif len(rows) == 1 and graph.entry >= 0:
            with self._lock.changing():
                members = self._make_room(graph, places, rows, behind)
                published(0, 1)
                graph.insert_one(members, ef)
            graph.repair_if_due(ef)
            committed(1)
        else:
            with self._lock.changing():
                members = self._make_room(graph, places, rows, behind)
                self._graph = graph
            graph.insert(members, ef, self.threads, published, committed)
        graph.mend(ef, self.threads)
        graph.write_blocks(self.threads)

    def _empty_rows(self, metric: int, dim: int) -> Rows:
        """What will keep the rows, told what queries to expect."""
        kept = rows_of(self.storage, metric, dim)
        if self._fit_queries is not None:
            queries = check_rows("HNSW", self._fit_queries, metric, dim=dim, what="fit_queries")
            if not len(queries):
                raise InvalidInput(f"HNSW: fit_queries must have at least one row; got shape {queries.shape}")
            kept.expect(queries)
        return kept

    def _behind(self, graph: HNSWGraph, given: NDArray[Any]) -> Rows:
        """The graph's rows with others behind them, while searches read those in use: codes of all may be chosen anew,
        which takes a while and may be interrupted."""
        rows = graph.rows.staged()
        with threads_in_use(self.threads):
            rows.append(graph.count, given)
        return rows

    def _make_room(
        self, graph: HNSWGraph, places: NDArray[np.int64], given: NDArray[Any], behind: Rows | None
    ) -> NDArray[np.int64]:
        """Put vectors, codes and levels into free places and behind the rows in use; the nodes that now hold them.

        Called while searches wait. `behind` is what `_behind` made, where no place is free.
        """
        from . import build_cpu as kernels

        start, here = graph.count, len(places)
        total = start + len(given) - here
        levels = np.empty(total - start, np.int8)
        kernels.draw_levels(_root_of_levels(self.seed), start, self.M, levels)
        with threads_in_use(self.threads):
            if behind is not None:
                graph.rows = behind
            else:
                graph.rows.replace(places, given[:here], start)
                if total > start:
                    graph.rows.append(start, given[here:])
        if total > start:
            graph.reserve(levels)
        graph.mark(np.empty(0, np.int64))  # codes may be others now, of which its blocks know nothing
        new = np.arange(start, total)
        members = np.concatenate([places, new]) if here else new
        if len(graph.rows.to_mend()):
            graph.rows.mended(members)  # they have no links yet
        return members

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        ef_search: int | str | None = None,
        filter: Any = None,
        threads: int | None = None,
    ) -> SearchResult:
        """The k nearest rows of every query, approximately.

        Parameters
        ----------
        queries : float32 (num_queries, dim) or (dim,)
        k : int >= 1
            Places without a result hold id -1 and distance inf; `counts` says how many are filled.
        ef_search : int >= 1 or str, optional
            Beam width (ef), raised to k, or to 1.2 k where walks compare codes; larger is slower and more exact. A name
            stands for the beam that `tune` found for queries of that name. The index's `ef_search` by default.
        filter : bool (rows,), bool (num_queries, rows), integer ids, range, str, or a list of these, optional
            Which rows may be returned: a bitmap in row order, ids, a range of ids, an SQL condition (indexes made by
            `from_store`), or a list with one of these, or None, per query. Where a fifth of the rows or more pass, the
            beam widens; where fewer do, the walk steps over those that fail; where few do, they are scanned exactly.
            With 8-bit codes, 16 or more queries that share a filter may be answered by a scan of the codes instead:
            the max(ef_search, 2k) rows that codes rank first, ordered by their distances.
        threads : int, optional
            Results do not depend on it, nor, but for that scan, on how queries are split into calls.

        Raises
        ------
        IndexMismatch
            Queries of another width, a bitmap of another length, or a column of the store that was replaced since the
            index was made from it.
        InvalidInput
            NaN or infinite values, k or ef_search < 1, a name that was not tuned.
        """
        ef_search = self._beam_of(ef_search)
        with self._lock.reading():
            if self._where is not None:
                self._check_column(self._where)
            found = search_few(self, queries, k, ef_search, threads) if filter is None else None
            return self._search(queries, k, filter, threads, ef_search=ef_search) if found is None else found

    def search_within(
        self, queries: ArrayLike, radius: float, *, ef_search: int | str | None = None, filter: Any = None,
        threads: int | None = None,
    ) -> RangeResult:  # fmt: skip
        """Every row whose distance from a query is at most `radius`, approximately.

        The search is repeated with k = 64, 128, ... until a query's farthest result lies beyond the radius; other
        parameters and errors are those of `search`.
        """
        with self._lock.reading():
            if self._where is not None:
                self._check_column(self._where)
            return search_within(self, queries, radius, self._beam_of(ef_search), filter, threads)

    @overload
    def tune(self, target_recall: float = 0.95, *, queries: ArrayLike | None = None, k: int = 10) -> int: ...
    @overload
    def tune(self, target_recall: float = 0.95, *, queries: Mapping[str, ArrayLike], k: int = 10) -> dict[str, int]: ...
    def tune(
        self, target_recall: float = 0.95, *, queries: ArrayLike | Mapping[str, ArrayLike] | None = None, k: int = 10
    ) -> int | dict[str, int]:
        """Set `ef_search` to the smallest tried beam (k to 1,024) that reaches a recall, and return it.

        Parameters
        ----------
        target_recall : float in (0, 1], default 0.95
            Mean share of true neighbours, found by an exact scan of all rows.
        queries : float32 (num_queries, dim), or several of these by name, optional
            200 rows of the index by default, which are easier than queries from elsewhere. Of classes of queries, each
            gets a beam of its own, which `search(..., ef_search=name)` takes; they are returned by name, join `beams`,
            and `ef_search` becomes the widest, which keeps the promise whatever is asked.
        k : int, default 10

        Examples
        --------
        >>> import numpy as np
        >>> rows = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)
        >>> index = HNSW().add(rows)
        >>> beams = index.tune(0.9, queries={"near": rows[:50] + 0.01, "far": 3 * rows[:50]})
        >>> sorted(beams) == sorted(index.beams), index.search(rows[:2], 3, ef_search="near").ids.shape
        (True, (2, 3))
        """
        with self._lock.reading():
            if isinstance(queries, Mapping):
                found = tune_classes(self, target_recall, queries, k)
                self._beams = {**self._beams, **found}
                self.ef_search = max(found.values())
                return found
            self.ef_search = tune(self, target_recall, queries, k)
        return self.ef_search

    @property
    def beams(self) -> dict[str, int]:
        """The beams that `tune` found for classes of queries, by name; saved with the index."""
        return dict(self._beams)

    def _beam_of(self, given: int | str | None) -> int | None:
        """A beam as it is given, or that of the class of queries of this name."""
        if not isinstance(given, str):
            return given
        if given not in self._beams:
            known = ", ".join(map(repr, self._beams)) or "none yet"
            raise InvalidInput(f"ef_search={given!r} is no class of queries; tuned are: {known}. See tune(queries=...)")
        return self._beams[given]

    def explain(
        self, query: ArrayLike, k: int = 10, *, ef_search: int | str | None = None, filter: Any = None
    ) -> Explanation:
        """How one query is answered, and which true neighbours that misses; costs an exact scan.

        Examples
        --------
        >>> import numpy as np
        >>> from nearhop.ann import HNSW
        >>> index = HNSW().add(np.arange(3000, dtype=np.float32)[:, None])
        >>> index.explain([7.2], k=3, filter=range(500))
        Explanation(scan, beam 0, 500 of 3,000 rows pass (16.7 %), recall 1.000, 0 missed)
        """
        with self._lock.reading():
            return explain(self, query, k, self._beam_of(ef_search), filter)

    def estimate_memory(self, num_rows: int, dim: int) -> MemoryEstimate:
        """Bytes that an index with these parameters will hold for so many vectors; nothing is allocated.

        >>> round(HNSW(M=16).estimate_memory(1_000_000, 128).total / 2**30, 1)
        0.6
        """
        return estimate_memory(self, num_rows, dim)

    def _nearest(
        self, queries: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None, threads: int | None,
        ef_search: int | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:  # fmt: skip
        graph = self._filled()
        asked = self.ef_search if ef_search is None else check_count("ef_search", ef_search)
        ef = max(asked, least_beam(k, coded=graph.is_coded))
        factors = query_scales(queries, metric_code(self.metric, bits=True))
        return answer(graph, queries, factors, k, ef, allowed, threads)

    def remove(self, ids: ArrayLike) -> int:
        """Delete rows by id and return how many; `NotFound` names an unknown id and nothing is deleted.

        Deleted rows are walked through but never returned; `compact` drops them.
        """
        return super().remove(ids)

    def compact(self, *, progress: Progress | None = None) -> HNSW:
        """Give back the memory of deleted rows, and the room kept for more rows; interrupted, the index is as it was.

        Links are led around deleted rows and rows keep their order, so bitmap filters count the remaining ones. Takes
        a small part of the time of a new build; old and new arrays are held until it is done. Where more than half of
        the rows are deleted, the graph is built anew.
        """
        self._check_parameters()
        with self._lock.writing():
            graph = self._graph
            if graph is not None and (self._rows.num_dead or len(graph.rows.kept) > graph.count):
                self._keep_only(np.flatnonzero(self._rows.live), progress=progress)
        return self

    def _compacted(self, live: NDArray[np.int64], progress: Progress | None = None) -> dict[str, Any]:
        graph = self._filled()
        graph.check()
        fresh = self._without_dead(graph, live, progress)
        if self._where is None or len(live) == graph.count:
            return {"_graph": fresh}
        return {"_graph": fresh, "_where": self._where.scattered()}

    def _without_dead(self, graph: HNSWGraph, live: NDArray[np.int64], progress: Progress | None) -> HNSWGraph | None:
        if not len(live):
            return None
        if 2 * len(live) < graph.count:
            fresh = HNSW(
                self.metric, self.M, ef_construction=self.ef_construction, storage=self.storage, seed=self.seed,
                threads=self.threads, layout=self.layout,
            )  # fmt: skip
            fresh._anew = graph.rows.anew()
            fresh._insert(graph.rows.given(graph.rows.kept[live]), live, progress, borrowed=True)
            made = fresh.graph
            made.lock, made.rows.borrowed = self._lock, False
            return made
        return compacted(graph, self._rows.dead, max(self.ef_construction, self.M), self.threads, progress)

    def stats(self) -> HNSWStatistics:
        """Counts, degrees and bytes; O(links), since unreachable nodes are counted by a walk."""
        with self._lock.reading():
            if self._graph is not None:
                self._graph.check()
            return statistics(self)

    def verify(self) -> HNSWStatistics:
        """Check every link and vector; `StoreCorrupt` says what is wrong. Returns the statistics."""
        from .check import check_graph

        with self._lock.reading():
            if self._graph is not None:
                try:
                    check_graph(self._graph)
                    self._graph.unchecked = False
                    rows = self._graph.rows
                    check_finite("verify", rows.given(rows.kept[: self._graph.count]))
                except (IndexMismatch, InvalidInput) as error:
                    raise StoreCorrupt(str(error)) from error
            return statistics(self)

    @property
    def nbytes(self) -> int:
        """Bytes of vectors, codes and links, with the room kept for more rows."""
        return 0 if self._graph is None else held_bytes(self._graph)

    def vectors(self) -> NDArray[Any]:
        """The rows that are not deleted, in their order, as the storage gives them back ("int8-only": decoded)."""
        graph = self.graph
        kept = graph.rows.kept[: graph.count]
        return graph.rows.given(kept if not self._rows.num_dead else kept[self._rows.live])

    def save(self, path: str | Path, *, edges: bool = False) -> None:
        """Write the index as a new store folder; `nearhop.ann.load` opens it. `StoreExists` if the path is taken.

        With `edges`, the links of level l are also written as edge type ("node", "link<l>", "node"), for samplers.
        Searches go on meanwhile, changes wait. A failure or a crash leaves nothing at the path.
        """
        with self._lock.steady():
            self._check_values()
            self.as_store(edges=edges).save(path)

    def _stored(self, *, edges: bool = False) -> GraphStore:
        if self._graph is None and self._rows.has_held:
            return stored.store_of_none(self._rows, self._parameters())
        self.graph.write_blocks(self.threads)  # an add that was interrupted leaves old ones
        return stored.store_of(self.graph, self._rows, self._parameters(), edges=edges)

    @classmethod
    def _opened(cls, store: GraphStore) -> HNSW:
        return cls._of(*stored.opened(store))

    @classmethod
    def _of(cls, fields: dict[str, Any], graph: HNSWGraph | None, rows: RowIds) -> HNSW:
        """An index of these parts, which are checked."""
        index = cls(
            fields["metric"], fields["M"], ef_construction=fields["ef_construction"], storage=fields["storage"],
            seed=fields["seed"], ef_search=fields.get("ef_search", DEFAULT_EF),
            layout=stored.layout_of(fields),
        )  # fmt: skip
        index._graph, index._rows = graph, rows
        index._beams = stored.beams_of(fields)
        return index

    def read_into_memory(self, *, walks_only: bool = False) -> None:
        """Copy vectors, codes and links out of the file where it is mapped; what `load(in_memory=True)` does.

        With `walks_only`, vectors that only order what a walk has found by codes stay mapped: `in_memory="walks"`.
        """
        with self._lock.writing(), self._lock.changing():
            if self._graph is not None:
                self._graph.read_into_memory(walks_only=walks_only)

    def save_into(self, store: GraphStore, name: str) -> None:
        """Put the links of an index made by `from_store` into that store, as edge types `{name}_link0`, ...

        The vectors are not written again. On a stored graph, `commit()` writes the links; `HNSW.attach` opens them.
        `IndexMismatch` where the column was replaced or written into since the index was made from it.
        """
        check_store(store)
        self._check_parameters()
        with self._lock.steady():
            self._check_values()
            stored.put_into(self.graph, self._rows, self._parameters(), store, name)

    @classmethod
    def attach(cls, store: GraphStore, name: str) -> HNSW:
        """Open an index that `save_into` put into a store; the vectors stay in their column.

        Links and vectors are read, to see that the column still holds what the index was made from (`IndexMismatch`).
        """
        check_store(store)
        fields, graph, rows, where = stored.attached(store, name)
        index = cls._of(fields, graph, rows)
        index._where = where
        return index

    def _parameters(self) -> dict[str, Any]:
        return {
            "kind": self.KIND, "metric": self.metric, "M": self.M, "ef_construction": self.ef_construction,
            "storage": self.storage, "seed": self.seed, "ef_search": self.ef_search, "packed": self.layout == "packed",
            "beams": self.beams,
        }  # fmt: skip

    def _filled(self) -> HNSWGraph:
        if self._graph is None or not self._graph.count:
            raise NotFitted("the index is empty; add vectors first")
        return self._graph

    def _check_column(self, where: NodeCondition) -> None:
        """Notice that the column in which the rows lie was replaced; rows of an index's own are beside the question."""
        if self._graph is not None and self._graph.rows.borrowed:
            where.check_column()

    def _check_values(self) -> None:
        """As `_check_column`, and that no values were written into the column where it lies."""
        if self._where is not None and self._graph is not None and self._graph.rows.borrowed:
            self._where.check_column()
            self._where.check_values()

    def _check_parameters(self) -> int:
        if self._metric is None:
            self._check_frozen()
            self._metric = check_parameters(
                self.metric, self.M, self.ef_construction, self.ef_search, self.seed, self.storage, self.layout
            )
        return self._metric

    def __repr__(self) -> str:
        if self._graph is None:
            return f"HNSW({self.metric!r}, M={self.M}, ef_construction={self.ef_construction}, empty)"
        dead = f", {self._rows.num_dead:,} deleted" if self._rows.num_dead else ""
        size = self._graph.rows.kept.nbytes + self._graph.links.nbytes + self._graph.upper.nbytes
        packed = ""
        if self._graph.blocks is not None:
            size, packed = size + self._graph.blocks.nbytes, ", packed"
        return (
            f"HNSW({self.metric!r}, M={self.M}, ef_construction={self.ef_construction}, {len(self):,} vectors{dead}, "
            f"dim={self.dim}, {self._graph.top + 1} levels, {self.storage}{packed}, {size / 2**20:.1f} MiB)"
        )
