"""Temporary files and folders beside what they will become, and how to tell which of them nobody works on any more.

A temporary of `NAME` is called `.NAME.nearhop-xxxxxxxx`. Its writer holds a lock on it, also on a folder, while it
lives. The system drops the lock with the process, so a temporary that can be locked was left.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from . import files
from .locking import lock

_NAME = re.compile(r"\..+\.nearhop-[0-9a-f]{8}")
_EARLIER = re.compile(r"\..+\.partial-[0-9a-f]{8}|\.nearhop-ingest-\w{8}")  # of versions before the lock
_QUIET_S = 3600.0
_LONGEST = 200  # bytes of NAME that are kept, so that the whole fits a file name


def new_file(target: Path) -> tuple[int, Path]:
    """A locked, empty temporary file beside `target`: its descriptor, which holds the lock, and its path."""
    while True:
        path = _beside(target)
        descriptor = files.create(path)
        try:
            if _claim(descriptor, path):
                return descriptor, path
        except BaseException:
            files.remove(path)
            raise
        os.close(descriptor)


def new_folder(target: Path) -> tuple[int, Path]:
    """A locked, empty temporary folder beside `target`: the lock's descriptor (-1 without one), and its path."""
    while True:
        path = _beside(target)
        path.mkdir()
        if os.name == "nt":
            return -1, path
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # a cleaner was quicker
            continue
        if _claim(descriptor, path):
            return descriptor, path
        os.close(descriptor)


def _beside(target: Path) -> Path:
    name = os.fsdecode(os.fsencode(target.name)[:_LONGEST])
    return target.with_name(f".{name}.nearhop-{uuid.uuid4().hex[:8]}")


def _claim(descriptor: int, path: Path) -> bool:
    """Lock a file that was just made; False where a cleaner took it for left in between."""
    if os.name == "nt":  # locks are mandatory there, and an open file cannot be removed anyway
        return True
    try:
        lock(descriptor)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody can lock it, so nobody takes it for left
        return True
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def leftovers(folder: Path) -> list[Path]:
    """Temporaries in a folder whose writer is gone, and those of earlier versions that are an hour old."""
    return [path for path in _named(folder) if _is_left(path)]


def remove_leftovers(folder: Path, *, earlier: bool = False) -> tuple[int, int]:
    """Remove temporaries whose writer is gone (with `earlier`, also those of versions that did not lock them).

    Returns how many there were and their bytes. What cannot be removed stays: another process may be at it.
    """
    count = freed = 0
    for path in _named(folder):
        if not earlier and _NAME.fullmatch(path.name) is None:
            continue
        with contextlib.suppress(OSError), _left(path) as is_left:
            if is_left:
                size = _size(path)
                shutil.rmtree(path) if path.is_dir() else files.remove(path)
                count, freed = count + 1, freed + size
    return count, freed


def _named(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(".")]
    except OSError:
        return []
    return [folder / name for name in sorted(names) if _NAME.fullmatch(name) or _EARLIER.fullmatch(name)]


def _is_left(path: Path) -> bool:
    with contextlib.suppress(OSError), _left(path) as is_left:
        return is_left
    return False


@contextlib.contextmanager
def _left(path: Path) -> Iterator[bool]:
    """Whether nobody works on a temporary; it stays locked inside, so that nobody begins to."""
    if path.is_symlink():
        yield False
        return
    if os.name == "nt" or _NAME.fullmatch(path.name) is None:
        yield time.time() - path.stat().st_mtime > _QUIET_S
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            lock(descriptor)
            locked = True
        except OSError:
            locked = False
        yield locked
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    return sum((Path(root) / name).lstat().st_size for root, _, names in os.walk(path) for name in names)
