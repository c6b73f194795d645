"""Topological concentration: how far a node's computation tree overlaps those of its neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_finite, is_integer
from ...graphlib.sparse import intersect_cpu
from ...graphlib.sparse.csr import CSR, as_adjacency
from ...graphlib.sparse.intersect import grouped_by_row, intersect
from ...graphlib.sparse.products.spgemm import as_pairs, spgemm
from ...graphlib.sparse.spmm import multiply_into
from ..sparse.propagation import mean_over_neighbors, neighbor_sets

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore

_PAIRS = 1 << 20


def topological_concentration(
    store: GraphStore,
    pairs: tuple[ArrayLike, ArrayLike] | None = None,
    *,
    hops: int = 1,
    beta: float | None = None,
    compat: bool = False,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """TC of every node with respect to its neighbours in some part of a split.

    With H_i^k the multiset of ends of walks of k steps from i in the training graph, and N_i the neighbours of i among
    `pairs`, TC_i is the mean over j in N_i of

        sum over k1, k2 of beta^(k1 + k2 - 2) |H_i^k1 ∩ H_j^k2|  /  sum over k1, k2 of beta^(k1 + k2 - 2) |H_i^k1|.

    Parameters
    ----------
    store : GraphStore
        The training graph; edges count without direction, self-loops and parallel edges are left out.
    pairs : (src, dst) of int arrays, optional
        Links of validation or test, each counted for both ends. By default the training links themselves (TC^Tr): j is
        then left out of |H_i^1| where k1 = k2 = 1, so that `hops=1` is the clustering coefficient, and nodes of degree
        1 have TC 0.
    hops : {1, 2, 3}, default 1
        Most steps (K).
    beta : float >= 0, optional
        Default 1 / mean degree.
    compat : bool, default False
        Count the intersection as the authors' code does: i's multiplicities over the nodes that both have. By default
        it is that of multisets, the smaller multiplicity of each node. The same at `hops=1`.
    threads : int, optional

    Returns
    -------
    float64 array (num_nodes,)
        NaN for nodes without a link among `pairs`. A link of which one end has no training neighbours counts 0.

    Notes
    -----
    `hops=1` costs as much as counting triangles. With 2 hops the walk counts are the sparse square of the adjacency
    matrix, which is formed, and every link intersects rows of it.

    References
    ----------
    Y. Wang et al., "A topological perspective on demystifying GNN-based link prediction performance", ICLR 2024,
    arXiv:2310.04612, definition 1.

    Examples
    --------
    >>> import nearhop
    >>> triangle_with_tail = nearhop.GraphStore.from_edges([0, 1, 2, 2], [1, 2, 0, 3])
    >>> topological_concentration(triangle_with_tail).round(3).tolist()
    [1.0, 1.0, 0.333, 0.0]
    """
    if hops not in (1, 2, 3):
        raise InvalidInput(f"hops must be 1, 2 or 3; got {hops!r}")
    neighbors = neighbor_sets(store)
    n = neighbors.num_rows
    degree = np.diff(neighbors.indptr)
    if beta is None:
        beta = n / max(1, neighbors.num_entries)
    elif not is_finite(beta) or beta < 0:
        raise InvalidInput(f"beta must be a number >= 0; got {beta!r}")
    i, j = _both_ways(neighbors, pairs)
    walks = [neighbors]
    for _ in range(1, hops):
        walks.append(spgemm(walks[-1], neighbors, dtype=np.float64, threads=threads))
    sizes = [_sizes(m) for m in walks]
    training = pairs is None
    total, norm = np.zeros(i.shape[0]), np.zeros(i.shape[0])
    with threads_in_use(threads) as count:
        for k1, left in enumerate(walks):
            for k2, right in enumerate(walks):
                weight = beta ** (k1 + k2)
                norm += weight * (sizes[k1][i] - (training and k1 == k2 == 0))
                total += weight * _overlap(left, right, i, j, compat, count)
    known = (degree[i] > training) & (degree[j] > 0) & (norm > 0)
    return mean_per_node(n, i, np.divide(total, norm, out=np.zeros_like(total), where=known))


def approximate_concentration(
    store: GraphStore,
    pairs: tuple[ArrayLike, ArrayLike] | None = None,
    *,
    hops: int = 1,
    dim: int = 256,
    weights: tuple[float, ...] | None = None,
    similarity: str = "cosine",
    seed: int = 0,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """ATC: concentration by random projection, in time linear in the edges.

    M = sum over k = 1..hops of weights[k-1] Ã^k R with R (n, dim) Gaussian and Ã the mean over neighbours; ATC_i is the
    mean over links (i, j) of the similarity of M_i and M_j. Projection keeps inner products of walk distributions.

    Parameters
    ----------
    store, pairs, hops, threads
        As for `topological_concentration`; any number of hops.
    dim : int >= 1, default 256
        The error of a similarity is about 1 / sqrt(dim).
    weights : tuple of float, optional
        One per hop; default all 1.
    similarity : {"cosine", "dot"}, default "cosine"
    seed : int, default 0

    Returns
    -------
    float64 array (num_nodes,), NaN for nodes without a link among `pairs`.

    Notes
    -----
    The product kernel and its cost are FastRP's: O(hops * edges * dim) time, 12 dim bytes per node.

    Examples
    --------
    >>> import nearhop
    >>> ring = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> bool(abs(approximate_concentration(ring, ([0], [2]))[0] - 1) < 1e-6)  # 0 and 2 have the same neighbours
    True
    """
    if similarity not in ("cosine", "dot"):
        raise InvalidInput(f'similarity must be "cosine" or "dot"; got {similarity!r}')
    if not is_integer(hops) or not is_integer(dim) or hops < 1 or dim < 1:
        raise InvalidInput(f"hops and dim must be integers >= 1; got {hops!r} and {dim!r}")
    given = (1.0,) * hops if weights is None else tuple(weights) if isinstance(weights, Iterable) else ()
    if len(given) != hops or not all(map(is_finite, given)):
        raise InvalidInput(f"weights must hold one number per hop, {hops}, all finite; got {weights!r:.80}")
    neighbors = neighbor_sets(store)
    n = neighbors.num_rows
    rows = as_adjacency(mean_over_neighbors(neighbors))
    x = generator(seed, Purpose.CONCENTRATION).standard_normal((n, dim), dtype=np.float32) / np.float32(np.sqrt(dim))
    M = np.zeros((n, dim), np.float32)
    for weight in given:
        following = np.empty_like(x)
        multiply_into(rows, x, following, threads=threads)
        x = following
        M += np.float32(weight) * x
    if similarity == "cosine":
        norms = np.sqrt(np.einsum("id,id->i", M, M, dtype=np.float64))
        M /= np.maximum(norms, 1e-30).astype(np.float32)[:, None]
    i, j = _both_ways(neighbors, pairs)
    value = np.empty(i.shape[0])
    for at in range(0, i.shape[0], 1 << 16):
        part = slice(at, at + (1 << 16))
        value[part] = np.einsum("id,id->i", M[i[part]], M[j[part]])
    return mean_per_node(n, i, value)


def mean_per_node(num_nodes: int, nodes: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the values that name a node; NaN where none does."""
    count = np.bincount(nodes, minlength=num_nodes)
    total = np.bincount(nodes, values, minlength=num_nodes)
    return np.divide(total, count, out=np.full(num_nodes, np.nan), where=count > 0)


