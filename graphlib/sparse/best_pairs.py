"""For every node the nodes whose neighbourhood is closest to its own, without forming the square of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput
from ..given_store import check_store
from ..scalars import is_integer
from ..store.adjacency import id_dtype
from .csr import CSR, transposed
from .pairs import TopPairs, _normalised, _sides

if TYPE_CHECKING:
    from ..store.edges import EdgeType
    from ..store.store import GraphStore


_BLOCK_BYTES = 20 << 20  # of a block's product, a thread


def top_pairs(
    store: GraphStore,
    k: int = 10,
    method: str = "common_neighbors",
    *,
    weights: str | None = None,
    direction: str = "out",
    exclude_linked: bool = True,
    edge_type: EdgeType | None = None,
    threads: int | None = None,
) -> TopPairs:
    """The `k` nodes of highest `pair_scores` for every node.

    Parameters
    ----------
    store : GraphStore
    k : int >= 1, default 10
    method : str, default "common_neighbors"
        As in `pair_scores`, without "preferential_attachment", which has no neighbourhoods in common.
    weights : "product", optional
    direction : {"out", "in", "through"}, default "out"
    exclude_linked : bool, default True
        Leave out nodes that a node is linked to already, where both are of one type. A node is never its own neighbour.
    edge_type : optional
    threads : int, optional

    Returns
    -------
    TopPairs
        Best first; the lower node wins a tie.

    Notes
    -----
    Time is that of all products of the two sides, `estimate`; memory that of the result and about 20 MiB a thread:
    rows are made in blocks, and of each only the best k are kept.

    Examples
    --------
    >>> import nearhop
    >>> square = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> top_pairs(square, 1).nodes.ravel().tolist()
    [2, 3, 0, 1]
    """
    check_store(store)
    from ..compute.jit import threads_in_use
    from .products import select_cpu

    if not is_integer(k) or k < 1:
        raise InvalidInput(f"k must be an integer >= 1; got {k!r}")
    if method == "preferential_attachment":
        raise InvalidInput("preferential_attachment pairs nodes without common neighbours; see pair_scores")
    if weights not in (None, "product"):
        raise InvalidInput(f'top_pairs: weights must be None or "product"; got {weights!r}')
    sides = _sides(store, method, weights, direction, edge_type)
    n = sides.left.num_rows
    found = np.full((n, k), -1, id_dtype(sides.right.num_rows))
    scores = np.zeros((n, k), np.float32)
    counts = np.zeros(n, np.int32)
    blocked = _excluded(store, edge_type, sides, direction, exclude_linked)
    with threads_in_use(threads) as count:
        for start, block in _blocks(sides, blocked, count):
            rows = np.repeat(np.arange(start, start + block.num_rows), np.diff(block.indptr))
            values = np.zeros(block.num_entries) if block.values is None else block.values
            values = _normalised(method, weights, values, sides, rows, block.indices)
            columns = block.indices.view(np.uint32 if block.indices.dtype == np.int32 else np.uint64)
            part = slice(start, start + block.num_rows)
            select_cpu.best_of_rows(block.indptr, columns, values, found[part], scores[part], counts[part])
    return TopPairs(found, scores, counts)


def _excluded(store: GraphStore, edge_type: Any, sides: Any, direction: str, linked: bool) -> CSR | None:
    n = sides.left.num_rows
    if n != sides.right.num_rows or (direction != "through" and sides.left.num_rows != sides.left.num_cols):
        if n != sides.right.num_rows:
            return None
        linked = False  # both ends are of one type, their links go to another
    own = CSR(np.arange(n + 1, dtype=np.int64), np.arange(n, dtype=id_dtype(n)), None, n)
    if not linked:
        return own
    rows = store.csc(edge_type) if direction == "in" else store.csr(edge_type)
    indptr = rows.indptr + np.arange(n + 1)
    indices = np.empty(rows.num_entries + n, rows.indices.dtype)
    is_own = np.zeros(indices.shape[0], bool)
    is_own[indptr[1:] - 1] = True
    indices[is_own], indices[~is_own] = np.arange(n), rows.indices
    return CSR(indptr, indices, None, n)


def _blocks(sides: Any, blocked: CSR | None, threads: int) -> Any:
    """(first row, product of a block of rows), each of at most about 20 MiB a thread or one row."""
    from .products.plan import row_products
    from .products.run import multiply
    from .products.semirings import PLUS_PAIR, PLUS_TIMES
    from .products.spgemm import Job

    right = transposed(sides.right)
    counted = sides.left.values is None and sides.factors is None
    left = sides.left
    if sides.factors is not None:
        values = sides.factors[left.indices] * (1.0 if left.values is None else left.values)
        left = CSR(left.indptr, left.indices, values, left.num_cols)
    ends = np.cumsum(np.minimum(row_products(left, right), right.num_cols))
    most = threads * _BLOCK_BYTES // 12
    start = 0
    while start < left.num_rows:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, "right")))
        job = Job(
            A=_rows(left, start, stop),
            B=right,
            mask=None if blocked is None else _rows(blocked, start, stop),
            complement=True,
            semiring=PLUS_PAIR if counted else PLUS_TIMES,
            dtype=np.dtype(np.int32) if counted else np.dtype(np.float64),
            top_k=0,
            threshold=None,
        )
        yield start, multiply(job, False, False, threads, None)
        start = stop


def _rows(m: CSR, start: int, stop: int) -> CSR:
    first, last = int(m.indptr[start]), int(m.indptr[stop])
    values = None if m.values is None else m.values[first:last]
    return CSR(m.indptr[start : stop + 1] - first, m.indices[first:last], values, m.num_cols)
