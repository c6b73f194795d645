"""Exact nearest neighbours: the protocol of every index, without an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.compute.jit import plain_view
from ..graphlib.errors import InvalidInput
from ..graphlib.process import physical_memory
from .distances.scan import nearest_rows
from .filters import allowed_rows
from .frozen import FrozenParameters
from .growing import Growing
from .ids import RowIds, ids_of
from .locking import SharedLock
from .metrics import COSINE, HAMMING, IP, L2, as_words, check_count, check_rows, inverse_norms, metric_code, scaled
from .result import SearchResult

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_BYTES_PER_RESULT = 12
_MOST_RESULT = 1 << 30  # results up to here are not looked at closer


class Exact(FrozenParameters):
    """Compare every query with every vector.

    Parameters
    ----------
    metric : {"l2", "ip", "cosine", "hamming"}, default "l2"
        Distances are squared for "l2", 1 - dot for "ip", 1 - cos for "cosine" (1 for a zero vector), and for "hamming"
        the number of bits that differ between rows of packed bits (uint8, see `numpy.packbits`).
    threads : int, optional
        All cores by default; results do not depend on it.

    Notes
    -----
    A search costs O(num_queries * rows * dim). `add` copies the new vectors, 4 * dim bytes per row; where rows come in
    many calls the room for them grows by halves, so that a row is copied a few times in all. Equal distances are
    ordered by id. Distances are float32 sums of directly computed terms. For "cosine", rows longer than 2^40 or shorter
    than 2^-40 are kept times a power of two.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.ann import Exact
    >>> index = Exact("l2").add(np.array([[0.0, 0], [1, 0], [5, 5]]), ids=[10, 20, 30])
    >>> result = index.search([0.9, 0], k=2)
    >>> result.ids.tolist(), result.counts.tolist()
    ([[20, 10]], [2])
    """

    def __init__(self, metric: str = "l2", *, threads: int | None = None) -> None:
        self.metric = metric
        self.threads = threads
        self._held: Growing | None = None  # for "hamming", 64-bit words
        self._dim: int | None = None
        self._scales = Growing(np.ones(1, np.float32))
        self._rows = RowIds()
        self._lock = SharedLock()

    def __len__(self) -> int:
        return len(self._rows) - self._rows.num_dead

    @property
    def dim(self) -> int | None:
        """Width of the vectors (for "hamming" their bytes), or None before the first `add`."""
        return self._dim

    @property
    def ids(self) -> NDArray[Any]:
        """User ids in row order, deleted rows included; the order of bitmap filters."""
        return self._rows.values.copy()

    def add(self, vectors: ArrayLike, ids: ArrayLike | None = None) -> Exact:
        """Add rows, float32 (count, dim), or uint8 for "hamming".

        `ids` are distinct int64 or text, by default continuing behind the largest integer.
        """
        with self._lock.writing():
            self._insert(vectors, ids)
        return self

    def _insert(self, vectors: ArrayLike, ids: ArrayLike | None) -> None:
        metric = self._check_parameters()
        rows = check_rows("add", vectors, metric, dim=self.dim)
        new = self._rows.for_new_rows(len(rows), ids)
        dim = rows.shape[1]
        rows = as_words(rows) if metric == HAMMING else scaled(rows, metric)
        scale, held = inverse_norms(rows, metric), self._held
        kept = rows.copy() if held is None else rows
        with self._lock.changing():
            if held is None:
                self._held, self._scales, self._dim = Growing(kept), Growing(scale), dim
            else:
                held.append(kept)
                if metric == COSINE:
                    self._scales.append(scale)
            self._rows.append(new)

    def remove(self, ids: ArrayLike) -> int:
        """Delete rows by id and return how many; `NotFound` names an unknown id and nothing is deleted."""
        self._check_parameters()
        with self._lock.writing(), self._lock.changing():
            return self._rows.remove(ids)

    def compact(self) -> Exact:
        """Give back the memory of deleted rows; bitmap filters then count the remaining rows only."""
        metric = self._check_parameters()
        with self._lock.writing():
            if self._rows.num_dead and self._held is not None:
                live = np.flatnonzero(self._rows.live)
                kept = self._held.values[live]
                scale = inverse_norms(kept, metric)
                with self._lock.changing():
                    self._held, self._scales, self._rows = Growing(kept), Growing(scale), self._rows.chosen(live)
        return self

    def search(
        self, queries: ArrayLike, k: int, *, filter: ArrayLike | None = None, threads: int | None = None
    ) -> SearchResult:
        """The k nearest rows of every query.

        Parameters
        ----------
        queries : float32 (num_queries, dim) or (dim,)
        k : int >= 1
            Places without a result hold id -1 and distance inf; `counts` says how many are filled.
        filter : bool (rows,), bool (num_queries, rows) or integer ids, optional
            Which rows may be returned.
        threads : int, optional

        Raises
        ------
        IndexMismatch
            Queries of another width, or a bitmap of another length.
        InvalidInput
            NaN or infinite values, k < 1.
        """
        with self._lock.reading():
            return self._search(queries, k, filter, threads)

    def _search(self, queries: ArrayLike, k: int, filter: ArrayLike | None, threads: int | None) -> SearchResult:
        metric = self._check_parameters()
        rows, k = check_queries(queries, k, self.dim, metric)
        allowed = allowed_rows(filter, self._rows, len(rows))
        if self._held is None or not len(rows):
            return empty_result(len(rows), k, self._rows.values)
        rows = as_words(rows) if metric == HAMMING else rows
        width = min(k, len(self._rows))
        if not width:
            return empty_result(len(rows), k, self._rows.values)
        ids = self._rows.values
        order = None if bool((ids[1:] > ids[:-1]).all()) else np.argsort(ids, kind="stable")
        labels = None
        if order is not None:
            labels = np.empty(len(ids), np.int64)
            labels[order] = np.arange(len(ids))
        distances, found, counts = nearest_rows(
            metric, self._held.values, self._scales.values, rows, query_scales(rows, metric), width,
            allowed=allowed, num_rows=len(ids), labels=labels, threads=self.threads if threads is None else threads,
        )  # fmt: skip
        if order is not None:
            found = np.where(found >= 0, order[found], -1)
        return finish(metric, distances, found, counts, ids, k)

    def save(self, path: str | Path) -> None:
        """Write the index as a new store folder; `nearhop.ann.load` opens it."""
        from .persist import save_exact

        with self._lock.steady():
            save_exact(self, path)

    @property
    def _vectors(self) -> NDArray[Any] | None:
        return None if self._held is None else self._held.values

    def _hold(self, vectors: NDArray[Any], metric: int) -> None:
        """Hold these rows, which are not copied, and no others."""
        vectors = scaled(vectors, metric)
        self._held, self._scales = Growing(vectors), Growing(inverse_norms(vectors, metric))

    def _check_parameters(self) -> int:
        self._check_frozen()
        return metric_code(self.metric, bits=True)

    def __repr__(self) -> str:
        size, kind = (
            0 if self._vectors is None else self._vectors.nbytes,
            "bits" if self.metric == "hamming" else "float32",
        )
        dead = f", {self._rows.num_dead:,} deleted" if self._rows.num_dead else ""
        return f"Exact({self.metric!r}, {len(self):,} vectors{dead}, dim={self.dim}, {kind}, {size:,} bytes)"


def check_queries(queries: ArrayLike, k: Any, dim: int | None, metric: int = L2) -> tuple[NDArray[Any], int]:
    """Queries as a checked matrix (one query may be given flat; for cosine, `scaled`) and k as an int."""
    k = check_count("k", k)
    given: NDArray[Any] = np.asarray(queries)
    if given.ndim == 1 and given.size:
        given = given[None, :]
    elif given.ndim == 1:
        given = np.empty((0, dim or 1), np.uint8 if metric == HAMMING else np.float32)
    return plain_view(scaled(check_rows("search", given, metric, dim=dim, what="queries"), metric)), k


def query_scales(queries: NDArray[Any], metric: int) -> NDArray[np.float32]:
    """One factor per query: 1 / |query| for cosine, else 1."""
    return inverse_norms(queries, metric) if metric == COSINE else np.ones(len(queries), np.float32)


def empty_result(num_queries: int, k: int, ids: NDArray[Any] | None = None) -> SearchResult:
    """A result in which no place is filled; its ids are of the kind of `ids`.

    `InvalidInput` where the result alone would not fit in memory.
    """
    size = num_queries * k * _BYTES_PER_RESULT
    if size > _MOST_RESULT and size > physical_memory():
        raise InvalidInput(
            f"search: k = {k:,} results for each of {num_queries:,} queries would take {size / 2**30:,.0f} GiB, most "
            "of it empty; ask for no more than the index has rows"
        )
    distances = np.full((num_queries, k), np.inf, np.float32)
    blank = ids_of(np.empty(0, np.int64) if ids is None else ids[:0], np.full((num_queries, k), -1, np.int64))
    return SearchResult(distances, blank, np.zeros(num_queries, np.int32))


def finish(
    metric: int,
    distances: NDArray[np.float32],
    rows: NDArray[np.int64],
    counts: NDArray[np.int32],
    ids: NDArray[Any],
    k: int,
) -> SearchResult:
    """Distances of kernels as users read them, row numbers turned into user ids, padded to width k.

    Kernels rank by -dot, so that small products are told apart; the 1 is added here. 1 - cos, which rounding may bring
    below 0, is 0 at least.
    """
    if metric == IP:
        distances += 1
    elif metric == COSINE:
        np.maximum(distances, 0, out=distances)
    return padded(SearchResult(distances, ids_of(ids, rows), counts), k, ids)


def padded(result: SearchResult, k: int, ids: NDArray[Any]) -> SearchResult:
    """A result of width k, its further places not filled."""
    width = result.ids.shape[1]
    if width >= k:
        return result
    wide = empty_result(len(result), k, ids)
    wide.distances[:, :width], wide.ids[:, :width] = result.distances, result.ids
    return SearchResult(wide.distances, wide.ids, result.counts)
