"""The head of a MatrixMarket file: what its entries mean, and where they begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import IngestError
from .text import open_text


@dataclass(frozen=True)
class MatrixHead:
    """Size and kind of a square sparse matrix. `skip` lines stand before its first entry."""

    num_nodes: int
    num_entries: int
    has_values: bool
    symmetric: bool
    skip: int


def read_head(path: Path) -> MatrixHead:
    """Read and check the head of a `.mtx` or `.mtx.gz` file.

    References
    ----------
    R. Boisvert, R. Pozo, K. Remington, "The Matrix Market exchange formats: initial design", NISTIR 5935, 1996.
    """
    with open_text(path) as lines:
        words = next(lines, "").lower().split()
        if len(words) != 5 or words[0] != "%%matrixmarket":
            raise IngestError(f"{path.name}, line 1: a MatrixMarket file begins with %%MatrixMarket and four words")
        _, what, form, field, symmetry = words
        if (what, form) != ("matrix", "coordinate"):
            raise IngestError(f"{path.name} holds a {what} {form}; edges need 'matrix coordinate'")
        if field not in ("real", "double", "integer", "pattern"):
            raise IngestError(f"{path.name} holds {field} values; allowed are real, integer and pattern")
        if symmetry not in ("general", "symmetric"):
            raise IngestError(f"{path.name} is {symmetry}; allowed are general (directed) and symmetric (undirected)")
        skip = 1
        for line in lines:
            skip += 1
            if line.strip() and not line.startswith("%"):
                break
        else:
            raise IngestError(f"{path.name} ends before its size line")
    size = line.split()
    if len(size) != 3 or not all(number.isdigit() for number in size):
        raise IngestError(f"{path.name}, line {skip}: the size line must hold rows, columns and entries; got {line!r}")
    num_rows, num_cols, num_entries = map(int, size)
    if num_rows != num_cols:
        raise IngestError(
            f"{path.name} is a {num_rows} x {num_cols} matrix; edges between nodes of one type need a square one"
        )
    return MatrixHead(num_rows, num_entries, field != "pattern", symmetry == "symmetric", skip)
