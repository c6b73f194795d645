"""To and from SciPy: neighbours and weights are the store's own arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import IngestError, InvalidInput, InvalidType
from ..given_store import check_store
from ..sparse.csr import CSR
from ..store.store import GraphStore
from .arcs import check_graph, store_of_arcs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..guarded import Npz
    from ..types import EdgeType


def to_scipy(store: GraphStore, edge_type: EdgeType | None = None) -> Any:
    """The edges as a `scipy.sparse.csr_array` (num_sources, num_destinations).

    Values are the weights, or ones (float32). Undirected edges appear in both triangles, parallel edges as entries that
    SciPy adds up when it needs to. Neighbours and weights are the store's own arrays; row offsets are copied where
    SciPy wants int32.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.graphlib.convert import to_scipy
    >>> to_scipy(nearhop.GraphStore.from_edges(np.array([0]), np.array([1]))).toarray().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    check_store(store)
    rows = store.csr(edge_type)
    return CSR(rows.indptr, rows.indices, rows.weight, rows.num_cols).to_scipy()


def from_scipy(matrix: Any, *, directed: bool | None = None) -> GraphStore:
    """A store of the stored entries of a square sparse matrix, in the order of its rows; repeated ones stay apart.

    Parameters
    ----------
    matrix : SciPy sparse array or matrix (n, n)
        Values become weights, unless they are booleans.
    directed : bool, optional
        True: every entry is an edge. False: an entry is an undirected edge, and the matrix must be symmetric, so that
        only one triangle is taken. By default False for symmetric matrices and True for others.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from nearhop.graphlib.convert import from_scipy
    >>> from_scipy(sp.csr_array([[0, 2.0], [2.0, 0]])).num_edges
    1
    """
    check_graph("from_scipy", matrix, "a sparse matrix of SciPy (scipy.sparse.csr_array(...) makes one)", "tocoo")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidInput(f"edges between nodes of one type need a square matrix; got shape {matrix.shape}")
    row, col, values = _entries(matrix)
    weight = None if values.dtype == bool else values
    roles = {} if weight is None else {"weight": weight}
    if weight is not None and weight.dtype.kind not in "iuf":
        raise InvalidType(f"matrix values must be numbers or booleans; got dtype {weight.dtype}")
    return store_of_arcs(row, col, int(matrix.shape[0]), directed, roles, {}, "the matrix")


def _entries(matrix: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Rows, columns and values of all entries, row by row; SciPy's own ways to CSR add up entries of one place."""
    entries = matrix.tocoo(copy=False)
    row, col, values = entries.row, entries.col, entries.data
    if matrix.format != "csr":
        order = np.lexsort((col, row))
        row, col, values = row[order], col[order], values[order]
    return row, col, values


def read_sparse_npz(path: Path) -> tuple[Any, list[str]] | None:
    """The sparse matrix in an `.npz` file (SciPy's keys, also with the prefix adj_) and the names of its other arrays.

    None where it holds no matrix.
    """
    from ..guarded import Npz

    try:
        archive = Npz(path, name=path.name, error=IngestError)
    except IngestError as error:
        raise IngestError(f"{path.name} cannot be read as NumPy data: {error}") from error
    for prefix in ("", "adj_"):
        names = {name.removeprefix(prefix) for name in archive if name.startswith(prefix)}
        if "shape" in names and names & {"format", "indptr", "row"}:
            return _sparse_matrix(archive, prefix, names)
    return None


def _sparse_matrix(archive: Npz, prefix: str, names: set[str]) -> tuple[Any, list[str]]:
    import scipy.sparse as sp

    from ..guarded import guarded

    with guarded(archive.name, "a sparse matrix", IngestError):
        kind = "csr" if "indptr" in names else "coo"
        if "format" in names:
            kind = archive[prefix + "format"].item()
            kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if kind not in ("csr", "csc", "coo"):
            raise IngestError(f"{archive.name}: sparse matrices of format {kind!r} are not read; save it as csr")
        shape = tuple(archive[prefix + "shape"].tolist())
        ends = ("row", "col") if kind == "coo" else ("indices", "indptr")
        one, two = archive.take(*(prefix + name for name in ends))
        used = {prefix + name for name in ("format", "shape", "data", *ends)} | {"_is_array"}  # a mark of SciPy's
        others = sorted(name for name in archive if name not in used)
        data = archive[prefix + "data"] if "data" in names else np.ones(one.shape[0], bool)
        if kind == "coo":
            return sp.coo_array((data, (one, two)), shape=shape), others
        matrix = (sp.csr_array if kind == "csr" else sp.csc_array)((data, one, two), shape=shape)
        matrix.check_format(full_check=True)  # SciPy's own conversions do not check bounds
        return matrix, others
