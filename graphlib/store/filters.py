"""Conditions over node columns, in SQL, answered as node positions or a bitmap."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ctrl_c import is_ctrl_c
from ..errors import InvalidInput, InvalidType
from ..scalars import is_number
from .conditions import AMBIGUOUS, listed, names_in, parse, shown
from .membership import answer_lists

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .columns import Columns
    from .contents import Contents

_SETTINGS = {  # in this order: the first of them can no longer be changed after the second
    "temp_directory": "''",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_LEAST_MEMORY = 1 << 30
# a missing number is NULL; whoever asks for it as isnan(column) finds it as well
_ISNAN = "CREATE MACRO isnan(x) AS (x IS NULL OR x::DOUBLE = 'NaN'::DOUBLE)"


def where(
    store: Contents, sql: str, *, node_type: str | None = None, as_bitmap: bool = False, timeout_s: float = 60.0
) -> NDArray[np.int64] | NDArray[np.bool_]:
    """Nodes whose columns satisfy an SQL condition.

    Parameters
    ----------
    store : Contents
    sql : str
        One scalar boolean expression over the one-dimensional columns of the nodes, in DuckDB's dialect, such as
        "year >= 2010 AND country = 'FR'". `id` is the user id, or the position where there are no user ids (unless a
        column has that name). Names with blanks go in double quotes.
    node_type : str, optional
        Which nodes, in a store with several types.
    as_bitmap : bool, default False
        Return a boolean array over all nodes instead of positions.
    timeout_s : float, default 60.0
        After this many seconds the condition is given up.

    Returns
    -------
    int64 (num_matches,), ascending; or bool (num_nodes,)
        A node for which the condition is NULL does not match. A missing number (NaN) and a missing date (NaT) are NULL:
        no comparison holds for them, `IS NULL` and `isnan` find them.

    Raises
    ------
    InvalidInput
        The text is not one boolean expression, or holds a subquery, an aggregate, a window function or any function but
        those that compare and compute (`conditions._ALLOWED`); or its answer took longer than `timeout_s`.
    NotFound
        A column that does not exist; the message lists those that do.

    Notes
    -----
    Numeric columns are read in place, and only those that the condition names. Nothing outside the columns can be
    reached: no files, no network, no settings, no clock, no statements. Working memory is limited to 1 GiB or 64 bytes
    a node. `column IN (...)` with 64 or more integers, or texts, is one look-up in a hash table a node.

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
    if not is_number(timeout_s) or not timeout_s > 0:
        raise InvalidInput(f"where: timeout_s must be a number of seconds > 0; got {timeout_s!r}")
    columns, count = store.nodes(node_type), store.num_nodes_of(choose_node_type(store, node_type))
    available = _available(columns)
    shorter, lists = answer_lists(sql, available, lambda name: _values(store, columns, name, node_type, count))
    with duckdb.connect(":memory:") as connection:
        connection.execute(_ISNAN)
        connection.execute(f"SET memory_limit = '{max(_LEAST_MEMORY, 64 * count)}B'")
        for name, value in {**_SETTINGS, "lock_configuration": "true"}.items():
            connection.execute(f"SET {name} = {value}").fetchall()
        named = names_in(parse(connection, shorter), {**available, **{name: name for name in lists}})
        arrays = {n: lists[n] if n in lists else _values(store, columns, n, node_type, count) for n in named}
        connection.register("nodes", _as_table(arrays, count))
        clock = threading.Timer(timeout_s, connection.interrupt)
        clock.start()
        try:
            # as a WHERE clause it cannot hold aggregates or anything else that changes the number of rows
            connection.sql(f"SELECT 1 FROM nodes WHERE (\n{shorter}\n)")
            relation = connection.sql(f"SELECT (\n{shorter}\n) AS hit FROM nodes")
            if str(relation.types[0]) != "BOOLEAN":
                raise InvalidInput(
                    f"where: {shown(sql)} gives {relation.types[0]}, not a condition; compare it with something"
                )
            hit = relation.fetchnumpy()["hit"]
        except duckdb.InterruptException as error:
            raise InvalidInput(
                f"where: {shown(sql)} took longer than timeout_s={timeout_s:g} and was given up"
            ) from error
        except RuntimeError as error:
            if is_ctrl_c(error):
                raise KeyboardInterrupt from error
            raise
        except duckdb.Error as error:
            raise InvalidInput(
                f"where: {shown(sql)}: {str(error).splitlines()[0]}; columns: {listed(available)}"
            ) from error
        finally:
            clock.cancel()
    bitmap = np.asarray(np.ma.filled(hit, False), dtype=bool)
    return bitmap if as_bitmap else np.flatnonzero(bitmap)


def choose_node_type(store: Contents, node_type: str | None) -> str:
    """The node type that a call means."""
    return store._parts.node_type(node_type)


def _available(columns: Columns) -> dict[str, str]:
    """Column names by their lower case, as SQL compares them."""
    names: dict[str, str] = {}
    for name in columns:
        if columns.stored(name).ndim == 1:
            names[name.lower()] = AMBIGUOUS if name.lower() in names else name
    names.setdefault("id", "id")
    return names


def _as_table(arrays: dict[str, NDArray[Any]], count: int) -> Any:
    import pyarrow as pa

    if not arrays:  # a condition without columns still has one answer per node
        arrays = {"position": np.zeros(count, np.int8)}
    return pa.table({name: _as_arrow(values) for name, values in arrays.items()})


def _values(store: Contents, columns: Columns, name: str, node_type: str | None, count: int) -> NDArray[Any]:
    if name in columns:
        return columns[name]
    ids = store.ids(node_type)
    return np.arange(count) if ids is None else ids


def _as_arrow(values: NDArray[Any]) -> Any:
    """An Arrow array over the same memory, where Arrow has the type; missing numbers and dates are NULL."""
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
    return pa.array(values, from_pandas=True)
