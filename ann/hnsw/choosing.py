"""What `storage="auto"` stands for, by width, size and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...graphlib.process import free_memory
from ..metrics import HAMMING
from ..storage.rows import storage_class
from .packed.layout import most_bytes

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
    free = free_memory() if free is None else free
    rows, codes = storage_class("int8", metric).bytes_of(metric, dim, num_rows)
    plain = rows + codes + link_bytes(num_rows, M)
    if plain + most_bytes(num_rows, dim, 2 * M) <= _SHARE * free:
        return "int8", "packed"
    return ("int8", "plain") if plain <= _SHARE * free else ("int8-only", "plain")


def link_bytes(num_rows: int, M: int) -> int:
    """Bytes of the links of all levels with their counts, and of levels."""
    # 2M + 2 words of level 0, 9 bytes of level and upper row; a node reaches 1 / (M - 1) upper levels on average.
    return num_rows * (4 * (2 * M + 2) + 9) + int(num_rows / (M - 1) * 4 * (M + 2))


__all__ = ["choose", "link_bytes"]
