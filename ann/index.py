"""What indexes have in common: rows under user ids, one lock, checked arguments, parameters that stay while rows do.

`add` and `search` check once, here; a kind of index writes `_insert`, `_nearest` and `_compacted`, and says how it is
kept in a store (`_stored`, `_opened`). `nearhop.ann.opening` lists the kinds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from .filters import allowed_rows
from .frozen import FrozenParameters
from .ids import RowIds
from .locking import SharedLock
from .metrics import check_queries, check_rows
from .result import SearchResult, empty_result, finish

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..graphlib.store.store import GraphStore
    from .store_rows import NodeCondition
    from .words import RowMetric

Progress = Callable[[int, int], None]


class IdentifiedRows(FrozenParameters, ABC):
    """Rows under user ids that come and go, beside searches.

    Attributes
    ----------
    KIND : str
        The name of the kind in files and on the command line.
    """

    KIND: ClassVar[str]

    def __init__(self) -> None:
        self._rows = RowIds()
        self._lock = SharedLock()

    def __len__(self) -> int:
        return self._rows.num_live

    @property
    def ids(self) -> NDArray[Any]:
        """User ids in row order, deleted rows included; the order of bitmap filters."""
        return self._rows.values.copy()

    def remove(self, ids: ArrayLike) -> int:
        """Delete rows by id and return how many; `NotFound` names an unknown id and nothing is deleted."""
        self._check_parameters()
        with self._lock.writing(), self._lock.changing():
            return self._rows.remove(ids)

    def compact(self) -> Self:
        """Give back the memory of deleted rows; bitmap filters then count the remaining rows only."""
        self._check_parameters()
        with self._lock.writing():
            if self._rows.num_dead:
                self._keep_only(np.flatnonzero(self._rows.live))
        return self

    def _keep_only(self, live: NDArray[np.int64], **options: Any) -> None:
        """Take over what `_compacted` makes of some rows."""
        fresh = self._compacted(live, **options)
        with self._lock.changing():
            vars(self).update(fresh, _rows=self._rows.chosen(live))

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle, copy and joblib take: the files that `save` writes, as bytes."""
        from .pickling import reduced

        return reduced(self)

    def save(self, path: str | Path) -> None:
        """Write the index as a new store folder; `nearhop.ann.load` opens it. `StoreExists` if the path is taken."""
        with self._lock.steady():
            self.as_store().save(path)

    def as_store(self, **options: Any) -> GraphStore:
        """The index as a store in memory that shares its arrays, as `save` writes it and with its options."""
        self._check_parameters()
        with self._lock.steady():
            return self._stored(**options)

    @abstractmethod
    def _check_parameters(self) -> int:
        """The metric's number; an error for a parameter out of range, or changed while there are rows."""

    @abstractmethod
    def _compacted(self, live: NDArray[np.int64]) -> dict[str, Any]:
        """The attributes of an index of these rows alone; called while nothing changes, and changes nothing."""

    def _stored(self) -> GraphStore:
        """The index as a store in memory that shares its arrays; called while nothing changes."""
        raise NotImplementedError(f"{type(self).__name__} is kept in files of its own")


class VectorIndex(IdentifiedRows):
    """An index of vectors.

    Attributes
    ----------
    COLUMNS : frozenset of str
        Node columns of a saved index that are the index's own; others are attributes of the rows.
    """

    KNOB: ClassVar[str | None] = None  # what `knob` says, where it is the same for all indexes of a kind
    COLUMNS: ClassVar[frozenset[str]] = frozenset({"vector", "dead"})
    TEXT_IDS: ClassVar[bool] = True
    metric: RowMetric
    threads: int | None
    _where: NodeCondition | None = None  # for an index made from a store's column

    @property
    @abstractmethod
    def dim(self) -> int | None:
        """Width of the vectors, or None before there are any."""

    def add(self, vectors: ArrayLike, ids: ArrayLike | None = None, *, progress: Progress | None = None) -> Self:
        """Add rows.

        Parameters
        ----------
        vectors : float32 (count, dim), or uint8 (count, bytes) for "hamming"
            Copied. Other real dtypes are converted.
        ids : int64 or text (count,), optional
            Distinct, and not in the index; by default they continue behind the largest integer so far. All ids of an
            index are of one kind.
        progress : callable (done, total), optional
            Called after every batch. It may search and save the index, not change it.

        Raises
        ------
        IndexMismatch
            Vectors of another width than those before.
        InvalidInput, InvalidType
            NaN or infinite values, ids given twice, present or of another kind. The index is unchanged.
        """
        return self._add("add", vectors, ids, progress)

    def _add(
        self, where: str, vectors: ArrayLike, ids: ArrayLike | None, progress: Progress | None, **options: Any
    ) -> Self:
        metric = self._check_parameters()
        with self._lock.writing():
            rows = check_rows(where, vectors, metric, dim=self.dim)
            new = self._rows.for_new_rows(len(rows), ids, text=self.TEXT_IDS, **options)
            self._insert(rows, new, progress, **options)
        return self

    def _search(
        self, queries: ArrayLike, k: int, filter: Any = None, threads: int | None = None, **effort: Any
    ) -> SearchResult:
        """Check a search's arguments and answer it; `effort` goes to `_nearest`."""
        metric = self._check_parameters()
        with self._lock.reading():
            rows, k = check_queries(queries, k, self.dim, metric)
            allowed = allowed_rows(filter, self._rows, len(rows), self._where)
            width = min(k, len(self._rows))
            if not width or not len(rows):
                return empty_result(len(rows), k, self._rows.values)
            threads = self.threads if threads is None else threads
            distances, found, counts = self._nearest(rows, width, allowed, threads, **effort)
            return finish(metric, distances, found, counts, self._rows.values, k)

    @property
    def knob(self) -> str | None:
        """The option of `search` that trades speed for recall, or None."""
        return self.KNOB

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays held, ids left out."""
        return sum(getattr(part, "nbytes", 0) for part in vars(self).values())

    @abstractmethod
    def vectors(self) -> NDArray[Any]:
        """The rows that are not deleted, in their order, as users give them; shared where that is possible."""

    @abstractmethod
    def _insert(self, rows: NDArray[Any], ids: NDArray[Any], progress: Progress | None) -> None:
        """Take checked rows with checked ids; called while no other call changes the index."""

    @abstractmethod
    def _nearest(
        self, queries: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None, threads: int | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
        """Distances as kernels rank them, row numbers and counts of the k nearest allowed rows; while nothing changes.

        `allowed` is a table (1, rows) or (queries, rows), or None; k is at most the number of rows.
        """


__all__ = ["IdentifiedRows", "Progress", "VectorIndex"]
