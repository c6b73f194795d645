"""The matrices that messages travel along: normalised adjacency of a graph, without the edges that are being scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.sparse.csr import CSR
from ...graphlib.sparse.pairs import as_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore
    from .sparse_tensor import SparseTensor


def neighbor_sets(store: GraphStore) -> CSR:
    """Neighbours of every node, the direction of edges ignored: sorted, without repeats and self-loops."""
    rows = store.csr()
    if store.is_directed():
        src = np.repeat(np.arange(rows.num_rows), rows.degrees())
        rows = type(store).from_edges(src, rows.indices, num_nodes=rows.num_rows).csr()
    sets = as_sets(CSR(rows.indptr, rows.indices, None, rows.num_cols), False)
    src = np.repeat(np.arange(sets.num_rows), np.diff(sets.indptr))
    return kept_entries(sets, src != sets.indices)


def kept_entries(m: CSR, keep: NDArray[np.bool_]) -> CSR:
    """The matrix without the entries that are False in `keep`."""
    kept = np.concatenate([[0], np.cumsum(keep)])
    return CSR(kept[m.indptr], m.indices[keep], None if m.values is None else m.values[keep], m.num_cols)


def without_pairs(neighbors: CSR, src: NDArray[np.int64], dst: NDArray[np.int64]) -> CSR:
    """The neighbours without the given pairs, in both directions; neither list must be complete."""
    n = neighbors.num_cols
    rows = np.repeat(np.arange(neighbors.num_rows), np.diff(neighbors.indptr))
    keys = rows * n + neighbors.indices
    at = np.searchsorted(keys, np.concatenate([src * n + dst, dst * n + src]))
    wanted = np.concatenate([src * n + dst, dst * n + src])
    at = at[at < keys.shape[0]]
    keep = np.ones(keys.shape[0], bool)
    keep[at[np.isin(keys[at], wanted)]] = False
    return kept_entries(neighbors, keep)


def normalised(neighbors: CSR, kind: str) -> SparseTensor:
    """What a layer multiplies node states with.

    "gcn": D^-1/2 (A + I) D^-1/2 with degrees of A + I (Kipf and Welling, arXiv:1609.02907); "sage": D^-1 A, the mean
    over neighbours (Hamilton et al., arXiv:1706.02216).
    """
    from .sparse_tensor import SparseTensor

    n = neighbors.num_rows
    degree = np.diff(neighbors.indptr)
    if kind == "sage":
        scale = 1.0 / np.maximum(degree, 1)
        back = CSR(neighbors.indptr, neighbors.indices, scale[neighbors.indices].astype(np.float32), n)
        return SparseTensor(mean_over_neighbors(neighbors), back)
    looped = with_loops(neighbors)
    scale = 1.0 / np.sqrt(degree + 1.0)
    rows = np.repeat(np.arange(n), degree + 1)
    matrix = CSR(looped.indptr, looped.indices, (scale[rows] * scale[looped.indices]).astype(np.float32), n)
    return SparseTensor(matrix, matrix)


def mean_over_neighbors(neighbors: CSR) -> CSR:
    """D^-1 A."""
    degree = np.diff(neighbors.indptr)
    values = np.repeat(1.0 / np.maximum(degree, 1), degree).astype(np.float32)
    return CSR(neighbors.indptr, neighbors.indices, values, neighbors.num_cols)


def with_loops(neighbors: CSR) -> CSR:
    """Every node its own neighbour as well; rows stay sorted."""
    n = neighbors.num_rows
    rows = np.concatenate([np.repeat(np.arange(n), np.diff(neighbors.indptr)), np.arange(n)])
    cols = np.concatenate([neighbors.indices, np.arange(n, dtype=neighbors.indices.dtype)])
    order = np.argsort(rows * n + cols, kind="stable")
    return CSR(neighbors.indptr + np.arange(n + 1), cols[order], None, n)