def _both_ways(neighbors: CSR, pairs: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Links listed from both ends: those given, or the graph's own."""
    if pairs is None:
        rows = np.repeat(np.arange(neighbors.num_rows), np.diff(neighbors.indptr))
        return rows, neighbors.indices.astype(np.int64)
    if len(pairs) != 2:
        raise InvalidInput(f"pairs must be (src, dst), two arrays of equally many nodes; got {len(pairs)} rows")
    src, dst = as_pairs("pairs", pairs[0], pairs[1], (neighbors.num_rows, neighbors.num_rows))
    return np.concatenate([src, dst]), np.concatenate([dst, src])


def _sizes(m: CSR) -> NDArray[np.float64]:
    if m.values is None:
        return np.diff(m.indptr).astype(np.float64)
    rows = np.repeat(np.arange(m.num_rows), np.diff(m.indptr))
    return np.bincount(rows, m.values, minlength=m.num_rows).astype(np.float64, copy=False)


def _overlap(
    left: CSR, right: CSR, i: NDArray[np.int64], j: NDArray[np.int64], compat: bool, threads: int
) -> NDArray[np.float64]:
    """|H_i ∩ H_j| for every pair: the smaller multiplicity, or i's where both have the node."""
    if compat:
        right = CSR(right.indptr, right.indices, None, right.num_cols)
    combine = intersect_cpu.PRODUCT if compat else intersect_cpu.MIN
    if left.values is None and right.values is None:
        combine = intersect_cpu.COUNT
    out = np.empty(i.shape[0])
    for at in range(0, i.shape[0], _PAIRS):
        part = slice(at, at + _PAIRS)
        grouped = grouped_by_row(i[part], j[part], left.num_rows)
        out[part], _ = intersect(
            combine, left, right, grouped, factors=None, dtype=np.dtype(np.float64), threads=threads
        )
    return out
