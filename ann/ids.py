"""The user ids of an index's rows, and which rows are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.checks import id_array
from ..graphlib.errors import InvalidInput, InvalidType, NotFound
from ..graphlib.scalars import INT64_MAX

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_TEXT = np.dtypes.StringDType()
_FEW = 4096


class RowIds:
    """int64 or text ids in row order; ids are distinct among live rows, and a deleted row's id is free again.

    Ids of a first kind decide what the others must be. Text is kept as a NumPy `StringDType` array.
    """

    def __init__(
        self, values: NDArray[Any] | None = None, dead: NDArray[np.bool_] | None = None, *, next_id: int = 0
    ) -> None:
        self._ids: NDArray[Any] = np.empty(0, np.int64) if values is None else values
        self._gone: NDArray[np.bool_] = np.zeros(len(self._ids), bool) if dead is None else dead
        self._count = len(self._ids)
        self._borrowed = values is not None or dead is not None  # arrays of others are copied before they are written
        self._highest: int | None = None
        if next_id and not self.is_text:
            self._highest = max(next_id - 1, int(self._ids.max(initial=-1)))
        self.num_dead = int(self.dead.sum())
        self._live: NDArray[np.bool_] | None = None
        # Look-ups: integers in one sorted table and a dictionary of what came since; text in a dictionary.
        self._ranked: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._recent: dict[Any, int] | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def is_text(self) -> bool:
        return self._ids.dtype.kind == "T"

    @property
    def values(self) -> NDArray[Any]:
        """Ids in row order."""
        return self._ids[: self._count]

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Which rows are deleted."""
        return self._gone[: self._count]

    @property
    def live(self) -> NDArray[np.bool_]:
        """Which rows are not deleted; kept until the next change."""
        if self._live is None:
            self._live = ~self.dead
        return self._live

    @property
    def num_live(self) -> int:
        return self._count - self.num_dead

    def for_new_rows(
        self, count: int, ids: ArrayLike | None, *, replacing: bool = False, text: bool = True
    ) -> NDArray[Any]:
        """Checked ids of `count` rows about to be added: those given, or continuing behind the largest so far.

        With `replacing` they may be in the index; `text` says whether the index can hold text.
        """
        if ids is None:
            if self.is_text and self._count:
                raise InvalidInput("add: the index has text ids, which do not continue by themselves; give ids=...")
            first = self.next_id
            if first > INT64_MAX - count:
                raise InvalidInput("add: ids cannot continue behind the largest int64; give ids=...")
            return np.arange(first, first + count, dtype=np.int64)
        given = self.checked("add", ids)
        if given.dtype.kind == "T" and not text:
            raise InvalidType("add: this kind of index holds integer ids; got text. HNSW, Exact and IVFFlat hold text")
        if given.shape != (count,):
            raise InvalidInput(f"add: ids must have shape ({count},), one per vector; got {given.shape}")
        ranked = np.sort(given)
        twice = ranked[1:] == ranked[:-1]
        if twice.any():
            raise InvalidInput(f"add: id {_shown(ranked, twice)} is given twice; ids must be distinct")
        taken = np.zeros(count, bool) if replacing else self.positions(given) >= 0
        if taken.any():
            raise InvalidInput(
                f"add: id {_shown(given, taken)} is in the index already; remove([id]) first (HNSW has upsert)"
            )
        return given.copy()

    def append(self, new: NDArray[Any]) -> None:
        """Ids of rows behind the present ones."""
        self.place(np.arange(self._count, self._count + len(new)), new)

    def place(self, rows: NDArray[np.int64], new: NDArray[Any], *, replacing: bool = False) -> None:
        """Give `rows`, deleted ones or the next behind the present ones, new ids.

        With `replacing`, rows that have these ids already are deleted. The arrays grow by halves.
        """
        if not len(rows):
            return
        if len(rows) == 1 and not replacing and self._place_last(int(rows[0]), new):
            return
        highest = self._largest()
        old = self.positions(new) if replacing else np.empty(0, np.int64)
        old = old[old >= 0]
        total = max(self._count, int(rows.max()) + 1)
        if new.dtype != self._ids.dtype and not self._count:
            self._ids, self._gone, self._recent = np.empty(0, new.dtype), np.empty(0, bool), None
        if total > len(self._ids):
            self._own(max(total, self._count + self._count // 2))
        elif self._borrowed:
            self._own(len(self._ids))
        freed = int(self._gone[rows[rows < self._count]].sum())
        self._ids[rows] = new
        self._gone[rows] = False
        self._gone[old] = True
        self._live = None
        self._count, self.num_dead = total, self.num_dead - freed + len(old)
        if not self.is_text:
            self._highest = max(highest, int(new.max()))
        self._remember(rows, new)

    def _place_last(self, row: int, new: NDArray[Any]) -> bool:
        """`place` for one integer id behind the present ones, where there is room: what one vector a call takes."""
        if row != self._count or row >= len(self._ids) or self._borrowed or self.is_text:
            return False
        value = int(new[0])
        highest = max(self._largest(), value)
        self._ids[row], self._gone[row] = value, False
        self._live, self._count, self._highest = None, row + 1, highest
        self._remember(np.array([row]), new)
        return True

    def chosen(self, rows: NDArray[np.int64]) -> RowIds:
        """The ids of some rows alone; default ids still continue behind the largest so far."""
        part = RowIds(self.values[rows])
        part._highest = self._largest()
        return part

    def positions(self, ids: NDArray[Any]) -> NDArray[np.int64]:
        """Rows of ids, -1 where no live row has that id."""
        if not self._count or (ids.dtype.kind == "T") != self.is_text:
            return np.full(ids.shape, -1, np.int64)
        if self.is_text:
            table = self._text_rows()
            found = np.fromiter((table.get(text, -1) for text in ids.tolist()), np.int64, len(ids))
            return self._if_current(found, ids)
        if self._ranked is None:
            live = np.flatnonzero(~self.dead)
            order = live[np.argsort(self.values[live], kind="stable")]
            self._ranked, self._recent = (self.values[order], order), {}
        ranked, order = self._ranked
        found = np.full(ids.shape, -1, np.int64)
        if len(order):
            at = np.minimum(np.searchsorted(ranked, ids), len(order) - 1)
            found = self._if_current(np.where(ranked[at] == ids, order[at], -1), ids)
        if self._recent:
            missing = np.flatnonzero(found < 0)
            recent = self._recent
            later = np.fromiter((recent.get(i, -1) for i in ids[missing].tolist()), np.int64, len(missing))
            found[missing] = self._if_current(later, ids[missing])
        return found

    def remove(self, ids: ArrayLike) -> int:
        """Mark the rows of `ids` deleted and return how many; nothing changes when one of them is unknown."""
        given = np.unique(self.checked("remove", ids))
        rows = self.positions(given)
        if (rows < 0).any():
            raise NotFound(f"remove: id {_shown(given, rows < 0)} is not in the index (or was removed before)")
        if self._borrowed:
            self._own(len(self._ids))
        self._gone[rows], self._live = True, None
        self.num_dead += len(rows)
        return len(rows)

    def checked(self, where: str, ids: ArrayLike) -> NDArray[Any]:
        """Ids as one int64 or text array, of the kind the index has."""
        given = as_ids(where, ids)
        if given.size == 0:
            return np.empty(0, self._ids.dtype)
        if self._count and (given.dtype.kind == "T") != self.is_text:
            have, got = ("text", "integers") if self.is_text else ("integers", "text")
            raise InvalidType(f"{where}: the ids of this index are {have}; got {got}")
        return given

    def _own(self, room: int) -> None:
        """Arrays of this object's own, with room for so many rows."""
        ids, gone = np.empty(room, self._ids.dtype), np.zeros(room, bool)
        ids[: self._count], gone[: self._count] = self.values, self.dead
        self._ids, self._gone, self._borrowed = ids, gone, False

    def _largest(self) -> int:
        """The largest integer id so far, -1 at least."""
        if self._highest is None:
            self._highest = int(self.values.max()) if self._count and not self.is_text else -1
        return self._highest

    @property
    def next_id(self) -> int:
        """The id that the next row gets by default; 0 where ids are text."""
        return 0 if self.is_text else max(self._largest() + 1, 0)

    @property
    def has_held(self) -> bool:
        """Whether there are rows, or have been."""
        return self.is_text or self.next_id > 0

    def unused(self, count: int) -> NDArray[Any]:
        """So many distinct ids that no live row has; `positions` of them stay -1."""
        live = self.values[~self.dead]
        if not self.is_text:
            return np.setdiff1d(np.arange(len(self) + 1, dtype=np.int64), live)[:count]
        start = "deleted "
        while np.strings.startswith(live, start).any():
            start += "."
        return np.array([f"{start}{i}" for i in range(count)], _TEXT)

    def integers(self, what: str) -> NDArray[np.int64]:
        """Ids in row order, for a file that holds integers only."""
        if self.is_text:
            raise InvalidInput(
                f"{what} hold integer ids and this index has text ids; save() keeps them, or number the rows: "
                "HNSW().add(vectors) and an array of the texts beside it"
            )
        return self.values

    def _if_current(self, rows: NDArray[np.int64], ids: NDArray[Any]) -> NDArray[np.int64]:
        """Rows that are live and still have these ids; -1 for the others."""
        return np.where((rows >= 0) & ~self.dead[rows] & (self.values[rows] == ids), rows, -1)

    def _text_rows(self) -> dict[Any, int]:
        if self._recent is None:
            live = np.flatnonzero(~self.dead)
            self._recent = dict(zip(self.values[live].tolist(), live.tolist(), strict=True))
        return self._recent

    def _remember(self, rows: NDArray[np.int64], new: NDArray[Any]) -> None:
        if self._recent is None:
            return
        if self.is_text:
            if len(self._recent) > 2 * self._count + _FEW:  # ids that are gone
                self._recent = None
        elif len(new) + len(self._recent) > max(_FEW, self._count // 16):
            self._recent = self._ranked = None
        if self._recent is not None:
            self._recent.update(zip(new.tolist(), rows.tolist(), strict=True))


def ids_of(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The ids of rows; -1, or an empty text, for rows below 0.

    >>> ids_of(np.array([7, 8]), np.array([[1, -1]])).tolist()
    [[8, -1]]
    """
    blank = "" if values.dtype.kind == "T" else np.int64(-1)
    return np.where(rows >= 0, values[rows], blank) if len(values) else np.full(rows.shape, blank, values.dtype)


def as_ids(where: str, ids: ArrayLike) -> NDArray[Any]:
    """Ids as one int64 or `StringDType` array of one dimension."""
    given = id_array(f"{where}: ids", ids)
    if given.size == 0:
        return np.empty(0, np.int64)
    if given.ndim != 1:
        raise InvalidInput(f"{where}: ids must have one dimension; got shape {given.shape}")
    if given.dtype.kind == "T":
        return given.astype(_TEXT, copy=False)
    if given.dtype.kind not in "iu":
        raise InvalidType(f"{where}: ids must be integers, or all text; got dtype {given.dtype}")
    if given.dtype == np.uint64 and given.max() > INT64_MAX:
        raise InvalidInput(f"{where}: id {given.max()} does not fit in a signed 64-bit integer")
    return given.astype(np.int64, copy=False)


def _shown(ids: NDArray[Any], which: NDArray[np.bool_]) -> str:
    first = ids[int(np.argmax(which))]
    return repr(str(first)) if ids.dtype.kind == "T" else str(first)
