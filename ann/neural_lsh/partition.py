"""Balanced partitions of a graph: few edges between parts of about equal size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput
from ...graphlib.extras import require
from ...graphlib.sparse.csr import as_csr

if TYPE_CHECKING:
    from numpy.typing import NDArray

METHODS = "multilevel", "kahip"
_COARSE_PER_PART = 24
_TRIES = 3
_PASSES = 12
_PRESSES = 6


class Graph(NamedTuple):
    """A symmetric weighted graph by rows, with sizes of nodes."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    weights: NDArray[np.float64]
    sizes: NDArray[np.int64]

    @classmethod
    def of_neighbors(cls, neighbors: NDArray[np.int64]) -> Graph:
        """The graph in which rows are linked to their neighbours (rows, k), -1 for none, both ways and once.

        A link that both ends name weighs 2.
        """
        import scipy.sparse as sp

        n, k = neighbors.shape
        left, right = np.repeat(np.arange(n), k), neighbors.ravel()
        real = (right >= 0) & (right != left)
        arcs = sp.csr_array((np.ones(int(real.sum())), (left[real], right[real])), shape=(n, n))
        return cls._symmetric(arcs)

    @classmethod
    def of_matrix(cls, given: Any) -> Graph:
        """The graph of a square matrix and its transpose, without loops."""
        matrix = as_csr("balanced_partition: graph", given)
        if matrix.num_rows != matrix.num_cols:
            raise InvalidInput(
                f"balanced_partition: graph must be square; got {matrix.num_rows} rows and {matrix.num_cols} columns"
            )
        arcs = matrix.to_scipy().astype(np.float64)
        if len(arcs.data) and not (np.isfinite(arcs.data).all() and arcs.data.min() >= 0):
            raise InvalidInput("balanced_partition: weights must be finite and at least 0")
        rows = np.repeat(np.arange(matrix.num_rows), np.diff(arcs.indptr))
        arcs.data[rows == arcs.indices] = 0
        arcs.eliminate_zeros()
        return cls._symmetric(arcs)

    @classmethod
    def _symmetric(cls, arcs: Any) -> Graph:
        both = (arcs + arcs.T).tocsr()
        both.sort_indices()
        return cls(
            both.indptr.astype(np.int64), both.indices.astype(np.int64), both.data.astype(np.float64),
            np.ones(both.shape[0], np.int64),
        )  # fmt: skip


def balanced_partition(
    graph: Graph | Any, parts: int, *, imbalance: float = 0.03, seed: int = 0, method: str = "multilevel"
) -> NDArray[np.int64]:
    """The part of every node, in [0, parts), none larger than (1 + imbalance) * rows / parts, rounded up.

    Parameters
    ----------
    graph : Adjacency, CSR or SciPy CSR matrix
        Square. Edges count in both directions: the weights of an arc and of its reverse add up; loops do not count.
    parts : int in [1, nodes]
    imbalance : float >= 0, default 0.03
    seed : int, default 0
    method : {"multilevel", "kahip"}, default "multilevel"
        "multilevel": heavy-edge matching down to a few dozen nodes per part, recursive bisection by region growing and
        Fiduccia-Mattheyses passes, and size-capped moves to the neighbouring part with most edges on the way back.
        "kahip": the package `kahip`, in its strong mode; slower by a multiple.

    Notes
    -----
    O(edges) per level, of about log2(nodes / (24 * parts)); one thread. The same seed gives the same parts.

    References
    ----------
    G. Karypis and V. Kumar, "Multilevel k-way partitioning scheme for irregular graphs", J. Parallel Distrib. Comput.
    48 (1998), doi:10.1006/jpdc.1997.1404; C. Fiduccia and R. Mattheyses, "A linear-time heuristic for improving network
    partitions", DAC 1982, doi:10.1145/800263.809204; P. Sanders and C. Schulz, "Think locally, act globally: highly
    balanced graph partitioning", SEA 2013, doi:10.1007/978-3-642-38527-8_16.

    Examples
    --------
    >>> import nearhop
    >>> two = nearhop.GraphStore.from_edges([0, 1, 2, 3, 4, 5], [1, 2, 0, 4, 5, 3]).csr()
    >>> len(set(balanced_partition(two, 2).tolist()[:3]))
    1
    """
    if not isinstance(graph, Graph):
        graph = Graph.of_matrix(graph)
    n = len(graph.sizes)
    if method not in METHODS:
        raise InvalidInput(f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}")
    if not 1 <= parts <= max(1, n):
        raise InvalidInput(f"parts must be in [1, {n}], the number of nodes; got {parts}")
    if not imbalance >= 0:
        raise InvalidInput(f"imbalance must be at least 0; got {imbalance!r}")
    if parts == 1:
        return np.zeros(n, np.int64)
    rng = generator(seed, Purpose.LEARNED_LISTS, "parts")
    most = int(np.ceil((1 + imbalance) * graph.sizes.sum() / parts))
    if method == "kahip":
        found = _by_kahip(graph, parts, imbalance, seed)
        return _refined(graph, found, parts, most, rng)
    levels = [graph]
    maps: list[NDArray[np.int64]] = []
    heaviest = max(1, int(1.5 * graph.sizes.sum() / (_COARSE_PER_PART * parts)))
    while len(levels[-1].sizes) > _COARSE_PER_PART * parts:
        coarse, coarse_of = _coarsened(levels[-1], heaviest, rng)
        if len(coarse.sizes) > 0.95 * len(levels[-1].sizes):
            break
        levels.append(coarse)
        maps.append(coarse_of)
    found = np.zeros(len(levels[-1].sizes), np.int64)
    _bisect(levels[-1], np.arange(len(found)), parts, 0, found, rng)
    for level in range(len(levels) - 1, -1, -1):
        found = _refined(levels[level], found, parts, most, rng)
        if level:
            found = found[maps[level - 1]]
    return found


