"""The coloured points: vectors of bytes or float32, the number of each one's colour, and how kernels read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import IndexMismatch, InvalidInput
from ..growing import Growing
from ..metrics import L2, check_vectors, unit_rows
from ..storage.floats import floats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

MOST_POINTS = 2**31 - 1
_CENTRE = np.float32(128)  # bytes are read as numbers less this, see `distances/row_sums_cpu`
_NO_SCALE = np.ones(1, np.float32)
_BLOCK = 1 << 16


class Points:
    """Vectors as they are kept, uint8 or float32 (unit vectors for cosine), and int32 numbers of colours."""

    def __init__(self, vectors: NDArray[Any], colors: NDArray[np.int32]) -> None:
        self._vectors, self._colors = Growing(vectors), Growing(colors)

    def __len__(self) -> int:
        return len(self.colors)

    @property
    def vectors(self) -> NDArray[Any]:
        return self._vectors.values

    @property
    def colors(self) -> NDArray[np.int32]:
        return self._colors.values

    @property
    def nbytes(self) -> int:
        return self._vectors.nbytes + self._colors.nbytes

    @property
    def held(self) -> Any:
        """The vectors as kernels of `ann/distances` take them; they compare with rows of `asked`."""
        return floats(self.vectors, _NO_SCALE, L2)

    def append(self, vectors: NDArray[Any], colors: NDArray[np.int32]) -> None:
        self._vectors.append(vectors)
        self._colors.append(colors)


class ByColor:
    """Where the points of each colour are: `order[starts[c] : starts[c + 1]]`, in the order in which they came."""

    def __init__(self, colors: NDArray[np.int32], num_colors: int) -> None:
        self.in_order = bool((colors[1:] >= colors[:-1]).all())
        rows = np.arange(len(colors)) if self.in_order else np.argsort(colors, kind="stable")
        self.order = rows.astype(np.int32)
        self.starts = np.zeros(num_colors + 1, np.int64)
        np.cumsum(np.bincount(colors, minlength=num_colors), out=self.starts[1:])
        self._place: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def within(self, rows: NDArray[Any], colors: NDArray[Any]) -> NDArray[np.int64]:
        """Numbers of points within their colours."""
        if self.in_order:
            return np.asarray(rows, np.int64) - self.starts[colors]
        if self._place is None:
            place = np.empty(len(self.order), np.int64)
            place[self.order] = np.arange(len(self.order))
            self._place = place
        return self._place[rows] - self.starts[colors]


def as_kept(
    where: str, given: ArrayLike, metric: str, *, dim: int | None, dtype: Any = None, what: str = "vectors"
) -> NDArray[Any]:
    """Checked rows as an index keeps them: bytes where bytes are given for "l2", else float32.

    `dtype` is that of the rows before, if there are any; an index of bytes takes whole numbers of 0..255 only.
    """
    array: NDArray[Any] = unmasked(f"{where}: {what}", given)
    if metric == "l2" and array.dtype == np.uint8 and dtype in (None, np.uint8):
        if array.ndim != 2 or not array.shape[1] or dim not in (None, array.shape[1]):
            check_vectors(where, array, dim=dim, what=what)  # says what is wrong
        return np.ascontiguousarray(array)
    rows = check_vectors(where, array, dim=dim, what=what)
    if metric == "cosine":
        return as_unit(where, rows, what)
    if dtype != np.uint8:
        return rows
    if rows.size and (rows.min() < 0 or rows.max() > 255 or (rows != np.floor(rows)).any()):
        raise IndexMismatch(
            f"{where}: the index keeps bytes, as its first {what} were uint8; these are not all whole numbers of "
            "0..255. Add float32 from the start, or round them"
        )
    return rows.astype(np.uint8)


def as_unit(where: str, rows: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    """Rows of length 1; a row of zeros has no direction and is refused."""
    unit = unit_rows(rows)
    empty = ~unit.any(axis=1)
    if empty.any():
        raise InvalidInput(
            f"{where}: {what}[{int(np.argmax(empty))}] is all zeros, which has no direction for 'cosine'; leave it out"
        )
    return unit


def asked(rows: NDArray[Any], *, bytes_kept: bool) -> NDArray[np.float32]:
    """Rows as they are compared with what is kept: bytes lie around 0."""
    if not bytes_kept:
        return np.ascontiguousarray(rows, np.float32)
    return rows.astype(np.float32) - _CENTRE


def blocks_asked(vectors: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The kept rows as they are compared, block after block, with the number of each block's first row."""
    for first in range(0, len(vectors), _BLOCK):
        yield first, asked(vectors[first : first + _BLOCK], bytes_kept=vectors.dtype == np.uint8)


__all__ = ["MOST_POINTS", "ByColor", "Points", "as_kept", "as_unit", "asked", "blocks_asked"]
