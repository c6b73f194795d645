"""Texts as counted character n-grams over one growing vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_WIDTH = 3  # three code points fit a 64-bit key
_FIRST_ROOM = 1 << 12


class Grams:
    """Counts of the character n-grams of words, lower-cased, punctuation apart; every word has a space at both ends.

    Examples
    --------
    >>> grams = Grams(3)
    >>> indptr, indices, counts = grams.learn(["Bananas, an", "an"])
    >>> indptr.tolist(), counts.tolist()
    ([0, 8, 10], [1, 1, 2, 1, 1, 1, 1, 1, 1, 1])
    """

    def __init__(self, width: int = MOST_WIDTH) -> None:
        if not is_integer(width) or not 1 <= width <= MOST_WIDTH:
            raise InvalidInput(f"width must be an integer in [1, {MOST_WIDTH}]; got {width!r}")
        self.width = int(width)
        self._table = np.zeros(2 * _FIRST_ROOM, np.uint64)
        self._numbers = np.zeros(2 * _FIRST_ROOM, np.int32)
        self.size = 0

    def learn(
        self, texts: Sequence[str], threads: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        """Rows (indptr, grams, counts) of texts; new grams get the next numbers."""
        from . import grams_cpu as kernels

        keys, starts = self._keys(texts, threads)
        done = 0
        while done < len(keys):
            room = len(self._table) // 2
            part, self.size = kernels.number_keys(keys[done:], self._table, self._numbers, self.size, room)
            done += part
            if done < len(keys):
                table, numbers = np.zeros(4 * len(self._table), np.uint64), np.zeros(4 * len(self._table), np.int32)
                kernels.move_table(self._table, self._numbers, table, numbers)
                self._table, self._numbers = table, numbers
        return self._rows(keys, starts, threads)

    def rows(
        self, texts: Sequence[str], threads: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        """Rows of texts; grams that are not known are left out."""
        return self._rows(*self._keys(texts, threads), threads)

    def known(self) -> list[int]:
        """The key of every known gram, by number."""
        filled = np.flatnonzero(self._table)
        out = np.zeros(self.size, np.uint64)
        out[self._numbers[filled]] = self._table[filled]
        found: list[int] = out.tolist()
        return found

    def names(self, texts: Sequence[str]) -> dict[int, str]:
        """The grams of texts as text, by key."""
        mask = (1 << 21) - 1
        shifts = range(21 * (self.width - 1), -1, -21)
        keys = {int(key) for key in self._keys(texts, 1)[0]}
        return {key: "".join(chr((key >> shift) & mask) for shift in shifts) for key in keys}

    def _keys(self, texts: Sequence[str], threads: int | None) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        from . import grams_cpu as kernels

        codes, offsets = code_points(texts)
        counts = np.empty(len(texts), np.int64)
        with threads_in_use(threads):
            kernels.count_grams(codes, offsets, self.width, counts)
            starts = np.concatenate([[0], np.cumsum(counts)])
            keys = np.empty(int(starts[-1]), np.uint64)
            kernels.write_grams(codes, offsets, self.width, starts, keys)
        return keys, starts

    def _rows(
        self, keys: NDArray[np.uint64], starts: NDArray[np.int64], threads: int | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        from . import grams_cpu as kernels

        indices, counts = np.empty(len(keys), np.int32), np.empty(len(keys), np.int32)
        sizes = np.zeros(len(starts) - 1, np.int64)
        with threads_in_use(threads):
            kernels.rows_of_keys(keys, starts, self._table, self._numbers, indices, counts, sizes)
            indptr = np.concatenate([[0], np.cumsum(sizes)])
            closed = np.empty(int(indptr[-1]), np.int32), np.empty(int(indptr[-1]), np.int32)
            kernels.close_rows(starts, indptr, indices, counts, *closed)
        return indptr, *closed


def code_points(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """All texts, lower-cased, as code points (a zero behind each), and where each begins."""
    joined = "\0".join(text if "\0" not in text else text.replace("\0", " ") for text in texts) + "\0"
    codes = np.frombuffer(joined.lower().encode("utf-32-le", "replace"), np.uint32)
    ends = np.flatnonzero(codes == 0)
    offsets = np.concatenate([[0], ends[: len(texts)] + 1])
    return codes, offsets.astype(np.int64)


__all__ = ["MOST_WIDTH", "Grams", "code_points"]
