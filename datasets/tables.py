"""Small helpers that the readers share: number tables from text, node numbering, feature matrices, label codes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import StoreCorrupt
from ..graphlib.store.store import GraphStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MAX_DENSE_BYTES = 4 << 30


def read_columns(
    data: bytes, types: Sequence[str], *, name: str, delimiter: str = " ", skip_lines: int = 0
) -> list[NDArray[Any]]:
    """Columns of a text table without header, as arrays of the Arrow types named ("int64", "double", "string")."""
    import pyarrow as pa
    from pyarrow import csv

    names = [str(i) for i in range(len(types))]
    try:
        table = csv.read_csv(
            io.BytesIO(data),
            csv.ReadOptions(column_names=names, skip_rows=skip_lines, use_threads=False),
            csv.ParseOptions(delimiter=delimiter, quote_char='"' if delimiter == "," else False),
            csv.ConvertOptions(
                column_types={n: pa.type_for_alias(t) for n, t in zip(names, types, strict=True)}, null_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        raise StoreCorrupt(f"{name}: not a table of {len(types)} columns ({error})") from error
    return [table.column(n).to_numpy() for n in names]


def number_nodes(*ends: NDArray[Any]) -> tuple[list[NDArray[np.int32]], NDArray[Any] | None, int]:
    """Positions for the node ids in the arrays, the ids in order of position, and the number of nodes.

    Ids that are 0..n-1 or 1..n need no table: None stands for their ids.
    """
    ids, positions = np.unique(np.concatenate(ends), return_inverse=True)
    parts = np.split(positions.astype(np.int32), np.cumsum([len(end) for end in ends])[:-1])
    count = len(ids)
    in_sequence = count == 0 or (ids[0] in (0, 1) and int(ids[-1]) - int(ids[0]) == count - 1)
    return parts, None if in_sequence else ids, count


def whole(values: NDArray[Any]) -> NDArray[Any]:
    """int64 if every value is a whole number, else as given."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64, copy=False)
    rounded = values.astype(np.int64)
    return rounded if bool((rounded == values).all()) else values


def distinct_edges(src: NDArray[Any], dst: NDArray[Any], count: int, *, loops: bool) -> tuple[Any, Any]:
    """Each undirected edge once, smaller end first, sorted; self-loops dropped unless `loops`."""
    low, high = np.minimum(src, dst).astype(np.int64), np.maximum(src, dst).astype(np.int64)
    keys = np.unique(low * count + high)
    low, high = (part.astype(np.int32) for part in np.divmod(keys, max(count, 1)))
    if loops:
        return low, high
    keep = low != high
    return low[keep], high[keep]


def undirected(src: NDArray[Any], dst: NDArray[Any], count: int, *, loops: bool = False) -> GraphStore:
    """A store of the distinct undirected edges."""
    low, high = distinct_edges(src, dst, count, loops=loops)
    return GraphStore.from_edges(low, high, num_nodes=count)


def feature_dtype(values: NDArray[Any]) -> np.dtype[Any]:
    """uint8 where that holds every value exactly (words, counts, pixels), else float32."""
    if values.size == 0 or values.dtype.kind == "b":
        return np.dtype(np.uint8)
    small = bool((values >= 0).all() and (values <= 255).all() and (values == np.floor(values)).all())
    return np.dtype(np.uint8 if small else np.float32)


def fill_features(x: NDArray[Any], rows: NDArray[Any], matrix: Any) -> None:
    """Write the rows of a CSR matrix into the rows `rows` of the dense array `x`."""
    at = np.repeat(np.asarray(rows), np.diff(matrix.indptr))
    x[at, matrix.indices] = matrix.data


def dense(matrix: Any, *, name: str) -> NDArray[Any]:
    """A CSR matrix of features as a dense array of `feature_dtype`."""
    x = empty_features(matrix.shape, feature_dtype(matrix.data), name=name)
    fill_features(x, np.arange(matrix.shape[0]), matrix)
    return x


def empty_features(shape: tuple[int, int], dtype: np.dtype[Any], *, name: str) -> NDArray[Any]:
    """Zeros, unless the file claims an absurd size."""
    if shape[0] * shape[1] * dtype.itemsize > _MAX_DENSE_BYTES:
        raise StoreCorrupt(f"{name}: features of shape {shape} would take over {_MAX_DENSE_BYTES >> 30} GiB")
    return np.zeros(shape, dtype)


def class_codes(values: NDArray[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Labels as 0..c-1, and what each stood for, in sorted order."""
    classes, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64), classes.tolist()
