"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from .errors import InvalidInput

_UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}


def parse_bytes(size: str | int, *, least: int = 256 << 20) -> int:
    """Bytes of a `memory_limit` such as 2147483648, "2GiB" or "500 MB"; at least `least`, 256 MiB by default.

    >>> parse_bytes("2GiB"), parse_bytes("500 MB")
    (2147483648, 500000000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", str(size).lower())
    unit = _UNITS.get(match[2]) if match else None
    if match is None or unit is None or isinstance(size, bool):
        raise InvalidInput(f'memory_limit must be bytes or a text such as "2GiB" or "500MB"; got {size!r}')
    count = int(float(match[1]) * unit)
    if count < least:
        raise InvalidInput(f"memory_limit must be at least {-(-least >> 20)} MiB; got {size!r}")
    return count
