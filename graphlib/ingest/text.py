"""What a text file of edges looks like: delimiter, header and comments, and on which line a row stands."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from ..errors import IngestError, InvalidInput
from ..guarded import is_gzip, open_gzip

PAIRS = (("src", "dst"), ("source", "target"), ("u", "v"), ("from", "to"))
_KNOWN = {name for pair in PAIRS for name in pair}
_SAMPLE_LINES = 1000


@dataclass(frozen=True)
class Layout:
    """How to read a text file.

    Attributes
    ----------
    delimiter : one character
    header : bool
        Whether the first line after `skip` names the columns.
    names : tuple of str
    skip : int
        Lines before the header or the first row.
    comment : str
        Lines that start with it are left out; "" for none.
    ragged : bool
        Columns are separated by runs of blanks, so lines have to be rewritten first.
    """

    delimiter: str
    header: bool
    names: tuple[str, ...]
    skip: int = 0
    comment: str = ""
    ragged: bool = False


def open_text(path: Path) -> IO[str]:
    """A text file, or a gzip file of text, as lines of UTF-8."""
    if is_gzip(path):
        return io.TextIOWrapper(open_gzip(path, error=IngestError), encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8", errors="replace", newline="")


def detect_layout(path: Path, *, delimiter: str | None, header: bool | str) -> Layout:
    """The layout of a file, judged by its first 1,000 lines; `delimiter` and `header` overrule what is found."""
    if header not in (True, False, "auto"):
        raise InvalidInput(f'header must be True, False or "auto"; got {header!r}')
    if delimiter is not None and delimiter != "whitespace" and len(delimiter) != 1:
        raise InvalidInput(f'delimiter must be one character or "whitespace"; got {delimiter!r}')
    with open_text(path) as stream:
        lines = [line.rstrip("\r\n") for line in itertools.islice(stream, _SAMPLE_LINES)]
    _refuse_foreign(path, lines)
    skip = 0
    while skip < len(lines) and (not lines[skip].strip() or lines[skip].lstrip()[0] in "#%"):
        skip += 1
    marks = {line.lstrip()[0] for line in lines[:skip] if line.strip()}
    comment = marks.pop() if len(marks) == 1 else ""
    body = [line for line in lines[skip:] if line.strip() and not (comment and line.startswith(comment))]
    if not body:
        raise IngestError(f"{path.name} holds no rows")
    mark, ragged = _find_delimiter(path, body, delimiter)
    first, *rest = _cells(body, mark, ragged)
    named = header if isinstance(header, bool) else _is_header(first, rest)
    names = tuple(name.strip() or f"column{i}" for i, name in enumerate(first)) if named else ()
    names = names or tuple(f"column{i}" for i in range(len(first)))
    if len({name.lower() for name in names}) != len(names):
        raise IngestError(f"{path.name}: column names must differ (letters' case aside); the header has {list(names)}")
    return Layout(mark, named, names, skip, comment, ragged)


def _refuse_foreign(path: Path, lines: list[str]) -> None:
    start = "\n".join(lines[:2]).lstrip("\ufeff \t\n")[:200]
    if start.startswith("version https://git-lfs"):
        raise IngestError(f"{path.name} is a git-lfs pointer, not the data; fetch the file with git lfs pull")
    if start[:9].lower() == "<!doctype" or start[:5].lower() == "<html":
        raise IngestError(f"{path.name} is an HTML page, not a table; was a download answered with an error page?")
    if "\0" in start or start.startswith("PAR1"):
        raise IngestError(f"{path.name} is a binary file under the name of a text file")


def _find_delimiter(path: Path, body: list[str], wanted: str | None) -> tuple[str, bool]:
    if wanted is not None and wanted != "whitespace":
        return wanted, False
    if wanted is None:
        for mark in ",\t;|":
            cells = list(csv.reader(body[:200], delimiter=mark))
            widths = {len(row) for row in cells}
            # a tab at the end of every line separates nothing
            filled = mark != "\t" or all(any(cell.strip() for cell in column) for column in zip(*cells, strict=False))
            if len(widths) == 1 and widths.pop() > 1 and filled:
                return mark, False
    for mark in " \t":
        if wanted is None and len(body[0].split()) > 1 and all(line == mark.join(line.split()) for line in body):
            return mark, False
    if len(body[0].split()) < 2 and wanted is None:
        # one column, or separated unevenly: the mark of the first line lets the reader name the line that differs
        mark = next((mark for mark in ",\t;|" if mark in body[0]), "")
        if not mark:
            raise IngestError(
                f"{path.name} seems to have one column ({body[0][:80]!r}); edges need two, see delimiter="
            )
        return mark, False
    return " ", True


def _cells(body: list[str], mark: str, ragged: bool) -> list[list[str]]:
    return [line.split() for line in body[:200]] if ragged else list(csv.reader(body[:200], delimiter=mark))


def _is_header(first: list[str], rest: list[list[str]]) -> bool:
    if _KNOWN & {cell.strip().lower() for cell in first}:
        return True
    second = rest[0] if rest else []
    return any(not _is_number(a) and _is_number(b) for a, b in zip(first, second, strict=False))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def rewrite_ragged(path: Path, layout: Layout, target: Path) -> Layout:
    """Copy a file with every run of blanks made one blank. Lines keep their numbers."""
    with open_text(path) as lines, target.open("w", encoding="utf-8", newline="\n") as out:
        for line in lines:
            out.write(" ".join(line.split()) + "\n")
    return replace(layout, ragged=False, delimiter=" ")


def line_of_row(paths: list[Path], layout: Layout, row: int) -> tuple[Path, int]:
    """The file and the line, counted from 1, on which data row `row`, counted from 0, stands."""
    for path in paths:
        with open_text(path) as lines:
            for line in _data_lines(lines, layout):
                if row == 0:
                    return path, line
                row -= 1
    raise IndexError(row)


def _data_lines(lines: IO[str], layout: Layout) -> Iterator[int]:
    for _ in range(layout.skip):
        next(lines)
    reader = csv.reader(lines, delimiter=layout.delimiter)
    header = layout.header
    for cells in reader:
        if not any(cell.strip() for cell in cells) or (layout.comment and cells[0].startswith(layout.comment)):
            continue
        if header:
            header = False
            continue
        yield layout.skip + reader.line_num
