"""Index files of other libraries, read and written without them: hnswlib's `.bin` and FAISS's indexes.

A file in, an index behind the usual protocol out, and back. `ann.load` finds out by itself what a file is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .faiss_read import read_faiss
    from .faiss_write import write_faiss
    from .hnswlib_file import read_hnswlib, read_hnswlib_flat, write_hnswlib, write_hnswlib_flat
    from .kinds import FileKind, detect

_HOMES = {
    "FileKind": "kinds",
    "detect": "kinds",
    "read_faiss": "faiss_read",
    "read_hnswlib": "hnswlib_file",
    "read_hnswlib_flat": "hnswlib_file",
    "write_faiss": "faiss_write",
    "write_hnswlib": "hnswlib_file",
    "write_hnswlib_flat": "hnswlib_file",
}

__all__ = [
    "FileKind",
    "detect",
    "read_faiss",
    "read_hnswlib",
    "read_hnswlib_flat",
    "write_faiss",
    "write_hnswlib",
    "write_hnswlib_flat",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
