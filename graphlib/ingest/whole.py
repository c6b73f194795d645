"""A whole table in memory, read by the procedure of every ingest."""

from __future__ import annotations

import contextlib
from typing import Any

from ..disk.replacing import scratch_folder
from ..errors import InvalidType
from ..names import shown
from .duckdb import connect, ident
from .sources import open_source
from .text.layout import TextOptions

_MEMORY = 2 << 30
_THREADS = 2


def read_columns(source: Any, **options: Any) -> dict[str, list[Any]]:
    """The columns of a table by name: of text files as they are written, None where a cell is empty.

    `source` is a file or a table in memory that `ingest` reads; `options` are those of its text files: header,
    delimiter, quote, comment, encoding.

    Examples
    --------
    >>> with open("names.csv", "w") as out:
    ...     _ = out.write("id,name\\n007,Ann\\n8,\\n")
    >>> read_columns("names.csv")
    {'id': ['007', '8'], 'name': ['Ann', None]}
    """
    text = TextOptions(**options).checked()
    with scratch_folder(None) as scratch, contextlib.closing(connect(scratch, _MEMORY, _THREADS)) as connection:
        table = open_source(
            connection, source, view="table_source", text=text, types={}, scratch=scratch, least_columns=1,
            ends_given=True,
        )  # fmt: skip
        found: dict[str, list[Any]] = {name: [] for name in table.types}
        for batch in table.read({name: ident(name) for name in found}):
            for name, column in zip(found, batch.columns, strict=True):
                found[name] += column.to_pylist()
    for name, values in found.items():
        odd = next((value for value in values if isinstance(value, bytes | list | dict)), None)
        if odd is not None:
            raise InvalidType(
                f"{table.name}, column {shown(name)!r} holds {type(odd).__name__}s; allowed are text, numbers, "
                "booleans and dates"
            )
    return found


__all__ = ["read_columns"]
