"""The single-writer lock of a store."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import StoreLocked, StoreReadOnly


class WriterLock:
    """An exclusive lock on a file, held by at most one object of one process; the system releases it when that dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock or raise `StoreLocked` at once; nothing waits."""
        if self.held:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StoreReadOnly(f"{self._path.parent} cannot be changed: {error.strerror}") from error
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise StoreLocked(
                f"{self._path.parent} is being changed by another process or another open store object; wait until it "
                "commits or closes, or open the store again afterwards"
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


if os.name == "nt":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
