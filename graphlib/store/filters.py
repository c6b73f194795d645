"""Conditions over node columns, in SQL, answered as node positions or a bitmap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput, InvalidType, NotFound
from ..types import NODE, choose_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .columns import Columns
    from .store import GraphStore

_AMBIGUOUS = ""
_REFUSED = {"SUBQUERY": "subqueries", "WINDOW": "window functions", "STAR": "*", "PARAMETER": "parameters"}
_SETTINGS = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "lock_configuration": "true",
}


def where(
    store: GraphStore, sql: str, *, node_type: str | None = None, as_bitmap: bool = False
) -> NDArray[np.int64] | NDArray[np.bool_]:
    """Nodes whose columns satisfy an SQL condition.

    Parameters
    ----------
    store : GraphStore
    sql : str
        One scalar boolean expression over the one-dimensional columns of the nodes, in DuckDB's dialect, such as
        "year >= 2010 AND country = 'FR'". `id` is the user id, or the position where there are no user ids (unless a
        column has that name). Names with blanks go in double quotes.
    node_type : str, optional
        Which nodes, in a store with several types.
    as_bitmap : bool, default False
        Return a boolean array over all nodes instead of positions.

    Returns
    -------
    int64 (num_matches,), ascending; or bool (num_nodes,)
        A node for which the condition is NULL does not match.

    Raises
    ------
    InvalidInput
        The text is not one boolean expression, or holds a subquery, an aggregate or a window function.
    NotFound
        A column that does not exist; the message lists those that do.

    Notes
    -----
    Numeric columns are read in place, and only those that the condition names. Nothing outside the columns can be
    reached: no files, no network, no settings, no statements.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.graphlib.store.filters import where
    >>> store = nearhop.GraphStore.from_edges(np.array([0, 1]), np.array([1, 2]))
    >>> store.nodes["year"] = np.array([1999, 2010, 2020])
    >>> where(store, "year >= 2010 AND id < 2").tolist()
    [1]
    >>> where(store, "year % 2 = 0", as_bitmap=True).tolist()
    [False, True, True]
    """
    import duckdb

    if not isinstance(sql, str):
        raise InvalidType(f"where: the condition must be SQL text; got {type(sql).__name__}")
    if not sql.strip():
        raise InvalidInput("where: an empty text is not an SQL condition")
    columns, count = store.nodes(node_type), store.num_nodes_of(_type_name(store, node_type))
    available = _available(store, columns, node_type)
    with duckdb.connect(":memory:") as connection:
        for name, value in _SETTINGS.items():
            connection.execute(f"SET {name} = {value}").fetchall()
        named = _names(_expression(connection, sql), available)
        connection.register("nodes", _as_table(store, columns, named, node_type, count))
        try:
            # as a WHERE clause it cannot hold aggregates or anything else that changes the number of rows
            connection.sql(f"SELECT 1 FROM nodes WHERE (\n{sql}\n)")
            relation = connection.sql(f"SELECT (\n{sql}\n) AS hit FROM nodes")
            if str(relation.types[0]) != "BOOLEAN":
                raise InvalidInput(
                    f"where: {sql!r} gives {relation.types[0]}, not a condition; compare it with something"
                )
            hit = relation.fetchnumpy()["hit"]
        except duckdb.Error as error:
            raise InvalidInput(
                f"where: {sql!r}: {str(error).splitlines()[0]}; columns: {_listed(available)}"
            ) from error
    bitmap = np.asarray(np.ma.filled(hit, False), dtype=bool)
    return bitmap if as_bitmap else np.flatnonzero(bitmap)


def _type_name(store: GraphStore, node_type: str | None) -> str:
    return str(choose_type("node", node_type, dict.fromkeys(store.node_types), NODE))


def _available(store: GraphStore, columns: Columns, node_type: str | None) -> dict[str, str]:
    """Column names by their lower case, as SQL compares them."""
    names: dict[str, str] = {}
    for name in columns:
        if columns.stored(name).ndim == 1:
            names[name.lower()] = _AMBIGUOUS if name.lower() in names else name
    names.setdefault("id", "id")
    return names


def _expression(connection: Any, sql: str) -> dict[str, Any]:
    """The syntax tree of `sql`, if it is one scalar expression and nothing else."""
    wrapped = "SELECT (\n" + sql + "\n)"
    (text,) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [wrapped]).fetchall()[0]
    tree = json.loads(text)
    if tree.get("error"):
        raise InvalidInput(f"where: {sql!r} is not an SQL condition: {tree.get('error_message')}")
    node = tree["statements"][0]["node"]
    alone = (
        len(tree["statements"]) == 1
        and node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and not any(node.get(part) for part in ("where_clause", "modifiers", "group_expressions", "having", "qualify"))
        and not node["cte_map"]["map"]
        and node.get("sample") is None
    )
    if not alone:
        raise InvalidInput(f"where: {sql!r} must be one condition such as \"year >= 2010 AND country = 'FR'\"")
    expression: dict[str, Any] = node["select_list"][0]
    for part in _parts(expression):
        told = _REFUSED.get(str(part.get("class")))
        if told:
            raise InvalidInput(f"where: {sql!r} holds {told}; only columns, constants and scalar functions are allowed")
    return expression


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _names(expression: dict[str, Any], available: dict[str, str]) -> list[str]:
    """The columns that an expression reads."""
    found = []
    bound = {str(name).lower() for part in _parts(expression) for name in _lambda_names(part)}
    for part in _parts(expression):
        if part.get("class") != "COLUMN_REF":
            continue
        words = [str(word).lower() for word in part["column_names"]]
        name = words[1] if len(words) > 1 and words[0] == "nodes" else words[0]
        if available.get(name) == _AMBIGUOUS:
            raise InvalidInput(f"where: several columns are called {name!r} but for letters' case, which SQL ignores")
        if name in available:
            found.append(available[name])
        elif name not in bound:
            raise NotFound(
                f"where: there is no one-dimensional node column {words[-1]!r}; columns: {_listed(available)} "
                "(texts go in single quotes)"
            )
    return sorted(set(found))


def _lambda_names(part: dict[str, Any]) -> list[str]:
    if part.get("class") != "LAMBDA":
        return []
    return [str(name) for ref in _parts(part.get("lhs")) for name in ref.get("column_names", [])]


def _listed(available: dict[str, str]) -> str:
    return ", ".join(sorted(name for name in available.values() if name != _AMBIGUOUS))


def _as_table(store: GraphStore, columns: Columns, names: list[str], node_type: str | None, count: int) -> Any:
    import pyarrow as pa

    arrays = {name: _as_arrow(_values(store, columns, name, node_type, count)) for name in names}
    if not arrays:  # a condition without columns still has one answer per node
        arrays["position"] = pa.array(np.zeros(count, np.int8))
    return pa.table(arrays)


def _values(store: GraphStore, columns: Columns, name: str, node_type: str | None, count: int) -> NDArray[Any]:
    if name in columns:
        return columns[name]
    ids = store.ids(node_type)
    return np.arange(count) if ids is None else ids


def _as_arrow(values: NDArray[Any]) -> Any:
    """An Arrow array over the same memory, where Arrow has the type."""
    import pyarrow as pa

    if values.dtype.kind == "S":
        return pa.array(np.char.decode(values, "utf-8").tolist(), pa.large_string())
    if values.dtype.kind in "TU":
        return pa.array(values.tolist(), pa.large_string())
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] not in ("D", "s", "ms", "us", "ns"):
        values = values.astype("datetime64[s]")
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return pa.array(values)
