"""Ctrl-C while DuckDB works, which it tells as an error of its own."""

from __future__ import annotations

_TOLD = ("Query interrupted", "INTERRUPT Error")


def is_ctrl_c(error: BaseException) -> bool:
    """Whether an error of DuckDB, or of Arrow reading from it, stands for Ctrl-C.

    Only where nobody else interrupts the connection, as a limit on time does.

    >>> is_ctrl_c(RuntimeError("Query interrupted")), is_ctrl_c(RuntimeError("another"))
    (True, False)
    """
    return isinstance(error, Exception) and any(words in str(error) for words in _TOLD)
