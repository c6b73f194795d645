"""What commands print: a table for people, one JSON value for machines, progress on standard error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import typer

from ..graphlib.progress import progress_bar

Json = typer.Option(False, "--json", help="Print one JSON value instead of text.")


def emit(value: Mapping[str, Any], *, as_json: bool, text: Callable[[], str] | None = None) -> None:
    """Print a result: JSON, or `text()`, or one "name: value" line per entry."""
    if as_json:
        typer.echo(json.dumps(value, default=_plain))
    elif text is not None:
        typer.echo(printable(text()))
    else:
        width = max((len(name) for name in value), default=0)
        for name, entry in value.items():
            typer.echo(printable(f"{name:<{width}}  {_for_people(entry)}"))


def note(text: str) -> None:
    """A remark that is not the result, on standard error."""
    typer.echo(f"note: {printable(text)}", err=True)


def note_replaced(columns: Collection[str], *names: str) -> None:
    """Say which columns of a store are there already: their values are in its earlier versions from now on."""
    there = [name for name in names if name in columns]
    if there:
        note(f"column {' and '.join(map(repr, there))} is replaced; earlier versions of the store keep its old values")


def printable(text: str) -> str:
    """Text in which nothing steers a terminal: what is not printable stands there as an escape.

    >>> print(printable("red: \\x1b[31m"))
    red: \\x1b[31m
    """
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _for_people(entry: Any) -> str:
    if isinstance(entry, bool) or entry is None:
        return {True: "yes", False: "no", None: "-"}[entry]
    if isinstance(entry, int):
        return f"{entry:,}"
    return f"{entry:.4g}" if isinstance(entry, float) else one_line(str(entry))


def one_line(text: str) -> str:
    """As `printable`, with line breaks and tabs as escapes too: names in tables keep to their cells."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> str:
    """Columns of text, numbers to the right."""
    cells = [[_for_people(cell) for cell in row] for row in rows]
    numeric = [all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    titles = [one_line(title) for title in header]
    widths = [max(len(line[i]) for line in [titles, *cells]) for i in range(len(header))]
    lines = []
    for line in [titles, *cells]:
        parts = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(line, widths, numeric, strict=True))
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


@contextlib.contextmanager
def training_bar(what: str) -> Iterator[Callable[[Any], None]]:
    """A bar that takes what trained embeddings report (`embed.TrainingProgress`)."""
    with progress_bar(what) as update:
        yield lambda state: update(
            state.done, state.total, f"{state.samples_per_second / 1e6:.2f} M samples/s, loss {state.loss:.4f}"
        )


@contextlib.contextmanager
def stages(what: str) -> Iterator[Callable[[str, int], None]]:
    """A bar that names the stage of a read and the rows so far."""
    with progress_bar(printable(what)) as update:
        yield lambda stage, rows: update(rows, None, printable(f"{stage}, {rows:,} rows"))
