"""Many readers or one writer, so that a search sees an index as it was between two changes."""

from __future__ import annotations

import importlib
import signal
import threading
import weakref
from types import FrameType
from typing import Any

from ..graphlib.errors import InvalidInput

try:  # what `signal` wraps to turn handlers into enumerations and back, which costs several times the call itself
    _signals: Any = importlib.import_module("_signal")
except ImportError:
    _signals = signal


class SharedLock:
    """Readers share it; a change waits for those inside and goes before those that come after it.

    `writing` is held by one thread through a whole call of `add` or `remove`; `changing`, inside it, only while arrays
    that searches read are replaced or written. A thread that reads may read again, and so may one that changes; neither
    may begin a change, which would wait for itself: `InvalidInput` says so. `steady` keeps changes away and nothing
    else, for saving.

    Attributes
    ----------
    kept : Any
        What readers have derived from the present state, for others to use; a change drops it.

    Notes
    -----
    Every thread reads under a lock of its own, and a change takes those of all threads. `reading`, `writing` and
    `steady` hand out locks of the interpreter, which a `with` statement enters and leaves in one step: wherever Ctrl-C
    falls, they are held inside the block and nowhere else. A change holds Ctrl-C back until it is whole. What any other
    exception from outside leaves of it, the same thread clears away when it next comes.

    Examples
    --------
    >>> lock = SharedLock()
    >>> with lock.reading(), lock.reading():
    ...     pass
    >>> with lock.writing(), lock.changing():
    ...     pass
    """

    def __init__(self) -> None:
        self._writer: Any = threading.RLock()
        self._turn: Any = threading.RLock()  # held by a change; readers that come meanwhile queue for it
        self._is_wanted = False  # a change waits or is under way
        self._own = threading.local()
        self._readers: weakref.WeakSet[Any] = weakref.WeakSet()  # a lock per thread that has read and lives
        self._change = _Change(self)
        self.kept: Any = None

    def reading(self) -> Any:
        """To be entered at once: what is read inside does not change."""
        try:
            own = self._own.lock
        except AttributeError:
            own = self._joined()
        if self._is_wanted:
            self._mend()
            if not own._is_owned():
                with self._turn:  # behind the change
                    pass
        return own

    def writing(self) -> Any:
        """To be entered at once: other calls that change wait."""
        self._mend()
        own = getattr(self._own, "lock", None)
        if self._writer._is_owned() or (own is not None and own._is_owned()):
            raise InvalidInput(
                "the index cannot be changed from inside one of its own calls, such as from the progress callback of "
                "add: change it when that call has returned"
            )
        return self._writer

    def steady(self) -> Any:
        """To be entered at once: nothing changes inside, and searches go on; also from inside a call that changes."""
        self._mend()
        return self._writer

    def changing(self) -> _Change:
        """To be entered inside `writing`: nobody reads."""
        return self._change

    def _joined(self) -> Any:
        """The lock under which this thread reads from now on; no change is under way while it becomes known."""
        own: Any = threading.RLock()
        with self._turn:
            self._readers.add(own)
            self._own.lock = own
        return own

    def _mend(self) -> None:
        """Give back what a change of this thread still holds although its call has ended."""
        if self._turn._is_owned() and not self._writer._is_owned():
            self._change.leave()


class _Change:
    """What `with lock.changing():` enters."""

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock
        self._calm = HeldBack()  # of the change that holds the turn
        self._taken: list[Any] = []  # the readers' locks that it takes

    def __enter__(self) -> None:
        lock, calm = self._lock, HeldBack()
        try:
            calm.__enter__()
            lock._turn.acquire()
            self._calm = calm
            lock._is_wanted = True
            self._taken = list(lock._readers)
            for reader in self._taken:
                reader.acquire()
            lock.kept = None
        except BaseException:
            self.leave()
            calm.__exit__()
            raise

    def __exit__(self, *details: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give back whatever this thread holds of the change; the turn last, for it tells that there is something."""
        lock, calm = self._lock, self._calm
        if not lock._turn._is_owned():
            return
        for reader in self._taken:
            while reader._is_owned():
                reader.release()
        lock._is_wanted = False
        while lock._turn._is_owned():
            lock._turn.release()
        calm.__exit__()


class HeldBack:
    """Hold Ctrl-C back until the end of the block; only the main thread is ever interrupted by it.

    Examples
    --------
    >>> try:
    ...     with HeldBack():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("whole")
    ... except KeyboardInterrupt:
    ...     print("then interrupted")
    whole
    then interrupted
    """

    def __init__(self) -> None:
        self._before: Any = None
        self._held: list[tuple[int, FrameType | None]] = []

    def __enter__(self) -> None:
        before = _signals.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(before):
            return
        self._before = before
        try:
            _signals.signal(signal.SIGINT, self._hold)
        except BaseException:  # something else came just then
            self.__exit__()
            raise

    def __exit__(self, *details: object) -> None:
        before, self._before = self._before, None
        if before is None:
            return
        _signals.signal(signal.SIGINT, before)
        if self._held:
            before(*self._held.pop(0))

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._before is None:  # the block is over
            signal.default_int_handler(number, frame)
        self._held.append((number, frame))
