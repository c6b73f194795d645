"""Many readers or one writer, so that a search sees an index as it was between two changes."""

from __future__ import annotations

import collections
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


class _Reading:
    """What `with lock.reading():` enters; a class, since entering a generator costs as much as a short search."""

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        lock = self._lock
        lock._inside.append(None)  # first: a change that begins from now on waits
        if lock._changes:
            self._let_change_pass()

    def __exit__(self, *details: object) -> None:
        lock = self._lock
        lock._inside.pop()
        if lock._changes:
            with lock._state:
                lock._state.notify_all()

    def _let_change_pass(self) -> None:
        lock = self._lock
        with lock._state:
            lock._inside.pop()
            lock._state.notify_all()
            while lock._changes:
                lock._state.wait()
            lock._inside.append(None)


class SharedLock:
    """Readers share it; a change waits for those inside and goes before those that come after it.

    `writing` is held by one thread through a whole call of `add` or `remove`; `changing`, inside it, only while arrays
    that searches read are replaced or written. Neither may be taken while reading. Ctrl-C waits until a change is
    whole.

    Attributes
    ----------
    kept : Any
        What readers have derived from the present state, for others to use; a change drops it.

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
        self._inside: collections.deque[None] = collections.deque()  # as many as read: its methods need no lock
        self._changes = 0
        self.kept: Any = None
        self._reading = _Reading(self)

    def reading(self) -> _Reading:
        return self._reading

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        with self._writer:
            yield

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        with unbroken():
            with self._state:
                self._changes += 1
                while self._inside:
                    self._state.wait()
            self.kept = None
            try:
                yield
            finally:
                with self._state:
                    self._changes -= 1
                    self._state.notify_all()


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block; only the main thread is ever interrupted by it.

    Examples
    --------
    >>> try:
    ...     with unbroken():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("whole")
    ... except KeyboardInterrupt:
    ...     print("then interrupted")
    whole
    then interrupted
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            before(*held[0])
