"""Reading and writing little-endian binary files: every length is checked against the file before it is used."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ...graphlib.errors import StoreCorrupt, StoreMissing

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


class Reader:
    """A memory-mapped file and a position in it; arrays are views of the map.

    Parameters
    ----------
    path : path of a file
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise StoreMissing(f"there is no file at {self.path}")
        self.size = self.path.stat().st_size
        self.data: NDArray[np.uint8] = (
            np.memmap(self.path, np.uint8, "r") if self.size else np.empty(0, np.uint8)
        )  # fmt: skip
        self.at = 0

    @property
    def left(self) -> int:
        """Bytes between the position and the end."""
        return self.size - self.at

    def corrupt(self, what: str) -> StoreCorrupt:
        """The error to raise: the file's name, and what is wrong with it."""
        return StoreCorrupt(f"{self.path.name}: {what}")

    def need(self, count: int, what: str) -> None:
        """Refuse to go on unless `count` more bytes are there."""
        if count < 0 or count > self.left:
            raise self.corrupt(
                f"{what} at byte {self.at} needs {count:,} bytes but {self.left:,} are left; the file is truncated or "
                "its header is damaged"
            )

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        """The fields of a `struct` layout."""
        size = struct.calcsize(layout)
        self.need(size, what)
        values = struct.unpack(layout, self.data[self.at : self.at + size].tobytes())
        self.at += size
        return values

    def one(self, layout: str, what: str) -> Any:
        """A single number, given by its `struct` letter."""
        return self.unpack("<" + layout, what)[0]

    def array(self, dtype: DTypeLike, count: int, what: str) -> NDArray[Any]:
        """`count` items as a view, which may be unaligned: copy it before kernels see it."""
        kind = np.dtype(dtype)
        self.need(count * kind.itemsize, what)
        found = self.data[self.at : self.at + count * kind.itemsize].view(kind)
        self.at += count * kind.itemsize
        return found

    def vector(self, dtype: DTypeLike, what: str, *, length: int | None = None) -> NDArray[Any]:
        """A 64-bit count followed by that many items; `length` is the count it must have."""
        count = int(self.one("Q", f"the length of {what}"))
        if length is not None and count != length:
            raise self.corrupt(f"{what} has {count:,} items; {length:,} fit the rest of the file")
        return self.array(dtype, count, what)

    def done(self) -> None:
        """Refuse bytes after the end of the format."""
        if self.left:
            raise self.corrupt(
                f"{self.left:,} bytes follow the end of the index; the file is damaged or of another kind"
            )


def write_vector(stream: BinaryIO, values: NDArray[Any]) -> None:
    """A 64-bit count followed by the items."""
    stream.write(struct.pack("<Q", values.size))
    write_items(stream, values)


def write_items(stream: BinaryIO, values: NDArray[Any]) -> None:
    """The items alone; copied only where they are not contiguous and little-endian already."""
    flat = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1)
    stream.write(flat.view(np.uint8).data)
