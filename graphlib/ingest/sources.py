"""Every kind of source as one thing: a relation that DuckDB can read, with the kind of each column."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import IngestError, InvalidInput, InvalidType, StoreMissing
from ..guarded import Npz, read_numpy
from .duckdb import ROWS_AT_ONCE, batches, ident, literal, rows, translated
from .matrixmarket import read_head
from .text import Layout, detect_layout, line_of_row, rewrite_ragged

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTEGER = r"regexp_full_match({0}, '\s*[+-]?\d+\s*')"
_SAMPLE_ROWS = 20_000


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
        Column -> "integer", "float", "bool", "date", "text" or "other".
    types : dict
        Column -> DuckDB's name of its type.
    all_text : bool
        Whether columns arrive as text and are cast when read.
    place : callable
        Row, counted from 0 -> where that is, in words.
    renew : callable or None
        Makes the Arrow object that the relation reads, where it is one.
    weight, directed, num_nodes, first_id
        What the source itself says of the edges, where it does.
    """

    name: str
    connection: Any
    relation: str
    place: Callable[[int], str]
    kinds: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    all_text: bool = False
    renew: Callable[[], Any] | None = None
    weight: str | None = None
    directed: bool | None = None
    num_nodes: int | None = None
    first_id: int = 0

    def ready(self) -> Any:
        """A connection on which the relation can be read, whatever else is being read at the same time."""
        cursor = self.connection.cursor()
        if self.renew is not None:
            try:
                cursor.register(self.relation, self.renew())
            except Exception as error:
                raise translated(error) from error
        return cursor

    def read(self, select: Mapping[str, str], rows_at_once: int = ROWS_AT_ONCE) -> Iterator[Any]:
        """Record batches of the expressions in `select`, named by its keys."""
        listed = ", ".join(f"{sql} AS {ident(name)}" for name, sql in select.items())
        return batches(self.ready(), f"SELECT {listed} FROM {self.relation}", rows_at_once)

    def value(self, column: str, row: int) -> Any:
        """What stands in a column at a row, for messages."""
        found = rows(self.ready(), f"SELECT {ident(column)} FROM {self.relation} LIMIT 1 OFFSET {row}")
        return found[0][0] if found else None

    def integer(self, column: str) -> str:
        """SQL that gives a column as BIGINT, and NULL where it is not a whole number that fits."""
        name = ident(column)
        if self.all_text:
            return f"CASE WHEN {INTEGER.format(name)} THEN TRY_CAST({name} AS BIGINT) END"
        return f"TRY_CAST({name} AS BIGINT)"

    def describe(self) -> None:
        """Fill `types` and `kinds`; the kinds of text files are judged by their first 20,000 rows."""
        described = rows(self.ready(), f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {self.relation})")
        self.types = dict(described)
        self.kinds = {name: _kind(kind) for name, kind in described}
        if self.all_text:
            self.kinds = {name: self._judge(name) for name in self.types}

    def _judge(self, column: str) -> str:
        c = ident(column)
        tests = {
            "integer": INTEGER.format(c),
            "float": f"TRY_CAST({c} AS DOUBLE) IS NOT NULL",
            "bool": f"lower({c}) IN ('true', 'false')",
            "date": f"TRY_CAST({c} AS TIMESTAMP) IS NOT NULL",
        }
        # an empty cell says nothing; a column of empty cells passes the first test
        listed = ", ".join(f"count(*) FILTER ({c} IS NOT NULL AND NOT ({test}))" for test in tests.values())
        failures = rows(self.ready(), f"SELECT {listed} FROM (SELECT * FROM {self.relation} LIMIT {_SAMPLE_ROWS})")[0]
        return next((kind for kind, count in zip(tests, failures, strict=True) if not count), "text")


def _kind(duckdb_type: str) -> str:
    name = duckdb_type.upper()
    if name.endswith(("INT", "INTEGER")):
        return "integer"
    if name in ("FLOAT", "DOUBLE", "REAL") or name.startswith("DECIMAL"):
        return "float"
    if name == "BOOLEAN":
        return "bool"
    if name == "DATE" or (name.startswith("TIMESTAMP") and "(" not in name):
        return "date"
    return "text" if name in ("VARCHAR", "UUID") or name.startswith("ENUM") else "other"


def open_source(
    connection: Any, source: Any, *, view: str, header: bool | str, delimiter: str | None, scratch: Path
) -> Table:
    """The table behind a source; `view` is a free name for what has to be registered with DuckDB."""
    if isinstance(source, str | Path):
        table = _open_path(connection, Path(source), view, header, delimiter, scratch)
    else:
        table = _open_object(connection, source, view)
    if not table.kinds:
        table.describe()
    return table


