"""Tables, arrays and tensors in memory as one thing: an Arrow reader that DuckDB can scan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import unmasked
from ..errors import IngestError, InvalidInput, InvalidType
from ..names import shown
from ..store.times import as_times, to_unit
from .duckdb import ROWS_AT_ONCE
from .table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = "in memory"


def open_object(connection: Any, source: Any, view: str, name: str | None = None) -> Table:
    """The table behind an object; `view` is a free name under which it is registered with DuckDB."""
    import pyarrow as pa

    top = type(source).__module__.partition(".")[0]
    label = name or f"the {top} {type(source).__name__}".replace("the builtins ", "the ")
    remarks: list[str] = []
    try:
        if isinstance(source, pa.Table | pa.RecordBatch):
            table = pa.Table.from_batches([source]) if isinstance(source, pa.RecordBatch) else source
        elif top == "pandas":
            table = _pandas(source, label, remarks)
        elif top == "polars":
            table = _polars(source, label)
        elif top == "torch":
            src, dst = tensor_array(source, label)
            return _arrays_table(connection, {"src": src, "dst": dst}, view, label)
        elif hasattr(source, "__arrow_c_stream__"):
            table = pa.RecordBatchReader.from_stream(source).read_all()
        else:
            return _arrays_table(connection, _named_arrays(source), view, name or f"the {type(source).__name__}")
    except OverflowError as error:
        raise IngestError(f"{label} holds an integer of more than 64 bits; give such ids as text") from error
    except pa.ArrowException as error:
        reason = " ".join(" ".join(map(str, error.args)).split())
        raise IngestError(f"{label}: a column mixes kinds of values ({shown(reason)})") from error
    check_names(table.column_names, label)
    found = Table(label, connection, view, row_of(label), renew=lambda: table, described={"format": _FORMAT})
    found.remarks += remarks
    found.foreign = {field.name: str(field.type) for field in table.schema if _is_numbered(field.type)}
    return found


def _is_numbered(kind: Any) -> bool:
    """Whether a type of an extension is kept as whole numbers, which would be all that DuckDB reads."""
    import pyarrow as pa

    return isinstance(kind, pa.BaseExtensionType) and pa.types.is_integer(kind.storage_type)


def check_names(names: Iterable[str], label: str) -> None:
    """Column names must differ by more than the case of their letters."""
    seen: dict[str, str] = {}
    for name in map(str, names):
        if name.lower() in seen:
            two = f"{shown(seen[name.lower()])!r} and {shown(name)!r}"
            raise IngestError(f"{label} has columns {two}; names must differ, letters' case aside")
        seen[name.lower()] = name


def _pandas(frame: Any, label: str, remarks: list[str]) -> Any:
    import pyarrow as pa

    if type(frame).__name__ != "DataFrame":
        raise InvalidType(f"ingest does not read {label}; give a DataFrame with a column for each end")
    if frame.columns.nlevels > 1:
        raise IngestError(f"{label} has column names of {frame.columns.nlevels} levels; flatten them first")
    check_names(frame.columns, label)
    names = [name for name in frame.index.names if name is not None]
    if names and len(names) == frame.index.nlevels and not set(names) & set(frame.columns):
        frame = frame.reset_index()
    elif type(frame.index).__name__ != "RangeIndex":
        remarks.append("the index of the frame, which has no name, is left out (reset_index() makes it a column)")
    sparse = [name for name in frame.columns if type(frame[name].dtype).__name__ == "SparseDtype"]
    frame = frame.assign(**{str(name): frame[name].sparse.to_dense() for name in sparse}) if sparse else frame
    for name in frame.columns:
        if frame[name].dtype == object:
            as_times(frame[name].to_numpy())  # moments with and without a zone do not mix
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except ValueError as error:
        if isinstance(error, pa.ArrowException):
            raise
        raise IngestError(f"{label} cannot be read: {' '.join(str(error).split())}") from error


def _polars(source: Any, label: str) -> Any:
    kind = type(source).__name__
    if kind == "LazyFrame":
        source = source.collect()
    elif kind != "DataFrame":
        raise InvalidType(f"ingest does not read {label}; give a DataFrame or LazyFrame with a column for each end")
    return source.to_arrow()


def tensor_array(tensor: Any, label: str) -> NDArray[Any]:
    """A torch `edge_index` (2, num_edges) of integers as an array."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise InvalidType(f"ingest does not read {label}; give an edge_index tensor (2, num_edges) of integers")
    shape = tuple(tensor.shape)
    if tensor.layout is not torch.strided:
        raise InvalidType(f"{label} is sparse, of shape {shape}; give tensor.coalesce().indices() as edge_index")
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise InvalidType(f"{label} holds {tensor.dtype}; an edge_index holds integers")
    if len(shape) != 2 or (shape[0] != 2 and shape[1] != 2):
        raise InvalidInput(f"{label} has shape {shape}; an edge_index is (2, num_edges)")
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array if shape[0] == 2 else array.T


