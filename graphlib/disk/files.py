"""Every file operation by which a store changes on disk: reserve, write, fsync, link, rename, remove, truncate.

They stand in one module so that a reader can see the order in which a commit touches the disk, and so that tests can
let any one of them fail or be the last one before the process dies.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any


def create(path: Path) -> int:
    """Open a new file for appending; it must not exist."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)


def write(descriptor: int, data: Any) -> None:
    """Write all of `data`."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest[: 1 << 30]) :]


def reserve(descriptor: int, size: int) -> None:
    """Give a file `size` bytes that the device really has: filling a map of it later cannot fail for want of room."""
    if hasattr(os, "posix_fallocate"):
        if size:
            os.posix_fallocate(descriptor, 0, size)
        return
    zeros = memoryview(bytes(1 << 20))
    for start in range(os.fstat(descriptor).st_size, size, len(zeros)):
        write(descriptor, zeros[: size - start])


def sync(descriptor: int) -> None:
    """Do not return before the file's bytes are on the device."""
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Do not return before the folder's names are on the device."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def truncate(path: Path, size: int) -> None:
    os.truncate(path, size)


def publish(temporary: Path, final: Path) -> None:
    """Give `temporary` its final name, atomically; FileExistsError if that name is taken."""
    try:
        os.link(temporary, final)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        # a file system without hard links: the writer's lock already keeps others from this name
        if final.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from error
        os.rename(temporary, final)
        return
    remove(temporary)


def rename(old: Path, new: Path) -> None:
    os.rename(old, new)


def replace(old: Path, new: Path) -> None:
    """Give `old` the name `new`, atomically, whatever has that name."""
    os.replace(old, new)


def remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
