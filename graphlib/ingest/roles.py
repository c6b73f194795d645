"""Which column of a table is what: ends, weight, time, and the columns that are kept beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import IngestError, InvalidInput
from ..names import shown
from ..scalars import is_integer
from .duckdb import ident, rows
from .table import BLANKS, KEPT, SAMPLE_ROWS, WIDE, Table, not_missing
from .text.header import NAMES_OF_ROWS, PAIRS, RELATIONS, plain, usual_pair

_SOURCES = {pair[0] for pair in PAIRS} - {"u"}
_DESTINATIONS = {pair[1] for pair in PAIRS} - {"v"}
_WEIGHTS = {"weight", "weights", "edgeweight"}
_TIMES = {"time", "times", "timestamp", "timestamps", "datetime"}


@dataclass(frozen=True)
class Roles:
    """Column names by role, and why other columns were left out."""

    src: str
    dst: str
    weight: str | None
    time: str | None
    extra: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

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
        first, second = _find_ends(table)
        sure = table.named and usual_pair(names) is not None
    else:
        first, second, sure = find_column(table, "src", src), find_column(table, "dst", dst), True
    if first == second:
        raise InvalidInput(f"src and dst are both column {first!r}")
    if sure:
        table.take_words(first, second)
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
            raise _wrong_kind(table, role, column, allowed)
    taken = {first, second, weight, time}
    if columns == "auto":
        left = {name: table.why_left(name) for name in names if name not in taken}
        extra = tuple(name for name, why in left.items() if not why)
        out = {name: why for name, why in left.items() if why}
        return Roles(first, second, weight, time, extra, out, _unused(table, extra, weight, time))
    if isinstance(columns, str):
        raise InvalidInput(f'columns must be "auto" or a list of names; got {columns!r}')
    extra = tuple(dict.fromkeys(find_column(table, "columns", name) for name in columns))
    for name in extra:
        if table.kinds[name] not in KEPT:
            raise _wrong_kind(table, "columns", name, KEPT)
    out = {name: "not among columns=" for name in names if name not in taken and name not in extra}
    return Roles(first, second, weight, time, extra, out, _unused(table, (*extra, *out), weight, time))


def _unused(table: Table, names: Sequence[str], weight: str | None, time: str | None) -> tuple[str, ...]:
    """Columns whose names say weight or time, but which are not used as such."""
    told = []
    for role, given, words in (("weight", weight, _WEIGHTS), ("time", time, _TIMES)):
        for name in names if given is None else ():
            if plain(name) in words:
                told.append(f"column {name!r} is not the edges' {role} ({role}={name!r} makes it so)")
    return tuple(told)


def _find_ends(table: Table) -> tuple[str, str]:
    """The columns that hold the ends, by their names or as the first two; an error where that is not safe."""
    names = [name for name in table.kinds if name not in table.indexes]
    if len(names) < 2:
        raise IngestError(f"{table.name} has {len(names)} column ({', '.join(names)}); edges need two")
    if table.named and (pair := usual_pair(names)) is not None:
        return names[pair[0]], names[pair[1]]
    first, second = names[:2]
    kinds = [table.kinds[name] for name in names]
    problem = ""
    if table.named:
        lower = [plain(name) for name in names]
        if lower[0] in NAMES_OF_ROWS and len(names) > 2:
            problem = f"{first!r} may number the rows"
        elif set(lower[:2]) & RELATIONS and len(names) > 2:
            problem = f"{names[0]!r} or {names[1]!r} may be the kind of the edge"
        elif lower[0] in _DESTINATIONS or lower[1] in _SOURCES:
            problem = f"{first!r} may be the destination, or {second!r} the source"
        elif _several_pairs(names):
            problem = "more than one pair of columns may be the ends"
    if not problem and len(names) > 2 and (not table.named or table.all_text):
        if kinds[:2] == ["text", "text"] and kinds[2] == "text" and (not table.named or len(names) == 3):
            problem = "three columns of texts may be triples (source, relation, destination)"
        elif not table.named and sorted(kinds[:2]) == ["integer", "text"] and kinds[2] in kinds[:2]:
            problem = f"{first!r} and {second!r} hold different kinds of ids"
    if problem:
        listed = ", ".join(f"{shown(name)} ({kind})" for name, kind in zip(names, kinds, strict=True))
        raise IngestError(f"{table.name}: {problem}; say which are the ends with src= and dst=; columns: {listed}")
    return first, second


def _several_pairs(names: list[str]) -> bool:
    """Whether two pairs could be meant, so that `usual_pair` chose none although names were known."""
    from .text.header import MORE_PAIRS

    at = {plain(name) for name in names}
    return any(a in at and b in at for a, b in (*PAIRS, *MORE_PAIRS))


def find_column(table: Table, role: str, wanted: str | int) -> str:
    """The column of a name or a position; letters' case matters only where names differ by it alone."""
    names = list(table.kinds)
    if is_integer(wanted) and 0 <= wanted < len(names):
        return names[wanted]
    if wanted in names:
        return str(wanted)
    alike = [name for name in names if name.lower() == str(wanted).lower()]
    if len(alike) == 1:
        return alike[0]
    if isinstance(wanted, str) and wanted.isdecimal() and int(wanted) < len(names):  # as the command line gives it
        return names[int(wanted)]
    raise IngestError(f"{table.name} has no column {wanted!r} for {role}; columns: {', '.join(map(shown, names))}")