def _coarsened(graph: Graph, heaviest: int, rng: np.random.Generator) -> tuple[Graph, NDArray[np.int64]]:
    from . import partition_cpu as kernels

    n = len(graph.sizes)
    mate, coarse_of = np.empty(n, np.int64), np.empty(n, np.int64)
    kernels.match(graph, rng.permutation(n), heaviest, mate)
    count = kernels.number_pairs(mate, coarse_of)
    new = Graph(
        np.empty(count + 1, np.int64), np.empty(len(graph.indices), np.int64), np.empty(len(graph.indices)),
        np.empty(count, np.int64),
    )  # fmt: skip
    end = kernels.contract(graph, mate, coarse_of, new)
    return new._replace(indices=new.indices[:end].copy(), weights=new.weights[:end].copy()), coarse_of


def _bisect(
    graph: Graph, nodes: NDArray[np.int64], parts: int, first: int, found: NDArray[np.int64], rng: np.random.Generator
) -> None:
    """Parts first..first + parts - 1 for these nodes of the whole graph, of which `graph` is the part between them."""
    from . import partition_cpu as kernels

    if parts == 1 or len(nodes) <= 1:
        found[nodes] = first
        return
    left = parts // 2
    target = round(int(graph.sizes.sum()) * left / parts)
    slack = max(int(0.01 * target), int(graph.sizes.max()) // 2)
    best, sides = np.inf, np.ones(len(nodes), np.int64)
    for seed in rng.choice(len(nodes), min(_TRIES, len(nodes)), replace=False):
        side = np.empty(len(nodes), np.int64)
        kernels.grow(graph, seed, target, side)
        cut = kernels.improve_bisection(graph, target, slack, side)
        if cut < best:
            best, sides = cut, side
    for which, count, start in ((0, left, first), (1, parts - left, first + left)):
        chosen = np.flatnonzero(sides == which)
        _bisect(_within(graph, chosen), nodes[chosen], count, start, found, rng)


def _within(graph: Graph, chosen: NDArray[np.int64]) -> Graph:
    """The graph between chosen nodes."""
    place = np.full(len(graph.sizes), -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    rows = np.repeat(np.arange(len(graph.sizes)), np.diff(graph.indptr))
    kept = (place[rows] >= 0) & (place[graph.indices] >= 0)
    counts = np.bincount(place[rows[kept]], minlength=len(chosen))
    return Graph(
        np.concatenate([[0], np.cumsum(counts)]), place[graph.indices[kept]], graph.weights[kept], graph.sizes[chosen]
    )


def _refined(
    graph: Graph, parts: NDArray[np.int64], count: int, most: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The parts after moves, none above `most` where the sizes of nodes allow it."""
    from . import partition_cpu as kernels

    parts, n = parts.copy(), len(graph.sizes)
    most = max(most, int(graph.sizes.sum() / count) + int(graph.sizes.max()) - 1)
    held = np.bincount(parts, graph.sizes, minlength=count).astype(np.int64)
    near, met = np.zeros(count), np.empty(count, np.int64)
    for _ in range(_PRESSES):
        if held.max() <= most:
            break
        kernels.move_nodes(graph, rng.permutation(n), most, True, parts, held, near, met)
    for _ in range(_PASSES):
        if not kernels.move_nodes(graph, rng.permutation(n), most, False, parts, held, near, met):
            break
    return parts


def _by_kahip(graph: Graph, parts: int, imbalance: float, seed: int) -> NDArray[np.int64]:
    kahip: Any = require("kahip", 'method "kahip"')
    ends = graph.indices.astype(np.int32).tolist()
    weights = np.maximum(1, np.rint(graph.weights)).astype(np.int32).tolist()
    _, found = kahip.kaffpa(
        graph.sizes.tolist(), graph.indptr.tolist(), weights, ends, parts, imbalance, True, seed, 2  # 2: strong
    )  # fmt: skip
    return np.asarray(found, np.int64)


__all__ = ["METHODS", "Graph", "balanced_partition"]
