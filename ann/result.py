"""What a search returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.checks import kind_of
from ..graphlib.errors import InvalidInput, InvalidType
from ..graphlib.notebook import ROWS, table
from ..graphlib.process import physical_memory
from .ids import ids_of
from .metrics import IP

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BYTES_PER_PLACE = 12
_MOST_RESULT = 1 << 30  # results up to here are not looked at closer


@dataclass(slots=True, eq=False, repr=False)  # not frozen: that takes three times as long to make
class SearchResult:
    """The nearest neighbours of a batch of queries, nearest first; unpacks as `distances, ids = result`.

    Attributes
    ----------
    distances : float32 (num_queries, k)
        Squared for "l2", 1 - dot for "ip", 1 - cos for "cosine". Places without a result hold inf.
    ids : int64 or text (num_queries, k)
        User ids. Places without a result hold -1 or "" (which may also be a user's id: `counts` tells them apart).
    counts : int32 (num_queries,)
        How many places of each row are filled: fewer than k where fewer rows exist or pass the filter.
    """

    distances: NDArray[np.float32]
    ids: NDArray[Any]
    counts: NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.distances, self.ids))

    def __repr__(self) -> str:
        queries, k = self.ids.shape
        short = int((self.counts < k).sum())
        note = f", {short:,} rows short of k" if short else ""
        size = self.distances.nbytes + self.ids.nbytes + self.counts.nbytes
        return (
            f"SearchResult({queries:,} queries, k={k}{note}; float32 distances, {_kind(self.ids)} ids, {size:,} bytes)"
        )

    def _repr_html_(self) -> str:
        places = min(self.ids.shape[1], ROWS)
        rows = [
            (q, *(_met(self.ids[q, j], self.distances[q, j]) if j < self.counts[q] else "" for j in range(places)))
            for q in range(min(len(self), ROWS))
        ]
        return table(repr(self), ["query", *map(str, range(1, places + 1))], rows, hidden=len(self) - len(rows))


@dataclass(frozen=True, eq=False, repr=False)
class RangeResult:
    """Every row within a distance of each query, nearest first; query q's are at `indptr[q]:indptr[q + 1]`.

    Attributes
    ----------
    indptr : int64 (num_queries + 1,)
    distances : float32 (total,)
    ids : int64 or text (total,)
    """

    indptr: NDArray[np.int64]
    distances: NDArray[np.float32]
    ids: NDArray[Any]

    def __len__(self) -> int:
        return int(self.indptr.shape[0]) - 1

    def __getitem__(self, query: int) -> tuple[NDArray[np.float32], NDArray[Any]]:
        part = slice(int(self.indptr[query]), int(self.indptr[query + 1]))
        return self.distances[part], self.ids[part]

    def __repr__(self) -> str:
        return f"RangeResult({len(self):,} queries, {len(self.ids):,} rows; float32 distances, {_kind(self.ids)} ids)"

    def _repr_html_(self) -> str:
        rows = []
        for q in range(min(len(self), ROWS)):
            distances, ids = self[q]
            met = [_met(name, far) for name, far in zip(ids[:ROWS], distances[:ROWS], strict=True)]
            rows.append((q, len(ids), ", ".join(met) + (", ..." if len(ids) > ROWS else "")))
        return table(repr(self), ["query", "rows", "nearest"], rows, hidden=len(self) - len(rows))


def _met(name: Any, distance: Any) -> str:
    return f"{name} ({distance:.4g})"


def _kind(ids: NDArray[Any]) -> str:
    return "text" if ids.dtype.kind == "T" else str(ids.dtype)


def empty_result(num_queries: int, k: int, ids: NDArray[Any] | None = None) -> SearchResult:
    """A result in which no place is filled; its ids are of the kind of `ids`.

    `InvalidInput` where the result alone would not fit in memory.
    """
    size = num_queries * k * _BYTES_PER_PLACE
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

    Kernels rank by -dot, so that small products are told apart; the 1 is added here. Other distances, which rounding
    or an estimate may bring below 0, are 0 at least.
    """
    if metric == IP:
        distances += 1
    else:
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


def recall(found: SearchResult, truth: SearchResult) -> float:
    """The share of the true neighbours that were found, in [0, 1].

    A place counts when its row is as near as the farthest true one, so that rows at equal distances, such as copies of
    a vector, are interchangeable. Distances are compared to 1 part in 100,000: float32 sums differ by order.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop import ann
    >>> rows = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    >>> exact = ann.Exact().add(rows).search(rows, k=5)
    >>> ann.recall(ann.HNSW().add(rows).search(rows, k=5), exact)
    1.0
    """
    for name, given in (("found", found), ("truth", truth)):
        if not isinstance(given, SearchResult):
            raise InvalidType(
                f"recall: {name} must be what a search returned, with distances and counts; got {kind_of(given)}"
            )
    if len(found) != len(truth):
        raise InvalidInput(f"recall: {len(found)} found rows but {len(truth)} true ones; search the same queries")
    true_places = np.minimum(truth.counts, truth.distances.shape[1])
    last = truth.distances[np.arange(len(truth)), np.maximum(true_places - 1, 0)]
    reach = last + 1e-5 * np.abs(last) + 1e-6
    filled = np.arange(found.distances.shape[1]) < found.counts[:, None]
    hits = np.minimum((filled & (found.distances <= reach[:, None])).sum(axis=1), true_places)
    return float(hits.sum() / max(1, int(true_places.sum())))
