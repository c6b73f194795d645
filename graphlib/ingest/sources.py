"""Every kind of source as one `Table`: by the name and the first bytes of a file, or by the type of an object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import IngestError
from ..guarded import Npz, read_numpy
from ..names import shown
from .duckdb import file_literal
from .foreign import refuse_foreign
from .frames import check_names, is_column, open_object, row_of
from .paths import find_files, kind_of
from .table import Table
from .text.layout import TextOptions
from .text.lines import WHITESPACE, Layout
from .text.matrixmarket import read_head
from .text.reader import clean, table_of, text_table
from .text.survey import start_of, survey


def open_source(
    connection: Any,
    source: Any,
    *,
    view: str,
    text: TextOptions,
    types: Mapping[str, str],
    scratch: Path,
    least_columns: int = 2,
    ends_given: bool = False,
    rectangular: bool = False,
) -> Table:
    """The table behind a source; `view` is a free name for what has to be registered with DuckDB."""
    if isinstance(source, str | Path):
        table = _open_path(connection, Path(source), view, text, scratch, least_columns, ends_given, rectangular)
    else:
        table = open_object(connection, source, view)
    table.describe(types, text.decimal)
    return table


def _open_path(
    connection: Any,
    path: Path,
    view: str,
    text: TextOptions,
    scratch: Path,
    least_columns: int,
    ends_given: bool,
    rectangular: bool,
) -> Table:
    paths, remarks = find_files(path)
    name = shown(paths[0].name if len(paths) == 1 else path.name)
    table = _open_files(connection, paths, name, view, text, scratch, least_columns, ends_given, rectangular)
    table.remarks += remarks
    return table


def _open_files(
    connection: Any,
    paths: list[Path],
    name: str,
    view: str,
    text: TextOptions,
    scratch: Path,
    least_columns: int,
    ends_given: bool,
    rectangular: bool,
) -> Table:
    kind = kind_of(paths[0])
    if kind == "parquet":
        return _parquet(connection, paths, name)
    if kind == "Arrow":
        return _arrow_file(connection, paths[0], view)
    if kind == "NumPy":
        return _numpy_file(connection, paths[0], view)
    if kind == "MatrixMarket" or (len(paths) == 1 and start_of(paths[0]).lower().startswith(b"%%matrixmarket")):
        return _matrix_market(connection, paths[0], scratch, view, rectangular)
    for each in paths:
        refuse_foreign(each, ends_given=ends_given)
    return text_table(connection, paths, name, text, scratch, view, least_columns)


def _parquet(connection: Any, paths: list[Path], name: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def place(row: int) -> str:
        for path in paths:
            count = pq.read_metadata(path).num_rows
            if row < count:
                return f"{shown(path.name)}, row {row}"
            row -= count
        return f"{name}, row {row}"

    first: list[str] = []
    foreign: dict[str, str] = {}
    for path in paths:
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise IngestError(
                f"{shown(path.name)} could not be read as Parquet: {' '.join(str(error).split())}"
            ) from error
        names = list(schema.names)
        check_names(names, shown(path.name))
        foreign |= {field.name: str(field.type) for field in schema if pa.types.is_duration(field.type)}
        first = first or names
        if set(names) != set(first):
            raise IngestError(
                f"{shown(path.name)} has columns {names}, and {shown(paths[0].name)} has {first}; files of one source "
                "need the same columns, in any order"
            )
    _check_types(paths)
    listed = ", ".join(file_literal(path) for path in paths)
    relation = f"read_parquet([{listed}], hive_partitioning = false, union_by_name = {str(len(paths) > 1).lower()})"
    described = {"format": "Parquet", "file_count": len(paths)}
    return Table(name, connection, relation, place, described=described, foreign=foreign)


def _check_types(paths: list[Path]) -> None:
    """Files of one source hold the same kinds in a column: numbers and texts do not become one another."""
    import pyarrow.parquet as pq

    kinds: dict[str, tuple[str, str]] = {}
    for path in paths if len(paths) > 1 else ():
        for field in pq.read_schema(path):
            kind = _broad_kind(field.type)
            other, where = kinds.setdefault(field.name, (kind, path.name))
            if kind != other and "null" not in (kind, other):
                raise IngestError(
                    f"column {shown(field.name)!r} holds {kind} in {shown(path.name)}, but {other} in {shown(where)}; "
                    "convert one of them"
                )


def _broad_kind(kind: Any) -> str:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    for word, test in (
        ("null", types.is_null),
        ("integer", types.is_integer),
        ("float", types.is_floating),
        ("text", lambda t: types.is_string(t) or types.is_large_string(t) or types.is_string_view(t)),
        ("bool", types.is_boolean),
    ):
        if test(kind):
            return word
    if types.is_timestamp(kind):
        return "timestamps with a time zone" if kind.tz else "timestamps"
    return str(kind)


def _matrix_market(connection: Any, path: Path, scratch: Path, view: str, rectangular: bool) -> Table:
    head = read_head(path, rectangular=rectangular)
    names = ("row", "column", "value") if head.has_values else ("row", "column")
    facts = survey(path, None, scratch / f"{view}-0.utf8")
    layout = Layout(WHITESPACE, "", False, names, head.skip, ("%",))
    table = table_of(connection, [clean(facts, layout, scratch / f"{view}-0.even")], shown(path.name))
    table.kinds = dict(zip(names, ("integer", "integer", "float"), strict=False))
    table.weight = "value" if head.has_values else None
    table.directed = not head.symmetric
    table.num_nodes, table.first_id = (head.num_rows, head.num_cols), 1
    table.num_rows = head.num_entries
    table.described = {"format": f"MatrixMarket, {'symmetric' if head.symmetric else 'general'}"}
    return table


def _arrow_file(connection: Any, path: Path, view: str) -> Table:
    import pyarrow as pa
    import pyarrow.dataset
    from pyarrow import ipc

    name = shown(path.name)
    told = {"format": "Arrow IPC"}
    with path.open("rb") as stream:
        is_file = stream.read(6) == b"ARROW1"
    try:
        if is_file:
            dataset = pyarrow.dataset.dataset(path, format="ipc")
            check_names(dataset.schema.names, name)
            return Table(
                *(name, connection, view, row_of(name)),
                renew=lambda: dataset.scanner(use_threads=False).to_reader(),
                described=told,
            )
        with ipc.open_stream(pa.memory_map(str(path))) as reader:
            check_names(reader.schema.names, name)
        return Table(
            *(name, connection, view, row_of(name)),
            renew=lambda: ipc.open_stream(pa.memory_map(str(path))),
            described=told,
        )
    except (pa.ArrowException, OSError) as error:
        raise IngestError(f"{name} is not an Arrow IPC file: {' '.join(str(error).split())}") from error


def _numpy_file(connection: Any, path: Path, view: str) -> Table:
    name = shown(path.name)
    try:
        loaded = read_numpy(path, name=name, error=IngestError)
    except IngestError as error:
        raise IngestError(f"{name} cannot be read as NumPy data: {error}") from error
    if not isinstance(loaded, Npz):
        return open_object(connection, loaded, view, name)
    names = set(loaded)
    for pair in (("src", "dst"), ("row", "col"), ("source", "target")):
        if names.issuperset(pair):
            arrays = {each: loaded[each] for each in [*pair, *sorted(names - set(pair))]}
            rows = arrays[pair[0]].shape
            edges = {each: array for each, array in arrays.items() if array.shape[:1] == rows and is_column(array)}
            table = open_object(connection, edges, view, name)
            left = sorted(arrays.keys() - edges.keys())
            table.remarks += [f"arrays of another shape are left out: {', '.join(left)}"] if left else []
            return table
    for each in ("edges", "edge_index"):
        if each in names:
            table = open_object(connection, loaded[each], view, name)
            left = sorted(names - {each})
            table.remarks += [f"other arrays are left out: {', '.join(left)}"] if left else []
            return table
    raise IngestError(
        f"{name} holds {sorted(names)}; expected a SciPy sparse matrix (data, indices, indptr, shape), a pair "
        "(src, dst), or an array named edges or edge_index"
    )