def _open_path(
    connection: Any, path: Path, view: str, header: bool | str, delimiter: str | None, scratch: Path
) -> Table:
    paths = _files(path)
    name = paths[0].name if len(paths) == 1 else path.name
    suffix = "".join(s for s in paths[0].suffixes if s != ".gz").lower().rpartition(".")[2]
    if suffix in ("parquet", "pq"):
        return _parquet(connection, paths, name)
    if len(paths) > 1 and suffix in ("arrow", "feather", "ipc", "npy", "npz", "mtx"):
        raise InvalidInput(f"{path}: give one .{suffix} file at a time; folders and globs are for Parquet and text")
    if suffix in ("arrow", "feather", "ipc"):
        return _arrow_file(connection, paths[0], view)
    if suffix in ("npy", "npz"):
        return _numpy_file(connection, paths[0], view)
    if suffix == "mtx":
        return _matrix_market(connection, paths[0], scratch, view)
    layout = detect_layout(paths[0], delimiter=delimiter, header=header)
    return _text(connection, paths, layout, name, scratch, view)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        for pattern in ("*.parquet", "*.csv", "*.csv.gz", "*.tsv"):
            found = sorted(path.rglob(pattern))
            if found:
                return found
        raise StoreMissing(f"{path} is a folder without .parquet, .csv, .csv.gz or .tsv files")
    if path.exists():
        return [path]
    if any(mark in str(path) for mark in "*?["):
        found = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        if found:
            return found
        raise StoreMissing(f"no file matches {path}")
    raise StoreMissing(f"there is no file {path}")


def _parquet(connection: Any, paths: list[Path], name: str) -> Table:
    import pyarrow.parquet as pq

    def place(row: int) -> str:
        for path in paths:
            count = pq.read_metadata(path).num_rows
            if row < count:
                return f"{path.name}, row {row}"
            row -= count
        return f"{name}, row {row}"

    listed = ", ".join(literal(str(path)) for path in paths)
    return Table(name, connection, f"read_parquet([{listed}], hive_partitioning = false)", place)


def _text(connection: Any, paths: list[Path], layout: Layout, name: str, scratch: Path, view: str) -> Table:
    given = paths
    if layout.ragged:
        paths = [scratch / f"{view}-{number}.txt" for number in range(len(given))]
        layouts = [rewrite_ragged(old, layout, new) for old, new in zip(given, paths, strict=True)]
        layout = layouts[0]
    options = {
        "auto_detect": "false",
        "delim": literal(layout.delimiter),
        "quote": literal('"'),
        "escape": literal('"'),
        "header": str(layout.header).lower(),
        # DuckDB does not count comments among the lines to skip
        "skip": "0" if layout.comment else str(layout.skip),
        "columns": "{" + ", ".join(f"{literal(column)}: 'VARCHAR'" for column in layout.names) + "}",
    }
    if layout.comment:
        options["comment"] = literal(layout.comment)
    if paths[0].suffix == ".gz":
        options["compression"] = literal("gzip")
    listed = ", ".join(literal(str(path)) for path in paths)
    relation = f"read_csv([{listed}], {', '.join(f'{key} = {value}' for key, value in options.items())})"

    def place(row: int) -> str:
        file, line = line_of_row(paths, layout, row)
        return f"{given[paths.index(file)].name}, line {line}"

    return Table(name, connection, relation, place, all_text=True)


def _matrix_market(connection: Any, path: Path, scratch: Path, view: str) -> Table:
    head = read_head(path)
    names = ("row", "column", "value") if head.has_values else ("row", "column")
    table = _text(connection, [path], Layout(" ", False, names, head.skip, ragged=True), path.name, scratch, view)
    table.kinds = dict(zip(names, ("integer", "integer", "float"), strict=False))
    table.types = dict.fromkeys(names, "VARCHAR")
    table.weight = "value" if head.has_values else None
    table.directed = not head.symmetric
    table.num_nodes, table.first_id = head.num_nodes, 1
    return table


def _arrow_file(connection: Any, path: Path, view: str) -> Table:
    import pyarrow as pa
    import pyarrow.dataset
    from pyarrow import ipc

    place = _row_of(path.name)
    with path.open("rb") as stream:
        is_file = stream.read(6) == b"ARROW1"
    try:
        if is_file:
            dataset = pyarrow.dataset.dataset(path, format="ipc")
            return Table(
                path.name, connection, view, place, renew=lambda: dataset.scanner(use_threads=False).to_reader()
            )
        return Table(path.name, connection, view, place, renew=lambda: ipc.open_stream(pa.memory_map(str(path))))
    except (pa.ArrowException, OSError) as error:
        raise IngestError(f"{path.name} is not an Arrow IPC file: {error}") from error


