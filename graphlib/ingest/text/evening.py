"""A text file evened out for DuckDB: a copy with one delimiter, one line end and no comments.

What stands inside a quoted cell is left as it was written, line ends, blank lines and comment marks included. So every
line is read with the knowledge whether a quoted cell is open where it begins.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .lines import LINES_OF_A_CELL, WHITESPACE, Layout, goes_on, split_quoted

Doubt = Callable[[str, int], None]


class Line(NamedTuple):
    """A line with its end: its number from 1, "row", "comment" or "blank", and whether a cell goes on below it."""

    number: int
    raw: bytes
    kind: str
    goes_on: bool


@dataclass(frozen=True)
class Evened:
    """How to read the copy, and how many lines were comments and blank."""

    layout: Layout
    comments: int
    blank: int


def told_apart(lines: Iterable[bytes], layout: Layout) -> Iterator[Line]:
    """The lines of a file from the first on; those inside a quoted cell belong to its row, whatever they hold."""
    marks = tuple(mark.encode() for mark in layout.comments)
    separated_by_blanks, quote = layout.delimiter == WHITESPACE, layout.quote.encode()
    whole = _whole(layout)
    inside = False
    for number, raw in enumerate(lines, 1):
        if not inside:
            start = raw.lstrip(b" \t") if separated_by_blanks else raw
            if marks and start.startswith(marks):
                yield Line(number, raw, "comment", False)
                continue
            if not raw.strip(b" \t\r\n"):
                yield Line(number, raw, "blank", False)
                continue
        if quote and number > layout.skip and quote in raw and (inside or whole is None or not whole.match(raw)):
            inside = goes_on(raw.rstrip(b"\r\n").decode(), layout.delimiter, layout.quote, inside)
        yield Line(number, raw, "row", inside)


def _whole(layout: Layout) -> re.Pattern[bytes] | None:
    """A quick test for lines in which every quoted cell ends; lines that fail it are looked at more closely."""
    if len(layout.delimiter) != 1 or not layout.quote:
        return None
    mark, quote = re.escape(layout.delimiter).encode(), layout.quote.encode()
    cell = b"(?:Q[^Q]*+(?:QQ[^Q]*+)*+Q|[^QD\\r\\n]*+)".replace(b"Q", quote).replace(b"D", mark)
    return re.compile(b"%b(?:%b%b)*+\\r?\\n?\\Z" % (cell, mark, cell))


def count_blank(path: Path, layout: Layout) -> int:
    """The blank lines outside quoted cells."""
    with path.open("rb") as lines:
        return sum(line.kind == "blank" for line in told_apart(lines, layout))


def holds_quoted_blanks(path: Path, layout: Layout) -> bool:
    """Whether a quoted cell seems to begin or end with a blank."""
    mark = b"[ \\t]" if layout.delimiter == WHITESPACE else re.escape(layout.delimiter).encode()
    ends = rb"(?:^|D)Q[ \t]|[ \t]Q(?=D|\r?$)".replace(b"Q", layout.quote.encode()).replace(b"D", mark)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        return re.search(ends, whole, re.MULTILINE) is not None


def even_out(path: Path, layout: Layout, target: Path, doubt: Doubt | None = None) -> Evened:
    """Copy a file with one delimiter between cells and without comments.

    Lines that are left out become empty lines, so rows stay on their lines, except in a file of one column, in which
    an empty line would be a row. `doubt` is called with every comment below the head and its line, and may raise.
    """
    separated_by_blanks, empty = layout.delimiter == WHITESPACE, b"" if len(layout.names) == 1 else b"\n"
    counts = {"comment": 0, "blank": 0, "row": 0}
    row: list[bytes] = []
    with path.open("rb") as lines, target.open("wb") as out:
        for number, raw, kind, open_below in told_apart(lines, layout):
            counts[kind] += 1
            if kind != "row" or number <= layout.skip:
                if kind == "comment" and number > layout.skip and doubt is not None:
                    doubt(raw.rstrip(b"\r\n").decode(), number)
                out.write(empty)
            elif not separated_by_blanks:
                out.write(raw if open_below else raw.rstrip(b"\r\n") + b"\n")
            elif open_below and len(row) < LINES_OF_A_CELL:
                row.append(raw)
            else:
                out.write(_with_tabs(b"".join((*row, raw)).rstrip(b"\r\n"), layout.quote) + b"\n")
                row.clear()
        out.write(b"".join(row))
    skip = 0 if len(layout.names) == 1 else layout.skip
    even = Layout("\t" if separated_by_blanks else layout.delimiter, layout.quote, layout.header, layout.names, skip)
    return Evened(even, counts["comment"], counts["blank"])


def _with_tabs(row: bytes, quote: str) -> bytes:
    """A row whose cells are separated by blanks, with tabs between them."""
    if not quote or quote.encode() not in row:
        return b"\t".join(row.split())
    cells = split_quoted(row.decode(), WHITESPACE, quote)
    return row if cells is None else "\t".join(_requoted(cell, quote) for cell in cells[0]).encode()


def _requoted(cell: str, quote: str) -> str:
    if any(mark in cell for mark in (quote, "\t", "\n", "\r")):
        return f"{quote}{cell.replace(quote, quote + quote)}{quote}"
    return cell
