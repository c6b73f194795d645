"""A new column filled in order, piece by piece, and taken up again after the process was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .unfinished import Unfinished


class Filling:
    """The column under way. Iterate over `pieces`, and fill the rows of `array` that each names.

    Attributes
    ----------
    array : array (rows, ...)
        Writable: a map of a file in the store's folder, or memory for a store in memory.
    done : int
        Rows that were written before: 0, unless a killed call with the same key left some.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        under_way: Unfinished | None,
        keep: Callable[[Filling], None],
    ) -> None:
        self.under_way = under_way
        self.array: NDArray[Any] = np.zeros(shape, dtype) if under_way is None else under_way.array
        self.done = 0 if under_way is None else under_way.done
        self._keep = keep

    def pieces(self, rows: int) -> Iterator[tuple[int, int]]:
        """Ranges of at most `rows` rows that are still to be written; after the last one the column is there.

        A piece counts as written when the next one is asked for.
        """
        count = self.array.shape[0]
        if count == 0 and self.under_way is not None:
            self.under_way.note(0)
        while self.done < count:
            last = min(self.done + rows, count)
            yield self.done, last
            self.done = last
            if self.under_way is not None:
                self.under_way.note(last)
        self._keep(self)


__all__ = ["Filling"]
