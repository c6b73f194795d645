"""Tables of records: keys and columns of text, from files, data frames, DuckDB relations and stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import InvalidInput, InvalidType, NotFound

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLES = ".csv", ".csv.gz", ".tsv", ".parquet"


@dataclass(frozen=True, eq=False, repr=False)
class Records:
    """Records with distinct keys and text in every one.

    Attributes
    ----------
    keys : int64 or object (text) (records,)
    columns : dict of str to list of str
        Missing values are empty texts.

    Examples
    --------
    >>> table = Records.of({"id": [7, 9], "name": ["radio", "lamp"], "price": [3.5, None]}, key="id")
    >>> table, table.texts()
    (Records(2 records, columns 'name', 'price'), ['radio 3.5', 'lamp'])
    """

    keys: NDArray[Any]
    columns: dict[str, list[str]]

    @classmethod
    def of(
        cls, source: Any, *, key: str | None = None, columns: Sequence[str] | None = None, name: str = "the table",
        **reading: Any,
    ) -> Records:  # fmt: skip
        """Read a table.

        Parameters
        ----------
        source : path, mapping of columns, pandas or polars DataFrame, PyArrow table, DuckDB relation, or (store, type)
            Files end in .csv, .csv.gz, .tsv or .parquet. Of a store, a node type with text or number columns.
        key : str, optional
            The column of keys, integers or text; row numbers by default (of a store, its user ids).
        columns : sequence of str, optional
            What is compared; every column but the key by default.
        name : str
            What messages call the table.
        reading : options
            For CSV files, of DuckDB's `read_csv` (`delim="|"`).

        Raises
        ------
        NotFound
            No such file or column.
        InvalidInput
            A key given twice or missing, a record without text: the message names the row.
        """
        if isinstance(source, Records):
            return source
        if isinstance(source, str | Path):
            name = Path(source).name
        given, keys = columns_of(source, name, reading)
        if key is not None:
            if key not in given:
                raise NotFound(f"{name}: there is no column {key!r}; it has {', '.join(map(repr, given))}")
            keys = given[key]
        chosen = [column for column in given if column != key] if columns is None else list(columns)
        for column in chosen:
            if column not in given:
                raise NotFound(f"{name}: there is no column {column!r}; it has {', '.join(map(repr, given))}")
        texts = {column: [_text(value) for value in given[column]] for column in chosen}
        count = len(next(iter(given.values()))) if given else 0
        made = cls(_checked_keys(np.arange(count) if keys is None else keys, name), texts)
        _check_texts(made, name)
        return made

    def __len__(self) -> int:
        return len(self.keys)

    def texts(self, columns: Sequence[str] | None = None) -> list[str]:
        """The columns of every record, joined by spaces."""
        chosen = [self.columns[column] for column in (self.columns if columns is None else columns)]
        if len(chosen) == 1:
            return list(chosen[0])
        return [" ".join(filter(None, parts)) for parts in zip(*chosen, strict=True)]

    def record(self, row: int) -> dict[str, str]:
        """The columns of one record."""
        return {column: values[row] for column, values in self.columns.items()}

    def joined(self, more: Records) -> Records:
        """These records and behind them others of the same columns; `InvalidInput` for a key that is there already."""
        if list(more.columns) != list(self.columns):
            raise InvalidInput(
                f"the new records have columns {list(more.columns)}; those before have {list(self.columns)}"
            )
        if len(self) and len(more) and self.keys.dtype != more.keys.dtype:
            raise InvalidType(f"keys must stay of one kind; they were {self.keys.dtype} and are now {more.keys.dtype}")
        keys = _checked_keys(np.concatenate([self.keys, more.keys]), "the joined table", first=len(self))
        return Records(keys, {column: values + more.columns[column] for column, values in self.columns.items()})

    def chosen(self, rows: NDArray[np.int64]) -> Records:
        """Some records."""
        return Records(self.keys[rows], {name: [values[i] for i in rows] for name, values in self.columns.items()})

    def rows_of(self, keys: Any, name: str = "keys") -> NDArray[np.int64]:
        """Row numbers of keys; `NotFound` names the first that is unknown and where it stands."""
        place = {key: row for row, key in enumerate(self.keys.tolist())}
        given = np.asarray(keys).tolist()
        rows = np.array([place.get(key, -1) for key in given], np.int64)
        if (rows < 0).any():
            at = int(np.argmax(rows < 0))
            raise NotFound(f"{name}: row {at} names key {given[at]!r}, which no record has")
        return rows

    def to_arrow(self) -> Any:
        """A PyArrow table with the keys in column "key"."""
        import pyarrow as pa

        return pa.table({"key": pa.array(self.keys.tolist()), **{f"c.{n}": v for n, v in self.columns.items()}})

    @classmethod
    def from_arrow(cls, table: Any) -> Records:
        """What `to_arrow` gave."""
        names = [name for name in table.column_names if name.startswith("c.")]
        columns = {name[2:]: [_text(value) for value in table[name].to_pylist()] for name in names}
        return cls(_checked_keys(table["key"].to_pylist(), "the saved table"), columns)

    def __repr__(self) -> str:
        return f"Records({len(self):,} records, columns {', '.join(map(repr, self.columns))})"


def columns_of(source: Any, name: str, reading: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Columns as sequences, by name, and keys that the source has of itself."""
    if isinstance(source, str | Path):
        return _of_file(Path(source), reading), None
    if isinstance(source, tuple) and len(source) == 2 and hasattr(source[0], "node_types"):
        store, kind = source
        nodes = store.nodes(kind)
        flat = {column: np.asarray(nodes[column]) for column in nodes if np.ndim(nodes[column]) == 1}
        return {column: values.tolist() for column, values in flat.items()}, store.ids(kind)
    if isinstance(source, Mapping):
        columns = {
            str(column): values.tolist() if hasattr(values, "tolist") else list(values)
            for column, values in source.items()
        }
        lengths = {column: len(values) for column, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidInput(f"{name}: columns must be equally long; got {lengths}")
        return columns, None
    if hasattr(source, "to_arrow_table"):  # DuckDB
        source = source.to_arrow_table()
    elif hasattr(source, "arrow") and hasattr(source, "fetchall"):
        source = source.arrow()
        source = source.read_all() if hasattr(source, "read_all") else source
    elif hasattr(source, "to_arrow"):  # polars
        source = source.to_arrow()
    if hasattr(source, "column_names") and hasattr(source, "to_pydict"):
        return source.to_pydict(), None
    if hasattr(source, "columns") and hasattr(source, "iloc"):  # pandas
        return {str(column): source[column].tolist() for column in source.columns}, None
    raise InvalidType(
        "records come from a path, a mapping of columns, a pandas or polars DataFrame, a PyArrow table, a DuckDB "
        f"relation or (store, node type); got {type(source).__name__}"
    )


def _of_file(path: Path, reading: dict[str, Any]) -> dict[str, Any]:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    if not path.name.endswith(TABLES):
        raise InvalidInput(f"{path.name}: tables end in {', '.join(TABLES)}")
    import duckdb

    try:
        with duckdb.connect() as connection:
            if path.suffix == ".parquet":
                relation = connection.read_parquet(str(path))
            else:
                if path.suffix == ".tsv":
                    reading = {"delimiter": "\t", **reading}
                relation = connection.read_csv(str(path), all_varchar=True, **reading)
            found = relation.fetchall()
            names = list(relation.columns)
    except duckdb.Error as error:
        raise InvalidInput(f"{path.name} cannot be read as a table: {str(error).splitlines()[0]}") from error
    return {column: [row[place] for row in found] for place, column in enumerate(names)}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if value is None or (isinstance(value, float) and np.isnan(value)) or value != value:
        return ""
    return str(value)


def _checked_keys(keys: Any, name: str, first: int = 0) -> NDArray[Any]:
    """Integers, or text, none missing and none twice."""
    values = keys.tolist() if isinstance(keys, np.ndarray) else list(keys)
    for row, key in enumerate(values):
        if key is None or key == "" or key != key:
            raise InvalidInput(f"{name}: row {row} has no key")
    if values and all(isinstance(key, str) and key.lstrip("-").isdecimal() and len(key) < 18 for key in values):
        plain = [int(key) for key in values]
        if [str(key) for key in plain] == values:  # integers of a text file
            values = plain
    seen: dict[Any, int] = {}
    for row, key in enumerate(values):
        if key in seen:
            raise InvalidInput(f"{name}: rows {seen[key]} and {row} have the same key {key!r}; keys must be distinct")
        seen[key] = row
    if all(isinstance(key, int) and not isinstance(key, bool) for key in values):
        return np.array(values, np.int64)
    if all(isinstance(key, str) for key in values):
        return np.array(values, object)
    odd = next(
        key
        for key in values
        if not isinstance(key, int | str) or isinstance(key, bool) or type(key) is not type(values[0])
    )
    raise InvalidType(f"{name}: keys must all be integers or all text; got {type(odd).__name__} {odd!r}")


def _check_texts(records: Records, name: str) -> None:
    if len(records) and not records.columns:
        raise InvalidInput(f"{name} has no column besides its key; there is nothing to compare")
    for row, text in enumerate(records.texts()):
        if not text:
            columns = ", ".join(map(repr, records.columns))
            raise InvalidInput(
                f"{name}: record {records.keys.tolist()[row]!r} (row {row}) has no text in {columns}; "
                "remove such records first, or name other columns"
            )


__all__ = ["Records"]