def _numpy_file(connection: Any, path: Path, view: str) -> Table:
    try:
        loaded = read_numpy(path, name=path.name, error=IngestError)
    except IngestError as error:
        raise IngestError(f"{path.name} cannot be read as NumPy data: {error}") from error
    if not isinstance(loaded, Npz):
        return _open_object(connection, loaded, view, path.name)
    names = set(loaded)
    for pair in (("src", "dst"), ("row", "col"), ("source", "target")):
        if names.issuperset(pair):
            arrays = {name: loaded[name] for name in [*pair, *sorted(names - set(pair))]}
            edges = {name: array for name, array in arrays.items() if array.shape == arrays[pair[0]].shape}
            return _open_object(connection, edges, view, path.name)
    for name in ("edges", "edge_index"):
        if name in names:
            return _open_object(connection, loaded[name], view, path.name)
    raise IngestError(
        f"{path.name} holds {sorted(names)}; expected a SciPy sparse matrix (data, indices, indptr, shape), a pair "
        "(src, dst), or an array named edges or edge_index"
    )


def _open_object(connection: Any, source: Any, view: str, name: str | None = None) -> Table:
    import pyarrow as pa

    top = type(source).__module__.partition(".")[0]
    label = name or f"the {top} {type(source).__name__}"
    try:
        if isinstance(source, pa.Table | pa.RecordBatch):
            table = pa.Table.from_batches([source]) if isinstance(source, pa.RecordBatch) else source
        elif top == "pandas":
            table = pa.Table.from_pandas(source, preserve_index=False)
        elif top == "polars":
            table = source.to_arrow()
        else:
            return _arrays_table(connection, _named_arrays(source), view, name or f"the {type(source).__name__}")
    except pa.ArrowException as error:
        raise IngestError(f"{label}: a column mixes kinds of values ({error})") from error
    return Table(label, connection, view, _row_of(label), renew=lambda: table)


def _arrays_table(connection: Any, arrays: dict[str, NDArray[Any]], view: str, label: str) -> Table:
    import pyarrow as pa

    lengths = {name: array.shape for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
        raise InvalidInput(f"{label}: columns must be one-dimensional and equally long; got {lengths}")
    count = next(iter(arrays.values())).shape[0]

    def piece(start: int) -> Any:
        stop = start + ROWS_AT_ONCE
        return pa.RecordBatch.from_pydict({name: pa.array(array[start:stop]) for name, array in arrays.items()})

    def reader() -> Any:  # piece by piece: strided and memory-mapped arrays are never copied whole
        return pa.RecordBatchReader.from_batches(schema, (piece(s) for s in range(0, max(count, 1), ROWS_AT_ONCE)))

    if any(array.dtype.kind in "OUT" for array in arrays.values()):
        whole = pa.table({name: pa.array(array.tolist()) for name, array in arrays.items()})
        return Table(label, connection, view, _row_of(label), renew=lambda: whole)
    schema = piece(0).schema
    return Table(label, connection, view, _row_of(label), renew=reader)


def _named_arrays(source: Any) -> dict[str, NDArray[Any]]:
    """Arrays by column name from a mapping, a pair of arrays, a two-dimensional array or a list of pairs."""
    if isinstance(source, Mapping):
        if len(source) < 2:
            raise InvalidInput(f"a mapping of columns needs at least two; got {sorted(source)}")
        return {str(name): np.asarray(values) for name, values in source.items()}
    if isinstance(source, tuple) and len(source) == 2 and all(isinstance(part, np.ndarray) for part in source):
        return {"src": source[0], "dst": source[1]}
    if isinstance(source, Iterable) and not isinstance(source, np.ndarray | str | bytes):
        source = _pairs(list(source))
        if isinstance(source, dict):
            return source
    if not isinstance(source, np.ndarray):
        raise InvalidType(
            f"ingest does not read {type(source).__name__}; give a path, a table (Arrow, pandas, polars), arrays, a "
            "SciPy matrix, a NetworkX, PyG or DGL graph, or a list of pairs"
        )
    if source.ndim == 2 and source.shape[1] == 2:
        return {"src": source[:, 0], "dst": source[:, 1]}
    if source.ndim == 2 and source.shape[0] == 2:
        return {"src": source[0], "dst": source[1]}
    raise InvalidInput(f"an array of edges must have shape (num_edges, 2) or (2, num_edges); got {source.shape}")


def _pairs(listed: list[Any]) -> Any:
    for position, pair in enumerate(listed):
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise IngestError(f"the list, row {position}: {pair!r} is not a pair (source, destination)")
    if not listed:
        return np.empty((0, 2), np.int64)
    return {name: np.array([pair[end] for pair in listed], object) for end, name in enumerate(("src", "dst"))}


def _row_of(name: str) -> Callable[[int], str]:
    return lambda row: f"{name}, row {row}"
