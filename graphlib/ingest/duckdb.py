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


def readable(arrow: Any) -> Any:
    """An Arrow table or reader as DuckDB can read it: floats of 16 bits, in lists too, have 32, and the values stay.

    Raises
    ------
    IngestError
        A column of decimals of 256 bits, by its name.
    """
    import pyarrow as pa

    wide = [field for field in arrow.schema if pa.types.is_decimal256(field.type)]
    if wide:
        raise IngestError(
            f"column {wide[0].name!r} holds decimals of 256 bits ({wide[0].type}), which cannot be read; leave it "
            "out, or cast it to decimal128, float64 or text"
        )
    types = [_without_halves(field.type) for field in arrow.schema]
    if types == arrow.schema.types:
        return arrow
    return arrow.cast(pa.schema([field.with_type(kind) for field, kind in zip(arrow.schema, types, strict=True)]))


def _without_halves(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_without_halves(kind.value_type), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(_without_halves(kind.value_type))
    return pa.large_list(_without_halves(kind.value_type)) if pa.types.is_large_list(kind) else kind


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
