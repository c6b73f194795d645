"""Which column of a table is what: ends, weight, time, and the columns that are kept beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import IngestError, InvalidInput
from .duckdb import ident
from .sources import Table
from .text import PAIRS


@dataclass(frozen=True)
class Roles:
    """Column names by role."""

    src: str
    dst: str
    weight: str | None
    time: str | None
    extra: tuple[str, ...]

    def items(self) -> Iterator[tuple[str, str]]:
        """(role, column) of all; the roles of extra columns are "column:" and their name."""
        yield "src", self.src
        yield "dst", self.dst
        if self.weight is not None:
            yield "weight", self.weight
        if self.time is not None:
            yield "time", self.time
        for name in self.extra:
            yield f"column:{name}", name

    def ends(self) -> dict[str, str]:
        return {"src": self.src, "dst": self.dst}


def choose_roles(
    table: Table,
    *,
    src: str | int | None,
    dst: str | int | None,
    weight: str | None,
    time: str | None,
    columns: str | Sequence[str],
) -> Roles:
    """Match what was asked for with what the table has."""
    names = list(table.kinds)
    if (src is None) != (dst is None):
        raise InvalidInput("give both src and dst, or neither")
    if src is None or dst is None:
        if len(names) < 2:
            raise IngestError(f"{table.name} has {len(names)} column ({names}); edges need two")
        first, second = _usual_pair(names) or (names[0], names[1])
    else:
        first, second = find_column(table, "src", src), find_column(table, "dst", dst)
    if first == second:
        raise InvalidInput(f"src and dst are both column {first!r}")
    weight = table.weight if weight is None else find_column(table, "weight", weight)
    if time is not None:
        time = find_column(table, "time", time)
    for role, column, allowed in (
        ("src", first, ("integer", "float", "text")),
        ("dst", second, ("integer", "float", "text")),
        ("weight", weight, ("integer", "float", "bool")),
        ("time", time, ("integer", "float", "date")),
    ):
        if column is not None and table.kinds[column] not in allowed:
            _refuse_kind(table, role, column, allowed)
    taken = {first, second, weight, time}
    kept = ("integer", "float", "bool", "date")
    if columns == "auto":
        return Roles(first, second, weight, time, tuple(n for n in names if n not in taken and table.kinds[n] in kept))
    if isinstance(columns, str):
        raise InvalidInput(f'columns must be "auto" or a list of names; got {columns!r}')
    extra = tuple(find_column(table, "columns", name) for name in columns)
    for name in extra:
        if table.kinds[name] not in kept:
            _refuse_kind(table, "columns", name, kept)
    return Roles(first, second, weight, time, extra)


def find_column(table: Table, role: str, wanted: str | int) -> str:
    """The column of a name or a position; letters' case matters only where names differ by it alone."""
    names = list(table.kinds)
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(names):
        return names[wanted]
    if wanted in names:
        return str(wanted)
    alike = [name for name in names if name.lower() == str(wanted).lower()]
    if len(alike) == 1:
        return alike[0]
    raise IngestError(f"{table.name} has no column {wanted!r} for {role}; columns: {', '.join(names)}")


def _usual_pair(names: list[str]) -> tuple[str, str] | None:
    lower = {name.lower(): name for name in names}
    return next(((lower[a], lower[b]) for a, b in PAIRS if a in lower and b in lower), None)


def _refuse_kind(table: Table, role: str, column: str, allowed: tuple[str, ...]) -> None:
    where = table.name
    told = ""
    if table.all_text and table.kinds[column] == "text" and "float" in allowed:
        row = 0
        for batch in table.read({"value": f"TRY_CAST({ident(column)} AS DOUBLE)", "text": ident(column)}):
            bad = [
                i
                for i, (v, t) in enumerate(zip(*map(_listed, batch.columns), strict=True))
                if v is None and t is not None
            ]
            if bad:
                where = table.place(row + bad[0])
                told = f"; here it is {batch.column(1)[bad[0]].as_py()!r}"
                break
            row += batch.num_rows
    raise IngestError(
        f"{where}: {role} column {column!r} holds {table.kinds[column]} ({table.types[column]}); allowed are "
        f"{', '.join(allowed)}{told}"
    )


def _listed(column: Any) -> list[Any]:
    return list(column.to_pylist())


def expression(table: Table, role: str, column: str, ids_as_text: bool) -> str:
    """SQL that reads a column as its role needs it; NULL where a value does not fit."""
    name, kind = ident(column), table.kinds[column]
    if role in ("src", "dst"):
        if ids_as_text:
            return f"CAST({name} AS VARCHAR)"
        return table.integer(column) if kind == "integer" else f"TRY_CAST({name} AS DOUBLE)"
    if role == "weight" or kind == "float":
        inner = f"TRY_CAST({name} AS BOOLEAN)" if kind == "bool" and table.all_text else name
        return f"TRY_CAST({inner} AS DOUBLE)" if kind != "float" or table.types[column] != "FLOAT" else name
    if kind == "date":
        moment = f"TRY_CAST({name} AS TIMESTAMP)"
        return f"epoch_us({moment})" if role == "time" else moment
    if kind == "bool":
        return f"TRY_CAST({name} AS BOOLEAN)"
    if role == "time" or table.all_text or table.types[column] in ("HUGEINT", "UHUGEINT"):
        return table.integer(column)
    return name
