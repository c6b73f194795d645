"""The one way in which nearhop writes a file or a folder: beside its place, fsynced, then named in one step.

Until that step the name holds what it held before, and it still does when writing fails or is interrupted; the
temporary is removed. A writer that is killed leaves its temporary; the next writer in that folder, or `nearhop clean`,
removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import InvalidInput, NearhopError, StoreExists, StoreMissing, StoreWriteFailed
from . import files
from .temporary import new_file, new_folder, remove_leftovers

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@contextlib.contextmanager
def replacing(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary path that becomes the file `path` when the block ends.

    Write it by name (it exists, empty). It is fsynced and takes the name at the end of the block; after an exception
    it is removed and `path` is what it was. A device or a pipe at `path` is written directly.

    Raises
    ------
    StoreExists
        The path is taken and `overwrite` is false, or it is a folder.
    StoreMissing
        The folder to write in does not exist.
    StoreWriteFailed
        The disk is full or failed; the message names `path`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nearhop.graphlib.disk.replacing import replacing
    >>> with replacing("note.txt") as part:
    ...     _ = part.write_text("whole or not at all")
    >>> Path("note.txt").read_text()
    'whole or not at all'
    """
    target = _absolute(path)
    with _reported(path):
        if target.exists() and not target.is_file() and not target.is_dir():
            yield target
            return
        _check_place(path, target, overwrite=overwrite)
        remove_leftovers(target.parent)
        descriptor, part = new_file(target)
        try:
            yield part
            _sync(part)
            if overwrite:
                files.replace(part, target)
            else:
                _publish(part, target)
            files.sync_folder(target.parent)
        finally:
            with contextlib.suppress(OSError):
                files.remove(part)
            os.close(descriptor)


@contextlib.contextmanager
def replacing_stream(path: str | Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary stream whose bytes become the file `path` when the block ends; see `replacing`."""
    with replacing(path, overwrite=overwrite) as part, open(part, "r+b" if part.is_file() else "wb") as stream:
        yield stream


@contextlib.contextmanager
def making_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder that becomes the folder `path` when the block ends; the path must be free.

    What is in the folder must be fsynced by who writes it.
    """
    target = _absolute(path)
    with _reported(path, "nothing is left of it"):
        _check_place(path, target, overwrite=False)
        remove_leftovers(target.parent)
        descriptor, part = new_folder(target)
        try:
            yield part
            files.sync_folder(part)
            _check_place(path, target, overwrite=False)
            files.rename(part, target)
            files.sync_folder(target.parent)
        finally:
            if part.exists():
                shutil.rmtree(part, ignore_errors=True)
            if descriptor >= 0:
                os.close(descriptor)


@contextlib.contextmanager
def scratch_folder(beside: Path | None, target: str | Path | None = None) -> Iterator[Path]:
    """A folder for work in progress in `beside` (by default the system's temporary folder), removed at the end.

    A disk that is full or fails is reported as a `StoreWriteFailed` of `target`.
    """
    root = Path(tempfile.gettempdir()) if beside is None else beside.absolute()
    what = f"the temporary folder {root}" if target is None else target
    remove_leftovers(root)
    with _reported(what, "nothing is left of it"):
        descriptor, folder = new_folder(root / "scratch")
    try:
        yield folder
    except OSError as error:
        short = error.errno is None and "requested and" in str(error)  # how NumPy says it
        if isinstance(error, NearhopError) or not (short or error.errno in _DISK_ERRORS):
            raise
        reason = "the disk is full" if short else error.strerror
        raise StoreWriteFailed(f"{what} could not be written ({reason}); nothing is left of it") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor >= 0:
            os.close(descriptor)


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))


def _check_place(given: str | Path, target: Path, *, overwrite: bool) -> None:
    if not target.name:
        raise InvalidInput(f"{os.fspath(given)!r} is not the name of a file")
    if not target.parent.is_dir():
        raise StoreMissing(f"the folder {target.parent} does not exist; make it first")
    if target.is_dir() and overwrite:
        raise StoreExists(f"{given} is a folder; choose the name of a file")
    if not overwrite and (target.exists() or target.is_symlink()):
        raise _taken(given)


def _taken(given: str | Path) -> StoreExists:
    return StoreExists(f"{given} exists already, and nothing was written; choose another path or remove it first")


def _publish(part: Path, target: Path) -> None:
    try:
        files.publish(part, target)
    except FileExistsError as error:
        raise _taken(target) from error


def _sync(part: Path) -> None:
    descriptor = os.open(part, os.O_RDWR)
    try:
        files.sync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _reported(path: str | Path, state: str = "what was there before is untouched") -> Iterator[None]:
    """Errors of the disk as a `StoreWriteFailed` that names the file."""
    try:
        yield
    except OSError as error:
        if isinstance(error, NearhopError) and not isinstance(error, StoreWriteFailed):
            raise
        cause = error.__cause__ if isinstance(error, StoreWriteFailed) and error.__cause__ else error
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise StoreWriteFailed(f"{path} could not be written ({reason}); {state}") from error
