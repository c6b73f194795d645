"""The node table: one row per node, whose columns become node columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import IngestError
from ..store.text import TEXT, fixed_text
from .cells import CellChecks
from .columns import to_numpy
from .roles import expression, find_column, id_expression, kept_kind
from .table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..store.store import GraphStore


@dataclass
class NodeTable:
    """Ids of the nodes, distinct, in row order, and the columns in the same order."""

    id_kind: str
    padded: bool
    ids: NDArray[Any]
    columns: dict[str, NDArray[Any]]
    described: dict[str, str]
    left_out: dict[str, str]

    def texts(self) -> NDArray[Any]:
        """The ids as text."""
        return self.ids if self.ids.dtype.kind == "T" else self.ids.astype(np.dtypes.StringDType())

    def put_columns(self, store: GraphStore, user_ids: NDArray[Any] | None) -> None:
        """Put the columns into the store, in node order."""
        as_text = user_ids is not None and user_ids.dtype.kind not in "iu"
        order = self.ids if user_ids is None else store.lookup(self.texts() if as_text else self.ids)
        for name, values in self.columns.items():
            placed = np.empty_like(values)
            placed[order] = values
            store.nodes[name] = placed


def read_nodes(table: Table, node_id: str | None, rule: str) -> NodeTable:
    """Read a node table into memory; ids must be present and distinct."""
    names = [name for name in table.kinds if name not in table.indexes] or list(table.kinds)
    column = find_column(table, "node_id", node_id) if node_id is not None else names[0]
    if node_id is not None:
        table.take_words(column)
    kind, padded = table.kinds[column], column in table.padded
    if kind not in ("integer", "text"):
        raise IngestError(f"{table.name}: node ids {column!r} hold {kind}; allowed are integer and text")
    as_text = kind == "text" or rule == "text" or (padded and rule != "positions")
    kept = [name for name in names if name != column and table.kinds[name] != "other"]
    select = {"id": id_expression(table, column, as_text, padded=padded)}
    for name in kept:
        select[f"column:{name}"] = expression(table, "column", name, False, "ns" if name in table.fine else "us")
    parts: dict[str, list[Any]] = {role: [] for role in select}
    done = 0
    for batch in table.read(select):
        for role, values in zip(select, batch.columns, strict=True):
            if role == "id" and values.null_count:
                row = done + int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
                value = table.value(column, row)
                problem = "is NULL" if value is None else f"is {value!r}, not an integer id"
                raise IngestError(f"{table.place(row)}: node id {column!r} {problem}")
            width = table.widths.get(role.partition(":")[2])
            parts[role].append(_as_arrays(values, _any_length if role == "id" else fixed_text, width))
        done += batch.num_rows
    joined = {role: _joined(some) for role, some in parts.items()}
    ids = joined.pop("id")
    _check_distinct(table, column, ids)
    columns = {role.partition(":")[2]: values for role, values in joined.items()}
    _check_cells(table, columns)
    described = {"id": f"{column} ({'text' if as_text else kind})"}
    described |= {n: "text" if values.dtype.kind == "U" else kept_kind(table, n) for n, values in columns.items()}
    reasons = {name: table.why_left(name) for name in table.kinds if name != column}
    left = {name: why for name, why in reasons.items() if why}
    return NodeTable("text" if as_text else kind, padded, ids, columns, described, left)


def _check_cells(table: Table, columns: dict[str, NDArray[Any]]) -> None:
    """Every cell of a text file that holds something was read as something."""
    for name, values in columns.items():
        lacks = np.isnan(values) if values.dtype.kind == "f" else np.isnat(values) if values.dtype.kind == "M" else None
        if table.all_text and lacks is not None and lacks.any():
            CellChecks(table).value(f"column:{name}", values, lacks, 0)


def _any_length(texts: list[str]) -> NDArray[Any]:
    return np.array(texts, TEXT)


def _as_arrays(
    column: Any, as_array: Callable[[list[str]], NDArray[Any]], width: int | None
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Values, and where there are none."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return as_array(column.to_pylist()), None
    return to_numpy(column, width)


def _joined(parts: list[tuple[NDArray[Any], NDArray[Any] | None]]) -> NDArray[Any]:
    """One array of the batches of a column; where a number is missing it is NaN, or all are text if a float would not
    hold their digits."""
    if not parts:
        return np.empty(0)
    values = np.concatenate([array for array, _ in parts])
    if all(null is None for _, null in parts):
        return values
    null = np.concatenate([np.zeros(len(array), bool) if n is None else n for array, n in parts])
    if (
        values.dtype.kind in "iu"
        and values.dtype.itemsize == 8
        and max(-int(values.min()), int(values.max())) > 1 << 53
    ):
        values = values.astype(np.str_)
        values[null] = ""
        return values
    values = values.astype(np.float64) if values.dtype.kind in "biu" else values.copy()
    values[null] = np.datetime64("NaT") if values.dtype.kind == "M" else np.nan
    return values


def _check_distinct(table: Table, column: str, ids: NDArray[Any]) -> None:
    order = np.argsort(ids, kind="stable")
    ranked = ids[order]
    again = np.flatnonzero(ranked[1:] == ranked[:-1])
    if again.size:
        row = int(order[again[0] + 1])
        raise IngestError(
            f"{table.place(row)}: node id {column!r} {ids[row : row + 1].tolist()[0]!r} occurs a second time"
        )
