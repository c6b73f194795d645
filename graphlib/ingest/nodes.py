"""The node table: one row per node, whose columns become node columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import IngestError
from .columns import to_numpy
from .duckdb import ident
from .roles import expression, find_column
from .sources import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..store.store import GraphStore


@dataclass
class NodeTable:
    """Ids of the nodes, distinct, in row order, and the columns in the same order."""

    id_kind: str
    ids: NDArray[Any]
    columns: dict[str, NDArray[Any]]

    def put_columns(self, store: GraphStore, user_ids: NDArray[Any] | None) -> None:
        """Put the columns into the store, in node order."""
        order = self.ids if user_ids is None else store.lookup(self.ids)
        for name, values in self.columns.items():
            placed = np.empty_like(values)
            placed[order] = values
            store.nodes[name] = placed


def read_nodes(table: Table, node_id: str | None) -> NodeTable:
    """Read a node table into memory; ids must be present and distinct."""
    column = find_column(table, "node_id", node_id) if node_id is not None else next(iter(table.kinds))
    kind = table.kinds[column]
    if kind not in ("integer", "text"):
        raise IngestError(f"{table.name}: node ids {column!r} hold {kind}; allowed are integer and text")
    kept = [name for name, k in table.kinds.items() if name != column and k != "other"]
    select = {"id": table.integer(column) if kind == "integer" else f"CAST({ident(column)} AS VARCHAR)"}
    for name in kept:
        is_text = table.kinds[name] == "text"
        select[f"column:{name}"] = (
            f"coalesce(CAST({ident(name)} AS VARCHAR), '')" if is_text else expression(table, "column", name, False)
        )
    parts: dict[str, list[NDArray[Any]]] = {role: [] for role in select}
    done = 0
    for batch in table.read(select):
        for role, values in zip(select, batch.columns, strict=True):
            if role == "id" and values.null_count:
                row = done + int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
                value = table.value(column, row)
                problem = "is NULL" if value is None else f"is {value!r}, not an integer id"
                raise IngestError(f"{table.place(row)}: node id {column!r} {problem}")
            parts[role].append(_as_array(values, np.dtypes.StringDType() if role == "id" else np.str_))
        done += batch.num_rows
    joined = {role: np.concatenate(some) if some else np.empty(0) for role, some in parts.items()}
    ids = joined.pop("id")
    _check_distinct(table, column, ids)
    return NodeTable(kind, ids, {role.partition(":")[2]: values for role, values in joined.items()})


def _as_array(column: Any, text: Any) -> NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), text)
    values, null = to_numpy(column)
    if null is None:
        return values
    if values.dtype.kind in "biu":
        values = values.astype(np.float64)
    values = values.copy()
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
