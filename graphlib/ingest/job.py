"""One ingest at work: rows of a table into columns of a store, every value checked on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import IngestError
from ..store.store import GraphStore
from ..store.times import UNIT
from .cells import CellChecks
from .columns import ColumnFile, IdFile, TextColumn, to_numpy
from .duckdb import ident, rows, run
from .ids import Ends, bipartite_ends, check_mixture, integer_ends, matrix_ends, text_ends
from .nodes import NodeTable
from .roles import Roles, expression, id_expression
from .table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

Progress = Callable[[str, int], None]


class IdsAreText(Exception):
    """Ids that were read as integers turn out to be text, so reading starts again; `why` is for the report."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass
class Job:
    """What one ingest has to do. `remarks`, `doubts` and `id_rule` are what it found out, for the report."""

    connection: Any
    scratch: Path
    table: Table
    roles: Roles
    rule: str
    sorted: bool
    bipartite: bool | None
    progress: Progress
    remarks: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    id_rule: str = ""

    def build(
        self, nodes: NodeTable | None, num_nodes: int | None, directed: bool | None, *, in_memory: bool
    ) -> GraphStore:
        """The store in memory, its columns mapped from files of the scratch folder where it goes to disk."""
        self.checks = CellChecks(self.table, self.roles, self.sorted)
        as_text, why = self._ids_are_text(nodes)
        try:
            files = self._read_all(as_text, nodes)
        except IdsAreText as found:
            as_text, why = True, found.why
            self.checks = CellChecks(self.table, self.roles, self.sorted)
            files = self._read_all(True, nodes)
        count = max((file.count for file in files.values()), default=0)
        if self.table.num_rows is not None and not as_text and count != self.table.num_rows:
            raise IngestError(
                f"{self.table.name} holds {count:,} entries, but its head promises {self.table.num_rows:,}; is "
                "it whole?"
            )
        self.progress("numbering the nodes", count)
        ends = self._ends(files, nodes, num_nodes, as_text)
        self.id_rule = ends.rule + (f" ({why})" if why else "")
        self.doubts = ends.doubts
        unit = self._settle_unit(files)
        arrays = {role: file.finish(in_memory) for role, file in files.items() if role not in ("src", "dst")}
        store = GraphStore.from_edges(
            ends.src.finish(in_memory),
            ends.dst.finish(in_memory),
            num_nodes=ends.num_nodes,
            directed=bool(self.table.directed) if directed is None else directed,
            weight=arrays.pop("weight", None),
            time=arrays.pop("time", None),
        )
        for role, array in arrays.items():
            name = role.partition(":")[2]
            if array.dtype.kind == "U" and self.table.kinds[name] == "integer" and name not in self.table.padded:
                self.remarks.append(
                    f"column {name!r} lacks values and holds integers that floats cannot, so it is text"
                )
            store.edges[name] = array
        if ends.user_ids is not None:
            store.set_ids(ends.user_ids)
        if ends.side is not None:
            store.nodes["side"] = ends.side
        if nodes is not None:
            nodes.put_columns(store, ends.user_ids)
        if unit is not None:
            store.attributes[UNIT] = unit
        return store

    def _read_all(self, as_text: bool, nodes: NodeTable | None) -> dict[str, Any]:
        unit = self._time_unit()
        select = {
            role: expression(self.table, role, column, as_text, unit if role == "time" else self._unit_of(column))
            for role, column in self.roles.items()
        }
        if self.rule == "positions":
            for end, column in self.roles.ends().items():
                select[end] = id_expression(self.table, column, as_text, padded=True)
        if not as_text:
            return self._read(select, staged=False)
        self.progress("reading", 0)
        self._stage(select, nodes)
        return self._read({role: ident(role) for role in select if role not in ("src", "dst")}, staged=True)

    def _unit_of(self, column: str) -> str:
        return "ns" if column in self.table.fine else "us"

    def _time_unit(self) -> str:
        return "us" if self.roles.time is None else self._unit_of(self.roles.time)

    def _settle_unit(self, files: dict[str, Any]) -> str | None:
        """The unit of times that were dates: microseconds, or nanoseconds where there are any."""
        if self.roles.time is None or self.table.kinds[self.roles.time] != "date":
            return None
        if self._time_unit() == "us":
            return "us"
        times = files["time"]
        whole = times.view()
        if any((whole[start : start + (1 << 20)] % 1000).any() for start in range(0, times.count, 1 << 20)):
            return "ns"
        for start in range(0, times.count, 1 << 20):
            whole[start : start + (1 << 20)] //= 1000
        return "us"

    def _ids_are_text(self, nodes: NodeTable | None) -> tuple[bool, str]:
        """Whether ids are read as text from the start, and why, where that is not plain."""
        kinds = {end: self.table.kinds[column] for end, column in self.roles.ends().items()}
        given = set(kinds.values()) | ({nodes.id_kind} if nodes is not None else set())
        if self.rule == "text" or given == {"text"}:
            return True, ""
        padded = [column for column in self.roles.ends().values() if column in self.table.padded]
        if self.rule != "positions" and (padded or (nodes is not None and nodes.padded)):
            return (
                True,
                f"column {(padded or ['of node ids'])[0]!r} holds numbers such as 007, which are kept as written",
            )
        if self.rule == "map" and ("text" in given or (self.table.all_text and "float" in given)):
            return True, ""
        if "text" not in given:
            return False, ""
        described = ", ".join(f"{end} column {c!r} holds {self.table.kinds[c]}" for end, c in self.roles.ends().items())
        if nodes is not None:
            described += f", node ids hold {nodes.id_kind}"
        for end, column in self.roles.ends().items():
            if kinds[end] == "text":
                self._find_text(end, column, described)
        raise IngestError(f'{self.table.name}: {described} ids; they must agree (ids="text" takes all as text)')

    def _find_text(self, end: str, column: str, described: str) -> None:
        row = 0
        for batch in self.table.read({"id": self.table.integer(column)}):
            _, null = to_numpy(batch.column(0))
            if null is not None:
                at = row + int(np.argmax(null))
                value = self.table.value(column, at)
                raise IngestError(
                    f"{self.table.place(at)}: {end} {column!r} is {value!r}, not an integer ({described}); mend it, or "
                    'use ids="map" to take all ids as text'
                )
            row += batch.num_rows

    def _complain(self, end: str, row: int, problem: str) -> IngestError:
        column = self.roles.ends()[end]
        return IngestError(f"{self.table.place(row)}: {end} {column!r} {problem}")

    def _stage(self, select: dict[str, str], nodes: NodeTable | None) -> None:
        """Text ids are read twice, so the source goes into a table first, once parsed."""
        listed = ", ".join(f"{sql} AS {ident(role)}" for role, sql in select.items())
        run(
            self.table.ready(),
            f"CREATE OR REPLACE TABLE staged AS SELECT {listed} FROM {self.table.relation}",
            self.table.explain,
        )
        for end in ("src", "dst"):
            missing = rows(self.connection, f"SELECT min(rowid) FROM staged WHERE {end} IS NULL")[0][0]
            if missing is not None:
                raise self._complain(end, missing, "is NULL; every edge needs both ends")
        if nodes is None:
            check_mixture(self.connection, self.rule, self._complain)

    def _read(self, select: dict[str, str], *, staged: bool) -> dict[str, Any]:
        """Stream every column into its file, checking values on the way."""
        files: dict[str, Any] = {}
        if not select:
            return files
        source = self.table
        if staged:
            source = Table(source.name, self.connection, "staged", source.place, widths=source.widths)
        done = 0
        for batch in source.read(select):
            for number, role in enumerate(select):
                column, path = batch.column(number), self.scratch / f"{number}.bin"
                if self._holds_text(role):
                    files[role] = files.get(role) or TextColumn(path)
                    files[role].append(column)
                    continue
                values, null = to_numpy(column, self.table.widths.get(role.partition(":")[2]))
                if role in ("src", "dst"):
                    values = self._check_ids(role, values, null, done)
                    files[role] = files.get(role) or IdFile(path)
                    files[role].append(values)
                    continue
                null = self.checks.value(role, values, null, done)
                if role == "weight":
                    values = self.checks.narrow(values, done)
                if role not in files:
                    files[role] = ColumnFile(path, values.dtype, values.shape[1:])
                files[role].append(values, null)
            done += batch.num_rows
            self.progress("reading", done)
        for number, role in enumerate(select):
            path = self.scratch / f"{number}.bin"
            if role not in files:  # a source without rows
                files[role] = IdFile(path) if role in ("src", "dst") else ColumnFile(path, np.float64)
        return files

    def _holds_text(self, role: str) -> bool:
        name = role.partition(":")[2]
        return bool(name) and (self.table.kinds[name] == "text" or name in self.table.padded)

    def _check_ids(self, end: str, values: NDArray[Any], null: NDArray[Any] | None, done: int) -> NDArray[Any]:
        bad = np.zeros(values.shape[0], bool) if null is None else null
        if values.dtype.kind == "f":
            bad = bad | ~(np.abs(values) < 2.0**53) | (values != np.floor(values))
            values = np.where(bad, 0, values).astype(np.int64)
        if bad.any():
            row = done + int(np.argmax(bad))
            value = self.table.value(self.roles.ends()[end], row)
            if value is None or str(value).strip(" \t") == "":
                raise self._complain(end, row, "is NULL; every edge needs both ends")
            self._reconsider(end, row, value)
            cure = ' (ids="map" or "text" keeps such ids)' if self.rule == "auto" else ""
            raise self._complain(end, row, f"is {value!r}, not an integer id{cure}")
        return values

    def _reconsider(self, end: str, row: int, value: Any) -> None:
        """Start again with text ids where an id is none that a 64-bit integer holds, written as it is written."""
        text = str(value).strip(" \t")
        digits = text.lstrip("+-").isdecimal() and len(text.lstrip("+-").lstrip("0")) < 19
        if self.rule == "map" or (self.rule == "auto" and self.table.all_text and digits):
            raise IdsAreText(f"{self.table.place(row)} has {value!r}, so all are kept as they are written")

    def _ends(self, files: dict[str, Any], nodes: NodeTable | None, num_nodes: int | None, as_text: bool) -> Ends:
        names = self.roles.ends()
        if as_text:
            return text_ends(
                self.connection,
                self.scratch,
                node_ids=None if nodes is None else nodes.texts(),
                sides=(names["src"], names["dst"]) if self.bipartite else None,
                complain=self._complain,
            )
        src, dst = files["src"], files["dst"]
        if self.table.num_nodes is not None and nodes is None and self.rule != "map":
            return matrix_ends(
                src,
                dst,
                self.table.num_nodes,
                first=self.table.first_id,
                sides=(names["src"], names["dst"]) if self.bipartite else None,
                complain=self._complain,
            )
        if self.bipartite:
            return bipartite_ends(self.connection, src, dst, (names["src"], names["dst"]), complain=self._complain)
        return integer_ends(
            self.connection,
            *(src, dst),
            rule=self.rule,
            node_ids=None if nodes is None else nodes.ids,
            num_nodes=num_nodes,
            complain=self._complain,
        )
