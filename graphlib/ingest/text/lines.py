"""Lines into cells, as nearhop itself reads them: for the head of a file, for messages, and to even out a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

WHITESPACE = "whitespace"
_BLANKS = re.compile(r"[ \t\x0b\x0c]+")
LINES_OF_A_CELL = 1000


@dataclass(frozen=True)
class Layout:
    """How to read a text file.

    Attributes
    ----------
    delimiter : str
        One to four characters, or "whitespace" for runs of blanks and tabs.
    quote : str
        The character around cells that hold the delimiter, or "" for none.
    header : bool
        Whether the first line after `skip` names the columns.
    names : tuple of str
    skip : int
        Lines before the header or the first row.
    comments : tuple of str
        Lines that begin with one of these are left out.
    """

    delimiter: str
    quote: str
    header: bool
    names: tuple[str, ...]
    skip: int = 0
    comments: tuple[str, ...] = ()


class Record(NamedTuple):
    """One row: the line it begins on, counted from 1, its cells, and what is wrong with its quotes, or ""."""

    line: int
    cells: list[str]
    problem: str = ""


def records(lines: Iterable[str], delimiter: str, quote: str, comments: tuple[str, ...] = ()) -> Iterator[Record]:
    """The rows of some lines (without line ends); blank lines and comments are passed over."""
    numbered = enumerate(lines, 1)
    for number, line in numbered:
        if not line.strip(" \t") or is_comment(line, delimiter, comments):
            continue
        if not quote or quote not in line:
            yield Record(number, split(line, delimiter))
            continue
        cells = split_quoted(line, delimiter, quote)
        count = 1
        while cells is None and count < LINES_OF_A_CELL:
            more = next(numbered, None)
            if more is None:
                break
            line = f"{line}\n{more[1]}"
            count += 1
            if quote in more[1]:
                cells = split_quoted(line, delimiter, quote)
        if cells is None:
            yield Record(number, split(line.split("\n")[0], delimiter), "has a quote that does not end")
        else:
            yield Record(number, *cells)


def is_comment(line: str, delimiter: str, comments: tuple[str, ...]) -> bool:
    """Whether a line begins with a comment mark; where blanks separate columns, also after blanks."""
    return bool(comments) and (line.lstrip(" \t") if delimiter == WHITESPACE else line).startswith(comments)


def split(line: str, delimiter: str) -> list[str]:
    """Cells of a line without quotes."""
    return _BLANKS.split(line.strip(" \t\x0b\x0c")) if delimiter == WHITESPACE else line.split(delimiter)


def split_quoted(line: str, delimiter: str, quote: str) -> tuple[list[str], str] | None:
    """Cells of a line with quotes and what is wrong with them, or None where a quoted cell goes on below."""
    blank = delimiter == WHITESPACE
    cells: list[str] = []
    at, problem = 0, ""
    while True:
        if blank:
            found = _BLANKS.match(line, at)
            at = at if found is None else found.end()
            if at >= len(line):
                return cells, problem
        begin = at + (not blank and line.startswith(" " + quote, at))  # DuckDB passes over one blank, and no more
        if line.startswith(quote, begin):
            cell, at = _quoted(line, begin + 1, quote)
            if at < 0:
                return None
            end = at
            if blank:
                end = at if (found := _BLANKS.match(line, at)) or at == len(line) else -1
            else:
                while line.startswith(" ", at) and not line.startswith(delimiter, at):
                    at += 1
                if not line.startswith(delimiter, at) and at != len(line):
                    end = -1
            if end < 0:
                problem = "has text behind a closing quote"
                at = _next(line, delimiter, at)
        else:
            start, at = at, _next(line, delimiter, at)
            cell = line[start:at]
        cells.append(cell)
        if at >= len(line):
            return cells, problem
        at += 0 if blank else len(delimiter)


def goes_on(line: str, delimiter: str, quote: str, inside: bool) -> bool:
    """Whether a quoted cell is open at the end of a line, at whose beginning one was open or not."""
    if inside:
        at = _quoted(line, 0, quote)[1]
        if at < 0:
            return True
        at = _next(line, delimiter, at)
        line = line[at + (0 if delimiter == WHITESPACE else len(delimiter)) :]
    return quote in line and split_quoted(line, delimiter, quote) is None


def _next(line: str, delimiter: str, at: int) -> int:
    if delimiter == WHITESPACE:
        found = _BLANKS.search(line, at)
        return len(line) if found is None else found.start()
    end = line.find(delimiter, at)
    return len(line) if end < 0 else end


def _quoted(line: str, at: int, quote: str) -> tuple[str, int]:
    """The text from `at` to the closing quote, and the place behind it, or -1 where there is none."""
    parts = []
    while True:
        end = line.find(quote, at)
        if end < 0:
            return "", -1
        parts.append(line[at:end])
        if not line.startswith(quote, end + 1):
            return "".join(parts), end + 1
        parts.append(quote)
        at = end + 2


def read_lines(path: Path, most: int | None = None) -> Iterator[str]:
    """Lines of a plain UTF-8 file without their ends; with `most`, those of its first `most` bytes that are whole."""
    read = 0
    with path.open("rb") as stream:
        for line in stream:
            read += len(line)
            if most is not None and read > most and read > len(line):
                return
            yield line.rstrip(b"\r\n").decode("utf-8", "replace")


def data_records(path: Path, layout: Layout) -> Iterator[Record]:
    """The rows of a file, without its header."""
    lines = read_lines(path)
    for _ in range(layout.skip):
        next(lines, None)
    found = records(lines, layout.delimiter, layout.quote, layout.comments)
    if layout.header:
        next(found, None)
    return (record._replace(line=record.line + layout.skip) for record in found)
