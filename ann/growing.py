"""Arrays that rows are appended to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Growing:
    """An array with room behind its rows, so that a row is copied a few times in all, however rows arrive.

    The room grows by halves. The first append copies what was given: it belongs to somebody else.

    Examples
    --------
    >>> held = Growing(np.zeros((0, 2)))
    >>> for row in range(3):
    ...     held.append(np.full((1, 2), row))
    >>> held.values[:, 0].tolist()
    [0.0, 1.0, 2.0]
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._room, self._count, self._owns = values, len(values), False

    @property
    def values(self) -> NDArray[Any]:
        """The rows, without the room behind them; shared."""
        return self._room[: self._count]

    @property
    def nbytes(self) -> int:
        """Bytes held, with the room."""
        return self._room.nbytes

    def append(self, rows: NDArray[Any]) -> None:
        """Rows behind the present ones, copied."""
        before, total = self._count, self._count + len(rows)
        if not self._owns or total > len(self._room):
            room = np.empty((max(total, before + before // 2), *self._room.shape[1:]), self._room.dtype)
            room[:before] = self.values
            self._room, self._owns = room, True
        self._room[before:total] = rows
        self._count = total
