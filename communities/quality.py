"""How good a community or a partition is: the measures of the community literature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.checks import unmasked
from ..graphlib.compute.streams import Purpose, generator
from ..graphlib.errors import InvalidInput, InvalidType
from ..graphlib.given_store import chosen_edge_type
from ..graphlib.scalars import is_finite
from .agreement import check_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..graphlib.store.adjacency import Adjacency
    from ..graphlib.store.store import GraphStore
    from ..graphlib.types import EdgeType


@dataclass(frozen=True)
class CommunityQuality:
    """Measures of one set of nodes, with m_s the weight inside (each edge once) and c_s the weight that leaves.

    Attributes
    ----------
    separability : float
        m_s / c_s; inf when nothing leaves.
    density : float
        m_s over the number of pairs of members.
    clustering : float
        Mean over the members of sum w_ij w_jk w_ki / (max w * sum w_ij w_ik) within the community.
    conductance : float
        c_s / (2 m_s + c_s); 0 is best, 1 when there is no edge.
    cohesiveness : float
        Least conductance, within the community, of sweeps of PageRank from its members: high when it does not fall
        apart. 1 for fewer than 3 members.
    """

    separability: float
    density: float
    clustering: float
    conductance: float
    cohesiveness: float


def community_quality(
    graph: Any,
    members: ArrayLike,
    *,
    starts: int = 10,
    seed: int = 0,
    edge_type: EdgeType | None = None,
    use_weights: bool = True,
) -> CommunityQuality:
    """The measures of Chamberlain et al. (arXiv:1601.03958) and Yang and Leskovec (arXiv:1205.6233).

    Parameters
    ----------
    graph : GraphStore or SciPy sparse matrix
        Directions are dropped, weights of parallel edges added, self-loops left out.
    members : integers
        Positions of the community's nodes; `store.lookup(ids)` for user ids.
    starts : int, default 10
        Members from which cohesiveness sweeps.
    seed : int, default 0
        Draws them.
    edge_type : tuple, optional
        Which edges of a store, from and to nodes of one type.
    use_weights : bool, default True
        Whether edges count by their weights, which must be >= 0, or each as one.

    Raises
    ------
    InvalidInput
        A negative weight: the measures are shares of weights, so signed ones have no meaning.

    Notes
    -----
    Of a store only the rows of the members are read: O(volume of the community), whatever the size of the graph;
    clustering multiplies the community's own matrix.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.ann import community_quality
    >>> store = nearhop.GraphStore.from_edges([0, 0, 1, 2], [1, 2, 2, 3])
    >>> quality = community_quality(store, [0, 1, 2])
    >>> quality.separability, quality.density, quality.clustering, round(quality.conductance, 4)
    (3.0, 1.0, 1.0, 0.1429)
    """
    if hasattr(graph, "edge_list"):
        inside, volume = _of_store(graph, members, edge_type, use_weights=use_weights)
    else:
        inside, volume = _of_matrix(graph, members, use_weights=use_weights)
    twice_inside = float(inside.sum())
    leaving = volume - twice_inside
    count = inside.shape[0]
    within = twice_inside / 2
    return CommunityQuality(
        separability=within / leaving if leaving > 0 else (float("inf") if within > 0 else 0.0),
        density=within / (count * (count - 1) / 2) if count > 1 else 0.0,
        clustering=_clustering(inside),
        conductance=leaving / (twice_inside + leaving) if twice_inside + leaving > 0 else 1.0,
        cohesiveness=_cohesiveness(inside, starts, seed),
    )


def modularity(
    graph: Any,
    labels: ArrayLike,
    *,
    resolution: float = 1.0,
    edge_type: EdgeType | None = None,
    use_weights: bool = True,
) -> float:
    """Newman's modularity of a partition, directions dropped and self-loops counted (twice in a node's degree).

    Weights are >= 0 (`InvalidInput` for a negative one), or left out with `use_weights=False`.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.ann import modularity
    >>> store = nearhop.GraphStore.from_edges([0, 1, 0, 3, 4, 3, 2], [1, 2, 2, 4, 5, 5, 3])
    >>> round(modularity(store, [0, 0, 0, 1, 1, 1]), 4)
    0.3571
    """
    if not is_finite(resolution):
        raise InvalidInput(f"resolution must be a finite number; got {resolution!r:.50}")
    matrix = symmetric_matrix(graph, loops=True, edge_type=edge_type, use_weights=use_weights)
    groups = check_labels("labels", labels, matrix.shape[0])
    degree = np.asarray(matrix.sum(axis=1)).reshape(-1)
    total = float(degree.sum())
    if not total:
        return 0.0
    entries = matrix.tocoo()
    same = float(entries.data[groups[entries.row] == groups[entries.col]].sum())
    volume = np.bincount(groups, degree)
    return same / total - resolution * float(((volume / total) ** 2).sum())


def symmetric_matrix(graph: Any, *, loops: bool, edge_type: EdgeType | None = None, use_weights: bool = True) -> Any:
    """float64 weights of undirected edges, parallel ones added; a loop counts twice on the diagonal."""
    import scipy.sparse

    is_matrix: bool = scipy.sparse.issparse(graph)
    matrix: Any
    if hasattr(graph, "edge_list"):
        matrix = _store_matrix(graph, edge_type, use_weights=use_weights)
    elif is_matrix:
        matrix = graph.tocsr().astype(np.float64)
        if matrix.shape[0] != matrix.shape[1]:
            raise InvalidInput(f"graph must be square; got shape {matrix.shape}")
        if use_weights:
            check_unsigned(matrix.data)
        else:
            matrix.data[:] = 1.0
        if abs(matrix - matrix.T).nnz:
            matrix = matrix + matrix.T
        else:
            matrix = matrix + scipy.sparse.diags_array(matrix.diagonal())
    else:
        raise InvalidType(f"graph must be a GraphStore or a SciPy sparse matrix; got {type(graph).__name__}")
    matrix = matrix.tocsr()
    if not loops:
        matrix.setdiag(0)
        matrix.eliminate_zeros()
    return matrix


def check_unsigned(weight: NDArray[Any]) -> None:
    """Refuse negative weights (and NaN): degrees, volumes and shares of them would mean nothing."""
    if not len(weight) or weight.min() >= 0:
        return
    raise InvalidInput(
        f"an edge has weight {weight.min():g}, and communities are defined for weights >= 0; leave such edges out of "
        "the graph, or count every edge as one with use_weights=False (--unweighted on the command line)"
    )


def _of_matrix(graph: Any, members: ArrayLike, *, use_weights: bool) -> tuple[Any, float]:
    """Weights between the members, each edge in both directions, and the sum of their degrees."""
    matrix = symmetric_matrix(graph, loops=False, use_weights=use_weights)
    nodes = _members(members, matrix.shape[0])
    rows = matrix[nodes]
    return rows[:, nodes], float(rows.sum())


def _of_store(
    store: GraphStore, members: ArrayLike, edge_type: EdgeType | None, *, use_weights: bool
) -> tuple[Any, float]:
    """As `_of_matrix` from the rows of the members alone."""
    import scipy.sparse

    edge_type = _square_type(store, edge_type)
    sides = [store.csr(edge_type), *([store.csc(edge_type)] if store.is_directed(edge_type) else [])]
    nodes = _members(members, max(rows.num_rows for rows in sides))
    near, far, weight = (
        np.concatenate(part) for part in zip(*(entries_of(rows, nodes) for rows in sides), strict=True)
    )
    if use_weights:
        check_unsigned(weight)
    else:
        weight = np.ones(len(weight))
    other = near != far  # self-loops are left out
    near, far, weight = near[other], far[other], weight[other]
    kept = np.isin(far, nodes)
    ends = np.searchsorted(nodes, near[kept]), np.searchsorted(nodes, far[kept])
    inside = scipy.sparse.coo_array((weight[kept], ends), shape=(len(nodes), len(nodes))).tocsr()
    return inside, float(weight.sum())


def entries_of(
    rows: Adjacency, nodes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The adjacency entries of some rows: row, column, weight."""
    size = rows.indptr[nodes + 1] - rows.indptr[nodes]
    start = np.concatenate([[0], np.cumsum(size)])
    place = np.repeat(rows.indptr[nodes] - start[:-1], size) + np.arange(start[-1])
    weight = np.ones(len(place)) if rows.weight is None else rows.weight[place].astype(np.float64)
    return np.repeat(nodes, size), rows.indices[place].astype(np.int64), weight


