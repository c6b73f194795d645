"""How close are two nodes, by all walks between them: Katz's index and personalised PageRank, over bounded lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput, InvalidType
from ..given_store import check_store
from ..scalars import is_integer, is_number
from ..store.adjacency import id_dtype
from .csr import CSR, as_csr, transposed
from .pairs import TopPairs
from .products.spgemm import as_pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..store.store import GraphStore


def walk_scores(
    store: GraphStore,
    src: ArrayLike,
    dst: ArrayLike,
    method: str = "katz",
    *,
    length: int = 3,
    beta: float = 0.05,
    alpha: float = 0.15,
    weighted: bool = False,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Katz's index or personalised PageRank of given pairs, over walks of at most `length` steps.

    Parameters
    ----------
    store : GraphStore
        One node type and one edge type; directed edges are followed forward.
    src, dst : int array (m,)
    method : {"katz", "ppr"}, default "katz"
        "katz": sum over l = 1..length of beta^l times the number (weight) of walks of l steps from src to dst. "ppr":
        the probability that a walk from src that stops with probability `alpha` before every step, and after `length`
        steps at the latest, ends at dst; a node without edges keeps it.
    length : int >= 1, default 3
    beta : float in (0, 1], default 0.05
    alpha : float in (0, 1), default 0.15
        What is cut off is (1 - alpha)^length of the walks' mass: 0.6 at length 3, 0.04 at 20.
    weighted : bool, default False
        Walks count the product of their weights, and "ppr" follows edges in proportion to weight.
    threads : int, optional
        All cores by default; the result does not depend on it.

    Returns
    -------
    float64 array (m,)

    Notes
    -----
    A row is pushed `length` - 1 steps per distinct source, O(edges reached); the last step is an inner product with the
    columns of its destinations. Three vectors of 8 bytes per node and 16 bytes of lists a thread. Of long walks from
    few sources, `nearhop.sampling.ppr_topk` finds the best destinations by local pushes.

    References
    ----------
    L. Katz, "A new status index derived from sociometric analysis", Psychometrika 18, 1953, doi:10.1007/BF02289026;
    L. Page et al., "The PageRank citation ranking", 1998, section 6 (personalisation).

    Examples
    --------
    >>> import nearhop
    >>> path = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3])
    >>> walk_scores(path, [0, 0], [2, 3], beta=0.1).round(6).tolist()  # one walk of two steps, one of three
    [0.01, 0.001]
    """
    check_store(store)
    from ..compute.jit import threads_in_use
    from . import walks_between_cpu as kernels
    from .intersect import grouped_by_row

    rows, scale, steps = _walk_matrix(store, method, length, beta, alpha, weighted)
    u, v = as_pairs("walk_scores", src, dst, (rows.num_rows, rows.num_cols))
    out = np.zeros(u.shape[0])
    pairs = grouped_by_row(u, v, rows.num_rows)
    with threads_in_use(threads) as count:
        kernels.pair_walks(
            *(_plain(rows), _plain(transposed(rows)), scale, steps, pairs),
            *(_workspace(rows, count), out),
        )
    _check_sums("walk_scores", out, length)
    return out


def top_walks(
    store: GraphStore,
    seeds: ArrayLike,
    k: int = 10,
    method: str = "katz",
    *,
    length: int = 3,
    beta: float = 0.05,
    alpha: float = 0.15,
    weighted: bool = False,
    threads: int | None = None,
) -> TopPairs:
    """The `k` nodes of highest `walk_scores` for each seed, without the seed itself; row i belongs to `seeds[i]`.

    Time per seed is that of `length` steps from it, at most the edges of the graph per step.

    Examples
    --------
    >>> import nearhop
    >>> path = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3])
    >>> top_walks(path, [0], 2).nodes.tolist()
    [[1, 2]]
    """
    check_store(store)
    from ..compute.jit import threads_in_use
    from . import walks_between_cpu as kernels

    if not is_integer(k) or k < 1:
        raise InvalidInput(f"k must be an integer >= 1; got {k!r}")
    rows, scale, steps = _walk_matrix(store, method, length, beta, alpha, weighted)
    given, _ = as_pairs("top_walks", seeds, seeds, (rows.num_rows, rows.num_cols))
    found = np.full((given.shape[0], k), -1, id_dtype(rows.num_cols))
    scores = np.zeros((given.shape[0], k), np.float32)
    counts = np.zeros(given.shape[0], np.int32)
    with threads_in_use(threads) as count:
        kernels.top_walks(
            *(_plain(rows), scale, steps, given, _workspace(rows, count)),
            *(found, scores, counts),
        )
    _check_sums("top_walks", scores, length)
    return TopPairs(found, scores, counts)


