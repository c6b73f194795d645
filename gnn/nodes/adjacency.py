"""The matrix that node classifiers multiply with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import check_store
from ..sparse.propagation import neighbor_sets, normalised

if TYPE_CHECKING:
    from ...graphlib.store.store import GraphStore
    from ..sparse.sparse_tensor import SparseTensor


def normalized_adjacency(store: GraphStore, kind: str = "gcn") -> SparseTensor:
    """Neighbours of every node as a matrix for `@`, the direction of edges, parallel edges and self-loops ignored.

    Parameters
    ----------
    store : GraphStore
    kind : {"gcn", "mean"}, default "gcn"
        "gcn": D^-1/2 (A + I) D^-1/2 with the degrees of A + I; "mean": D^-1 A.

    Returns
    -------
    SparseTensor (n, n)

    Examples
    --------
    >>> import nearhop
    >>> normalized_adjacency(nearhop.GraphStore.from_edges([0, 0], [1, 1])).matrix.values.round(3).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    check_store(store)
    if kind not in ("gcn", "mean"):
        raise InvalidInput(f'kind must be "gcn" or "mean"; got {kind!r}')
    return normalised(neighbor_sets(store), "gcn" if kind == "gcn" else "sage")