def _store_matrix(store: GraphStore, edge_type: EdgeType | None, *, use_weights: bool) -> Any:
    import scipy.sparse

    edge_type = _square_type(store, edge_type)
    edges = store.edge_list(edge_type)
    count = store.num_nodes_of(edge_type[0])
    weighted = use_weights and edges.weight is not None
    weight = edges.weight.astype(np.float64) if weighted else np.ones(len(edges))  # type: ignore[union-attr]
    check_unsigned(weight)
    one_way = scipy.sparse.coo_array((weight, (edges.src, edges.dst)), shape=(count, count)).tocsr()
    return scipy.sparse.csr_array(one_way + one_way.T)


def _square_type(store: GraphStore, edge_type: EdgeType | None) -> EdgeType:
    chosen = chosen_edge_type(store, edge_type)
    if chosen[0] != chosen[2]:
        raise InvalidInput(
            f"edge_type {chosen} joins nodes of two types; communities need edges among nodes of one, such "
            "as those that LSH.similarity_graph(...).add_to(store, edge_type) makes"
        )
    return chosen


def _members(members: ArrayLike, count: int) -> NDArray[np.int64]:
    nodes: NDArray[Any] = unmasked("members", members)
    if nodes.size and nodes.dtype.kind in "iu":
        nodes = np.unique(nodes)
        if nodes[0] >= 0 and nodes[-1] < count:
            return nodes.astype(np.int64)
        got = f"{nodes[0]} to {nodes[-1]}"
    else:
        got = f"{nodes.dtype} {nodes.shape}"
    raise InvalidInput(
        f"members must be one or more positions of nodes in 0..{count - 1} (store.lookup gives those of user ids); "
        f"got {got}"
    )
    return nodes.astype(np.int64)


