"""CSR: what sparse products take and give, and how other matrices become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput, InvalidType
from ..store.adjacency import Adjacency, CompressedRows, id_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class CSR(CompressedRows):
    """A sparse matrix by rows. Arrays may be shared or memory-mapped: treat them as read-only.

    Attributes
    ----------
    indptr : int64 (num_rows + 1,)
        Row i is the slice `indptr[i]:indptr[i + 1]` of the arrays below.
    indices : int32 or int64 (num_entries,)
        Columns; int32 when they fit.
    values : array (num_entries,) or None
        None for a pattern: every entry counts as one, or as true.
    num_cols : int

    Examples
    --------
    >>> import numpy as np
    >>> CSR(np.array([0, 1]), np.array([2], np.int32), None, 3).to_scipy().toarray().tolist()
    [[0.0, 0.0, 1.0]]
    """

    indptr: NDArray[np.int64]
    indices: NDArray[Any]
    values: NDArray[Any] | None
    num_cols: int

    def row(self, i: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Columns and values of row i, as views."""
        part = slice(int(self.indptr[i]), int(self.indptr[i + 1]))
        return self.indices[part], None if self.values is None else self.values[part]

    def to_scipy(self) -> Any:
        """A `scipy.sparse.csr_array` over the same columns and values; a pattern gets float32 ones."""
        import scipy.sparse as sp

        values = np.ones(self.num_entries, np.float32) if self.values is None else self.values
        # SciPy wants one dtype for both: the offsets, which are few, take that of the columns where they fit
        fits = self.num_entries <= np.iinfo(self.indices.dtype).max
        indptr = self.indptr.astype(self.indices.dtype, copy=False) if fits else self.indptr
        return sp.csr_array((values, self.indices, indptr), shape=(self.num_rows, self.num_cols), copy=False)

    def to_adjacency(self) -> Adjacency:
        """The entries as edges, values as float32 weights; rows must be sorted, which `spgemm` does by default."""
        weight = None if self.values is None else self.values.astype(np.float32, copy=False)
        edges = np.arange(self.num_entries, dtype=id_dtype(self.num_entries))
        return Adjacency(self.indptr, self.indices, edges, weight, None, self.num_cols)

    def __repr__(self) -> str:
        kind = "pattern" if self.values is None else str(self.values.dtype)
        return (
            f"CSR({self.num_rows:,} rows x {self.num_cols:,} columns, {self.num_entries:,} entries, {kind}, "
            f"{self.nbytes / 2**20:.1f} MiB)"
        )


def as_csr(name: str, given: Any) -> CSR:
    """An `Adjacency`, `CSR` or SciPy CSR matrix as a `CSR` that shares its arrays, checked to be safe for kernels."""
    if isinstance(given, CSR):
        found = given
    elif isinstance(given, Adjacency):
        found = CSR(given.indptr, given.indices, given.weight, given.num_cols)
    elif getattr(given, "format", None) == "csr" and hasattr(given, "indptr"):
        rows, cols = given.shape
        if given.indptr.shape[0] != rows + 1:
            raise InvalidInput(f"{name}: {rows} rows need {rows + 1} offsets; got {given.indptr.shape[0]}")
        values = None if given.data.dtype == bool and given.data.all() else given.data
        found = CSR(given.indptr.astype(np.int64, copy=False), given.indices, values, int(cols))
    else:
        form = getattr(given, "format", None)
        hint = f"a SciPy matrix in {form!r} form; call .tocsr()" if form else type(given).__name__
        raise InvalidType(f"{name} must be an Adjacency, a CSR or a SciPy CSR matrix; got {hint}")
    return _checked(name, found)


def _checked(name: str, m: CSR) -> CSR:
    indptr, indices = m.indptr, m.indices
    if indptr.ndim != 1 or indptr.shape[0] < 1 or indptr.dtype != np.int64:
        raise InvalidType(f"{name}: offsets must be int64 (num_rows + 1,); got {indptr.dtype} {indptr.shape}")
    if indices.dtype not in (np.int32, np.int64) or indices.ndim != 1:
        raise InvalidType(f"{name}: columns must be int32 or int64 (n,); got {indices.dtype} {indices.shape}")
    if indptr[0] != 0 or indptr[-1] != indices.shape[0] or (indptr[1:] < indptr[:-1]).any():
        raise InvalidInput(f"{name}: offsets must rise from 0 to the number of entries, {indices.shape[0]}")
    if indices.shape[0] and (int(indices.min()) < 0 or int(indices.max()) >= m.num_cols):
        raise InvalidInput(
            f"{name}: columns must be 0..{m.num_cols - 1}; they are {int(indices.min())}..{int(indices.max())}"
        )
    if m.values is not None:
        if m.values.shape != indices.shape:
            raise InvalidInput(f"{name}: one value per entry is needed; got {m.values.shape} for {indices.shape}")
        if m.values.dtype.kind not in "iufb":
            raise InvalidType(f"{name}: values must be real numbers; got {m.values.dtype}")
    values = None if m.values is None else np.ascontiguousarray(m.values)
    return CSR(np.ascontiguousarray(indptr), np.ascontiguousarray(indices), values, m.num_cols)


def transposed(m: CSR) -> CSR:
    """The transpose, rows sorted. O(entries) time, 8 to 16 bytes per entry."""
    from . import csr_cpu

    indptr = np.zeros(m.num_cols + 1, np.int64)
    csr_cpu.count_columns(m.indices, indptr)
    np.cumsum(indptr, out=indptr)
    indices = np.empty(m.num_entries, id_dtype(m.num_rows))
    values = np.empty(0, np.float32) if m.values is None else np.empty(m.num_entries, m.values.dtype)
    source = np.empty(0, np.float32) if m.values is None else m.values
    csr_cpu.transpose(m.indptr, m.indices, source, indptr[:-1].copy(), indices, values)
    return CSR(indptr, indices, None if m.values is None else values, m.num_rows)


def rows_sorted(m: CSR) -> bool:
    """Whether every row's columns rise strictly: sorted and without duplicates."""
    from . import csr_cpu

    return bool(csr_cpu.rows_rise(m.indptr, m.indices, 1))


def with_sorted_rows(m: CSR) -> CSR:
    """The same matrix with sorted rows; duplicates stay."""
    return transposed(transposed(m))


def with_columns_once(m: CSR) -> CSR:
    """The same matrix with sorted rows and each place once: the values of repeated ones added up in their order."""
    from . import csr_cpu

    if not csr_cpu.rows_rise(m.indptr, m.indices, 0):
        m = with_sorted_rows(m)
    indptr = np.zeros(m.num_rows + 1, np.int64)
    csr_cpu.count_distinct(m.indptr, m.indices, indptr)
    np.cumsum(indptr, out=indptr)
    indices = np.empty(int(indptr[-1]), m.indices.dtype)
    values = np.empty(0 if m.values is None else indices.shape[0], np.float32 if m.values is None else m.values.dtype)
    csr_cpu.merge_repeated(m.indptr, m.indices, m.values, indptr, indices, values)
    return CSR(indptr, indices, None if m.values is None else values, m.num_cols)


def as_adjacency(m: CSR) -> Adjacency:
    """The matrix as `spmm` takes it."""
    weight = None if m.values is None else m.values.astype(np.float32, copy=False)
    return Adjacency(m.indptr, m.indices, np.empty(0, np.int32), weight, None, m.num_cols)
