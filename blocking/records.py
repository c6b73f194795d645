"""Tables of records: keys and columns of text, from files, data frames, DuckDB relations and stores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.checks import id_array
from ..graphlib.errors import IngestError, InvalidInput, InvalidType, NotFound
from ..graphlib.ingest.whole import read_columns
from ..graphlib.scalars import is_integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TEXT, _PACKED = (".csv", ".tsv"), ("", ".gz", ".bz2", ".xz", ".zst")
TABLES = *(kind + packed for kind in _TEXT for packed in _PACKED), ".parquet", ".arrow"
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,16}")  # a key of a text file that is an integer, and is written as one
_GENERATED = "column"  # what columns without a header are called: column0, column1, ...


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
        source : path, mapping of columns, pandas or polars DataFrame, PyArrow table, DuckDB relation, (store, type), or
            Records, of which `columns` chooses some
            Files end in .csv or .tsv (.gz, .bz2, .xz or .zst behind it), .parquet or .arrow, and are read as `ingest`
            reads them: cells as they are written, `InvalidInput` where a layout is open. Of a store, a node type with
            text or number columns.
        key : str, optional
            The column of keys, integers or text; row numbers by default (of a store, its user ids). Keys of a text file
            are integers if all are and are written as such ("7", not "007"); elsewhere text stays text.
        columns : sequence of str, optional
            What is compared; every column but the key by default.
        name : str
            What messages call the table.
        reading : options
            For text files: header, delimiter, quote, comment, encoding (`delimiter="|"`), as for `ingest`. A file whose
            `key` or `columns` are named has a header.

        Raises
        ------
        NotFound
            No such file or column.
        InvalidType
            `columns` as one text.
        InvalidInput
            A key given twice or missing, a record without text: the message names the row. A file that cannot be read,
            or in more than one way.
        """
        if isinstance(columns, str):
            raise InvalidType(f"columns must be a sequence of names; got the text {columns!r}; give [{columns!r}]")
        if isinstance(source, Records):
            return source._of_columns(key, columns, name)
        if isinstance(source, str | Path):
            name = Path(source).name
        named = [column for column in (key, *(columns or ())) if column is not None]
        if named and not all(column.startswith(_GENERATED) for column in named):
            reading = {"header": True, **reading}
        given, keys = columns_of(source, name, reading)
        if key is not None:
            _check_named([key], given, name)
            keys = given[key]
            if _is_text_file(source) and all(isinstance(value, str) and _WHOLE.fullmatch(value) for value in keys):
                keys = [int(value) for value in keys]
        chosen = [column for column in given if column != key] if columns is None else list(columns)
        _check_named(chosen, given, name)
        texts = {column: [_text(value) for value in given[column]] for column in chosen}
        count = len(next(iter(given.values()))) if given else 0
        made = cls(_checked_keys(np.arange(count) if keys is None else keys, name), texts)
        _check_texts(made, name)
        return made

    def _of_columns(self, key: str | None, columns: Sequence[str] | None, name: str) -> Records:
        """These records, or with fewer of their columns."""
        if key is not None:
            raise InvalidInput(
                f"{name} is Records, and their keys are chosen when they are made; leave out key={key!r}, or make them "
                "by Records.of(table, key=...)"
            )
        if columns is None or list(columns) == list(self.columns):
            return self
        _check_named(columns, self.columns, name)
        made = Records(self.keys, {column: self.columns[column] for column in columns})
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
        """These records and behind them others of the same columns; `InvalidInput` for a key that is there."""
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
        given = id_array(name, keys).tolist()
        rows = np.array([place.get(key, -1) for key in given], np.int64)
        if (rows < 0).any():
            at = int(np.argmax(rows < 0))
            odd = "; the table's keys are text" if self.keys.dtype == object and not isinstance(given[at], str) else ""
            raise NotFound(f"{name}: row {at} names key {given[at]!r}, which no record has{odd}")
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
        flat = {column: nodes[column] for column in nodes}
        flat = {column: values for column, values in flat.items() if values.ndim == 1 and values.dtype.kind != "S"}
        listed = {column: _listed(values, f"{name}, column {column!r}") for column, values in flat.items()}
        return listed, store.ids(kind)
    if isinstance(source, Mapping):
        columns = {str(column): _listed(values, f"{name}, column {column!r}") for column, values in source.items()}
        lengths = {column: len(values) for column, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidInput(f"{name}: columns must be equally long; got {lengths}")
        return columns, None
    module = type(source).__module__.partition(".")[0].lstrip("_")
    if module in ("pandas", "polars", "pyarrow", "duckdb"):
        return _read(source, name, {}), None
    raise InvalidType(
        "records come from a path, a mapping of columns, a pandas or polars DataFrame, a PyArrow table, a DuckDB "
        f"relation or (store, node type); got {type(source).__name__}"
    )


def _check_named(names: Iterable[str], given: Iterable[str], name: str) -> None:
    """Every column that is named is there."""
    for column in names:
        if column not in given:
            raise NotFound(f"{name}: there is no column {column!r}; it has {', '.join(map(repr, given))}")


def _listed(values: Any, where: str) -> list[Any]:
    """Values of a column, numbers of NumPy as Python's."""
    if np.ndim(values) > 1:
        raise InvalidInput(f"{where} must be one-dimensional; got shape {np.shape(values)}")
    kind = getattr(values, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind == "M":
        return _dates(np.asarray(values))
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    listed = [value.item() if isinstance(value, np.generic) else value for value in listed]
    odd = next((value for value in listed if isinstance(value, bytes | list | tuple | dict | set)), None)
    if odd is not None:
        raise InvalidType(f"{where} holds {type(odd).__name__} {odd!r:.40}; allowed are text, numbers and dates")
    return listed


def _dates(values: NDArray[Any]) -> list[Any]:
    """Dates as Python's, or as text where those are too coarse or end too early; NumPy gives integers there."""
    listed = values.tolist()
    if any(isinstance(value, int) for value in listed):
        with np.errstate(over="ignore"):
            micro = values.astype("datetime64[us]")
        listed = micro.tolist() if np.array_equal(micro, values, equal_nan=True) else [*map(str, values)]
        if any(isinstance(value, int) for value in listed):
            listed = [*map(str, values)]
    return [None if missing else value for value, missing in zip(listed, np.isnat(values), strict=True)]


def _is_text_file(source: Any) -> bool:
    return isinstance(source, str | Path) and any(str(source).endswith(kind + end) for kind in _TEXT for end in _PACKED)


def _of_file(path: Path, reading: dict[str, Any]) -> dict[str, Any]:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    if not path.name.endswith(TABLES):
        raise InvalidInput(f"{path.name}: tables end in {', '.join(TABLES)}")
    unknown = set(reading) - {"header", "delimiter", "quote", "comment", "encoding"}
    if unknown:
        raise InvalidInput(
            f"{path.name}: there is no option {', '.join(map(repr, sorted(unknown)))}; allowed are header, delimiter, "
            "quote, comment and encoding"
        )
    if ".tsv" in path.suffixes:
        reading = {"delimiter": "\t", **reading}
    return _read(path, path.name, reading)


def _read(source: Any, name: str, reading: dict[str, Any]) -> dict[str, Any]:
    try:
        return read_columns(source, **reading)
    except IngestError as error:
        raise InvalidInput(f"{name} cannot be read as a table: {error}") from error


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if _is_missing(value):
        return ""
    return str(value)


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA, which is equal to nothing or will not say."""
    return value is None or str(value == value) != "True"


def _checked_keys(keys: Any, name: str, first: int = 0) -> NDArray[Any]:
    """Integers, or text, none missing and none twice."""
    values = keys.tolist() if isinstance(keys, np.ndarray) else list(keys)
    for row, key in enumerate(values):
        if _is_missing(key) or key == "":
            raise InvalidInput(f"{name}: row {row} has no key")
    values = [int(key) if is_integer(key) else key for key in values]
    seen: dict[Any, int] = {}
    for row, key in enumerate(values):
        if key in seen:
            raise InvalidInput(f"{name}: rows {seen[key]} and {row} have the same key {key!r}; keys must be distinct")
        seen[key] = row
    if all(isinstance(key, int) and not isinstance(key, bool) for key in values):
        large = next((row for row, key in enumerate(values) if not -(1 << 63) <= key < 1 << 63), None)
        if large is not None:
            raise InvalidInput(f"{name}: row {large} has key {values[large]}, of more than 64 bits; give keys as text")
        return np.array(values, np.int64)
    if all(isinstance(key, str) for key in values):
        _check_unicode(values, f"{name}: the key of row")
        return np.array(values, object)
    odd = next(
        key
        for key in values
        if not isinstance(key, int | str) or isinstance(key, bool) or type(key) is not type(values[0])
    )
    raise InvalidType(f"{name}: keys must all be integers or all text; got {type(odd).__name__} {odd!r}")


def _check_unicode(texts: list[str], what: str) -> None:
    """Refuse halves of surrogate pairs, which no file can hold."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        for row, text in enumerate(texts):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise InvalidInput(f"{what} {row}, {text!r:.40}, is not valid Unicode ({error.reason})") from error


def _check_texts(records: Records, name: str) -> None:
    if len(records) and not records.columns:
        raise InvalidInput(f"{name} has no column besides its key; there is nothing to compare")
    for column, values in records.columns.items():
        _check_unicode(values, f"{name}: column {column!r} of row")
    for row, text in enumerate(records.texts()):
        if not text:
            columns = ", ".join(map(repr, records.columns))
            raise InvalidInput(
                f"{name}: record {records.keys.tolist()[row]!r} (row {row}) has no text in {columns}; "
                "remove such records first, or name other columns"
            )


__all__ = ["Records"]
