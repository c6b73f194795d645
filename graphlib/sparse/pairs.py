"""How close are two nodes, by their neighbours: common neighbours and the scores built on them, for pairs or per node.

Every score is a product of adjacency matrices at the pairs asked for, or with the best k of every row; the square of
the adjacency matrix is never formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import InvalidInput
from ..given_store import check_store
from .csr import CSR, as_csr, rows_sorted, transposed, with_columns_once
from .products.spgemm import as_pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..store.edges import EdgeType
    from ..store.store import GraphStore

METHODS = (
    "common_neighbors",
    "adamic_adar",
    "resource_allocation",
    "jaccard",
    "overlap",
    "cosine",
    "preferential_attachment",
)
DIRECTIONS = ("out", "in", "through")
_WEIGHTS = (None, "product", "sum", "min")


@dataclass(frozen=True, eq=False, repr=False)
class TopPairs:
    """The nodes of highest score for each node, best first; rows short of k are padded.

    Attributes
    ----------
    nodes : int32 or int64 (num_nodes, k)
        -1 where fewer nodes have a score above zero.
    scores : float32 (num_nodes, k)
    counts : int32 (num_nodes,)
    """

    nodes: NDArray[Any]
    scores: NDArray[np.float32]
    counts: NDArray[np.int32]

    OF: ClassVar[str] = "nodes"  # what rows belong to

    def __repr__(self) -> str:
        rows, k = self.nodes.shape
        size = self.nodes.nbytes + self.scores.nbytes
        return f"{type(self).__name__}({rows:,} {self.OF}, top {k}, {size:,} bytes)"


def pair_scores(
    store: GraphStore,
    src: ArrayLike,
    dst: ArrayLike,
    method: str = "common_neighbors",
    *,
    weights: str | None = None,
    direction: str = "out",
    edge_type: EdgeType | None = None,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Similarity of the neighbourhoods of given pairs of nodes.

    Parameters
    ----------
    store : GraphStore
    src, dst : int array (m,)
        Pairs of node positions, in any order, repeated as you like.
    method : str, default "common_neighbors"
        With N(u) the neighbours of u, d(u) their number and k running over N(u) ∩ N(v): "common_neighbors" |N(u) ∩
        N(v)|; "adamic_adar" sum of 1 / log d(k); "resource_allocation" sum of 1 / d(k); "jaccard" |N(u) ∩ N(v)| /
        |N(u) ∪ N(v)|; "overlap" |N(u) ∩ N(v)| / min(d(u), d(v)); "cosine" |N(u) ∩ N(v)| / sqrt(d(u) d(v));
        "preferential_attachment" d(u) d(v).
    weights : {"product", "sum", "min"}, optional
        What a common neighbour counts instead of 1, from the weights of its two edges. d is then the sum of a node's
        weights, and 1 / log(1 + d(k)) takes the place of 1 / log d(k); with "product", "jaccard" (Tanimoto), "overlap"
        and "cosine" divide by sums of squares. "jaccard" of "min" is Ruzicka's coefficient, of "sum" the shared part of
        the weights of both.
    direction : {"out", "in", "through"}, default "out"
        Of directed edges: common targets, common sources, or the nodes on two-step paths from src to dst.
    edge_type : optional
        Edges between two node types are paired at their source end ("out") or destination end ("in").
    threads : int, optional
        All cores by default; the result does not depend on it.

    Returns
    -------
    float64 array (m,)
        0 where nothing is shared, also where the denominator is 0.

    Raises
    ------
    InvalidInput, InvalidType
        Pairs outside the graph, unknown names, weights asked for that the store does not have.

    Notes
    -----
    Neighbourhoods are sets: parallel edges count once, their weights added. In "adamic_adar" and "resource_allocation"
    d(k) counts the sources of a shared target ("out") and the targets of a shared source or middle node ("in",
    "through"); a degree of 1, whose logarithm is 0, adds nothing to "adamic_adar". Time per pair is the smaller of the
    two degrees (of "through", that of the destination); rows are marked in a bitmap of one bit per node and thread.
    About 30 bytes per pair.

    References
    ----------
    D. Liben-Nowell, J. Kleinberg, "The link-prediction problem for social networks", JASIST 58(7), 2007,
    doi:10.1002/asi.20591; T. Zhou, L. Lü, Y.-C. Zhang, "Predicting missing links via local information", EPJ B 71,
    2009, arXiv:0901.0553 (resource allocation); L. Lü, T. Zhou, "Link prediction in weighted networks: the role of weak
    ties", EPL 89, 2010, arXiv:0907.1728 ("sum").

    Examples
    --------
    >>> import nearhop
    >>> square = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> pair_scores(square, [0, 0], [2, 1]).tolist()
    [2.0, 0.0]
    """
    check_store(store)
    sides = _sides(store, method, weights, direction, edge_type)
    shape = sides.left.num_rows, sides.right.num_rows
    u, v = as_pairs("pair_scores", src, dst, shape)
    if method == "preferential_attachment":
        return sides.left_size[u] * sides.right_size[v]
    from ..compute.jit import plain_view, threads_in_use
    from . import intersect_cpu as kernels
    from .intersect import grouped_by_row, intersect

    with threads_in_use(threads) as count:
        if sides.same:  # the longer row is marked, the shorter one scanned
            given = plain_view(u), plain_view(v)
            u, v = np.empty_like(u), np.empty_like(v)
            kernels.longer_first(sides.left.indptr, *given, u, v)
        shared, _ = intersect(
            *(sides.combine, sides.left, sides.right, grouped_by_row(u, v, shape[0])),
            factors=sides.factors,
            dtype=np.dtype(np.float64),
            threads=count,
        )
    return _normalised(method, weights, shared, sides, u, v)


