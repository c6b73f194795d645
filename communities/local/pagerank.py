"""Local clusters by approximate personalised PageRank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import check_store
from ...graphlib.scalars import is_number
from .cluster import LocalCluster, check_labelled, finish, open_seeds
from .graph import ENTRIES_AT_ONCE, Labels, LocalGraph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType


def approximate_pagerank(
    store: GraphStore,
    seeds: ArrayLike,
    *,
    alpha: float = 0.15,
    rho: float = 1e-6,
    labels: Labels = None,
    epsilon: float = 0.05,
    attributes: ArrayLike | None = None,
    gamma: float = 0.02,
    edge_type: EdgeType | None = None,
) -> LocalCluster:
    """Personalised PageRank of the seeds by local pushes, and its sweep cut.

    Parameters
    ----------
    store : GraphStore
        With undirected edges.
    seeds : integer or integers
        Positions of one or more nodes (`store.lookup(ids)` for user ids); each restarts the walk with the same
        probability.
    alpha : float in (0, 1), default 0.15
        Probability of a restart, of the lazy walk (which stays in place with probability 1/2).
    rho : float in (0, 1), default 1e-6
        Pushing ends when no node has a residual above rho times its degree.
    labels, epsilon, attributes, gamma
        Reweight edges, as in `flow_diffusion`.

    Returns
    -------
    LocalCluster
        `values` are PageRank / degree, in whose order the sweep goes; `excess` is the largest residual / degree.

    Raises
    ------
    InvalidInput, InvalidType
        Unknown, repeated or isolated seeds, parameters out of range, labels of the wrong length, a directed graph.

    Notes
    -----
    At most 1 / (alpha rho) degrees are visited, whatever the size of the graph. `values` times degree is below the true
    PageRank by at most rho times degree per restart. Where the graph is reweighted, pushing is decided by degrees of
    the store's graph, which are known without labels, and everything else uses the reweighted ones. Deterministic.

    References
    ----------
    Andersen, Chung and Lang, "Local graph partitioning using PageRank vectors", FOCS 2006, doi:10.1109/FOCS.2006.44.

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 0, 1, 2, 3, 3, 4], [1, 2, 2, 3, 4, 5, 5])  # two triangles and a link
    >>> sorted(nearhop.ann.approximate_pagerank(store, [0]).sweep_nodes.tolist())
    [0, 1, 2]
    """
    check_store(store)
    from . import pagerank_cpu

    for name, given in (("alpha", alpha), ("rho", rho)):
        if not is_number(given):
            raise InvalidType(f"{name} must be a number in (0, 1); got {given!r}")
        if not 0 < given < 1:
            raise InvalidInput(f"{name} must be in (0, 1); got {given}")
    graph = LocalGraph(store, labels=labels, epsilon=epsilon, attributes=attributes, gamma=gamma, edge_type=edge_type)
    slots = open_seeds(graph, seeds)
    p, residual = graph.fit(np.zeros(0)), graph.fit(np.zeros(0))
    queued = graph.fit(np.zeros(0, np.uint8))
    active, later = graph.fit(np.empty(0, np.int64)), graph.fit(np.empty(0, np.int64))
    residual[slots] = 1.0 / slots.shape[0]
    over = slots[residual[slots] > rho * graph.degree[slots]]
    if over.shape[0] == 0:
        largest = float((residual[slots] / graph.degree[slots]).max())
        raise InvalidInput(f"rho {rho:g} is too large for these seeds: nothing is pushed; give less than {largest:.3g}")
    size = over.shape[0]
    active[:size] = over
    queued[over] = 1
    pushes = visited = 0
    state = pagerank_cpu.MUST_OPEN
    while state != pagerank_cpu.DONE:
        state, size, more, walked = pagerank_cpu.push(
            (active, later, queued),
            size,
            (p, residual),
            graph.open_rows,
            graph.degree,
            float(alpha),
            float(rho),
            ENTRIES_AT_ONCE,
        )
        pushes += more
        visited += walked
        if state == pagerank_cpu.MUST_OPEN:
            graph.open(active[:size])
            p, residual, queued = graph.fit(p), graph.fit(residual), graph.fit(queued)
            active, later = graph.fit(active), graph.fit(later)
    check_labelled(graph, seeds)
    volume = np.maximum(graph.row_weight + graph.loops, np.finfo(np.float64).tiny)
    count = graph.count
    excess = float((residual[:count] / np.maximum(graph.degree[:count], np.finfo(np.float64).tiny)).max())
    return finish(
        graph,
        p / volume,
        score="PageRank / degree",
        mass=1.0,
        excess=excess,
        converged=excess <= rho,
        pushes=pushes,
        visited_edges=visited,
    )
