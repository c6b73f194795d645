"""Triangles: how many each node is part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInput
from .csr import as_csr
from .pairs import as_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..store.store import GraphStore


def triangles(store: GraphStore, *, threads: int | None = None) -> NDArray[np.int64]:
    """The number of triangles through every node, the direction of edges ignored.

    Parameters
    ----------
    store : GraphStore
        One node type and one edge type; self-loops and parallel edges are left out.
    threads : int, optional

    Returns
    -------
    int64 array (num_nodes,)
        Their sum is three times the number of triangles.

    Notes
    -----
    For every edge the neighbours of its end of lower degree are looked up among those of the other: O(edges *
    arboricity) time. 20 bytes per edge.

    References
    ----------
    N. Chiba, T. Nishizeki, "Arboricity and subgraph listing algorithms", SIAM J. Comput. 14(1), 1985,
    doi:10.1137/0214017.

    Examples
    --------
    >>> import nearhop
    >>> triangles(nearhop.GraphStore.from_edges([0, 1, 2, 2], [1, 2, 0, 3])).tolist()
    [1, 1, 1, 0]
    """
    from ..compute.jit import threads_in_use
    from . import intersect_cpu as kernels
    from .intersect import grouped_by_row, intersect

    rows = as_csr("the store's edges", store.csr())
    if rows.num_rows != rows.num_cols:
        raise InvalidInput("triangles need edges between nodes of one type")
    src = np.repeat(np.arange(rows.num_rows), np.diff(rows.indptr))
    if store.is_directed():
        both = type(store).from_edges(src, rows.indices, num_nodes=rows.num_rows)
        rows = as_csr("the store's edges", both.csr())
    rows = as_sets(rows, False)
    src = np.repeat(np.arange(rows.num_rows), np.diff(rows.indptr))
    degree = np.diff(rows.indptr)
    dst = rows.indices.astype(np.int64)
    marked = (degree[src] > degree[dst]) | ((degree[src] == degree[dst]) & (src > dst))
    u, v = src[marked], dst[marked]
    looped = np.zeros(rows.num_rows, bool)
    looped[src[src == dst]] = True
    with threads_in_use(threads) as count:
        shared, _ = intersect(
            *(kernels.COUNT, rows, rows, grouped_by_row(u, v, rows.num_rows)),
            factors=None,
            dtype=np.dtype(np.int64),
            threads=count,
        )
    shared -= looped[u].astype(np.int64) + looped[v]  # a self-loop makes an end of the edge a shared neighbour
    total = np.bincount(u, shared, rows.num_rows) + np.bincount(v, shared, rows.num_rows)
    return (total / 2).round().astype(np.int64)