@dataclass(frozen=True, eq=False)
class _Sides:
    """Neighbourhoods of both ends, their sizes, the factor of a shared node, and how entries combine."""

    left: CSR
    right: CSR
    left_size: NDArray[np.float64]
    right_size: NDArray[np.float64]
    factors: NDArray[np.float64] | None
    combine: int

    @property
    def same(self) -> bool:
        return self.left is self.right


def _sides(store: GraphStore, method: str, weights: str | None, direction: str, edge_type: Any) -> _Sides:
    from . import intersect_cpu as kernels

    for name, value, allowed in (
        ("method", method, METHODS),
        ("weights", weights, _WEIGHTS),
        ("direction", direction, DIRECTIONS),
    ):
        if value not in allowed:
            raise InvalidInput(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    out_rows = as_csr("the store's edges", store.csr(edge_type))
    undirected = out_rows.num_rows == out_rows.num_cols and not store.is_directed(edge_type)
    if weights is not None and out_rows.values is None:
        raise InvalidInput(f"weights={weights!r}: the store's edges have no weights")
    out_set = as_sets(out_rows, weights is not None)
    in_set = out_set if undirected else transposed(out_set)
    left, right = {"out": (out_set, out_set), "in": (in_set, in_set), "through": (out_set, in_set)}[direction]
    if left.num_cols != right.num_cols:
        raise InvalidInput(f"direction={direction!r}: edges {edge_type!r} join two node types, no path has two of them")
    other = in_set if direction == "out" else out_set  # how a shared node sees its own neighbours
    squares = weights == "product" and method in ("jaccard", "overlap", "cosine")
    factors = None
    if method in ("adamic_adar", "resource_allocation"):
        base = _sizes(other, False)
        if method == "adamic_adar":
            base = np.log(np.maximum(base, 1.0)) if weights is None else np.log1p(base)
        factors = np.divide(1.0, base, out=np.zeros_like(base), where=base > 0)
    combine = {None: kernels.COUNT, "product": kernels.PRODUCT, "sum": kernels.SUM, "min": kernels.MIN}[weights]
    return _Sides(left, right, _sizes(left, squares), _sizes(right, squares), factors, combine)


def _normalised(
    method: str, weights: str | None, shared: NDArray[Any], sides: _Sides, rows: NDArray[Any], others: NDArray[Any]
) -> NDArray[np.float64]:
    """Scores of pairs from merged terms and the sizes of both neighbourhoods."""
    if method not in ("jaccard", "overlap", "cosine"):
        return shared.astype(np.float64, copy=False)
    left, right = sides.left_size[rows], sides.right_size[others]
    if method == "jaccard":
        whole = left + right if weights == "sum" else left + right - shared
    elif method == "overlap":
        whole = np.minimum(left, right)
    else:
        whole = np.sqrt(left * right)
    return np.divide(shared, whole, out=np.zeros(shared.shape[0]), where=whole > 0)


def as_sets(m: CSR, weighted: bool) -> CSR:
    """Rows as sets: sorted, repeated columns merged and their values added; without `weighted` a pattern."""
    values = m.values if weighted else None
    if rows_sorted(m):
        return CSR(m.indptr, m.indices, values, m.num_cols)
    return with_columns_once(CSR(m.indptr, m.indices, values, m.num_cols))


def _sizes(m: CSR, squares: bool) -> NDArray[np.float64]:
    if m.values is None:
        return np.diff(m.indptr).astype(np.float64)
    values = m.values.astype(np.float64)
    sums = np.zeros(m.num_rows)
    rows = np.flatnonzero(np.diff(m.indptr))
    if rows.shape[0]:
        sums[rows] = np.add.reduceat(values * values if squares else values, m.indptr[rows])
    return sums
