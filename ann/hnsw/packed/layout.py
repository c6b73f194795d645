"""How the blocks of a node lie in memory.

A block of 32 neighbours holds 16 bytes per group of coordinates, whose numbers of four bits lie as `tables_cpu` says, a
word of two factors per neighbour, and its link. A node has a block for every 32 links it has room for.
"""

from __future__ import annotations

LANES = 32  # neighbours of a block
ENTRIES = 16  # of a table, and bytes of a group
WORD_BYTES = 8 * LANES  # behind the codes of a block: two factors and a link a neighbour
_SIZES = {4: 128, 2: 512, 1: 1 << 30}  # bits of a coordinate, for codes of up to so many


def bits_for(width: int) -> int:
    """Bits of a coordinate that keep a neighbour near 64 bytes: 4, 2 or 1."""
    return next(bits for bits, most in _SIZES.items() if width <= most)


def row_bytes(width: int, slots: int) -> int:
    """Bytes of a node's blocks for codes of so many coordinates and so many links: a multiple of 64."""
    groups = -(-width * bits_for(width) // 16) * 4
    return -(-slots // LANES) * (groups * ENTRIES + WORD_BYTES)


def most_bytes(num_rows: int, dim: int, slots: int) -> int:
    """Bytes of the blocks of so many rows and of their marks, at most."""
    widths = {dim, min(dim, 128), min(dim, 512)}
    return num_rows * (1 + max(row_bytes(width, slots) for width in widths))


__all__ = ["ENTRIES", "LANES", "WORD_BYTES", "bits_for", "most_bytes", "row_bytes"]
