"""Which process this is: the one that imported nearhop, or a forked child of it."""

from __future__ import annotations

import os

_FIRST = os.getpid()


def is_forked() -> bool:
    """Whether this process was forked after nearhop was imported. Threads and thread pools do not survive a fork.

    >>> is_forked()
    False
    """
    return os.getpid() != _FIRST
