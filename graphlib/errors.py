"""Every exception nearhop raises on purpose. Each is also the built-in type that fits it."""

from __future__ import annotations

from collections.abc import Sequence


class NearhopError(Exception):
    """Base class: catch this to catch all of nearhop's own errors."""


class InvalidInput(NearhopError, ValueError):
    """An argument has the wrong shape, dtype, range or combination."""


class CycleFound(InvalidInput):
    """A graph that must not have one has a directed cycle; `nodes` lists its nodes in order."""

    def __init__(self, message: str, nodes: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.nodes = list(nodes)


class InvalidType(NearhopError, TypeError):
    """An argument is of a kind that the call does not take."""


class NotFound(NearhopError, KeyError):
    """A column, type, version, dataset or id that does not exist was asked for."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0]) if self.args else ""


class StoreMissing(NearhopError, FileNotFoundError):
    """There is no store, index or data file at the given path."""


class StoreExists(NearhopError, FileExistsError):
    """The path is taken; nothing was overwritten."""


class StoreCorrupt(NearhopError, ValueError):
    """A file is damaged, truncated, of another format, or was changed behind the store's back."""


class StoreLocked(NearhopError, BlockingIOError):
    """Another process or object is writing this store."""


class StoreReadOnly(NearhopError, PermissionError):
    """The store was opened in a way that does not allow changes (an older version, a read-only file system)."""


class StoreWriteFailed(NearhopError, OSError):
    """The disk is full or failed; the version committed last is whole."""


class OutOfMemory(NearhopError, MemoryError):
    """What was asked for does not fit in memory."""


class IndexMismatch(NearhopError, ValueError):
    """Vectors, metric or ids do not fit the index they are used with."""


class NotFitted(NearhopError, RuntimeError):
    """A result was asked for before `fit` or `add`."""


class MissingExtra(NearhopError, ImportError):
    """An optional dependency is not installed; the message names the install line."""


class IngestError(NearhopError, ValueError):
    """The source holds rows that cannot become edges; the message names the file and the row."""


class DownloadError(NearhopError, OSError):
    """A dataset could not be fetched or its checksum is wrong."""
