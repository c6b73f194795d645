"""How codes of few bits and queries for them lie in memory.

A code row holds `width` coordinates, a multiple of 64, and in its last twelve bytes three float32: what is added to
the estimate of a distance, what the product with the query is multiplied by, and what a level is multiplied by to
decode it. Levels of four bits lie two to a byte: of 128 coordinates the first 64 in the low halves, the others in the
high ones (of the last 64, where there are no 128, the first and the last 32). Levels of other widths lie in planes, one
per bit, the lowest first: bit j of the plane belongs to coordinate j.

A query holds `width` signed bytes q and four numbers of four bytes: an int32, -(2^bits - 1) sum q, and three float32
m, a, c. With T = 2 sum u q - (2^bits - 1) sum q for the levels u of a row, its estimate is
a * addend + multiple * (m * T) + c.
"""

from __future__ import annotations

FACTORS = 3
CONSTANTS = 16  # bytes behind a query
BASE = 0
NIBBLES = 4
_BLOCK, _WORD = 32, 64


def padded(dim: int) -> int:
    """Coordinates of the code of a vector of this width."""
    return -(-dim // _WORD) * _WORD


def row_bytes_of(dim: int, bits: int) -> int:
    """Bytes of a code row: levels and factors, in blocks of 32."""
    return -(-(padded(dim) * bits // 8 + 4 * FACTORS) // _BLOCK) * _BLOCK


__all__ = ["BASE", "CONSTANTS", "FACTORS", "NIBBLES", "padded", "row_bytes_of"]
