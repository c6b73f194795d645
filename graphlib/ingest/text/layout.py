"""The layout of a text file, from its head: comments, delimiter, quotes; and an error where two readings are possible.

Delimiters are tried on the first 1,000 lines. One with which every line has equally many cells, two or more, is taken.
Where several pass: a tab before a semicolon, comma or bar inside its cells, unless the cells are runs of numbers, as in
files that mix tabs and blanks; else the one whose cells do not hold the others (a decimal comma is no delimiter); else
the caller is asked. `::` and runs of blanks come last.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import IngestError, InvalidInput
from ...names import shown
from .evening import told_apart
from .header import decide, is_known
from .lines import WHITESPACE, Layout, is_comment, read_lines, records
from .survey import Facts

_LINES = 1000
_BYTES = 4 << 20
_STRONG = ("\t", ",", ";", "|")
_DECIMAL = re.compile(r"\s*[+-]?\d*,\d+\s*")
_NUMERIC = re.compile(r"[+-]?\d+([.,]\d+)?")
_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "blank": " ", "space": " "}


@dataclass(frozen=True)
class TextOptions:
    """What the caller says about a text file; None and "auto" are found by looking at it."""

    header: bool | str = "auto"
    delimiter: str | None = None
    quote: str | None = None
    comment: str | None = None
    encoding: str | None = None
    decimal: str | None = None

    def checked(self) -> TextOptions:
        """The same, or an error that names the option."""
        if self.header not in (True, False, "auto", "first"):
            raise InvalidInput(f'header must be True, False, "first" or "auto"; got {self.header!r}')
        delimiter = _WORDS.get(self.delimiter or "", self.delimiter)
        given = delimiter not in (None, WHITESPACE)
        if given and not (0 < len((delimiter or "").encode()) <= 4 and not set(delimiter or "") & set("\r\n\"'")):
            raise InvalidInput(f'delimiter must be one to four characters or "whitespace"; got {self.delimiter!r}')
        if self.quote is not None and self.quote not in ('"', "'", ""):
            raise InvalidInput(f'quote must be \'"\', "\'" or "" for none; got {self.quote!r}')
        if self.comment is not None and (len(self.comment) > 8 or not self.comment.isprintable()):
            raise InvalidInput(
                f'comment must be the mark of comment lines, such as "#", or "" for none; got {self.comment!r}'
            )
        if self.decimal not in (None, ".", ","):
            raise InvalidInput(f'decimal must be "." or ","; got {self.decimal!r}')
        return TextOptions(self.header, delimiter, self.quote, self.comment, self.encoding, self.decimal)


@dataclass
class Head:
    """The head of one file, taken apart: `cells` of its first rows, a header among them or not."""

    facts: Facts
    delimiter: str
    quote: str
    comments: tuple[str, ...]
    skip: int
    cells: list[list[str]]
    lines: list[str]
    above: list[str]
    sure_of_comments: bool

    def header(self, wanted: bool | str) -> bool | None:
        """Whether the first row is a header; None where that is open."""
        if isinstance(wanted, bool):
            return wanted
        return decide(self.cells[0], self.cells[1:])

    def layout(self, header: bool, names: tuple[str, ...] | None = None) -> Layout:
        """With the names of the header, or those given, or column0, column1, ..."""
        if names is None:
            first = self.cells[0]
            names = tuple((cell.strip() if header else "") or f"column{i}" for i, cell in enumerate(first))
        if len({name.lower() for name in names}) != len(names):
            told = [shown(name) for name in names]
            raise IngestError(
                f"{self.facts.name}: column names must differ (letters' case aside); the header has {told}"
            )
        return Layout(self.delimiter, self.quote, header, names, self.skip, self.comments)

    @functools.cached_property
    def _among_numbers(self) -> bool:
        return all(_NUMERIC.fullmatch(row[0].strip()) for row in self.cells[1:] or self.cells)

    def doubt(self, line: str, number: int, above: bool = False) -> None:
        """Refuse to take for a comment what may be a row whose first id begins with the mark."""
        line = line.lstrip(" \t")
        found = None if self.sure_of_comments else next(records([line], self.delimiter, self.quote), None)
        if found is None or len(found.cells) != len(self.cells[0]):
            return
        if self._among_numbers:
            # a comment, unless the mark alone stands where an id does; "% 10 5 5" is how some files begin
            mark, *others = (cell.strip() for cell in found.cells)
            below_numbers = not above and all(_NUMERIC.fullmatch(cell) for cell in others)
            doubtful = mark in ("#", "%") and (self.delimiter != WHITESPACE or below_numbers)
        else:
            named = all(is_known(cell.strip("#% \t")) for cell in found.cells)
            untold = len(self.cells) == 1 and not above  # below a header alone any line may be a row
            doubtful = len(line) > 1 and (untold or line[1] not in "#% \t!") and not named
        if doubtful:
            raise _ask(
                self.facts.name,
                f"line {number}, {line[:60]!r}, may be a comment or a row",
                f'comment="" takes it as a row, comment={line[0]!r} as a comment',
                [*self.above, *self.lines],
            )

    def ask(self, problem: str, cure: str) -> IngestError:
        """An error that shows the first lines and names the options."""
        return _ask(self.facts.name, problem, cure, self.lines)


def _ask(name: str, problem: str, cure: str, lines: list[str]) -> IngestError:
    shown_lines = " / ".join(repr(line[:60] + ("..." if len(line) > 60 else "")) for line in lines[:3])
    return IngestError(f"{name}: {problem}; its first lines are {shown_lines}; {cure}")


def read_head(facts: Facts, options: TextOptions, least_columns: int = 2) -> Head:
    """Find out how the lines of a file are made."""
    path: Path = facts.path
    lines = list(itertools.islice(read_lines(path, _BYTES), _LINES))
    marks: tuple[str, ...] = ("#", "%") if options.comment is None else (options.comment,) if options.comment else ()
    if options.comment is None:
        marks = tuple(mark for mark in marks if mark != options.delimiter)
    skip = 0
    while skip < len(lines) and (not lines[skip].strip() or lines[skip].lstrip(" \t").startswith(marks)):
        skip += 1
    above = {at: line.lstrip(" \t") for at, line in enumerate(lines[:skip], 1) if line.strip()}
    comments = tuple(mark for mark in marks if options.comment or any(line.startswith(mark) for line in above.values()))
    rest = lines[skip:]
    if options.comment is None and not comments:
        comments = _marks_among_numbers(rest, marks)
    body = [
        line
        for line in rest
        if line.strip() and not is_comment(line, WHITESPACE if not options.delimiter else options.delimiter, comments)
    ]
    if not body:
        if above:
            raise _ask(
                facts.name,
                "holds no rows: every line begins with a comment mark",
                'comment="" takes them as rows',
                list(above.values()),
            )
        raise IngestError(f"{facts.name} holds no rows")
    delimiter, quote, cells = _find_delimiter(facts, body, rest, comments, options, least_columns)
    sure = options.comment is not None
    head = Head(facts, delimiter, quote, comments, skip, cells, body, list(above.values()), sure)
    for number, line in above.items():
        head.doubt(line, number, above=True)
    told = told_apart((line.encode() for line in rest), Layout(delimiter, quote, False, (), comments=comments))
    for below in told if comments else ():
        if below.kind == "comment":
            head.doubt(below.raw.decode(), skip + below.number)
    return head


def _marks_among_numbers(lines: list[str], marks: tuple[str, ...]) -> tuple[str, ...]:
    """Marks that begin lines further down, where all other lines, but for a header, begin with a number."""
    marked = [line for line in lines if line.startswith(marks)]
    others = [line for line in lines if line.strip() and not line.startswith(marks)]
    if not marked or not all(re.match(r"\s*[\"']?[+-]?\d", line) for line in others[1:]):
        return ()
    return tuple(mark for mark in marks if any(line.startswith(mark) for line in marked))


def _find_delimiter(
    facts: Facts, body: list[str], rest: list[str], comments: tuple[str, ...], options: TextOptions, least_columns: int
) -> tuple[str, str, list[list[str]]]:
    """Delimiter, quote and the cells of the head: of `rest`, which `body` is without comments and blank lines."""
    quotes = [options.quote] if options.quote is not None else ['"', ""] if any('"' in line for line in body) else ['"']
    wanted = options.delimiter
    marks = (wanted,) if wanted is not None else (*_STRONG, "::", WHITESPACE)
    best: tuple[float, str, str, list[list[str]]] | None = None
    for quote in quotes:
        passed = {}
        for mark in marks:
            found = list(records(rest, mark, quote, comments))
            cells = [record.cells for record in found]
            width, count = Counter(map(len, cells)).most_common(1)[0]
            share = count / len(cells) * (not any(record.problem for record in found[:-1]))
            if width < (1 if wanted is not None and least_columns == 1 else 2) or not _separates(mark, cells):
                continue
            if share == 1 and not found[-1].problem:
                passed[mark] = cells
            elif share >= 2 / 3 and (best is None or share > best[0]):
                best = share, mark, quote, [row for row in cells if len(row) == width]
        if passed:
            mark = _choose(facts, passed, body)
            return mark, quote, passed[mark]
    if best is not None:  # the reader names the line that differs
        return best[1:]
    if least_columns == 1 and all(len(line.split()) == 1 for line in body):
        return ",", quotes[0], [[line.strip()] for line in body]
    cure = 'say what separates them with delimiter= (such as "," or "whitespace"), and quote="" if quotes are text'
    if wanted is None and not any(mark in line for mark in (*_STRONG, "::", " ") for line in body[:20]):
        raise _ask(facts.name, "seems to have one column, and edges need two", cure, body)
    raise _ask(facts.name, "its lines have no delimiter that gives all of them equally many columns", cure, body)


def _separates(mark: str, cells: list[list[str]]) -> bool:
    """A tab at the end of every line separates nothing."""
    return mark != "\t" or all(any(cell.strip() for cell in column) for column in zip(*cells, strict=False))


def _choose(facts: Facts, passed: dict[str, Any], body: list[str]) -> str:
    if len(passed) == 1:
        return str(next(iter(passed)))
    strong = [mark for mark in _STRONG if mark in passed]
    if not strong:
        return "::" if "::" in passed else WHITESPACE
    if len(strong) > 1:
        clean = [mark for mark in strong if not _holds(passed[mark], [m for m in strong if m != mark])]
        by_name = {"csv": ",;|", "tsv": "\t"}.get(facts.name.lower().partition(".gz")[0].rpartition(".")[2], "\t")
        named = [mark for mark in strong if mark in by_name]
        chosen = clean if len(clean) == 1 else ["\t"] if "\t" in strong and not clean else named
        if len(chosen) != 1:
            listed = " and ".join(repr(mark) for mark in strong)
            raise _ask(facts.name, f"{listed} both give equally many columns", "choose with delimiter=", body)
        strong = chosen
    if strong[0] in "\t," and WHITESPACE in passed:
        return _mark_or_blanks(facts, strong[0], passed, body)
    return strong[0]


def _holds(cells: list[list[str]], others: list[str]) -> bool:
    """Whether cells hold other delimiters; a decimal comma behind the first two columns is none."""
    return any(
        other in cell and not (other == "," and at > 1 and _DECIMAL.fullmatch(cell))
        for row in cells
        for at, cell in enumerate(row)
        for other in others
    )


def _mark_or_blanks(facts: Facts, mark: str, passed: dict[str, Any], body: list[str]) -> str:
    """Tabs (or commas) separate, unless the cells between them are runs of numbers: then tabs and blanks both do, or
    the commas are decimal ones."""
    rows = passed[mark][1:] or passed[mark]
    runs = [
        all(len(words := cell.split()) > 1 and all(map(_NUMERIC.fullmatch, words)) for cell in column)
        for column in zip(*rows, strict=True)
    ]
    if not any(runs):
        return mark
    words = passed[WHITESPACE]
    if all(_NUMERIC.fullmatch(word) and not ("," in word and at < 2) for row in words for at, word in enumerate(row)):
        return WHITESPACE
    if mark == ",":
        return mark
    raise _ask(
        facts.name,
        "tabs separate texts with blanks in them, or tabs and blanks both separate",
        'choose delimiter="\\t" or delimiter="whitespace"',
        body,
    )
