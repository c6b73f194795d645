"""The lock of one store object, so that several threads can use it."""

from __future__ import annotations

import os
import threading
import weakref


class Guard:
    """A re-entrant lock, `lock`, under which a store is changed and what it derives from itself is built.

    A forked child gets a fresh one: the thread that held the parent's lock does not exist there.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _GUARDS.add(self)


_GUARDS: weakref.WeakSet[Guard] = weakref.WeakSet()


def _after_fork() -> None:
    for guard in list(_GUARDS):
        guard.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