def _arrays_table(connection: Any, arrays: dict[str, NDArray[Any]], view: str, label: str) -> Table:
    import pyarrow as pa

    shapes = {name: array.shape for name, array in arrays.items()}
    if any(not is_column(array) for array in arrays.values()) or len({shape[0] for shape in shapes.values()}) > 1:
        raise InvalidInput(
            f"{label}: columns must be one-dimensional, or two-dimensional of numbers, and equally long; got {shapes}"
        )
    check_names(arrays, label)
    arrays = {name: _arrow_kind(array, f"{label}, column {name!r}") for name, array in arrays.items()}
    count = next(iter(arrays.values())).shape[0]

    def piece(start: int) -> Any:
        stop = start + ROWS_AT_ONCE
        return pa.RecordBatch.from_pydict({name: _arrow(array[start:stop]) for name, array in arrays.items()})

    def reader() -> Any:  # piece by piece: strided and memory-mapped arrays are never copied whole
        return pa.RecordBatchReader.from_batches(schema, (piece(s) for s in range(0, max(count, 1), ROWS_AT_ONCE)))

    told = {"format": _FORMAT}
    if any(array.dtype.kind in "OUT" for array in arrays.values()):
        whole = pa.table({name: _objects(array) for name, array in arrays.items()})
        return Table(label, connection, view, row_of(label), renew=lambda: whole, described=told)
    try:
        schema = piece(0).schema
    except pa.ArrowException as error:
        raise IngestError(f"{label}: a column cannot be read ({' '.join(str(error).split())})") from error
    return Table(label, connection, view, row_of(label), renew=reader, described=told)


def is_column(array: NDArray[Any]) -> bool:
    """Whether an array can be a column: a value in each row, or as many numbers."""
    return array.ndim == 1 or (array.ndim == 2 and array.shape[1] > 0 and array.dtype.kind in "biuf")


def _arrow(array: NDArray[Any]) -> Any:
    """A column as Arrow has it, vectors as lists of fixed size."""
    import pyarrow as pa

    if array.ndim == 1:
        return pa.array(array)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).reshape(-1)), array.shape[1])


def _objects(array: NDArray[Any]) -> Any:
    import pyarrow as pa

    if array.dtype.kind not in "OUT":
        return _arrow(array)
    values = array.tolist()
    try:
        return pa.array(values)
    except OverflowError:  # whole numbers of more than 64 bits
        if all(isinstance(value, int | np.integer) and 0 <= value < 1 << 64 for value in values):
            return pa.array(values, pa.uint64())
        raise


def _arrow_kind(array: NDArray[Any], where: str) -> NDArray[Any]:
    """An array of a dtype that Arrow holds; dates of other units are converted, never cast."""
    if array.dtype.kind == "M":
        unit = np.datetime_data(array.dtype)[0]
        if unit in ("D", "s", "ms", "us", "ns") and np.datetime_data(array.dtype)[1] == 1:
            return array
        return to_unit(array, "us", where).view("datetime64[us]")
    if array.dtype.kind in "cVm":
        raise InvalidType(f"{where} holds {array.dtype}; allowed are numbers, booleans, dates and text")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        raise InvalidType(f"{where} holds {array.dtype}, which is wider than 64 bits; convert it to float64")
    return array.astype(array.dtype.newbyteorder("="), copy=False) if array.dtype.kind in "biuf" else array


def _named_arrays(source: Any) -> dict[str, NDArray[Any]]:
    """Arrays by column name from a mapping, a pair of arrays, a two-dimensional array or a list of pairs."""
    if isinstance(source, Mapping):
        if len(source) < 1:
            raise InvalidInput("a mapping of columns needs at least one; got none")
        return {str(name): _array(values, f"column {name!r}") for name, values in source.items()}
    if isinstance(source, tuple) and len(source) == 2 and all(hasattr(part, "__array__") for part in source):
        return {name: _array(part, name) for name, part in zip(("src", "dst"), source, strict=True)}
    if (
        isinstance(source, tuple)
        and len(source) == 2
        and all(isinstance(part, list) and len(part) == 2 for part in source)
    ):
        raise InvalidInput(f"{source!r} may be two edges or the pair (src, dst); give a list of pairs, or two arrays")
    if isinstance(source, Iterable) and not isinstance(source, np.ndarray | str | bytes):
        source = _pairs(list(source))
        if isinstance(source, dict):
            return source
    if not isinstance(source, np.ndarray):
        raise InvalidType(
            f"ingest does not read {type(source).__name__}; give a path, a table (Arrow, pandas, polars), arrays, a "
            "SciPy matrix, a NetworkX, PyG or DGL graph, or a list of pairs"
        )
    if source.dtype.names:
        return {name: source[name] for name in source.dtype.names}
    if source.shape == (2, 2) and not np.array_equal(source, source.T):
        raise InvalidInput(
            "an array of shape (2, 2) may hold an edge per row or an end per row; give the pair (src, dst) instead"
        )
    if source.ndim == 2 and source.shape[1] == 2:
        return {"src": source[:, 0], "dst": source[:, 1]}
    if source.ndim == 2 and source.shape[0] == 2:
        return {"src": source[0], "dst": source[1]}
    raise InvalidInput(f"an array of edges must have shape (num_edges, 2) or (2, num_edges); got {source.shape}")


def _array(values: Any, what: str) -> NDArray[Any]:
    if type(values).__module__.partition(".")[0] == "torch":
        values = values.detach().cpu().numpy()
    elif isinstance(values, list | tuple) and any(isinstance(value, str) for value in values):
        return np.array(values, object)  # NumPy would turn numbers among texts into texts
    array: NDArray[Any] = np.asarray(as_times(unmasked(what, values) if np.ma.isMaskedArray(values) else values))
    if array.dtype.kind == "S":
        return np.array([value.decode() for value in array.tolist()], object)
    return array


def _pairs(listed: list[Any]) -> Any:
    for position, pair in enumerate(listed):
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise IngestError(f"the list, row {position}: {pair!r} is not a pair (source, destination)")
    if not listed:
        return np.empty((0, 2), np.int64)
    ends = {}
    for end, name in enumerate(("src", "dst")):
        column = np.empty(len(listed), object)
        for row, pair in enumerate(listed):
            column[row] = pair[end].item() if isinstance(pair[end], np.generic) else pair[end]
        ends[name] = column
    return ends


def row_of(name: str) -> Callable[[int], str]:
    """Places of rows in something without lines."""
    return lambda row: f"{name}, row {row}"
