"""What `storage="auto"` stands for, by width, size and memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..metrics import HAMMING
from ..storage.rows import storage_class
from .packed.blocks import most_bytes

if TYPE_CHECKING:
    from ..words import Layout, Storage

NARROW = 16  # dimensions below which a row is two cache lines at most, and codes save nothing
_SHARE = 0.5  # of the memory that is free


def choose(metric: int, dim: int, num_rows: int, M: int, free: int | None = None) -> tuple[Storage, Layout]:
    """Storage and layout for so many rows: the fastest whose estimated size is at most half of the free memory.

    From 16 dimensions on "int8" with links packed, else without, else "int8-only"; below, and for bits, "float32".
    """
    if metric == HAMMING or dim < NARROW:
        return "float32", "plain"
    free = free_bytes() if free is None else free
    rows, codes = storage_class("int8", metric).bytes_of(metric, dim, num_rows)
    plain = rows + codes + num_rows * 4 * (2 * M + 4)
    if free is None or plain + most_bytes(num_rows, dim, 2 * M) <= _SHARE * free:
        return "int8", "packed"
    return ("int8", "plain") if plain <= _SHARE * free else ("int8-only", "plain")


def free_bytes() -> int | None:
    """Memory that is free just now, where the system tells."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


__all__ = ["choose", "free_bytes"]