def _walk_matrix(
    store: GraphStore, method: str, length: int, beta: float, alpha: float, weighted: bool
) -> tuple[CSR, NDArray[np.float64], NDArray[np.float64]]:
    """The matrix that a step multiplies with, a factor per row, and the coefficient of every length."""
    if method not in ("katz", "ppr"):
        raise InvalidInput(f'method must be "katz" or "ppr"; got {method!r}')
    if not is_integer(length) or length < 1:
        raise InvalidInput(f"length must be an integer >= 1; got {length!r}")
    for name, value, most in (("beta", beta, 1.0), ("alpha", alpha, 1.0)):
        if not is_number(value) or not 0 < value <= most:
            raise InvalidInput(f"{name} must be a number in (0, {most:g}]; got {value!r}")
    rows = as_csr("the store's edges", store.csr())
    if rows.num_rows != rows.num_cols:
        raise InvalidType("walks need edges between nodes of one type")
    if weighted and rows.values is None:
        raise InvalidInput("weighted=True: the store's edges have no weights")
    if not weighted:
        rows = CSR(rows.indptr, rows.indices, None, rows.num_cols)
    if method == "katz":
        steps = np.asarray(float(beta) ** np.arange(length + 1), np.float64)
        steps[0] = 0.0
        return rows, np.empty(0), steps
    if rows.values is not None and (rows.values < 0).any():
        raise InvalidInput("ppr follows edges in proportion to weight; some weights are negative")
    rows = _with_loops_at_ends(rows)
    mass = np.diff(rows.indptr).astype(np.float64)
    if rows.values is not None:
        mass = np.add.reduceat(rows.values.astype(np.float64), rows.indptr[:-1]) if rows.num_rows else mass
    steps = np.asarray(alpha * (1.0 - alpha) ** np.arange(length + 1), np.float64)
    steps[-1] = (1.0 - alpha) ** length
    return rows, np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0), steps


def _with_loops_at_ends(rows: CSR) -> CSR:
    """A self-loop at every node without edges, so that a walk stays there."""
    empty = np.diff(rows.indptr) == 0
    if not empty.any():
        return rows
    at = np.flatnonzero(empty)
    indices = np.insert(rows.indices, rows.indptr[at], at.astype(rows.indices.dtype))
    values = None if rows.values is None else np.insert(rows.values, rows.indptr[at], np.float32(1))
    return CSR(rows.indptr + np.concatenate([[0], np.cumsum(empty)]), indices, values, rows.num_cols)


def _plain(m: CSR) -> tuple[NDArray[Any], ...]:
    from .intersect import _arrays

    return _arrays(m, np.dtype(np.float64), m.values is not None)


def _check_sums(owner: str, scores: NDArray[Any], length: int) -> None:
    """Counts of walks may grow beyond float64 before beta^l makes them small."""
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise InvalidInput(
            f"{owner}: there are more walks of up to {length} steps than a float64 counts; take a smaller length"
        )


def _workspace(rows: CSR, threads: int) -> tuple[NDArray[Any], ...]:
    n = rows.num_cols
    vectors = np.zeros((threads, 3, n))
    return vectors, np.zeros((threads, n), np.int64), np.empty((threads, 2, n), np.int64)