def _clustering(inside: Any) -> float:
    """Holme et al., Physica A 373 (2007), within the community; nodes with fewer than two neighbours count 0."""
    if inside.nnz == 0:
        return 0.0
    squared = inside.power(2)
    triangles = np.asarray((inside @ inside).multiply(inside).sum(axis=1)).reshape(-1)
    strength = np.asarray(inside.sum(axis=1)).reshape(-1)
    wedges = strength**2 - np.asarray(squared.sum(axis=1)).reshape(-1)
    heaviest = inside.data.max()
    return float(np.mean(np.divide(triangles, heaviest * wedges, out=np.zeros(len(wedges)), where=wedges > 0)))


def _cohesiveness(inside: Any, starts: int, seed: int) -> float:
    count = inside.shape[0]
    degree = np.asarray(inside.sum(axis=1)).reshape(-1)
    if count < 3 or not degree.sum():
        return 1.0
    chosen = generator(seed, Purpose.COHESIVENESS).permutation(count)[:starts]
    spread = np.where(degree > 0, degree, 1)
    rank = np.zeros((count, len(chosen)))
    restart = np.zeros_like(rank)
    restart[chosen, np.arange(len(chosen))] = 1
    rank += restart
    for _ in range(30):
        rank = 0.85 * (inside @ (rank / spread[:, None])) + 0.15 * restart
    least = 1.0
    for column in range(len(chosen)):
        order = np.argsort(-rank[:, column] / spread, kind="stable")
        ordered = inside[order][:, order].tocoo()
        later = np.maximum(ordered.row, ordered.col)
        within = np.cumsum(np.bincount(later, ordered.data, minlength=count))  # weight inside a prefix, twice
        volume = np.cumsum(degree[order])
        smaller = np.minimum(volume, volume[-1] - volume)[:-1]
        cut = (volume - within)[:-1]
        share = np.divide(cut, smaller, out=np.ones(count - 1), where=smaller > 0)
        least = min(least, float(share.min()))
    return least


__all__ = [
    "CommunityQuality",
    "community_quality",
    "modularity",
]
