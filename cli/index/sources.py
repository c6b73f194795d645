"""What an index is made of: vectors, their ids and attributes, from a file, a store or standard input."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, InvalidType, NotFound
from ...graphlib.guarded import guarded
from ...graphlib.store.store import open as open_store
from ...graphlib.vector_files import HDF5, hdf5_attributes
from ..arrays import CSV, cells_of, read_cells, read_parquet, read_vectors
from .attributes import exact, usable

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ANGULAR = {"angular": "cosine", "euclidean": "l2"}


@dataclass(frozen=True, eq=False)
class Source:
    """Vectors float32 or uint8 (n, dim), ids int64 or text (n,) or None, and attributes by name, one per vector."""

    vectors: NDArray[Any]
    ids: NDArray[Any] | None = None
    attributes: dict[str, NDArray[Any]] = field(default_factory=dict)


def read_source(source: str, column: str | None, ids: str | None) -> Source:
    """Vectors to index. The other columns of a table whose vectors are one column of lists become attributes."""
    rows, beside = _rows(source, column, apart=ids)
    named = None if ids is None else _names(source, rows, beside, ids, "--ids")
    attributes = {name: exact(values, name, source) for name, values in beside.items()}
    if named is not None:
        return Source(rows, named, attributes)
    own = open_store(source).ids() if Path(source).is_dir() else None
    return Source(rows, None if own is None else _checked(own, rows, "--ids"), attributes)


def read_named(source: str, column: str | None, names: str, *, option: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Vectors and what `names`, which `option` gave, calls each: a .npy file, or a column beside them."""
    rows, beside = _rows(source, column, apart=names, only=True)
    return rows, _names(source, rows, beside, names, option)


def read_rows(source: str, column: str | None) -> NDArray[Any]:
    """Vectors to index, without what stands beside them."""
    return _matrix(read_vectors(source, column), source)


def _rows(source: str, column: str | None, *, apart: str | None, only: bool = False) -> tuple[Any, dict[str, Any]]:
    """Vectors, and the Arrow columns beside them: all that can be attributes, or with `only` the one named `apart`.

    Where every cell of a table is a number, `apart` alone is no coordinate.
    """
    if Path(source).suffix == ".parquet" and Path(source).is_file():
        vectors, beside = _table(source, column, apart, only=only)
        return _matrix(vectors, source), beside
    if apart is not None and (source == "-" or (Path(source).suffix in CSV and Path(source).is_file())):
        vectors, beside = read_cells(source, apart)
        return _matrix(vectors, source), beside
    return _matrix(read_vectors(source, column), source), {}


def _names(source: str, rows: NDArray[Any], beside: dict[str, Any], given: str, option: str) -> NDArray[Any]:
    """What `given` names; a column is taken out of those beside the vectors."""
    if given in beside:
        return _checked(exact(beside.pop(given), given, source, option=option), rows, option)
    if given.endswith(".npy"):
        return _checked(read_vectors(given), rows, option)
    if Path(source).is_dir():
        return _checked(open_store(source).nodes[given], rows, option)
    raise NotFound(f"{option} {given}: not a .npy file, nor a column of {source} beside its vectors")


def _checked(chosen: NDArray[Any], rows: NDArray[Any], option: str) -> NDArray[Any]:
    from ...ann.ids import as_ids

    if chosen.shape != (len(rows),):
        raise InvalidType(
            f"ids must be {len(rows)} integers or texts, one per vector; got {chosen.dtype} of shape {chosen.shape}"
        )
    return as_ids(option, chosen)


def read_queries(source: str, column: str | None, limit: int | None = None) -> NDArray[Any]:
    """Query vectors; of an HDF5 file the dataset "test". `limit` keeps that many, evenly spread."""
    rows = _matrix(read_vectors(source, column, dataset="test"), source)
    return rows if limit is None else rows[spread(len(rows), limit)]


def some(rows: NDArray[Any], source: str, what: str) -> NDArray[Any]:
    """The rows, of which there must be some."""
    if not len(rows):
        raise InvalidInput(f"{source} holds no {what}")
    return rows


def spread(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` of `count` positions, evenly spread."""
    return np.linspace(0, count - 1, min(limit, count)).astype(np.int64)


def metric_of(source: str, given: str | None) -> str:
    """The metric asked for, else the one a benchmark's HDF5 file names, else l2."""
    if given is None and Path(source).suffix in HDF5 and Path(source).is_file():
        return _ANGULAR.get(str(hdf5_attributes(source).get("distance")), "l2")
    return given or "l2"


def _matrix(vectors: NDArray[Any], source: str) -> NDArray[Any]:
    if vectors.dtype.kind not in "biuf":
        raise InvalidType(f"{source}: vectors are numbers; got dtype {vectors.dtype}")
    kept = np.uint8 if vectors.dtype == np.uint8 else np.float32  # bytes may be packed bits; indexes convert others
    return np.atleast_2d(np.asarray(vectors, kept))


def _table(source: str, column: str | None, apart: str | None, *, only: bool) -> tuple[NDArray[Any], dict[str, Any]]:
    """The vectors of a Parquet table, and its other columns where the vectors are one column of lists."""
    table, name = read_parquet(source, column)
    with guarded(source, "a Parquet file of numbers"):
        if name is None:
            return cells_of(table, source, apart)
        vectors = cells_of(table.select([name]), source, None)[0]
    wanted = {name, apart} if only else {*table.column_names}
    return vectors, usable(table, name, source, wanted)
