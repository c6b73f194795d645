"""Which process this is, the one that imported nearhop or a forked child of it, and how much memory its machine has."""

from __future__ import annotations

import os

from .errors import OutOfMemory

_FIRST = os.getpid()


def is_forked() -> bool:
    """Whether this process was forked after nearhop was imported. Threads and thread pools do not survive a fork.

    >>> is_forked()
    False
    """
    return os.getpid() != _FIRST


def physical_memory() -> int:
    """Bytes of memory of this machine; 2**63 - 1 where the system does not say.

    >>> physical_memory() > 1 << 20
    True
    """
    return _bytes_of("SC_PHYS_PAGES")


def free_memory() -> int:
    """Bytes of memory that nobody uses just now; 2**63 - 1 where the system does not say.

    >>> 0 < free_memory()
    True
    """
    return _bytes_of("SC_AVPHYS_PAGES")


def _bytes_of(pages: str) -> int:
    try:
        return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no such call, or no such number
        return (1 << 63) - 1


def check_fits(what: str, num_bytes: int) -> None:
    """Refuse what this machine's memory could never hold, before the process is killed for asking.

    Raises
    ------
    OutOfMemory

    Examples
    --------
    >>> check_fits("a table", 1 << 62)
    Traceback (most recent call last):
    nearhop.graphlib.errors.OutOfMemory: a table takes 4,294,967,296.0 GiB, more than this machine has
    """
    there = physical_memory()
    if num_bytes > there:
        raise OutOfMemory(f"{what} takes {num_bytes / (1 << 30):,.1f} GiB, more than this machine has")
