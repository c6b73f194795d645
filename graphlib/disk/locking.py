"""The single-writer lock of a store, and the lock that tells a temporary file at work from a left one."""

from __future__ import annotations

import os
import weakref
from io import FileIO
from pathlib import Path

from ..errors import StoreLocked, StoreReadOnly


class WriterLock:
    """An exclusive lock on a file, held by at most one object of one process; the system releases it when that dies.

    A child made by `fork` inherits the descriptor but not the lock: it closes its copy at once and never unlocks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._process = 0
        self.lost = False
        _LOCKS.add(self)

    @property
    def held(self) -> bool:
        return self._file is not None and self._process == os.getpid()

    def acquire(self) -> None:
        """Take the lock or raise `StoreLocked` at once; nothing waits."""
        if self.held:
            return
        try:
            file = FileIO(self._path, "ab")
        except OSError as error:
            raise StoreReadOnly(f"{self._path.parent} cannot be changed: {error.strerror}") from error
        try:
            lock(file.fileno())
            self._process = os.getpid()
            self._file = file
        except OSError as error:
            raise StoreLocked(
                f"{self._path.parent} is being changed by another process or another open store object; wait until it "
                "commits or closes, or open the store again afterwards"
            ) from error
        finally:
            if self._file is not file:
                file.close()

    def release(self) -> None:
        """Give the lock back, also where children forked meanwhile still have the file open."""
        file, held = self._file, self.held
        self._file = None
        if file is not None:
            if held:
                unlock(file.fileno())
            file.close()

    def forget(self) -> None:
        """In a child: close the copy that the fork made, and remember that the parent held the lock."""
        if self._file is not None:
            self._file.close()
            self._file, self.lost = None, True


_LOCKS: weakref.WeakSet[WriterLock] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_LOCKS):
        each.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


if os.name == "nt":
    import msvcrt

    def lock(descriptor: int) -> None:
        """Lock an open file, or raise OSError at once."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

    def unlock(descriptor: int) -> None:
        """Unlock it, for every process that has the file open through this descriptor."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]

else:
    import fcntl

    def lock(descriptor: int) -> None:
        """Lock an open file, or raise OSError (BlockingIOError where another has it) at once."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(descriptor: int) -> None:
        """Unlock it, for every process that has the file open through this descriptor."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)
