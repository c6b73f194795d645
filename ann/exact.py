"""Exact nearest neighbours: the protocol of every index, without an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import NotFitted
from .distances.scan import nearest_rows
from .growing import Growing
from .index import Progress, VectorIndex
from .metrics import COSINE, HAMMING, as_words, inverse_norms, metric_code, query_scales, scaled
from .result import SearchResult
from .storage.bits import bits
from .storage.floats import floats
from .store_rows import store_column, store_ids
from .stored import checked_fields, identified_rows, index_fields, laid_out, new_store, next_id_field, sound

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..graphlib.store.store import GraphStore
    from .ids import RowIds
    from .words import RowMetric


class Exact(VectorIndex):
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

    KIND = "exact"

    def __init__(self, metric: RowMetric = "l2", *, threads: int | None = None) -> None:
        super().__init__()
        self.metric = metric
        self.threads = threads
        self._dim: int | None = None
        self._held: Growing | None = None  # for "hamming", 64-bit words
        self._scales = Growing(np.ones(1, np.float32))

    @property
    def dim(self) -> int | None:
        """Width of the vectors (for "hamming" their bytes), or None before the first `add`."""
        return self._dim

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
        return self._search(queries, k, filter, threads)

    def vectors(self) -> NDArray[Any]:
        """The rows that are not deleted, in their order, as they are kept; `NotFitted` before the first `add`."""
        rows = self._all_rows("vectors")
        rows = rows if not self._rows.num_dead else rows[self._rows.live]
        return rows if self.metric != "hamming" else np.ascontiguousarray(rows).view(np.uint8)[:, : self._dim]

    def _insert(self, rows: NDArray[Any], ids: NDArray[Any], progress: Progress | None) -> None:
        metric = metric_code(self.metric, bits=True)
        kept = as_words(rows) if metric == HAMMING else scaled(rows, metric)
        scale = inverse_norms(kept, metric)
        with self._lock.changing():
            if self._held is None:
                self._hold(kept.copy() if kept is rows else kept, scale, rows.shape[1])
            else:
                self._held.append(kept)
                if metric == COSINE:
                    self._scales.append(scale)
            self._rows.append(ids)
        if progress is not None:
            progress(len(rows), len(rows))

    def _nearest(
        self, queries: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None, threads: int | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
        metric, ids = metric_code(self.metric, bits=True), self._rows.values
        rows = as_words(queries) if metric == HAMMING else queries
        order = None if bool((ids[1:] > ids[:-1]).all()) else np.argsort(ids, kind="stable")
        labels = None
        if order is not None:
            labels = np.empty(len(ids), np.int64)
            labels[order] = np.arange(len(ids))
        kept = self._all_rows("search")
        held = bits(kept, metric) if metric == HAMMING else floats(kept, self._scales.values, metric)
        distances, found, counts = nearest_rows(
            held, rows, query_scales(rows, metric), k,
            allowed=allowed, num_rows=len(ids), labels=labels, threads=threads,
        )  # fmt: skip
        return distances, found if order is None else np.where(found >= 0, order[found], -1), counts

    def _compacted(self, live: NDArray[np.int64]) -> dict[str, Any]:
        kept = self._all_rows("compact")[live]
        scale = inverse_norms(kept, metric_code(self.metric, bits=True))
        return {"_held": Growing(kept), "_scales": Growing(scale)}

    def _stored(self) -> GraphStore:
        rows = self._all_rows("save")
        store = new_store(rows.view(np.uint8) if rows.dtype == np.uint64 else rows, self._rows)
        store.attributes["index"] = {
            "kind": self.KIND, "metric": self.metric, "dim": self.dim, **next_id_field(self._rows)
        }  # fmt: skip
        return store

    @classmethod
    def _opened(cls, store: GraphStore) -> Exact:
        with sound(store):
            fields = checked_fields(index_fields(store), {"metric": str, "dim": int})
            index, dim = cls(fields["metric"]), fields["dim"]
            if index._check_parameters() == HAMMING:
                given = store.nodes("node")["vector"]
                rows: NDArray[Any] = laid_out("vector", given, np.uint8, (len(given), -(-dim // 8) * 8)).view(np.uint64)
            else:
                rows = store_column(store, "vector", "node")
                laid_out("vector", rows, np.float32, (len(rows), dim))
            return index._of(rows, identified_rows(store, fields, store_ids(store, "node", len(rows), text=True)), dim)

    def _of(self, rows: NDArray[Any], ids: RowIds, dim: int) -> Exact:
        """This index, made to hold rows as they are kept, which are not copied."""
        rows = scaled(rows, metric_code(self.metric, bits=True))
        self._hold(rows, inverse_norms(rows, metric_code(self.metric, bits=True)), dim)
        self._rows = ids
        return self

    def _hold(self, rows: NDArray[Any], scale: NDArray[np.float32], dim: int) -> None:
        self._held, self._scales, self._dim = Growing(rows), Growing(scale), dim

    def _all_rows(self, what: str) -> NDArray[Any]:
        if self._held is None:
            raise NotFitted(f"{what}: the index is empty; add vectors first")
        return self._held.values

    def _check_parameters(self) -> int:
        self._check_frozen()
        return metric_code(self.metric, bits=True)

    def __repr__(self) -> str:
        size = 0 if self._held is None else self._held.values.nbytes
        kind = "bits" if self.metric == "hamming" else "float32"
        dead = f", {self._rows.num_dead:,} deleted" if self._rows.num_dead else ""
        return f"Exact({self.metric!r}, {len(self):,} vectors{dead}, dim={self.dim}, {kind}, {size:,} bytes)"


__all__ = ["Exact"]
