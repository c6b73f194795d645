"""The head of a MatrixMarket file: what its entries mean, and where they begin."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from ...errors import IngestError
from ...names import shown
from .survey import MAX_LINE, unpacked, unpacking


@dataclass(frozen=True)
class MatrixHead:
    """Size and kind of a sparse matrix. `skip` lines stand before its first entry."""

    num_rows: int
    num_cols: int
    num_entries: int
    has_values: bool
    symmetric: bool
    skip: int


def read_head(path: Path, *, rectangular: bool = False) -> MatrixHead:
    """Read and check the head of a `.mtx` file, also compressed. Only a bipartite graph may be `rectangular`.

    References
    ----------
    R. Boisvert, R. Pozo, K. Remington, "The Matrix Market exchange formats: initial design", NISTIR 5935, 1996.
    """
    name = shown(path.name)
    with contextlib.closing(_lines(path)) as lines:
        words = next(lines, "").lower().split()
        if len(words) != 5 or words[0] != "%%matrixmarket":
            raise IngestError(f"{name}, line 1: a MatrixMarket file begins with %%MatrixMarket and four words")
        _, what, form, field, symmetry = words
        if (what, form) != ("matrix", "coordinate"):
            raise IngestError(f"{name} holds a {what} {form}; edges need 'matrix coordinate'")
        if field not in ("real", "double", "integer", "pattern"):
            raise IngestError(f"{name} holds {field} values; allowed are real, integer and pattern")
        if symmetry not in ("general", "symmetric"):
            raise IngestError(f"{name} is {symmetry}; allowed are general (directed) and symmetric (undirected)")
        skip = 1
        for line in lines:
            skip += 1
            if line.strip() and not line.startswith("%"):
                break
        else:
            raise IngestError(f"{name} ends before its size line")
    size = line.split()
    if len(size) != 3 or not all(number.isdigit() for number in size):
        raise IngestError(f"{name}, line {skip}: the size line must hold rows, columns and entries; got {line!r}")
    num_rows, num_cols, num_entries = map(int, size)
    if num_rows != num_cols and not rectangular:
        raise IngestError(
            f"{name} is a {num_rows} x {num_cols} matrix; edges between nodes of one type need a square one "
            "(bipartite=True takes rows and columns for two sides)"
        )
    return MatrixHead(num_rows, num_cols, num_entries, field != "pattern", symmetry == "symmetric", skip)


def _lines(path: Path) -> Generator[str, None, None]:
    """Lines of the head, none of them without end."""
    with unpacking(path), unpacked(path) as stream:
        rest = b""
        while piece := stream.read(1 << 16):
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
            if len(rest) > MAX_LINE:
                raise IngestError(f"{shown(path.name)} has a line longer than {MAX_LINE >> 20} MiB")
        if rest:
            yield rest.decode("utf-8", "replace").rstrip("\r")
