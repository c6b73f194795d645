"""The DuckDB connection behind an ingest: bounded memory, spilling beside the target, results as Arrow batches."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..ctrl_c import is_ctrl_c
from ..errors import IngestError, StoreWriteFailed
from ..names import shown
from ..scalars import integer

Explain = Callable[[Exception], Exception]

ROWS_AT_ONCE = 1 << 18


def connect(scratch: Path, memory_limit: int, threads: int) -> Any:
    """A connection whose tables and temporary files lie in `scratch`; DuckDB gets half of `memory_limit`."""
    import duckdb

    threads = integer("threads", threads, 1)
    connection = duckdb.connect(
        str(scratch / "stage.duckdb"),
        config={
            "memory_limit": f"{memory_limit // 2 >> 20}MiB",
            "threads": threads,
            "temp_directory": str(scratch / "spill"),
            "preserve_insertion_order": True,
        },
    )
    connection.execute("SET enable_progress_bar = false").fetchall()
    connection.execute("SET GLOBAL TimeZone = 'UTC'").fetchall()  # whatever the machine's zone is
    return connection


def without_halves(arrow: Any) -> Any:
    """An Arrow table or reader in which floats of 16 bits have 32, since DuckDB reads no others; the values stay."""
    import pyarrow as pa

    types = [pa.float32() if pa.types.is_float16(field.type) else field.type for field in arrow.schema]
    if types == arrow.schema.types:
        return arrow
    return arrow.cast(pa.schema([field.with_type(kind) for field, kind in zip(arrow.schema, types, strict=True)]))


def rows(connection: Any, sql: str, explain: Explain | None = None) -> list[tuple[Any, ...]]:
    """All rows of a small result."""
    try:
        return list(connection.sql(sql).fetchall())
    except Exception as error:
        raise meant(error, explain) from error


def run(connection: Any, sql: str, explain: Explain | None = None) -> None:
    """Carry out a statement without a result."""
    try:
        connection.execute(sql).fetchall()
    except Exception as error:
        raise meant(error, explain) from error


def batches(
    connection: Any, sql: str, rows_at_once: int = ROWS_AT_ONCE, explain: Explain | None = None
) -> Iterator[Any]:
    """A result as Arrow record batches, in order, streamed."""
    try:
        relation = connection.sql(sql)
        make = (
            getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
        )  # the second: before DuckDB 1.4
        yield from make(rows_at_once)
    except GeneratorExit:
        raise
    except Exception as error:
        raise meant(error, explain) from error


def meant(error: Exception, explain: Explain | None = None) -> BaseException:
    """What a failed statement is to be told as: Ctrl-C as such, other errors as `explain` has them."""
    return KeyboardInterrupt() if is_ctrl_c(error) else (explain or translated)(error)


def translated(error: Exception) -> Exception:
    """DuckDB's and Arrow's complaints about the data as an `IngestError` of one line; other errors unchanged."""
    import duckdb
    import pyarrow as pa

    if not isinstance(error, duckdb.Error | pa.ArrowException | OSError):
        return error
    text = str(error)
    if "No space left" in text or "failed to offload" in text.lower() or "quota" in text.lower():
        return StoreWriteFailed(f"the ingest ran out of disk space ({text.splitlines()[0]}); make room and repeat it")
    return IngestError(f"the source could not be read: {shown(text.splitlines()[0])}")


def ident(name: str) -> str:
    """A column name as SQL.

    >>> ident('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def file_literal(path: Path) -> str:
    """The name of one file as SQL: a name, not a pattern.

    >>> file_literal(Path("a[1].csv"))
    "'a[[]1].csv'"
    >>> file_literal(Path("~.csv"))
    "'./~.csv'"
    """
    plain = f"./{path}" if str(path).startswith("~") else str(path)  # no one's home
    escaped = glob.escape(plain)
    if escaped != plain and "\\" in escaped:
        raise IngestError(f"{shown(path)} cannot be opened: rename it, without a backslash beside *, ? or [")
    return literal(escaped)