def _wrong_kind(table: Table, role: str, column: str, allowed: tuple[str, ...]) -> IngestError:
    where, told = table.name, ""
    if table.all_text and table.kinds[column] == "text" and "float" in allowed:
        tests = {"number": f"{table.real(column)} IS NOT NULL"}
        if "date" in allowed:
            tests |= table.date_tests(column)
        found = _first_misfit(table, column, tests)
        if found is not None:
            where, told = found
    return IngestError(
        f"{where}: {role} column {column!r} holds {table.kinds[column]} ({table.types[column]}); allowed are "
        f"{', '.join(allowed)}{told}{_cure(table, role, column)}"
    )


def _cure(table: Table, role: str, column: str) -> str:
    """What to do about ends that look like something else."""
    if role not in ("src", "dst") or table.kinds[column] not in ("bool", "date"):
        return ""
    if table.all_text:
        return "; say which columns are the ends with src= and dst= if these are ids, which are then kept as written"
    return "; make it text in the source if these are ids"


def _first_misfit(table: Table, column: str, tests: dict[str, str]) -> tuple[str, str] | None:
    """The place of the first cell that is not of the kind of the cells before it, and words about it."""
    select = {"text": ident(column), **tests}
    row, kind = 0, None
    for batch in table.read(select):
        for values in zip(*(part.to_pylist() for part in batch.columns), strict=True):
            if values[0] is not None:
                own = next((name for name, fits in zip(tests, values[1:], strict=True) if fits), None)
                if own is None or (kind is not None and own != kind):
                    return table.place(row), f"; here it is {values[0]!r}"
                kind = own
            row += 1
    return None


def expression(table: Table, role: str, column: str, ids_as_text: bool, unit: str = "us") -> str:
    """SQL that reads a column as its role needs it; NULL where a value does not fit. Times are in `unit`s."""
    name, kind = ident(column), table.kinds[column]
    if role in ("src", "dst"):
        return id_expression(table, column, ids_as_text)
    if kind == "text":
        return f"coalesce(CAST({name} AS VARCHAR), '')"
    if kind == "vector":
        return name
    if kind == "bool" and role == "weight":
        return f"CAST({_truth(table, column)} AS DOUBLE)"
    if role == "weight" or kind == "float":
        if table.all_text:
            return table.real(column)
        return f"TRY_CAST({name} AS DOUBLE)" if kind != "float" or table.types[column] != "FLOAT" else name
    if kind == "date":
        number = table.moment(column, unit)
        if table.all_text:  # epoch and infinity, which DuckDB takes for dates, are none that anyone wrote down
            number = f"CASE WHEN regexp_matches({name}, '^\\s*[+-]?\\d') THEN {number} END"
        if role == "time":
            return number
        return f"make_timestamp_ns({number})" if unit == "ns" else f"make_timestamp({number})"
    if kind == "bool":
        return _truth(table, column)
    if role == "time":
        return table.integer(column, padded=True)
    if column in table.padded:
        return f"coalesce({name}, '')"
    if table.all_text or table.types[column].startswith(WIDE):
        return table.integer(column)
    return name


def _truth(table: Table, column: str) -> str:
    """SQL that gives a column as BOOLEAN: of a text file true and false in any letters.

    A column that the caller calls bool may hold yes, no, 1, 0 and single letters; its head shows whether it does.
    """
    name = ident(column)
    cast, written = f"TRY_CAST({name} AS BOOLEAN)", f"lower({name}) IN ('true', 'false')"
    if not table.all_text:
        return cast
    for head in table.heads or [table.relation]:
        sample = f"(SELECT {name} FROM {head} LIMIT {SAMPLE_ROWS})"
        others = f"SELECT count(*) FROM {sample} WHERE {not_missing(name)} AND NOT {written}"
        if rows(table.ready(), others, table.explain)[0][0]:
            return cast
    return f"CASE WHEN {written} THEN {cast} END"


def id_expression(table: Table, column: str, as_text: bool, *, padded: bool = False) -> str:
    """SQL that gives ids as text, without blanks around them, or as integers (floats where the column holds floats)."""
    name = ident(column)
    if as_text:
        _tell_of_blanks(table, column)
        return f"nullif(trim({name}, ' \t'), '')" if table.all_text else f"CAST({name} AS VARCHAR)"
    if table.kinds[column] == "integer":
        return table.integer(column, padded=padded)
    if not table.all_text:
        return f"TRY_CAST({name} AS DOUBLE)"
    if "." not in str(table.value(column, 0)):
        return table.integer(column, padded=padded)
    # whole numbers as some programs write them, 12.0; or a damaged column of integers
    whole = f"regexp_full_match({name}, '\\s*-?\\d+\\.0*\\s*')"
    return f"CASE WHEN {whole} THEN TRY_CAST({name} AS DOUBLE) END"


def _tell_of_blanks(table: Table, column: str) -> None:
    """Put into the report that ids lost blanks that stood within quotes."""
    if not table.described.get("quoted_blanks"):
        return
    name = ident(column)
    lost = f"{name} <> trim({name}, {BLANKS}) AND trim({name}, {BLANKS}) <> ''"
    first = rows(table.ready(), f"SELECT {name} FROM {table.relation} WHERE {lost} LIMIT 1", table.explain)
    told = f"blanks around the ids of column {shown(column)!r} are left out, such as those of "
    if first and not any(remark.startswith(told) for remark in table.remarks):
        table.remarks.append(told + repr(first[0][0]))


def kept_kind(table: Table, column: str) -> str:
    """What a kept column holds, for the report."""
    if column in table.widths:
        return f"vectors of {table.widths[column]}"
    if table.kinds[column] == "integer" and column in table.padded:
        return "text"
    return table.kinds[column]


def listed_columns(table: Table, names: Sequence[str]) -> str:
    """ "name (kind), ..." """
    return ", ".join(f"{shown(name)} ({kept_kind(table, name)})" for name in names)


__all__ = ["Roles", "choose_roles", "expression", "find_column", "id_expression", "kept_kind", "listed_columns"]
