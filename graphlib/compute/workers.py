"""Threads of a call's own, which end soon after the call is interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from .threads import Stopped, ended_by

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
        super().__init__(count, thread_name_prefix=name)
        self.stop = threading.Event()

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        return super().submit(self._led, work, arguments, options)

    def _led(self, work: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        with ended_by(self.stop):
            return work(*arguments, **options)

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
