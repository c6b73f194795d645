"""One change of an index at a time: who comes second waits, and then changes what the first has left."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...graphlib.disk.locking import lock
from ...graphlib.errors import InvalidInput, StoreLocked
from ..output import note
from .files import Opened, open_index

_PATIENCE_S = 60.0


@contextlib.contextmanager
def changing(path: Path, metric: str | None, *, in_place: bool, kinds: tuple[str, ...] = ()) -> Iterator[Opened]:
    """The index at `path`, which nobody else changes inside the block if it is changed in place.

    Raises
    ------
    StoreLocked
        Another process has been changing it for a minute.
    InvalidInput
        It lives beside its column in a store.
    """
    if not in_place:
        yield _alone(open_index(path, metric=metric, kinds=kinds))
        return
    with _locked_file(path) if path.is_file() else contextlib.nullcontext():
        opened = _alone(_patiently(path, lambda: _open(path, metric, kinds)))
        try:
            yield opened
        finally:
            if opened.store is not None:
                opened.store.close()


def _open(path: Path, metric: str | None, kinds: tuple[str, ...]) -> Opened:
    opened = open_index(path, metric=metric, kinds=kinds)
    if opened.store is not None and not opened.inside:
        opened.store._home.changing()  # the writer's lock, before anything is read for the change
    return opened


def _alone(opened: Opened) -> Opened:
    if opened.inside:
        raise InvalidInput(
            f"the index lives in the store {opened.path} beside its column: change the column, then build it again"
        )
    return opened


def _patiently(path: Path, attempt: Any) -> Any:
    """What `attempt` returns, tried again for a while as long as another process has the lock."""
    begun, told = time.monotonic(), False
    while True:
        try:
            return attempt()
        except StoreLocked:
            if time.monotonic() - begun > _PATIENCE_S:
                raise
            if not told:
                note(f"{path} is being changed by another process; waiting up to {_PATIENCE_S:.0f} s")
                told = True
            time.sleep(0.05)


@contextlib.contextmanager
def _locked_file(path: Path) -> Iterator[None]:
    """A lock on the file that has the name now: a writer replaces it, so after a wait the file is another one."""
    if os.name == "nt":  # locks are mandatory there, and nobody could read the file
        yield
        return

    def attempt() -> int:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            lock(descriptor)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            raise StoreLocked(f"{path} is being changed by another process; try again when it is done") from error
        os.close(descriptor)
        raise StoreLocked(f"{path} was changed by another process; try again")

    descriptor = _patiently(path, attempt)
    try:
        yield
    finally:
        os.close(descriptor)
