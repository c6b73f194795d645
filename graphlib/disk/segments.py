"""Segments: immutable `.npy` files whose data starts on a page boundary, with a checksum per block."""

from __future__ import annotations

import math
import os
import re
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import StoreCorrupt
from . import files
from .mapping import map_private

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

DATA_START = 4096
BLOCK_BYTES = 4 << 20
_DTYPE = re.compile(r"[<|][biufUSMm]\d{1,9}(\[\w{1,12}\])?")
_FILE = re.compile(r"[0-9a-f]{32}\.npy")


@dataclass(frozen=True)
class Segment:
    """One array on disk: file name, dtype, shape, size of the file, and the CRC-32 of each 4 MiB of it."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    crc32: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "bytes": self.bytes,
            "crc32": list(self.crc32),
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> Segment:
        """Read the entry of a manifest; everything that a later step relies on is checked here."""
        try:
            file, dtype, shape = value["file"], value["dtype"], tuple(value["shape"])
            size, crc32 = value["bytes"], tuple(value["crc32"])
            well_formed = (
                _FILE.fullmatch(file)
                and _DTYPE.fullmatch(dtype)
                and len(shape) <= 32
                and all(type(n) is int and 0 <= n < 1 << 62 for n in (*shape, size))
                and all(type(c) is int and 0 <= c < 1 << 32 for c in crc32)
            )
            item = np.dtype(dtype)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreCorrupt(f"{where}: not a segment entry ({error!r})") from error
        if not well_formed or item.str != dtype:
            raise StoreCorrupt(f"{where}: a segment entry holds values that are not allowed")
        if size != DATA_START + math.prod(shape) * item.itemsize or len(crc32) != -(-size // BLOCK_BYTES):
            raise StoreCorrupt(f"{where}: segment {file} of {dtype}{list(shape)} cannot have {size} bytes")
        return cls(file, dtype, shape, size, crc32)


def npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The first 4,096 bytes of a segment: a version 1.0 header padded with blanks."""
    fields = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode("latin-1")
    room = DATA_START - 10
    return b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + fields.ljust(room - 1) + b"\n"


class _Writer:
    """Writes a file in blocks and keeps the checksums of the blocks."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._in_block = 0
        self.crc32: list[int] = []
        self.bytes = 0

    def write(self, data: Any) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            part = rest[: BLOCK_BYTES - self._in_block]
            files.write(self._descriptor, part)
            self.crc32.append(zlib.crc32(part, self.crc32.pop() if self._in_block else 0))
            self._in_block = (self._in_block + len(part)) % BLOCK_BYTES
            self.bytes += len(part)
            rest = rest[len(part) :]


def write_segment(folder: Path, array: NDArray[Any], dtype: DTypeLike | None = None) -> Segment:
    """Write and fsync one array (as `dtype`) under a fresh name; on failure the file is removed again."""
    little = np.dtype(array.dtype if dtype is None else dtype).newbyteorder("<")
    name = f"{uuid.uuid4().hex}.npy"
    descriptor = files.create(folder / name)
    try:
        writer = _Writer(descriptor)
        writer.write(npy_header(little, array.shape))
        for part in _contiguous_parts(array):
            writer.write(part.astype(little, copy=False).view(np.uint8).reshape(-1))
        files.sync(descriptor)
    except BaseException:
        os.close(descriptor)
        files.remove(folder / name)
        raise
    os.close(descriptor)
    return Segment(name, little.str, array.shape, writer.bytes, tuple(writer.crc32))


def _contiguous_parts(array: NDArray[Any]) -> Any:
    """The array's rows in order, in contiguous pieces of about a block: a strided array is never copied whole."""
    flat = array.reshape(1) if array.ndim == 0 else array
    if flat.size == 0 or flat.dtype.itemsize == 0:
        return
    rows = max(1, BLOCK_BYTES // max(1, flat[0].nbytes))
    for start in range(0, flat.shape[0], rows):
        yield np.ascontiguousarray(flat[start : start + rows]).reshape(-1)


def create_segment(folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Path, NDArray[Any]]:
    """A new file of zeros in the segment format and a writable map of its data; `adopt_segment` finishes it.

    The device gives the file all of its room now, so filling the map cannot fail later.
    """
    little = dtype.newbyteorder("<")
    path = folder / f"{uuid.uuid4().hex}.npy"
    descriptor = files.create(path)
    try:
        files.write(descriptor, npy_header(little, shape))
        files.reserve(descriptor, DATA_START + math.prod(shape) * little.itemsize)
    except BaseException:
        os.close(descriptor)
        files.remove(path)
        raise
    os.close(descriptor)
    if not math.prod(shape) * little.itemsize:
        return path, np.zeros(shape, little)
    return path, np.memmap(path, little, "r+", DATA_START, shape)


def adopt_segment(path: Path, array: NDArray[Any]) -> Segment:
    """Flush a file made by `create_segment` and take its checksums."""
    if isinstance(array, np.memmap):
        array.flush()
    descriptor = os.open(path, os.O_RDWR)
    try:
        files.sync(descriptor)
    finally:
        os.close(descriptor)
    return Segment(path.name, array.dtype.str, array.shape, path.stat().st_size, tuple(block_checksums(path)))


def block_checksums(path: Path) -> list[int]:
    """CRC-32 of each 4 MiB of a file."""
    with path.open("rb") as stream:
        return [zlib.crc32(block) for block in iter(lambda: stream.read(BLOCK_BYTES), b"")]


def map_segment(folder: Path, segment: Segment) -> NDArray[Any]:
    """Map a segment after checking its size and header. Pages are private: writes never reach the file."""
    path = folder / segment.file
    dtype = np.dtype(segment.dtype)
    size = path.stat().st_size
    if size != segment.bytes:
        raise StoreCorrupt(f"{path} has {size:,} bytes; it was written with {segment.bytes:,}")
    with path.open("rb") as stream:
        if stream.read(DATA_START) != npy_header(dtype, segment.shape):
            raise StoreCorrupt(f"{path}: its header does not say {segment.dtype}{list(segment.shape)}")
    try:
        if size == DATA_START:
            return np.empty(segment.shape, dtype)
        return map_private(path, dtype, DATA_START, segment.shape)
    except ValueError as error:
        raise StoreCorrupt(f"{path}: {segment.dtype}{list(segment.shape)} cannot be mapped ({error})") from error


def verify_segment(folder: Path, segment: Segment) -> None:
    """Read every byte and compare every checksum."""
    path = folder / segment.file
    try:
        found = block_checksums(path)
    except FileNotFoundError as error:
        raise StoreCorrupt(f"{path} is missing") from error
    if len(found) != len(segment.crc32):
        raise StoreCorrupt(f"{path} has {path.stat().st_size:,} bytes; it was written with {segment.bytes:,}")
    for number, (now, then) in enumerate(zip(found, segment.crc32, strict=True)):
        if now != then:
            start = number * BLOCK_BYTES
            raise StoreCorrupt(f"{path} is damaged: bytes {start:,}..{start + BLOCK_BYTES - 1:,} fail their checksum")
