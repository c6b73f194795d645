"""Threads of a call's own, which end soon after the call is interrupted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from .threads import Stopped, end_with

__all__ = ["Stopped", "Workers"]


class Workers(ThreadPoolExecutor):
    """A pool of threads for the time of a `with` statement.

    Signals reach the main thread alone. Where the statement is left by an exception, Ctrl-C among them, what has not
    begun is dropped, and kernels at work on these threads end between two pieces, with `Stopped` in their future.

    Examples
    --------
    >>> with Workers(2) as workers:
    ...     workers.submit(abs, -3).result()
    3
    """

    def __init__(self, count: int, name: str = "nearhop") -> None:
        self.stop = threading.Event()
        super().__init__(count, thread_name_prefix=name, initializer=end_with, initargs=(self.stop,))

    def end(self) -> None:
        """Drop what has not begun, stop what has, and wait for it."""
        self.stop.set()
        self.shutdown(cancel_futures=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None:
            return super().__exit__(kind, error, trace)
        self.end()
        return False
