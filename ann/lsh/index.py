"""A banded index over MinHash signatures: sets that are similar share a bucket in at least one band."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked, whole_numbers
from ...graphlib.compute.jit import threads_in_use
from ...graphlib.errors import InvalidInput, InvalidType, NotFitted, NotFound
from ..index import IdentifiedRows
from ..metrics import check_count
from ..minhash.minhash import MinHash
from ..minhash.sets import RaggedSets, read_only
from ..result import SearchResult
from ..stored import next_id_field
from .buckets import Segment, choose_bands, few_of, make_segment, merge_segments, merged, say_capped, width_of_bands
from .pairs import SimilarityGraph, pairs_of
from .parts_cpu import Buckets
from .ranking import answer
from .statistics import LSHStatistics, statistics_of
from .stored import opened, store_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore


class LSH(IdentifiedRows):
    """Locality-sensitive hashing of sets by bands of their MinHash signatures.

    Parameters
    ----------
    minhash : MinHash, optional
        Makes signatures of sets; default `MinHash(128)`.
    threshold : float in [0, 1], default 0.5
        Similarity from which pairs should be found; bands b and slots per band r minimise the weighted areas of false
        positives and false negatives around it.
    bands : int, optional
        b, instead of the choice by threshold; then r is `slots_per_band` or `num_perm // bands`.
    slots_per_band : int, optional
        r; needs `bands`, b r <= num_perm.
    weights : (float, float), default (0.5, 0.5)
        Cost of false positives and of false negatives.
    max_bucket : int, default 10,000
        Larger buckets say little and cost much: of theirs, a query looks at `max_bucket` rows in all bands together (16
        at least in each), and `pairs` compares a row with the 16 behind it. A warning says when that may have cost
        results; `stats()` counts such buckets.
    threads : int, optional
        Default all cores; results do not depend on it.

    Notes
    -----
    Two sets of similarity J share a bucket with probability 1 - (1 - J^r)^b. A search examines the members of b buckets
    and ranks them by the share of equal slots. The index takes about 8.5 b bytes per row (sorted arrays of 32-bit keys
    and row numbers) beside the signatures, 4 K bytes. Rows added later form segments of their own, which are merged as
    they grow: adding costs O(b log^2 n) per row in the long run. Empty sets are in no bucket.

    References
    ----------
    P. Indyk and R. Motwani, STOC 1998; J. Leskovec, A. Rajaraman and J. Ullman, "Mining of massive datasets",
    chapter 3.

    Examples
    --------
    >>> from nearhop.ann import LSH, MinHash
    >>> index = LSH(MinHash(128), threshold=0.5).add([range(50), range(5, 55), range(90, 99)], ids=[7, 8, 9])
    >>> result = index.search([range(2, 52)], k=2)
    >>> sorted(result.ids[0].tolist()), result.counts.tolist()
    ([7, 8], [2])
    """

    KIND = "lsh"
    FROZEN = "threshold", "bands", "slots_per_band", "minhash", "weights"

    def __init__(
        self,
        minhash: MinHash | None = None,
        *,
        threshold: float = 0.5,
        bands: int | None = None,
        slots_per_band: int | None = None,
        weights: tuple[float, float] = (0.5, 0.5),
        max_bucket: int = 10_000,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self.minhash = MinHash() if minhash is None else minhash
        self.threshold = threshold
        self.bands = bands
        self.slots_per_band = slots_per_band
        self.weights = weights
        self.max_bucket = max_bucket
        self.threads = threads
        self._chosen: tuple[int, int] | None = None
        self._buffer: NDArray[np.uint32] = np.empty((0, self.minhash.num_perm), np.uint32)
        self._segments: list[Segment] = []

    @property
    def signatures(self) -> NDArray[np.uint32]:
        """uint32 (rows, num_perm), in row order; a read-only view."""
        return read_only(self._buffer[: len(self._rows)])

    @property
    def _few(self) -> int:
        return few_of(self.max_bucket, self.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Bands b and slots per band r in force."""
        self._check_frozen()
        if self._chosen is None:
            self._chosen = self._choose()
        return self._chosen

    def add(self, source: Any, ids: ArrayLike | None = None) -> LSH:
        """Add sets, or signatures made by an equal `MinHash`.

        Parameters
        ----------
        source : uint32 (n, num_perm) or whatever `MinHash.fit_transform` takes
            A uint32 matrix of that width is taken as signatures; the first one added is kept without copying.
        ids : integers (n,), optional
            Distinct; by default continuing behind the largest.

        Raises
        ------
        InvalidInput
            An id given twice or in the index already.
        """
        rows = self._signatures_of(source)
        with self._lock.writing():
            self._insert(rows, self._rows.for_new_rows(len(rows), ids, text=False))
        return self

    def _insert(self, rows: NDArray[np.uint32], new: NDArray[np.int64]) -> None:
        bands, width = self.shape
        before = len(self._rows)
        after = before + len(rows)
        if after > np.iinfo(np.int32).max:
            raise InvalidInput(f"add: an index holds at most 2,147,483,647 rows; got {after}")
        buffer = rows
        if before:
            buffer = self._buffer
            if after > len(buffer) or not buffer.flags.writeable:
                buffer = np.empty((max(after, before + before // 2), rows.shape[1]), np.uint32)
                buffer[:before] = self._buffer[:before]
            buffer[before:after] = rows
        segments = [*self._segments, self._segment(buffer, self._filled(buffer, before, after), bands, width)]
        while len(segments) > 1 and 2 * len(segments[-1]) > len(segments[-2]):
            segments[-2:] = [merge_segments(segments[-2], segments[-1], self.threads)]
        with self._lock.changing():
            self._buffer, self._segments = buffer, segments
            self._rows.append(new)

    def search(
        self,
        queries: Any,
        k: int,
        *,
        filter: ArrayLike | None = None,
        verify: Any = None,
        threads: int | None = None,
    ) -> SearchResult:
        """The k most similar of the sets that share a bucket with each query; distances are 1 - similarity.

        Parameters
        ----------
        queries : sets or signatures, as for `add`
        k : int >= 1
            Places without a result hold id -1 and distance inf; `counts` says how many are filled.
        filter : bool (rows,), bool (num_queries, rows) or integer ids, optional
            Which rows may be returned.
        verify : sets, optional
            The indexed sets in row order, such as the store they came from: the best max(4 k, 100) by estimate are
            ranked by exact Jaccard similarity. Queries must then be sets.
        threads : int, optional
        """
        k = check_count("k", k)
        signatures = self._signatures_of(queries)
        nobody = np.full(len(signatures), -1, np.int64)
        given = None if verify is None else RaggedSets.of(queries)
        with self._lock.reading():
            return answer(self, signatures, nobody, k, filter, verify, given, None, threads)

    def search_ids(
        self,
        ids: ArrayLike,
        k: int,
        *,
        filter: ArrayLike | None = None,
        verify: Any = None,
        threads: int | None = None,
    ) -> SearchResult:
        """As `search` for sets that are in the index, named by id; a set is not among its own results."""
        k = check_count("k", k)
        with self._lock.reading():
            rows = self.rows_of(ids)
            return answer(self, self.signatures[rows], rows, k, filter, verify, None, rows, threads)

    def rows_of(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Row numbers of ids; `NotFound` names the first unknown one."""
        given: NDArray[Any] = np.atleast_1d(unmasked("ids", ids))
        if given.size and (given.dtype.kind not in "iu" or given.ndim != 1):
            raise InvalidType(f"ids must be integers of one dimension; got {given.dtype} {given.shape}")
        rows = whole_numbers("ids", given)
        inside = (rows >= 0) & (rows < len(self._rows))
        if not (inside.all() and (self._rows.values[rows] == rows).all() and not self._rows.dead[rows].any()):
            rows = self._rows.positions(rows)  # ids are not simply row numbers
        if (rows < 0).any():
            raise NotFound(f"id {given[int(np.argmax(rows < 0))]} is not in the index (or was removed)")
        return rows

    def candidates(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Ids, ascending, of all sets that share a bucket with any of the named ones (the named ones included)."""
        found, capped = self._candidates(ids)
        if capped:
            say_capped("candidates: sets", self.max_bucket, self._few, stacklevel=2)
        return found

    def _candidates(self, ids: ArrayLike) -> tuple[NDArray[np.int64], bool]:
        """`candidates`, and whether a bucket was too large to be looked at as a whole."""
        from .candidates_cpu import union_of_candidates

        with self._lock.reading():
            rows = self.rows_of(ids)
            n = len(self._rows)
            marks, found = np.zeros(n, np.int32), np.empty(n, np.int32)
            marks[rows] = 1
            count = capped = 0
            queries = read_only(self.signatures[rows])
            for segment in self._segments:
                count, more = union_of_candidates(queries, self._buckets_of(segment), marks, 1, found, count)
                capped += more
            union = np.union1d(rows, found[:count].astype(np.int64))
            return np.sort(self._rows.values[union[~self._rows.dead[union]]]), capped > 0

    def _buckets_of(self, segment: Segment) -> Buckets:
        return Buckets(segment.keys, segment.rows, segment.starts, self.shape[1], self.max_bucket, self._few)

    def pairs(
        self, threshold: float, *, verify: Any = None, rows_per_block: int = 1 << 16, threads: int | None = None
    ) -> Iterator[SimilarityGraph]:
        """All pairs of sets at least `threshold` similar that share a bucket, block after block of rows.

        `verify` takes the indexed sets in row order: pairs down to three standard deviations below the
        threshold by estimate are then kept or dropped by exact Jaccard similarity, which replaces the estimate. Memory
        is bounded by the block. All blocks are of the index as it was when this was called.
        """
        self._check_parameters()
        threads = self.threads if threads is None else threads
        with self._lock.steady():
            if not self._segments:
                raise NotFitted("pairs: the index is empty; add sets first")
            self._one_segment()
            return pairs_of(self, threshold, verify, rows_per_block, threads)

    def similarity_graph(self, threshold: float, *, verify: Any = None, threads: int | None = None) -> SimilarityGraph:
        """All `pairs` as one set of undirected edges between ids, each once with src's row before dst's.

        Examples
        --------
        >>> from nearhop.ann import LSH, MinHash
        >>> sets = [range(50), range(5, 55), range(90, 99)]
        >>> graph = LSH(MinHash(128), threshold=0.5).add(sets).similarity_graph(0.6, verify=sets)
        >>> graph.src.tolist(), graph.dst.tolist(), bool(graph.similarity[0] > 0.8)
        ([0], [1], True)
        """
        parts = list(self.pairs(threshold, verify=verify, threads=threads))
        joined = (np.concatenate(field) for field in zip(*parts, strict=True))
        return SimilarityGraph(*joined)

    def compact(self) -> LSH:
        """Drop deleted rows and merge all segments; bitmap filters then count the remaining rows only."""
        super().compact()
        with self._lock.writing():
            self._one_segment()
        return self

    def _compacted(self, live: NDArray[np.int64]) -> dict[str, Any]:
        buffer = self.signatures[live]
        whole = self._segment(buffer, self._filled(buffer, 0, len(live)), *self.shape)
        return {"_buffer": buffer, "_segments": [whole]}

    def _check_parameters(self) -> int:
        self._check_frozen()
        self._choose()
        return 0

    def stats(self) -> LSHStatistics:
        """Sizes, buckets and bytes."""
        with self._lock.reading():
            return statistics_of(self)

    def _stored(self) -> GraphStore:
        if not self._segments:
            raise NotFitted("save: the index is empty; add sets first")
        self._one_segment()
        fields = {
            "kind": self.KIND, "bands": self.shape[0], "slots_per_band": self.shape[1], "max_bucket": self.max_bucket,
            "minhash": self.minhash.parameters(), **next_id_field(self._rows),
        }  # fmt: skip
        return store_of(self.signatures, self._rows, self._segments[0], fields)

    @classmethod
    def _opened(cls, store: GraphStore) -> LSH:
        fields, minhash, buffer, rows, segment = opened(store)
        index = cls(
            minhash, bands=fields["bands"], slots_per_band=fields["slots_per_band"],
            max_bucket=fields["max_bucket"],
        )  # fmt: skip
        index._buffer, index._rows, index._segments = buffer, rows, [segment]
        return index

    @classmethod
    def load(cls, path: str | Path) -> LSH:
        """Open an index that `save` wrote; its arrays stay memory-mapped."""
        from ...graphlib.store.store import open as open_store  # type: ignore[attr-defined, unused-ignore]

        return cls._opened(open_store(path))

    def _signatures_of(self, source: Any) -> NDArray[np.uint32]:
        self._choose()
        if hasattr(source, "__array__") and getattr(source, "ndim", 0) == 2:
            source = unmasked("signatures", source)
            if source.dtype == np.uint32:
                return self.minhash.check_signatures(source)
            if source.shape[1] == self.minhash.num_perm:
                raise InvalidType(
                    f"a matrix of {source.shape[1]} columns, as many as signatures have slots, is of {source.dtype}: "
                    "signatures are uint32, as MinHash makes them; rows that are sets are given as list(rows)"
                )
        return self.minhash.fit_transform(source)

    def _filled(self, buffer: NDArray[np.uint32], first: int, last: int) -> NDArray[np.int64]:
        """Rows of sets that are not empty."""
        from .candidates_cpu import has_elements

        filled = np.empty(last - first, np.bool_)
        has_elements(read_only(buffer[first:last]), filled)
        return first + np.flatnonzero(filled)

    def _segment(self, buffer: NDArray[np.uint32], rows: NDArray[np.int64], bands: int, width: int) -> Segment:
        from .candidates_cpu import band_keys

        keys = np.empty((bands, len(rows)), np.uint32)
        with threads_in_use(self.threads):
            band_keys(read_only(buffer), read_only(rows), width, keys)
        return make_segment(keys, rows, self.threads)

    def _one_segment(self) -> None:
        """Merge all segments; inside `steady`."""
        if len(self._segments) > 1:
            whole = merged(self._segments, self.threads)
            with self._lock.changing():
                self._segments = [whole]

    def _choose(self) -> tuple[int, int]:
        check_count("max_bucket", self.max_bucket)
        num_perm = check_count("num_perm", self.minhash.num_perm)
        if self.bands is None:
            if self.slots_per_band is not None:
                raise InvalidInput("slots_per_band needs bands; without bands both are chosen from threshold")
            return choose_bands(num_perm, self.threshold, self.weights)
        return self.bands, width_of_bands(num_perm, self.bands, self.slots_per_band)

    def __repr__(self) -> str:
        bands, width = self.shape
        dead = f", {self._rows.num_dead:,} deleted" if self._rows.num_dead else ""
        return f"LSH({self.minhash!r}, {len(self):,} sets{dead}, {bands} bands of {width} slots)"


__all__ = ["LSH"]
