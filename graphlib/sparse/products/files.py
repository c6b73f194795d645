"""Products on disk: a folder of plain `.npy` files, written row block by row block and published whole."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...disk import files
from ...disk.replacing import making_folder
from ...disk.segments import DATA_START, npy_header
from ...errors import StoreCorrupt, StoreMissing
from ...store.adjacency import id_dtype
from ..csr import CSR

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import DTypeLike, NDArray

_BLOCK = 1 << 22


class _UnfinishedError(Exception):
    """The block ended without `finish`: nothing is published."""


class ProductWriter:
    """Writes `indptr.npy`, `indices.npy` and `values.npy` beside the folder asked for, and renames at the end."""

    def __init__(
        self, path: str | Path, num_rows: int, num_cols: int, ids: DTypeLike, dtype: np.dtype[Any] | None
    ) -> None:
        self._final = Path(path)
        self._making = contextlib.ExitStack()
        self._indptr = np.zeros(num_rows + 1, np.int64)
        self._num_cols = num_cols
        self._kinds = {"indices": np.dtype(ids)} | ({} if dtype is None else {"values": dtype})
        self._open: dict[str, int] = {}

    def __enter__(self) -> ProductWriter:
        self._folder = self._making.enter_context(making_folder(self._final))
        try:
            for name in self._kinds:
                self._open[name] = files.create(self._folder / f"{name}.npy")
                files.write(self._open[name], bytes(DATA_START))
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def append(
        self, first: int, sizes: NDArray[np.int64], idx: NDArray[Any], val: NDArray[Any], columns: NDArray[Any] | None
    ) -> None:
        """The next rows, `first` the first of them: their numbers of entries, and these without gaps."""
        ends = self._indptr[first] + np.cumsum(sizes)
        self._indptr[first + 1 : first + 1 + sizes.shape[0]] = ends
        for name, data in (("indices", idx), ("values", val)):
            if name in self._open:
                if name == "indices" and columns is not None:
                    data = columns[data].astype(self._kinds[name], copy=False)
                files.write(self._open[name], data)

    def finish(self) -> CSR:
        """Put the headers in place, give the folder its name and map it."""
        entries = int(self._indptr[-1])
        descriptor = files.create(self._folder / "indptr.npy")
        self._open["indptr"] = descriptor
        files.write(descriptor, npy_header(self._indptr.dtype, self._indptr.shape))
        files.write(descriptor, self._indptr)
        for name, kind in self._kinds.items():
            with (self._folder / f"{name}.npy").open("r+b") as stream:
                stream.write(npy_header(kind, (entries,)))
        shape = np.array([self._indptr.shape[0] - 1, self._num_cols], np.int64)
        np.save(self._folder / "shape.npy", shape)
        for name in self._open:
            files.sync(self._open[name])
        self._close()
        self._making.close()
        return open_product(self._final)

    def _close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        with contextlib.suppress(_UnfinishedError):
            unfinished = error or _UnfinishedError()
            self._making.__exit__(type(unfinished), unfinished, trace)  # nothing to leave after `finish`


def open_product(path: str | Path) -> CSR:
    """The product that `spgemm(..., out=path)` wrote, memory-mapped and checked.

    Raises
    ------
    StoreMissing
        There is no such folder.
    StoreCorrupt
        A file is missing, of another kind, or holds columns outside the matrix.

    Examples
    --------
    >>> import tempfile, nearhop
    >>> from nearhop.graphlib.sparse import open_product, spgemm
    >>> arc = nearhop.GraphStore.from_edges([0], [1]).csr()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = spgemm(arc, arc, out=folder + "/two_hops")
    ...     open_product(folder + "/two_hops").num_entries
    2
    """
    folder = Path(path)
    if not folder.is_dir():
        raise StoreMissing(f"there is no product at {folder}")
    shape = _mapped(folder, "shape", (np.int64,))
    indptr = _mapped(folder, "indptr", (np.int64,))
    indices = _mapped(folder, "indices", (np.int32, np.int64))
    values = None
    if (folder / "values.npy").exists():
        values = _mapped(folder, "values", (np.float32, np.float64, np.int32, np.int64))
    if shape.shape == (2,) and indices.dtype != id_dtype(max(0, int(shape[1]))):
        raise StoreCorrupt(f"{folder}: {int(shape[1])} columns do not go with {indices.dtype}")
    if shape.shape != (2,) or indptr.shape[0] != shape[0] + 1 or shape[1] < 0:
        raise StoreCorrupt(f"{folder}: its offsets do not belong to a matrix of shape {shape.tolist()}")
    if indptr[0] != 0 or indptr[-1] != indices.shape[0] or (np.diff(indptr) < 0).any():
        raise StoreCorrupt(f"{folder}: the offsets do not rise from 0 to {indices.shape[0]}")
    if values is not None and values.shape != indices.shape:
        raise StoreCorrupt(f"{folder}: {values.shape[0]} values for {indices.shape[0]} columns")
    for start in range(0, indices.shape[0], _BLOCK):
        part = indices[start : start + _BLOCK]
        if part.min() < 0 or part.max() >= shape[1]:
            raise StoreCorrupt(f"{folder}: a column is outside 0..{int(shape[1]) - 1}")
    return CSR(indptr, indices, values, int(shape[1]))


def _mapped(folder: Path, name: str, allowed: tuple[type, ...]) -> NDArray[Any]:
    path = folder / f"{name}.npy"
    try:
        empty = path.stat().st_size <= DATA_START
        array = np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreCorrupt(f"{path} cannot be read as an array: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype not in allowed or array.ndim != 1:
        raise StoreCorrupt(f"{path} holds {getattr(array, 'dtype', '?')}{getattr(array, 'shape', '')}")
    return array.view(np.ndarray)
