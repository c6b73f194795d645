"""The append log: edges added since the last compaction, one checked record per call."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import StoreCorrupt
from ..store.edges import EdgeList
from ..types import EdgeType
from . import files
from .manifest import LogEntry

_HEAD = 16
_DTYPES = {"src": ("<i4", "<i8"), "dst": ("<i4", "<i8"), "weight": ("<f4",), "time": ("<i8", "<f8")}


class LogWriter:
    """Appends records behind the committed end of a log.

    `entry` is what a manifest says about it, and `added` the edges of each type since that end: what lies in the file
    behind `entry.bytes` does not count, whatever a write that failed left there.
    """

    def __init__(self, folder: Path, committed: LogEntry | None) -> None:
        self._folder = folder / "delta"
        self.added: dict[EdgeType, int] = {}
        if committed is None:
            self.entry = LogEntry(f"{uuid.uuid4().hex}.log", 0, 0)
            self._descriptor = files.create(self._folder / self.entry.file)
        else:
            self.entry = committed
            path = self._folder / committed.file
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
            self._trim()  # what a writer that died left behind it

    def append(self, edge_type: EdgeType, edges: EdgeList, records_of: int) -> None:
        """Write edges in records of at most `records_of` each: all of them, or the log ends where it ended before."""
        entry, added = self.entry, self.added
        try:
            self._trim()
            for start in range(0, len(edges), records_of):
                part = edges.slice(start, start + records_of)
                record = _encode(edge_type, part, entry.records)
                files.write(self._descriptor, record)
                entry = LogEntry(entry.file, entry.bytes + len(record), entry.records + 1)
                added = {**added, edge_type: added.get(edge_type, 0) + len(part)}
        except BaseException:
            with contextlib.suppress(OSError):  # else the next append does it
                self._trim()
            raise
        self.entry, self.added = entry, added

    def _trim(self) -> None:
        """Cut off what lies behind the end that counts."""
        if os.fstat(self._descriptor).st_size > self.entry.bytes:
            files.truncate(self._folder / self.entry.file, self.entry.bytes)

    def sync(self) -> None:
        files.sync(self._descriptor)
        files.sync_folder(self._folder)

    def close(self) -> None:
        os.close(self._descriptor)


def _encode(edge_type: EdgeType, edges: EdgeList, sequence: int) -> bytes:
    arrays = {
        name: np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        for name in _DTYPES
        if (array := getattr(edges, name)) is not None
    }
    described = {name: array.dtype.str for name, array in arrays.items()}
    head = json.dumps({"edge_type": edge_type, "count": len(edges), "arrays": described}).encode()
    payload = b"".join([len(head).to_bytes(4, "little"), head, *(array.tobytes() for array in arrays.values())])
    number = sequence.to_bytes(8, "little")
    if len(payload) >= 1 << 32:
        raise ValueError("append_edges takes less than 4 GiB at a time; append in parts")
    crc = zlib.crc32(payload, zlib.crc32(number))
    return b"".join([len(payload).to_bytes(4, "little"), crc.to_bytes(4, "little"), number, payload])


def read_log(folder: Path, entry: LogEntry) -> Iterator[tuple[EdgeType, EdgeList]]:
    """The committed records; anything wrong is a `StoreCorrupt` that names the file and the record."""
    path = folder / "delta" / entry.file
    size = path.stat().st_size
    if size < entry.bytes:
        raise StoreCorrupt(f"{path} has {size:,} bytes, but {entry.bytes:,} were committed")
    left = entry.bytes
    with path.open("rb") as stream:
        for sequence in range(entry.records):
            where = f"{path}, record {sequence} at byte {entry.bytes - left}"
            head = stream.read(min(_HEAD, left))
            left -= len(head)
            length = int.from_bytes(head[:4], "little")
            if len(head) < _HEAD or length > left:
                raise StoreCorrupt(f"{where}: the record is longer than the log")
            payload = stream.read(length)
            left -= length
            if zlib.crc32(payload, zlib.crc32(head[8:16])) != int.from_bytes(head[4:8], "little"):
                raise StoreCorrupt(f"{where} is damaged: it fails its checksum")
            if int.from_bytes(head[8:16], "little") != sequence:
                raise StoreCorrupt(f"{where} has another sequence number")
            yield _decode(payload, where)
    if left:
        raise StoreCorrupt(f"{path}: {left:,} committed bytes lie behind its last record")


def _decode(payload: bytes, where: str) -> tuple[EdgeType, EdgeList]:
    try:
        size = int.from_bytes(payload[:4], "little")
        head = json.loads(payload[4 : 4 + size])
        source, relation, target = head["edge_type"]
        count, arrays, at = head["count"], {}, 4 + size
        if type(count) is not int or not 0 <= count <= len(payload):
            raise ValueError(f"{count!r} is not a count")
        for name, dtype in head["arrays"].items():
            if dtype not in _DTYPES[name]:
                raise ValueError(f"{name} cannot be {dtype}")
            arrays[name] = np.frombuffer(payload, dtype, count, at)
            at += arrays[name].nbytes
        if at != len(payload):
            raise ValueError("its length is wrong")
        return (source, relation, target), EdgeList(**arrays)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreCorrupt(f"{where} is not a record of edges ({error})") from error
