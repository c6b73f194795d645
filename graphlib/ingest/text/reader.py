"""Text files as one table: every file is read by its own layout, and columns are matched by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import IngestError
from ...names import shown
from ..duckdb import file_literal, ident, literal, translated
from ..table import Table
from .evening import Doubt, count_blank, even_out, holds_quoted_blanks
from .layout import Head, TextOptions, read_head
from .lines import WHITESPACE, Layout, data_records
from .survey import MAX_LINE, Facts, survey

_SHOWN_FILES = 20


@dataclass
class TextFile:
    """One text file: what it holds, how it is laid out, and what DuckDB reads in its place."""

    facts: Facts
    layout: Layout
    clean: Path
    clean_layout: Layout
    comments: int
    blank: int

    def described(self) -> dict[str, Any]:
        """For the report."""
        delimiter = {"\t": "tab", WHITESPACE: "blanks", ",": "comma", ";": "semicolon", "|": "bar"}
        told: dict[str, Any] = {
            "name": self.facts.name,
            "delimiter": delimiter.get(self.layout.delimiter, self.layout.delimiter),
            "header": self.layout.header,
            "comment": " ".join(self.layout.comments),
            "comment_lines": self.comments,
            "blank_lines": self.blank,
        }
        if self.facts.quotes:
            told["quote"] = self.layout.quote
        for name, value, usual in (("encoding", self.facts.encoding, "utf-8"), ("packed", self.facts.packed, "")):
            if value != usual:
                told[name] = value
        return told


def text_table(
    connection: Any,
    paths: list[Path],
    name: str,
    options: TextOptions,
    scratch: Path,
    view: str,
    least_columns: int = 2,
) -> Table:
    """The rows of some text files."""
    facts = [survey(path, options.encoding, scratch / f"{view}-{n}.utf8") for n, path in enumerate(paths)]
    filled = [each for each in facts if each.lines > each.blank] if len(facts) > 1 else facts
    if not filled:
        raise IngestError(f"{name}: its {len(paths)} files hold no rows")
    heads = [read_head(each, options, least_columns) for each in filled]
    files = [
        clean(head.facts, layout, scratch / f"{view}-{number}.even", head.doubt)
        for number, (head, layout) in enumerate(zip(heads, _layouts(heads, options), strict=True))
    ]
    table = table_of(connection, files, name)
    empty = [each.name for each in facts if each.lines <= each.blank]
    table.remarks += [f"files without rows: {', '.join(empty)}"] if empty else []
    return table


def table_of(connection: Any, files: list[TextFile], name: str) -> Table:
    """The table of files whose layouts are known."""
    columns = files[0].layout.names
    listed = ", ".join(ident(column) for column in columns)
    groups: list[list[TextFile]] = []
    for file in files:
        if groups and _reader(groups[-1][:1]) == _reader([replace(file, clean=groups[-1][0].clean)]):
            groups[-1].append(file)
        else:
            groups.append([file])
    relation = " UNION ALL ".join(f"SELECT {_matched(group[0], columns)} FROM {_reader(group)}" for group in groups)
    relation = _reader(groups[0]) if len(groups) == 1 else f"(SELECT {listed} FROM ({relation}))"
    table = Table(
        name,
        connection,
        relation,
        _placer(files, name),
        all_text=True,
        named=files[0].layout.header,
        heads=[f"(SELECT {_matched(file, columns)} FROM {_reader([file])})" for file in files]
        if len(files) > 1
        else [],
        explain=_explainer(files),
        described={"files": [file.described() for file in files[:_SHOWN_FILES]], "file_count": len(files)},
    )
    table.described["quoted_blanks"] = any(
        _may_quote(file.facts, file.layout) and holds_quoted_blanks(file.facts.path, file.layout) for file in files
    )
    if columns[0].lower() in ("column0", "unnamed: 0") and files[0].layout.header:
        table.indexes.add(columns[0])
    return table


def _layouts(heads: list[Head], options: TextOptions) -> list[Layout]:
    """The layout of every file, or an error where their columns cannot be matched."""
    if options.header == "first":
        first = heads[0].layout(True)
        others = [head.layout(False, first.names) for head in heads[1:]]
        for head in heads[1:]:
            _check_width(head, len(first.names), heads[0])
        return [first, *others]
    decided = [head.header(options.header) for head in heads]
    named = [_key(head.cells[0]) for head, header in zip(heads, decided, strict=True) if header]
    decided = [
        header or (options.header == "auto" and _key(head.cells[0]) in named) or header
        for head, header in zip(heads, decided, strict=True)
    ]
    for head, header in zip(heads, decided, strict=True):
        if header is None:
            raise head.ask("its first line may name the columns or be a row", "say header=True or header=False")
    if len(set(decided)) > 1:
        odd = decided.index(not decided[0])
        with_header, without = (heads[odd], heads[0]) if decided[odd] else (heads[0], heads[odd])
        raise without.ask(
            f"has no header, where {with_header.facts.name} has one, so columns cannot be matched by name",
            'say header=True or header=False for all, or header="first" where only the first file has one',
        )
    layouts = [head.layout(bool(header)) for head, header in zip(heads, decided, strict=True)]
    for head, layout in zip(heads[1:], layouts[1:], strict=True):
        if not layout.header:
            _check_width(head, len(layouts[0].names), heads[0])
        elif _key(layout.names) != _key(layouts[0].names):
            raise IngestError(
                f"{head.facts.name} has columns {[shown(n) for n in layout.names]}, and {heads[0].facts.name} has "
                f"{[shown(n) for n in layouts[0].names]}; files of one source need the same columns, in any order"
            )
    return layouts


def _key(names: Any) -> tuple[str, ...]:
    return tuple(sorted(name.strip().lower() for name in names))


def _check_width(head: Head, width: int, first: Head) -> None:
    if len(head.cells[0]) != width:
        raise head.ask(
            f"has {len(head.cells[0])} columns, where {first.facts.name} has {width}", "read the files one by one"
        )


def _may_quote(facts: Facts, layout: Layout) -> bool:
    """Whether cells may be quoted; the survey looks for double quotes alone."""
    return bool(layout.quote) and (facts.quotes or layout.quote != '"')


def clean(facts: Facts, layout: Layout, target: Path, doubt: Doubt | None = None) -> TextFile:
    """The file itself where DuckDB can read it as it is, else a copy in one even form.

    `doubt` may refuse a comment: it is called with each one that stands below the head, and its line.
    """
    above = _marked_above(facts, layout)
    marked = sum(count for mark, count in facts.marked.items() if mark in layout.comments)
    separated_by_blanks = layout.delimiter == WHITESPACE
    if (
        facts.blanks_only
        or facts.mixed_ends
        or marked > above
        or any(mark not in ("#", "%") for mark in layout.comments)
        or (separated_by_blanks and (facts.uneven or facts.tabs or facts.quotes))
        or (len(layout.names) == 1 and (facts.blank or layout.skip))
    ):
        even = even_out(facts.path, layout, target, doubt)
        return TextFile(facts, layout, target, even.layout, even.comments, even.blank)
    blank = count_blank(facts.path, layout) if facts.blank and _may_quote(facts, layout) else facts.blank
    as_it_is = replace(layout, delimiter=" ") if separated_by_blanks else layout
    return TextFile(facts, layout, facts.path, replace(as_it_is, comments=()), above, blank)


def _marked_above(facts: Facts, layout: Layout) -> int:
    """Comment lines among those that are skipped."""
    marks = tuple(mark.encode() for mark in layout.comments)
    with facts.path.open("rb") as lines:
        return sum(bool(marks) and next(lines, b"").startswith(marks) for _ in range(layout.skip))


def _reader(group: list[TextFile]) -> str:
    """The call by which DuckDB reads files of one layout."""
    layout = group[0].clean_layout
    options = {
        "auto_detect": "false",
        "hive_partitioning": "false",
        "delim": literal(layout.delimiter),
        "quote": literal(layout.quote),
        "escape": literal(layout.quote),
        "header": str(layout.header).lower(),
        "skip": str(layout.skip),
        "max_line_size": str(2 * MAX_LINE),
        "new_line": "'\\r\\n'" if group[0].clean == group[0].facts.path and group[0].facts.returns else "'\\n'",
        "compression": "'none'",
        "columns": "{" + ", ".join(f"{literal(column)}: 'VARCHAR'" for column in layout.names) + "}",
    }
    listed = ", ".join(file_literal(file.clean) for file in group)
    return f"read_csv([{listed}], {', '.join(f'{key} = {value}' for key, value in options.items())})"


def _matched(file: TextFile, columns: tuple[str, ...]) -> str:
    """The columns of a file under the names, and in the order, of the first file."""
    own = {name.lower(): name for name in file.layout.names}
    same = not file.layout.header or own.keys() != {column.lower() for column in columns}
    pairs = zip(file.layout.names, columns, strict=True) if same else ((own[c.lower()], c) for c in columns)
    return ", ".join(f"{ident(name)} AS {ident(column)}" for name, column in pairs)


def _placer(files: list[TextFile], name: str) -> Callable[[int], str]:
    def place(row: int) -> str:
        left = row
        for file in files:
            for record in data_records(file.facts.path, file.layout):
                if left == 0:
                    return f"{file.facts.name}, line {record.line}"
                left -= 1
        return f"{name}, row {row}"

    return place


def _explainer(files: list[TextFile]) -> Callable[[Exception], Exception]:
    def explain(error: Exception) -> Exception:
        plain = translated(error)
        return next(_bad_lines(files), plain) if plain is not error and "CSV" in str(error) else plain

    return explain


def _bad_lines(files: list[TextFile]) -> Iterator[Exception]:
    """The first line of each file that does not fit, as an error."""
    for file in files:
        width = len(file.layout.names)
        for record in data_records(file.facts.path, file.layout):
            if len(record.cells) == width and not record.problem:
                continue
            text = (file.layout.delimiter if file.layout.delimiter != WHITESPACE else " ").join(record.cells)
            problem = record.problem or f"has {len(record.cells)} columns where {width} are expected"
            cure = 'quote="" takes quotes as text' if record.problem else "or see delimiter=, quote= and comment="
            yield IngestError(
                f"{file.facts.name}, line {record.line}: {text[:200]!r} {problem}; mend the line ({cure})"
            )
            break
