"""Checks of cells as they stream by: nothing that was written is read as nothing, no weight or time is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import IngestError
from .duckdb import ident
from .roles import Roles, expression
from .table import Table, not_missing

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CellChecks:
    """The checks of one ingest; `missing` counts the placeholders (NA, -) that were read as no value."""

    def __init__(self, table: Table, roles: Roles | None = None, ascending: bool = False) -> None:
        self.table = table
        self.weight = None if roles is None else roles.weight
        self.time = None if roles is None else roles.time
        self.ascending = ascending
        self.last_time: Any = None
        self.missing: dict[str, int] = {}
        self._checked: set[str] = set()

    def value(self, role: str, values: NDArray[Any], null: NDArray[Any] | None, done: int) -> NDArray[Any] | None:
        """Check a batch of a column, from row `done` on; the mask of its missing values, which edges may have."""
        if role in ("weight", "time"):
            self._finite(role, values, null, done)
            if role == "time" and self.ascending:
                self._order(values, done)
            return None
        if null is not None and self.table.all_text and role not in self._checked:
            self._readable(role)
            self._checked.add(role)
        return null

    def narrow(self, values: NDArray[Any], done: int) -> NDArray[np.float32]:
        """Weights as float32."""
        with np.errstate(over="ignore"):
            narrow: NDArray[np.float32] = values.astype(np.float32)
        self._finite("weight", narrow, None, done)
        return narrow

    def _finite(self, role: str, values: NDArray[Any], null: NDArray[Any] | None, done: int) -> None:
        bad = np.zeros(values.shape[0], bool) if null is None else null
        if values.dtype.kind == "f":
            bad = bad | ~np.isfinite(values)
        if bad.any():
            row = done + int(np.argmax(bad))
            column = self.weight if role == "weight" else self.time
            value = self.table.value(column or "", row)
            told = "NULL" if value is None else repr(value)
            raise IngestError(
                f"{self.table.place(row)}: {role} {column!r} is {told}; every edge needs a finite {role}"
                + self._zones(role, value)
            )

    def _zones(self, role: str, value: Any) -> str:
        column = self.time
        if role != "time" or value is None or column is None or self.table.kinds[column] != "date":
            return ""
        kind = "dates with a time zone" if column in self.table.zoned else "dates without a time zone"
        return f", and this column holds {kind} of {'nano' if column in self.table.fine else 'micro'}seconds"

    def _readable(self, role: str) -> None:
        """A cell that holds something must hold what the column holds; empty cells and placeholders are missing."""
        column = role.partition(":")[2]
        unit = "ns" if column in self.table.fine else "us"
        sql, row, count = expression(self.table, role, column, False, unit), 0, 0
        cell = ident(column)
        nothing = f"{cell} IS NOT NULL AND {sql} IS NULL"
        for batch in self.table.read({"bad": f"{nothing} AND {not_missing(cell)}", "missing": nothing}):
            bad, missing = (part.to_numpy(zero_copy_only=False) for part in batch.columns)
            if bad.any():
                row += int(np.argmax(bad))
                raise IngestError(
                    f"{self.table.place(row)}: column {column!r} is {self.table.value(column, row)!r}, where it holds "
                    f"{self.table.kinds[column]} before; mend it, leave the column out with columns=[...], or keep it "
                    f'as text with types={{{column!r}: "text"}}'
                )
            row += batch.num_rows
            count += int(missing.sum())
        if count:
            self.missing[column] = count

    def _order(self, values: NDArray[Any], done: int) -> None:
        before = values[:1] if self.last_time is None else np.array([self.last_time], values.dtype)
        back = np.concatenate([before, values[:-1]]) > values
        if back.any():
            row = done + int(np.argmax(back))
            raise IngestError(
                f"{self.table.place(row)}: time {self.time!r} is {values[row - done]}, earlier than the row "
                "before; sort the source, or leave out sorted=True"
            )
        self.last_time = values[-1] if values.shape[0] else self.last_time
