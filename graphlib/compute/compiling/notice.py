"""A line for whoever waits while kernels compile: once a process, in a terminal or a notebook, after two seconds."""

from __future__ import annotations

import sys
import threading
from time import perf_counter
from typing import Any

from numba.core import event

from ...progress import is_watched

PATIENCE_S = 2.0
TEXT = "nearhop: compiling for this processor; this happens once per machine (`nearhop warm` does it ahead of time)\n"


class _Listener(event.Listener):  # type: ignore[misc, unused-ignore]
    """Adds up the time in which nearhop's kernels are compiled."""

    def __init__(self) -> None:
        self._depth, self._began, self._spent, self._told = 0, 0.0, 0.0, False
        self.count = 0
        self._timer: threading.Timer | None = None

    def on_start(self, event: Any) -> None:
        if not _is_ours(event):
            return
        self._depth += 1
        if self._depth > 1:
            return
        self._began = perf_counter()
        if not self._told:
            self._timer = threading.Timer(max(PATIENCE_S - self._spent, 0.0), self._tell)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: Any) -> None:
        if not _is_ours(event):
            return
        self._depth -= 1
        self.count += 1
        if self._depth == 0:
            self._spent += perf_counter() - self._began
            if self._timer is not None:
                self._timer.cancel()

    def spent(self) -> float:
        """Seconds so far."""
        return self._spent

    def _tell(self) -> None:
        self._told = True
        if is_watched():
            sys.stderr.write(TEXT)
            sys.stderr.flush()


def _is_ours(event: Any) -> bool:
    return str(event.data["dispatcher"].py_func.__module__).startswith("nearhop.")


_listener = _Listener()


def spent() -> float:
    """Seconds in which this process has compiled nearhop's kernels."""
    return _listener.spent()


def count() -> int:
    """How many of nearhop's kernels this process has compiled."""
    return _listener.count


def install() -> None:
    """Listen to Numba from now on."""
    event.register("numba:compile", _listener)
