"""Names and values of users in messages."""

from __future__ import annotations


def shown(text: object) -> str:
    """A name or value as one line of printable text; what would steer a terminal stands there as an escape.

    >>> print(shown("a\\x1b[31m.csv"))
    a\\x1b[31m.csv
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


__all__ = ["shown"]
