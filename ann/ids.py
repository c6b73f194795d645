"""The user ids of an index's rows, and which rows are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import InvalidInput, InvalidType, NotFound

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_INT64_MAX = np.iinfo(np.int64).max


class RowIds:
    """int64 ids in row order; ids are distinct among live rows, and a deleted row's id is free again."""

    def __init__(self, values: NDArray[np.int64] | None = None, dead: NDArray[np.bool_] | None = None) -> None:
        self._ids: NDArray[np.int64] = np.empty(0, np.int64) if values is None else values
        self._gone: NDArray[np.bool_] = np.zeros(len(self._ids), bool) if dead is None else dead
        self._count = len(self._ids)
        self.num_dead = int(self.dead.sum())
        self._order: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def values(self) -> NDArray[np.int64]:
        """Ids in row order."""
        return self._ids[: self._count]

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Which rows are deleted."""
        return self._gone[: self._count]

    def for_new_rows(self, count: int, ids: ArrayLike | None) -> NDArray[np.int64]:
        """Checked ids of `count` rows about to be added: those given, or continuing behind the largest so far."""
        if ids is None:
            first = 0 if not len(self) else int(self.values.max()) + 1
            if first > _INT64_MAX - count:
                raise InvalidInput("add: ids cannot continue behind the largest int64; give ids=...")
            return np.arange(max(first, 0), max(first, 0) + count, dtype=np.int64)
        given = _integers("add", ids)
        if given.shape != (count,):
            raise InvalidInput(f"add: ids must have shape ({count},), one per vector; got {given.shape}")
        ranked = np.sort(given)
        twice = ranked[1:] == ranked[:-1]
        if twice.any():
            raise InvalidInput(f"add: id {ranked[int(np.argmax(twice))]} is given twice; ids must be distinct")
        taken = self.positions(given) >= 0
        if taken.any():
            raise InvalidInput(
                f"add: id {given[int(np.argmax(taken))]} is in the index already; remove([id]) first to replace it"
            )
        return given.copy()

    def append(self, new: NDArray[np.int64]) -> None:
        """Ids of rows behind the present ones; the arrays grow by halves."""
        total = self._count + len(new)
        if total > len(self._ids):
            room = max(total, self._count + self._count // 2)
            ids, gone = np.empty(room, np.int64), np.zeros(room, bool)
            ids[: self._count], gone[: self._count] = self.values, self.dead
            self._ids, self._gone = ids, gone
        self._ids[self._count : total] = new
        self._gone[self._count : total] = False
        self._count, self._order = total, None

    def positions(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of ids, -1 where no live row has that id."""
        if self._order is None:
            live = np.flatnonzero(~self.dead)
            self._order = live[np.argsort(self.values[live], kind="stable")]
        order = self._order
        if not len(order):
            return np.full(ids.shape, -1, np.int64)
        ranked = self.values[order]
        found = order[np.minimum(np.searchsorted(ranked, ids), len(order) - 1)]
        return np.where(self.values[found] == ids, found, -1)

    def remove(self, ids: ArrayLike) -> int:
        """Mark the rows of `ids` deleted and return how many; nothing changes when one of them is unknown."""
        given = np.unique(_integers("remove", ids))
        rows = self.positions(given)
        if (rows < 0).any():
            raise NotFound(f"remove: id {given[int(np.argmax(rows < 0))]} is not in the index (or was removed before)")
        dead = self.dead.copy()
        dead[rows] = True
        self._gone, self._ids = dead, self.values
        self.num_dead, self._order = self.num_dead + len(rows), None
        return len(rows)


def _integers(where: str, ids: ArrayLike) -> NDArray[np.int64]:
    given: NDArray[Any] = np.atleast_1d(np.asarray(ids))
    if given.size == 0:
        return np.empty(0, np.int64)
    if given.dtype.kind not in "iu":
        raise InvalidType(f"{where}: ids must be integers; got dtype {given.dtype}")
    if given.ndim != 1:
        raise InvalidInput(f"{where}: ids must have one dimension; got shape {given.shape}")
    if given.dtype == np.uint64 and given.max() > _INT64_MAX:
        raise InvalidInput(f"{where}: id {given.max()} does not fit in a signed 64-bit integer")
    return given.astype(np.int64, copy=False)
