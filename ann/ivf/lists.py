"""The members of an inverted file's lists, with room in each for more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REBUILD_AT = 8  # new rows that are an eighth of all are placed together with the others


class Lists:
    """List l holds the rows `members[starts[l] : starts[l] + sizes[l]]`, rising.

    A list without room moves to the end, with room for half as many again: appending costs O(new rows), amortised.

    Examples
    --------
    >>> lists = Lists(np.array([1, 0, 1]), 3)
    >>> lists.append(np.array([1, 0, 1, 1, 1]), 3)
    >>> lists.of(1).tolist(), lists.sizes.tolist()
    ([0, 2, 3, 4], [1, 4, 0])
    """

    def __init__(self, lists: NDArray[np.int64], count: int) -> None:
        self._lay_out(lists, count)

    def _lay_out(self, lists: NDArray[np.int64], count: int) -> None:
        self.members = np.argsort(lists, kind="stable")
        self.sizes = np.bincount(lists, minlength=count)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self._room = self.sizes.copy()
        self._end = len(lists)

    def __len__(self) -> int:
        return int(self.sizes.sum())

    @property
    def nbytes(self) -> int:
        """Bytes held, with the room."""
        return self.members.nbytes + self.starts.nbytes + self.sizes.nbytes + self._room.nbytes

    def of(self, which: int) -> NDArray[np.int64]:
        """The rows of a list; shared."""
        return self.members[self.starts[which] : self.starts[which] + self.sizes[which]]

    def append(self, lists: NDArray[np.int64], first: int) -> None:
        """Put the rows first, first + 1, ... at the ends of their lists; `lists` are those of all rows."""
        new = lists[first:]
        if _REBUILD_AT * len(new) >= first:
            self._lay_out(lists, len(self.sizes))
            return
        order = np.argsort(new, kind="stable")
        found, begins = np.unique(new[order], return_index=True)
        for which, rows in zip(found.tolist(), np.split(first + order, begins[1:]), strict=True):
            size = int(self.sizes[which])
            total = size + len(rows)
            if total > self._room[which]:
                self._move(which, total + total // 2)
            start = int(self.starts[which])
            self.members[start + size : start + total] = rows
            self.sizes[which] = total

    def _move(self, which: int, room: int) -> None:
        end = self._end + room
        if end > len(self.members):
            bigger = np.empty(end + end // 2, np.int64)
            bigger[: self._end] = self.members[: self._end]
            self.members = bigger
        moved = self.of(which)
        self.members[self._end : self._end + len(moved)] = moved
        self.starts[which], self._room[which], self._end = self._end, room, end
