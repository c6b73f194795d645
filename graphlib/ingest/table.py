"""A source as a relation that DuckDB can read, with the kind of each column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import IngestError
from .duckdb import ROWS_AT_ONCE, batches, ident, meant, readable, rows, translated
from .text.header import MISSING

KINDS = ("integer", "float", "bool", "date", "text")
KEPT = (*KINDS, "vector")
SAMPLE_ROWS = 20_000
WIDE = ("HUGEINT", "UHUGEINT", "DECIMAL")
_TESTED = ("integer", "padded", "float", "comma", "bool", "date", "instant")
_ZONE = r"'\d:\d\d.*(Z|z|UTC|GMT|[+-]\d{1,2}(:?\d{2})?|\s[A-Za-z]+/[A-Za-z_/]+)\s*$'"
_VECTOR = re.compile(r"(U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|BOOLEAN)\[\d*\]")
_NUMBERS_AT_ONCE = 1 << 24
_WHOLE_DECIMAL = re.compile(r"DECIMAL\(\d+, *0\)")
_FINE = r"'\.\d{7,}'"
_WHOLE = r"'\s*[+-]?\d+\s*'"
_REAL = r"'\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*|\s*[+-]?(nan|inf|infinity)\s*'"
_COMMA = r"'\s*[+-]?\d*,\d+\s*|\s*[+-]?\d+\s*'"
_THOUSANDS = r"'\s*[+-]?[1-9]\d{0,2}(,\d{3})+\s*'"


@dataclass
class Table:
    """A source of rows.

    Attributes
    ----------
    name : str
        For messages.
    relation : str
        What stands behind FROM.
    kinds : dict
        Column -> "integer", "float", "bool", "date", "text", "vector" (as many numbers in every row) or "other".
    types : dict
        Column -> DuckDB's name of its type, and why lists of that type are no vectors.
    all_text : bool
        Whether columns arrive as text and are cast when read.
    place : callable
        Row, counted from 0 -> where that is, in words.
    renew : callable or None
        Makes the Arrow object that the relation reads, where it is one.
    foreign : dict
        Column -> its type, of those that DuckDB would read as plain numbers: durations of Parquet, periods of pandas.
    widths : dict
        Column of vectors -> numbers in a row.
    padded : set
        Columns of whole numbers that are not written as numbers are: 007, +7, more than 64 bits.
    lenient : set
        Columns that the caller calls integer: 007 is 7 there.
    commas : set
        Columns of numbers with a decimal comma.
    zoned, fine : set
        Columns of dates that name their time zone, and of dates with nanoseconds.
    indexes : set
        Columns that count the rows of a data frame and belong to nothing.
    named : bool
        Whether columns have names of their own.
    heads : list of str
        A relation for the head of each file, where there are several.
    explain : callable
        An error of DuckDB in the words of the file -> the error to raise.
    described : dict
        What the reader found out, for the report.
    weight, directed, num_nodes, num_rows, first_id
        What the source itself says of the edges, where it does. `num_nodes` is (sources, destinations).
    """

    name: str
    connection: Any
    relation: str
    place: Callable[[int], str]
    kinds: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    all_text: bool = False
    renew: Callable[[], Any] | None = None
    foreign: dict[str, str] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    padded: set[str] = field(default_factory=set)
    lenient: set[str] = field(default_factory=set)
    commas: set[str] = field(default_factory=set)
    zoned: set[str] = field(default_factory=set)
    fine: set[str] = field(default_factory=set)
    indexes: set[str] = field(default_factory=set)
    named: bool = True
    heads: list[str] = field(default_factory=list)
    explain: Callable[[Exception], Exception] = translated
    described: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    weight: str | None = None
    directed: bool | None = None
    num_nodes: tuple[int, int] | None = None
    num_rows: int | None = None
    first_id: int = 0

    def ready(self) -> Any:
        """A connection on which the relation can be read, whatever else is being read at the same time."""
        cursor = self.connection.cursor()
        if self.renew is not None:
            try:
                cursor.register(self.relation, readable(self.renew()))
            except Exception as error:
                raise meant(error) from error
        return cursor

    def read(self, select: Mapping[str, str], rows_at_once: int = ROWS_AT_ONCE) -> Iterator[Any]:
        """Record batches of the expressions in `select`, named by its keys; shorter ones where there are vectors."""
        rows_at_once = min(rows_at_once, max(1024, _NUMBERS_AT_ONCE // max(1, sum(self.widths.values()))))
        listed = ", ".join(f"{sql} AS {ident(name)}" for name, sql in select.items())
        return batches(self.ready(), f"SELECT {listed} FROM {self.relation}", rows_at_once, self.explain)

    def value(self, column: str, row: int) -> Any:
        """What stands in a column at a row, for messages."""
        found = rows(self.ready(), f"SELECT {ident(column)} FROM {self.relation} LIMIT 1 OFFSET {row}", self.explain)
        return found[0][0] if found else None

    def integer(self, column: str, *, padded: bool = False) -> str:
        """SQL that gives a column as BIGINT, and NULL where it is not a whole number that fits.

        A number in text must be written as numbers are, without zeros or a plus sign before it, unless `padded`.
        """
        name = ident(column)
        if not self.all_text:
            return f"TRY_CAST({name} AS BIGINT)"
        number = f"TRY_CAST({name} AS BIGINT)"
        if padded or column in self.lenient:
            return f"CASE WHEN regexp_full_match({name}, {_WHOLE}) THEN {number} END"
        return f"CASE WHEN {self._is_written_as_integer(column)} THEN {number} END"

    def _is_written_as_integer(self, column: str) -> str:
        name = ident(column)
        return f"CAST(TRY_CAST({name} AS BIGINT) AS VARCHAR) = trim({name}, {BLANKS})"

    def real(self, column: str) -> str:
        """SQL that gives a column of text as DOUBLE, and NULL where it is not a number."""
        name = ident(column)
        if column in self.commas:
            return (
                f"CASE WHEN regexp_full_match({name}, {_COMMA}) THEN TRY_CAST(replace({name}, ',', '.') AS DOUBLE) END"
            )
        return f"CASE WHEN NOT contains({name}, '_') THEN TRY_CAST({name} AS DOUBLE) END"

    def moment(self, column: str, unit: str) -> str:
        """SQL that gives a column of dates as whole microseconds ("us") or nanoseconds ("ns") since 1970, in UTC."""
        name, kind = ident(column), self.types[column]
        if not self.all_text:
            if unit == "ns":
                return f"epoch_ns({name})" if kind.endswith("_NS") else f"epoch_us(CAST({name} AS TIMESTAMP)) * 1000"
            return f"epoch_us({name})" if "ZONE" in kind or "TZ" in kind else f"epoch_us(CAST({name} AS TIMESTAMP))"
        zoned = f"regexp_matches({name}, {_ZONE})"
        cast = "TIMESTAMPTZ" if column in self.zoned else "TIMESTAMP"
        right = zoned if column in self.zoned else f"NOT {zoned}"
        micro = f"epoch_us(TRY_CAST({name} AS {cast}))"
        if unit == "ns":
            rest = f"CAST(rpad(regexp_extract({name}, '\\.\\d{{6}}(\\d{{1,3}})', 1), 3, '0') AS BIGINT)"
            return f"CASE WHEN {right} AND abs({micro}) < 9200000000000000 THEN {micro} * 1000 + {rest} END"
        return f"CASE WHEN {right} AND NOT regexp_matches({name}, '\\.\\d{{6}}\\d*[1-9]') THEN {micro} END"

    def describe(self, types: Mapping[str, str], decimal: str | None) -> None:
        """Fill `types` and `kinds`; the kinds of text files are judged by the first 20,000 rows of every file."""
        listed = rows(self.ready(), f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {self.relation})")
        self.types = dict(listed) | self.foreign
        if not self.kinds:
            self.kinds = {name: "other" if name in self.foreign else _kind(kind) for name, kind in listed}
            if self.all_text:
                self._judge_all(decimal)
            else:
                self._judge_wide()
                self._judge_vectors()
        for column, kind in types.items():
            if column not in self.kinds:
                raise IngestError(f"{self.name} has no column {column!r} for types; columns: {', '.join(self.kinds)}")
            if not self.all_text and kind not in ("text", self.kinds[column]):
                raise IngestError(
                    f"{self.name}: column {column!r} holds {self.kinds[column]}; types can make it text only"
                )
            self.kinds[column] = kind
            self.padded.discard(column)
            self.widths.pop(column, None)
            if kind == "integer":
                self.lenient.add(column)
        self.fine |= {name for name, kind in self.types.items() if kind.upper().endswith("_NS")}

    def _judge_wide(self) -> None:
        """Whole numbers of more than 64 bits are text, for nothing else would keep their digits."""
        wide = [name for name, kind in self.kinds.items() if kind == "integer" and self.types[name].startswith(WIDE)]
        if not wide:
            return
        beyond = [f"{ident(c)} IS NOT NULL AND TRY_CAST({ident(c)} AS BIGINT) IS NULL" for c in wide]
        counts = ", ".join(f"count(*) FILTER ({test})" for test in beyond)
        for name, count in zip(wide, rows(self.ready(), f"SELECT {counts} FROM {self.relation}")[0], strict=True):
            if count:
                self.kinds[name] = "text"
                self.remarks.append(f"column {name!r} holds whole numbers of more than 64 bits, so it is text")

    def _judge_vectors(self) -> None:
        """Lists are vectors where all are there and equally long; a row of floats may lack its list."""
        for name in [name for name, kind in self.kinds.items() if kind == "vector"]:
            head = f"(SELECT {ident(name)} FROM {self.relation} LIMIT {SAMPLE_ROWS})"
            width, unfit = self._width(name, head)
            if not unfit or not width:  # else the rest need not be read
                width, unfit = self._width(name, self.relation)
            if unfit:
                self.kinds[name], self.types[name] = "other", f"{self.types[name]} {unfit}"
            else:
                self.widths[name] = width

    def _width(self, name: str, relation: str) -> tuple[int, str]:
        """The numbers of the longest list, and why the lists are no vectors."""
        c = ident(name)
        counts = f"min(len({c})), max(len({c})), count(*) FILTER ({c} IS NULL)"
        inner = f"count(*) FILTER (list_count({c}) < len({c}))"
        low, high, null, inside = rows(self.ready(), f"SELECT {counts}, {inner} FROM {relation}")[0]
        if not high:
            return 0, "without a number"
        if low != high:
            return high, f"of {low} to {high} numbers"
        if inside or (null and not self.types[name].startswith(("FLOAT", "DOUBLE"))):
            return high, f"with NULL in {inside or null:,} of them"
        return high, ""

    def why_left(self, name: str) -> str:
        """Why a column cannot be kept; nothing where it can."""
        if name in self.indexes:
            return "it counts the rows of a data frame"
        return "" if self.kinds[name] in KEPT else f"{self.types[name]} cannot be a column of the store"

    def take_words(self, *columns: str) -> None:
        """Ids of a text file that look like dates, or are true and false, are the words that were written."""
        for column in columns:
            if self.all_text and self.kinds[column] in ("bool", "date"):
                self.remarks.append(f"column {column!r} looks like {self.kinds[column]}s; its ids are kept as written")
                self.kinds[column] = "text"

    def _judge_all(self, decimal: str | None) -> None:
        """Count, in one pass over the head of every file, what the cells of each column are."""
        counts = [count for column in self.types for count in self._counts(column, decimal)]
        total = [0] * len(counts)
        for head in self.heads or [self.relation]:
            sql = f"SELECT {', '.join(counts)} FROM (SELECT * FROM {head} LIMIT {SAMPLE_ROWS})"
            total = [a + b for a, b in zip(total, rows(self.ready(), sql, self.explain)[0], strict=True)]
        width = len(counts) // len(self.types)
        for position, column in enumerate(self.types):
            self.kinds[column] = self._judge(column, total[position * width : (position + 1) * width], decimal)

    def _counts(self, column: str, decimal: str | None) -> list[str]:
        """SQL: for each kind the cells that are not of it, then all cells, and cells of some forms."""
        c = ident(column)
        tests = {
            "integer": f"coalesce({self._is_written_as_integer(column)}, false)",
            "padded": f"regexp_full_match({c}, {_WHOLE})",
            "float": f"regexp_full_match(lower({c}), {_REAL})",
            "comma": f"regexp_full_match({c}, {_COMMA})" if decimal != "." else "false",
            "bool": f"lower({c}) IN ('true', 'false')",
            **self.date_tests(column),
        }
        present = f"{c} IS NOT NULL AND {not_missing(c)}"
        forms = [f"regexp_full_match({c}, {_THOUSANDS})", f"contains({c}, ',')", f"regexp_matches({c}, {_FINE})"]
        tests_sql = [f"{present} AND NOT ({tests[kind]})" for kind in _TESTED]
        return [f"count(*) FILTER ({sql})" for sql in (*tests_sql, present, *(f"{present} AND {f}" for f in forms))]

    def date_tests(self, column: str) -> dict[str, str]:
        """SQL that tells dates without a time zone ("date") and with one ("instant")."""
        c = ident(column)
        zoned = f"regexp_matches({c}, {_ZONE})"
        return {
            "date": f"(TRY_CAST({c} AS TIMESTAMP) IS NOT NULL AND NOT {zoned})",
            "instant": f"(TRY_CAST({c} AS TIMESTAMPTZ) IS NOT NULL AND {zoned})",
        }

    def _judge(self, column: str, counts: list[int], decimal: str | None) -> str:
        *failures, some, thousands, commas, fine = counts
        fits = (kind for kind, count in zip(_TESTED, failures, strict=True) if some and not count)
        kind = next(fits, "text")
        if kind == "comma" and thousands == commas and decimal is None:
            self.remarks.append(f"column {column!r} may hold decimal commas or thousands, so it is text; see decimal=")
            return "text"
        self.padded |= {column} if kind == "padded" else set()
        self.commas |= {column} if kind == "comma" else set()
        self.zoned |= {column} if kind == "instant" else set()
        self.fine |= {column} if kind in ("date", "instant") and fine else set()
        return {"padded": "integer", "comma": "float", "instant": "date"}.get(kind, kind)


BLANKS = "' \t'"


def not_missing(name: str) -> str:
    """SQL: a cell holds more than a placeholder such as NA or -."""
    listed = ", ".join("'" + word + "'" for word in MISSING)
    return f"lower(trim({name})) NOT IN ({listed}, '')"


def _kind(duckdb_type: str) -> str:
    name = duckdb_type.upper()
    if name.endswith(("INT", "INTEGER")) or _WHOLE_DECIMAL.fullmatch(name):
        return "integer"
    if name in ("FLOAT", "DOUBLE", "REAL") or name.startswith("DECIMAL"):
        return "float"
    if name == "BOOLEAN":
        return "bool"
    if name == "DATE" or (name.startswith("TIMESTAMP") and "(" not in name):
        return "date"
    if _VECTOR.fullmatch(name):
        return "vector"
    return "text" if name in ("VARCHAR", "UUID") or name.startswith("ENUM") else "other"
