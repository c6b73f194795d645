"""A column that is written piece by piece and taken up again where a killed writer left it.

The file lies among the segments under a name made from the store, the version that is being changed and the caller's
key, so that the same call finds it again. Where a segment has its header, it says how many rows are whole; the header
takes that place when all are. `compact` removes what nobody finished.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from . import files
from .segments import DATA_START, npy_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .folder import StoreFolder

_MAGIC = b"nearhop: rows written so far\n"


class Unfinished:
    """A file under way: `array` is a writable map of its data, of which the first `done` rows are whole."""

    def __init__(self, folder: StoreFolder, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        little = dtype.newbyteorder("<")
        named = json.dumps([folder.manifest.uuid, folder.version, key, list(shape), little.str]).encode()
        self.path = folder.path / "segments" / f"{hashlib.blake2b(named, digest_size=16).hexdigest()}.npy"
        self._header = npy_header(little, shape)
        self._writing = folder.writing
        size = DATA_START + math.prod(shape) * little.itemsize
        with self._writing("fill"):
            finished_here = any(path == self.path for _, path in folder._created.values())  # and perhaps changed since
            self.done = -1 if finished_here else self._found(size, shape[0])
            if self.done < 0:
                self._begin(size)
            self.array: NDArray[Any] = (
                np.zeros(shape, little) if size == DATA_START else np.memmap(self.path, little, "r+", DATA_START, shape)
            )

    def _begin(self, size: int) -> None:
        files.remove(self.path)
        descriptor = files.create(self.path)
        try:
            files.write(descriptor, _note(0))
            files.reserve(descriptor, size)
        finally:
            os.close(descriptor)
        self.done = 0

    def _found(self, size: int, rows: int) -> int:
        """Whole rows of the file that is there, -1 for none that can be used."""
        try:
            if self.path.stat().st_size != size:
                return -1
            with self.path.open("rb") as stream:
                start = stream.read(DATA_START)
        except FileNotFoundError:
            return -1
        if start == self._header:
            return rows
        parts = start[len(_MAGIC) :].split(b" ", 2)
        whole = start.startswith(_MAGIC) and len(parts) == 3 and parts[0].isdigit() and len(parts[0]) < 20
        return int(parts[0]) if whole and start == _note(int(parts[0])) and int(parts[0]) <= rows else -1

    def note(self, rows: int) -> None:
        """The first `rows` rows are whole: they reach the device before the note does."""
        with self._writing("fill"):
            if isinstance(self.array, np.memmap):
                self.array.flush()
            self._start_with(self._header if rows == self.array.shape[0] else _note(rows))
        self.done = rows

    def _start_with(self, text: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        try:
            files.sync(descriptor)
            files.write(descriptor, text)
        finally:
            os.close(descriptor)


def _note(rows: int) -> bytes:
    return (_MAGIC + b"%d %d " % (rows, zlib.crc32(b"%d" % rows))).ljust(DATA_START)


__all__ = ["Unfinished"]
