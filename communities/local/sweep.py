"""Sweep cuts: order nodes by a score, cut where the conductance is least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import check_store
from .graph import LocalGraph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType


@dataclass(frozen=True, eq=False, repr=False)
class SweepCut:
    """The best prefix of an ordering of nodes.

    Attributes
    ----------
    nodes : int64 (size,)
        The prefix, highest score first.
    conductance : float
        cut / min(vol, vol_G - vol), in [0, 1]; 1 if one side has no volume.
    order : int64 (num_scored,)
        All scored nodes, highest first, equal scores by position.
    curve : float64 (num_scored,)
        Conductance of every prefix.
    """

    nodes: NDArray[np.int64]
    conductance: float
    order: NDArray[np.int64]
    curve: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.nodes.shape[0])

    def __repr__(self) -> str:
        return f"SweepCut({len(self):,} of {self.order.shape[0]:,} nodes, conductance {self.conductance:.4f})"


def sweep_cut(
    store: GraphStore,
    nodes: ArrayLike,
    *,
    values: ArrayLike | None = None,
    by_degree: bool = False,
    edge_type: EdgeType | None = None,
) -> SweepCut:
    """The set {nodes with the highest values} of least conductance.

    Parameters
    ----------
    store : GraphStore
        With undirected edges.
    nodes : integers (num_scored,)
        Distinct positions of nodes; `store.lookup(ids)` for user ids.
    values : floats (num_scored,), optional
        Scores, finite; without them the nodes are taken in the order given.
    by_degree : bool, default False
        Order by value / degree, as PageRank needs and potentials of flow diffusion do not.

    Raises
    ------
    InvalidInput, InvalidType
        Nodes outside the graph or given twice, values that are not finite or of another length, a directed graph.

    Notes
    -----
    O(volume of `nodes`) time and memory. Nodes with equal values are never separated, so the cut does not depend on how
    nodes are numbered.

    References
    ----------
    Andersen, Chung and Lang, "Local graph partitioning using PageRank vectors", FOCS 2006, doi:10.1109/FOCS.2006.44.

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 0, 1, 2, 3, 3, 4], [1, 2, 2, 3, 4, 5, 5])  # two triangles and a link
    >>> cut = nearhop.ann.sweep_cut(store, [0, 1, 2, 3], values=[4, 3, 2, 1])
    >>> cut.nodes.tolist(), round(cut.conductance, 4)
    ([0, 1, 2], 0.1429)
    """
    check_store(store)
    graph = LocalGraph(store, edge_type=edge_type)
    given = check_nodes("nodes", nodes, graph.num_nodes)
    if values is None:
        scores = -np.arange(given.shape[0], dtype=np.float64)
    else:
        scores = unmasked("values", values)
        if scores.dtype.kind not in "iufb":
            raise InvalidType(f"values must be numbers; got dtype {scores.dtype}")
        if scores.shape != given.shape:
            raise InvalidInput(f"values must have shape {given.shape}, one per node; got {scores.shape}")
        scores = scores.astype(np.float64)
        if not np.isfinite(scores).all():
            raise InvalidInput(f"values[{int(np.argmin(np.isfinite(scores)))}] is not finite")
    slots = graph.touch(given)
    graph.open(slots)
    if by_degree:
        scores = scores / np.maximum(graph.degree[slots], np.finfo(np.float64).tiny)
    order, curve, size = sweep_slots(graph, slots, scores)
    return SweepCut(graph.nodes[order[:size]], float(curve[size - 1]), graph.nodes[order], curve)


def sweep_slots(
    graph: LocalGraph, slots: NDArray[np.int64], scores: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Slots by falling score, the conductance of every prefix, and the length of the best one.

    Weights are those of the local graph.
    """
    from . import sweep_cpu

    by_score = np.lexsort((graph.nodes[slots], -scores))
    order = slots[by_score]
    volume = graph.row_weight + graph.loops
    cut, inside, curve = (np.empty(order.shape[0]) for _ in range(3))
    rank = np.full(graph.nodes.shape[0], -1, np.int64)
    parts = graph.row_start, graph.row_stop, graph.entry_slot, graph.entry_weight
    sweep_cpu.sweep(order, volume, *parts, rank, cut, inside)
    if order.shape[0]:
        sweep_cpu.conductance(cut, inside, graph.volume_beside(float(inside[-1])), curve)
    return order, curve, int(sweep_cpu.best_prefix(scores[by_score], curve))


def check_nodes(name: str, given: ArrayLike, num_nodes: int) -> NDArray[np.int64]:
    """Distinct positions in [0, num_nodes), at least one, as int64."""
    nodes: NDArray[np.generic] = np.atleast_1d(unmasked(name, given))
    if nodes.size == 0:
        raise InvalidInput(f"{name} is empty; name at least one node")
    if nodes.dtype.kind not in "iu":
        raise InvalidType(
            f"{name} must hold integer node positions; got dtype {nodes.dtype} (see store.lookup for ids)"
        )
    if nodes.ndim != 1:
        raise InvalidInput(f"{name} must have one dimension; got shape {nodes.shape}")
    outside = (nodes < 0) | (nodes >= num_nodes)  # type: ignore[operator]
    if outside.any():
        raise InvalidInput(
            f"{name} names node {nodes[int(np.argmax(outside))]}; nodes are 0..{num_nodes - 1} (positions: "
            "store.lookup gives those of user ids)"
        )
    found = nodes.astype(np.int64)
    distinct, times = np.unique(found, return_counts=True)
    if (times > 1).any():
        raise InvalidInput(f"{name} holds node {distinct[int(np.argmax(times > 1))]} more than once")
    return found
