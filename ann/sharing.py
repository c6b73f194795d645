"""Many readers or one writer, so that a search sees an index as it was between two changes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class SharedLock:
    """Readers share it; a change waits for those inside and goes before those that come after it.

    `writing` is held by one thread through a whole call of `add` or `remove`; `changing`, inside it, only while arrays
    that searches read are replaced or written. Neither may be taken while reading.

    Examples
    --------
    >>> lock = SharedLock()
    >>> with lock.reading(), lock.reading():
    ...     pass
    >>> with lock.writing(), lock.changing():
    ...     pass
    """

    def __init__(self) -> None:
        self._state = threading.Condition(threading.Lock())
        self._writer = threading.RLock()
        self._readers = 0
        self._changes = 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        with self._state:
            while self._changes:
                self._state.wait()
            self._readers += 1
        try:
            yield
        finally:
            with self._state:
                self._readers -= 1
                if not self._readers:
                    self._state.notify_all()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        with self._writer:
            yield

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        with self._state:
            self._changes += 1
            while self._readers:
                self._state.wait()
        try:
            yield
        finally:
            with self._state:
                self._changes -= 1
                self._state.notify_all()
