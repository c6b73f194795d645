"""Matrices of vectors in the files that retrieval benchmarks use: .fvecs, .bvecs, .ivecs and HDF5.

A `.?vecs` file repeats, for every vector, its width as a 32-bit integer and its values: float32, uint8 or int32.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .disk.replacing import replacing_stream
from .errors import InvalidInput, InvalidType, NotFound, StoreCorrupt
from .extras import require
from .guarded import check_regular, guarded

if TYPE_CHECKING:
    from numpy.typing import NDArray

VECS: dict[str, np.dtype[Any]] = {".fvecs": np.dtype("<f4"), ".bvecs": np.dtype("u1"), ".ivecs": np.dtype("<i4")}
HDF5 = (".h5", ".hdf5")
_MOST_DIM = 1 << 20
_MOST_PACKED = 1100  # of deflate, bytes that one byte can stand for


def read_vecs(path: str | Path) -> NDArray[Any]:
    """The matrix in a .fvecs, .bvecs or .ivecs file, as a view of the mapped file: float32, uint8 or int32 (n, dim).

    Raises
    ------
    StoreCorrupt
        The file's size is no multiple of a vector's, or vectors differ in width.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.graphlib.vector_files import read_vecs, write_vecs
    >>> write_vecs("two.ivecs", np.array([[1, 2, 3], [4, 5, 6]]))
    >>> read_vecs("two.ivecs").tolist()
    [[1, 2, 3], [4, 5, 6]]
    """
    given = Path(path)
    kind = _kind(given)
    size = check_regular(given)
    if size == 0:
        return np.empty((0, 0), kind)
    data = np.memmap(given, np.uint8, "r")
    dim = int(data[:4].view("<i4")[0]) if size >= 4 else 0
    if not 0 < dim <= _MOST_DIM:
        raise StoreCorrupt(f"{given.name}: its first vector has width {dim}, so it is no {given.suffix} file")
    width = 4 + dim * kind.itemsize
    if size % width:
        raise StoreCorrupt(
            f"{given.name}: {size:,} bytes are no multiple of {width}, the size of a vector of width {dim}; the "
            "file is cut short or of another kind"
        )
    rows = data.view(np.dtype([("dim", "<i4"), ("values", kind, (dim,))]))
    other = np.flatnonzero(rows["dim"] != dim)
    if len(other):
        raise StoreCorrupt(f"{given.name}: vector {other[0]} has width {rows['dim'][other[0]]}, the first has {dim}")
    return rows["values"]


def write_vecs(path: str | Path, matrix: NDArray[Any]) -> None:
    """Write a matrix as .fvecs, .bvecs or .ivecs, by the path's ending; values must fit that ending's type."""
    given = Path(path)
    kind = _kind(given)
    array = np.asarray(matrix)
    if array.ndim != 2:
        raise InvalidInput(f"{given.name}: needs a matrix; got shape {array.shape}")
    rows = np.empty(len(array), np.dtype([("dim", "<i4"), ("values", kind, (array.shape[1],))]))
    rows["dim"], rows["values"] = array.shape[1], array
    if kind.kind != "f" and (rows["values"] != array).any():
        raise InvalidInput(f"{given.name}: {given.suffix} holds {kind} values and some do not fit")
    with replacing_stream(given) as stream:
        stream.write(rows.tobytes())


def read_hdf5(path: str | Path, dataset: str) -> NDArray[Any]:
    """One dataset of an HDF5 file, read into memory; needs h5py (`nearhop[hdf5]`).

    Raises
    ------
    NotFound
        There is no such dataset; the message lists those that there are.
    StoreCorrupt
        The file is damaged, promises more than it can hold, or keeps the values in another file.
    """
    h5py = require("h5py", "reading HDF5 files")
    given = Path(path)
    size = check_regular(given)
    with guarded(given.name, "a whole HDF5 file"), h5py.File(given, "r") as file:
        link = file.get(dataset, getlink=True) if dataset else None
        found = None if link is None or isinstance(link, h5py.ExternalLink) else file.get(dataset)
        if not isinstance(found, h5py.Dataset):
            names = ", ".join(sorted(name for name, item in file.items() if isinstance(item, h5py.Dataset)))
            raise NotFound(f"{given.name} has no dataset {dataset!r}; datasets: {names or 'none'}")
        if found.dtype.hasobject or found.dtype.kind not in "biuf":
            raise InvalidType(f"{given.name}: dataset {dataset!r} holds {found.dtype}, and numbers are needed")
        if found.external or found.is_virtual:
            raise StoreCorrupt(f"{given.name}: the values of dataset {dataset!r} are in another file")
        if found.nbytes > _MOST_PACKED * size:
            raise StoreCorrupt(
                f"{given.name}: dataset {dataset!r} promises {found.nbytes:,} bytes, the file has {size:,}"
            )
        return np.asarray(found[()])


def hdf5_attributes(path: str | Path) -> dict[str, Any]:
    """The attributes of an HDF5 file; benchmark files name their "distance" there."""
    h5py = require("h5py", "reading HDF5 files")
    given = Path(path)
    check_regular(given)
    with guarded(given.name, "a whole HDF5 file"), h5py.File(given, "r") as file:
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in file.attrs.items()}


def _kind(path: Path) -> np.dtype[Any]:
    kind = VECS.get(path.suffix)
    if kind is None:
        raise InvalidInput(f"{path.name}: the name must end in {', '.join(VECS)}")
    return kind
