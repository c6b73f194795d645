"""Triangles: how many each node is part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInput
from ..given_store import check_store
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
    check_store(store)
    from ..compute.jit import threads_in_use
    from ..compute.threads import pieces
    from ..store.adjacency import EDGES_AT_ONCE
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
    degree = np.diff(rows.indptr)
    src, looped, ends = np.repeat(np.arange(rows.num_rows), degree), np.zeros(rows.num_rows, bool), []
    for first, last in pieces(src.shape[0], first=EDGES_AT_ONCE):
        a, b = src[first:last], rows.indices[first:last].astype(np.int64)
        looped[a[a == b]] = True
        falling = degree[a] - degree[b]
        ends.append(np.stack([a, b])[:, (falling > 0) | ((falling == 0) & (a > b))])
    u, v = np.concatenate([np.empty((2, 0), np.int64), *ends], axis=1)
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
