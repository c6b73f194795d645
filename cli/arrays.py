"""Vectors and results as files: .npy, .npz, .fvecs, HDF5, .parquet, .csv, or standard input and output ("-")."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.disk.replacing import replacing, replacing_stream
from ..graphlib.errors import InvalidInput, NotFound, StoreMissing
from ..graphlib.guarded import NPY_MAGIC, check_regular, guarded, read_npy
from ..graphlib.store.store import open as open_store
from ..graphlib.vector_files import HDF5, VECS, read_hdf5, read_vecs
from .csv_numbers import read_csv, wrong_cell
from .output import note, one_line, printable
from .words import find_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

CSV = (".csv", ".tsv", ".txt")
_READS = ".npy, .fvecs, .bvecs, .ivecs, .hdf5, .parquet, .csv, a store with --column, or - for standard input"
_WRITES = ".npy, .npz, .parquet, .csv, or - for standard output"


def read_vectors(source: str, column: str | None = None, *, dataset: str = "train") -> NDArray[Any]:
    """A matrix, one vector per row, from a file, a store's column or standard input (.npy or CSV).

    `column` names a store's column, a Parquet column of lists or an HDF5 dataset (by default `dataset`).
    """
    path = Path(source)
    if source == "-":
        return _from_bytes(sys.stdin.buffer.read(), "standard input")[0]
    if not path.exists():
        raise StoreMissing(f"there is no file or store at {source}")
    if path.is_dir():
        if column is None:
            raise InvalidInput(f"{source} is a store: name the node column with the vectors, --column NAME")
        store = open_store(path)
        node_type, found = find_column(store, column)
        return store.nodes(node_type)[found]
    check_regular(path)
    if path.suffix == ".npy":
        return read_npy(path)
    if path.suffix in VECS:
        return read_vecs(path)
    if path.suffix in HDF5:
        return read_hdf5(path, column or dataset)
    if path.suffix == ".parquet":
        table, name = read_parquet(source, column)
        with guarded(source, "a Parquet file of numbers"):
            return _numbers(table if name is None else table.select([name]), source)
    if path.suffix in CSV:
        return _from_bytes(path.read_bytes(), source)[0]
    raise InvalidInput(f"{source}: vectors are read from {_READS}")


def read_parquet(source: str, column: str | None) -> tuple[Any, str | None]:
    """An Arrow table, and which column of lists holds the vectors: `column`, or the only one; None where none does."""
    from pyarrow import parquet

    with guarded(source, "a Parquet file"), open(source, "rb") as stream:
        table = parquet.read_table(stream)
        table.validate(full=True)
    lists = [field.name for field in table.schema if is_vectors(field.type)]
    if column is not None and column not in table.column_names:
        raise NotFound(f"{source} has no column {column!r}; columns: {', '.join(table.column_names)}")
    if column is None and len(lists) > 1:
        raise InvalidInput(f"{source} has vectors in columns {', '.join(lists)}: choose one with --column")
    return table, column or next(iter(lists), None)


def read_cells(source: str, apart: str) -> tuple[NDArray[Any], dict[str, Any]]:
    """Vectors of a CSV file or of standard input, and the Arrow column `apart` of it, which is no coordinate.

    There is none where no column has that name, or for .npy on standard input.
    """
    if source == "-":
        return _from_bytes(sys.stdin.buffer.read(), "standard input", apart)
    check_regular(Path(source))
    return _from_bytes(Path(source).read_bytes(), source, apart)


def _from_bytes(data: bytes, name: str, apart: str | None = None) -> tuple[NDArray[Any], dict[str, Any]]:
    if data[: len(NPY_MAGIC)] == NPY_MAGIC:
        return read_npy(data, name=name), {}
    return cells_of(read_csv(data, name, apart), name, apart)


def cells_of(table: Any, name: str, apart: str | None) -> tuple[NDArray[Any], dict[str, Any]]:
    """Vectors of an Arrow table with a number per cell, and its column `apart`, if it has that."""
    if apart not in table.column_names:
        return _numbers(table, name), {}
    if table.num_columns == 1:
        raise InvalidInput(f"{name} has no column beside {apart!r}: no vectors")
    return _numbers(table.drop_columns([apart]), name), {str(apart): table.column(apart)}


def _numbers(table: Any, name: str) -> NDArray[Any]:
    """All columns side by side; one column of lists becomes a matrix."""
    from pyarrow import types

    if table.num_columns == 1 and is_vectors(table[0].type):
        return _matrix(table[0], name, table.column_names[0])
    for field, column in zip(table.schema, table.columns, strict=True):
        wrong = wrong_cell(column)
        if wrong is not None:
            raise InvalidInput(
                f"{name}: column {field.name!r} has {wrong[1]} in row {wrong[0]} (counted from 0, without names), and "
                "vectors are numbers; put a number there, or leave the row out"
            )
        if not (types.is_integer(field.type) or types.is_floating(field.type)):
            raise InvalidInput(f"{name}: column {field.name!r} holds {field.type}, and vectors are numbers")
    _tell_vector(table.column_names, name)
    return np.column_stack([column.to_numpy() for column in table.columns])


def _tell_vector(names: list[str], source: str) -> None:
    """Say which columns are taken for coordinates, where their names are not one word and running numbers."""
    index = next((name for name in names if name.startswith("__index_level_")), None)
    if index is not None:
        raise InvalidInput(
            f"{source}: column {index!r} is an index of pandas and no coordinate; leave it out (index=False), or name "
            "it with --ids if it holds ids"
        )
    if len({name.strip().rstrip("0123456789") for name in names}) > 1:
        listed = ", ".join(one_line(name)[:40] for name in names[:4]) + (", ..." if len(names) > 4 else "")
        note(f"{source}: a vector is {len(names)} columns, {listed}; --ids names a column that holds ids")


def is_vectors(kind: Any) -> bool:
    """Whether an Arrow column holds a list per row."""
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _matrix(column: Any, name: str, title: str) -> NDArray[Any]:
    """A column of equally long lists as a matrix, without a Python object per number."""
    import pyarrow.compute as pc

    flat = pc.list_flatten(column)
    lengths = pc.list_value_length(column)
    if column.null_count or flat.null_count or len(pc.unique(lengths)) > 1:
        raise InvalidInput(f"{name}: the vectors in column {title!r} differ in length, or some are missing")
    return flat.to_numpy().reshape(len(column), lengths[0].as_py() if len(column) else 0)


def write_array(target: str, array: NDArray[Any], prefix: str, ids: NDArray[Any] | None = None) -> None:
    """Write a matrix: .npy, or a table with columns prefix0, prefix1, ..., and where rows have ids `id` before them."""
    if target.endswith(".npy"):
        _write_npy(target, array)
        if ids is not None:
            note(f"{target} holds no user ids: row i is node i of the store; .csv and .parquet have a column id")
    else:
        named = {} if ids is None else {"id": ids}
        write_table(target, {**named, **{f"{prefix}{i}": array[:, i] for i in range(array.shape[1])}})


def write_table(target: str, columns: dict[str, NDArray[Any]]) -> None:
    """Write equally long columns as .parquet, .csv or CSV on standard output (on a terminal, printable)."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    made = pa.table({name: pa.array(_arrow_ready(values)) for name, values in columns.items()})
    if target == "-" and sys.stdout.isatty():
        text = io.BytesIO()
        csv.write_csv(made, text)
        sys.stdout.write(printable(text.getvalue().decode()))
    elif target == "-":
        csv.write_csv(made, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    elif target.endswith(".parquet"):
        with replacing(target) as part:
            parquet.write_table(made, part)
    elif target.endswith(".csv"):
        with replacing(target) as part:
            csv.write_csv(made, part)
    else:
        raise InvalidInput(f"{target}: results are written as {_WRITES}")


def _arrow_ready(values: NDArray[Any]) -> Any:
    return values.tolist() if values.dtype.kind in "TU" else values


def write_arrays(target: str, arrays: dict[str, NDArray[Any]]) -> None:
    """Write several arrays as one .npz, or the first as .npy; text in NumPy's fixed width."""
    arrays = {name: np.array(a.tolist(), np.str_) if a.dtype.kind == "T" else a for name, a in arrays.items()}
    if target.endswith(".npz"):
        with replacing_stream(target) as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    else:
        _write_npy(target, next(iter(arrays.values())))


def _write_npy(target: str, array: NDArray[Any]) -> None:
    with replacing_stream(target) as stream:
        np.save(stream, array, allow_pickle=False)
