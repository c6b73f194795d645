"""What kind of index a file holds, told from its bytes; the name of the file plays no part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...graphlib.errors import IndexMismatch, StoreMissing
from .faiss_names import CLASSES
from .hnswlib_file import looks_flat, looks_like_graph

_HEAD = 4096
_FOREIGN = (
    (b"\x93NUMPY", "a NumPy array, not an index; build one with: nearhop index build {path} --out NAME"),
    (b"PK\x03\x04", "a zip archive (perhaps .npz), not an index"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, not an index; build one with: nearhop index build {path} --out NAME"),
    (b"PAR1", "a Parquet table, not an index; build one with: nearhop index build {path} --out NAME"),
    (b"version https://git-lfs", "a git-lfs pointer, not the file it stands for; fetch that with: git lfs pull"),
    (b"version https://hawser", "a git-lfs pointer, not the file it stands for; fetch that with: git lfs pull"),
    (b"SQLite format 3\x00", "an SQLite database, not an index"),
    (b"usearch", "a usearch index, which is not read here"),
)  # fmt: skip


@dataclass(frozen=True)
class FileKind:
    """`name` is "nearhop", "hnswlib", "hnswlib-flat" or "faiss"; `detail` says more, such as FAISS's class."""

    name: str
    detail: str


def detect(path: str | Path) -> FileKind:
    """The kind of index at a path, from its first bytes and its size.

    Raises
    ------
    StoreMissing
        There is nothing at the path.
    IndexMismatch
        It is something else; the message says what (a git-lfs pointer, a web page, a NumPy array, ...).

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop import ann
    >>> from nearhop.ann.formats import detect, write_faiss
    >>> write_faiss(ann.Exact().add(np.eye(3)), "three.faiss")
    >>> detect("three.faiss")
    FileKind(name='faiss', detail='IndexFlatL2')
    """
    given = Path(path)
    if given.is_dir():
        return FileKind("nearhop", "store")
    if not given.is_file():
        raise StoreMissing(f"there is no index at {given}")
    size = given.stat().st_size
    with open(given, "rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise IndexMismatch(f"{given.name}: the file is empty")
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise IndexMismatch(f"{given.name}: this is {what.format(path=given)}")
    name = head[:4].decode("latin-1")
    if name in CLASSES:
        return FileKind("faiss", CLASSES[name])
    if looks_like_graph(head):
        return FileKind("hnswlib", "Index")
    if looks_flat(head, size):
        return FileKind("hnswlib-flat", "BFIndex")
    raise IndexMismatch(f"{given.name}: {_guess(head)}; known are nearhop, hnswlib and FAISS indexes")


def _guess(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "this is a web page (a download that needed a login or moved?), not an index"
    if text.startswith((b"<?xml", b"<")):
        return "this is XML, not an index"
    if text.startswith((b"{", b"[")):
        return "this is JSON, not an index"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "this is a Python pickle, which is never loaded"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head[:256]):
        return "this is text, not an index"
    return f"no index begins with the bytes {head[:8].hex(' ')}"
