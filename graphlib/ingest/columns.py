"""Columns on their way to the store: record batches in, one growing file of plain numbers per column."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..disk.mapping import reserved_map

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_AT_ONCE = 1 << 22
_WIDE_BYTES = 64 << 20


class ColumnFile:
    """An array that grows on disk, so that what was read does not stay in memory.

    `row` is the shape of one of its rows. `nulls` are the rows without a value; they hold zero, or NaN and NaT once
    `finish` has run.
    """

    def __init__(self, path: Path, dtype: DTypeLike, row: tuple[int, ...] = ()) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self.row = row
        self.count = 0
        self.nulls: list[NDArray[np.int64]] = []
        path.write_bytes(b"")

    def append(self, values: NDArray[Any], null: NDArray[Any] | None = None) -> None:
        """Add values; `null` is True where there is none."""
        if null is not None:
            self.nulls.append(np.flatnonzero(null) + self.count)
        with self.path.open("ab") as stream:
            values.astype(self.dtype, copy=False).tofile(stream)
        self.count += values.shape[0]

    def convert(self, dtype: DTypeLike) -> None:
        """Rewrite what is there with another dtype."""
        other = ColumnFile(self.path.with_suffix(".next"), dtype, self.row)
        whole = self.view()
        for start in range(0, self.count, _AT_ONCE):
            other.append(whole[start : start + _AT_ONCE])
        del whole
        os.replace(other.path, self.path)
        self.dtype = other.dtype

    def view(self) -> NDArray[Any]:
        """What is there so far, as a memory map."""
        if not self.count:
            return np.empty((0, *self.row), self.dtype)
        return np.memmap(self.path, self.dtype, "r+", shape=(self.count, *self.row)).view(np.ndarray)

    def finish(self, in_memory: bool) -> NDArray[Any]:
        """The whole column: a memory map of the file, or an array in memory."""
        if self.nulls:
            if self.dtype.kind in "iu" and self._outgrows_float64():
                return self._as_text()
            if self.dtype.kind in "biu":
                self.convert(np.float64)
            array = self.view()
            for some in self.nulls:
                array[some] = np.array("NaT", self.dtype) if self.dtype.kind == "M" else np.nan
        array = self.view()
        return np.array(array) if in_memory else array

    def _outgrows_float64(self) -> bool:
        whole = self.view()
        return bool(self.dtype.itemsize == 8 and whole.size and (whole.max() > 1 << 53 or whole.min() < -(1 << 53)))

    def _as_text(self) -> NDArray[Any]:
        """Integers whose digits a float64 would lose, as text, "" where there is none."""
        text = self.view().astype(np.str_)
        for some in self.nulls:
            text[some] = ""
        return text


class TextColumn:
    """A column of text that grows on disk; `finish` gives it the width of its longest cell."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.text_bytes = 0
        self._parts: list[tuple[int, int]] = []  # (rows, width) in the order of the file
        self._marked: set[int] = set()  # parts whose texts have a mark behind them
        path.write_bytes(b"")

    def append(self, column: Any) -> None:
        """Add an Arrow column of strings."""
        import pyarrow.compute as pc

        longest = pc.max(pc.utf8_length(column)).as_py() or 0
        self.text_bytes += pc.sum(pc.binary_length(column)).as_py() or 0
        step = max(1, (1 << 22) // max(longest, 1))
        marked = pc.any(pc.ends_with(column, "\0")).as_py()  # which text of fixed width would lose
        with self.path.open("ab") as stream:
            for start in range(0, len(column), step):
                texts = column.slice(start, step).to_pylist()
                part = np.array([text + "|" for text in texts] if marked else texts, np.str_)
                part.tofile(stream)
                if marked:
                    self._marked.add(len(self._parts))
                self._parts.append((part.shape[0], part.dtype.itemsize // 4))
        self.count += len(column)

    def _of_any_length(self) -> NDArray[Any]:
        texts = np.empty(self.count, np.dtypes.StringDType())
        row = 0
        with self.path.open("rb") as stream:
            for number, (count, width) in enumerate(self._parts):
                part = np.fromfile(stream, f"<U{width}", count)
                texts[row : row + count] = [text[:-1] for text in part.tolist()] if number in self._marked else part
                row += count
        return texts

    @property
    def width(self) -> int:
        """Characters of the longest cell."""
        return max((width for _, width in self._parts), default=1)

    def finish(self, in_memory: bool) -> NDArray[Any]:
        """The whole column as fixed-width text, mapped or in memory.

        Where a few long cells would blow that up, or a text ends in a zero character, as text of any length in memory.
        """
        dtype = np.dtype(f"<U{self.width}")
        if self._marked or 4 * self.width * self.count > max(_WIDE_BYTES, 16 * self.text_bytes):
            return self._of_any_length()
        if not self.count:
            return np.empty(0, dtype)
        whole: Any = np.empty(self.count, dtype)
        if not in_memory:
            target = self.path.with_suffix(".text")
            whole = reserved_map(target, dtype, (self.count,))
        row = 0
        with self.path.open("rb") as stream:
            for count, width in self._parts:
                whole[row : row + count] = np.fromfile(stream, f"<U{width}", count)
                row += count
        array: NDArray[Any] = whole.view(np.ndarray)
        return array


class IdFile(ColumnFile):
    """Integer ids: int32 until one does not fit, and the smallest and largest so far."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, np.int32)
        self.low, self.high = 0, -1

    def append(self, values: NDArray[Any], null: NDArray[Any] | None = None) -> None:
        if values.shape[0]:
            low, high = int(values.min()), int(values.max())
            self.low, self.high = min(low, self.low), max(high, self.high)
            if self.dtype == np.int32 and (low < -(1 << 31) or high >= 1 << 31):
                self.convert(np.int64)
        super().append(values, null)


def to_numpy(column: Any, width: int | None = None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """An Arrow column as an array and a mask of its NULLs (None without any); lists of `width` numbers as rows."""
    import pyarrow as pa

    if width is not None:
        return _rows_of(column, width)
    if not column.null_count:
        return column.to_numpy(zero_copy_only=False), None
    null = column.is_null().to_numpy(zero_copy_only=False)
    zero = pa.scalar(0, pa.int64()).cast(column.type)
    return column.fill_null(zero).to_numpy(zero_copy_only=False), null


def _rows_of(lists: Any, width: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
    rows = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    if not lists.null_count:
        return rows, None
    null = lists.is_null().to_numpy(zero_copy_only=False)
    whole = np.zeros((len(lists), width), rows.dtype)
    whole[~null] = rows
    return whole, null
