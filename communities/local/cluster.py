"""Local clusters: what a seed's diffusion or walk gives, and the steps that all local methods share.

Seeds and a store go in, a `LocalCluster` comes out. The methods are in `diffusion` and `pagerank`; noisy labels in
`noisy_labels`. Communities of the whole graph are not made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import InvalidInput
from .graph import LocalGraph
from .sweep import check_nodes, sweep_slots

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False, repr=False)
class LocalCluster:
    """A cluster around seeds, and what it cost to find.

    Attributes
    ----------
    nodes : int64 (size,)
        Positions of nodes with a positive score (`store.ids()[nodes]` are their user ids), highest first, equal scores
        by position.
    values : float64 (size,)
        Their scores: potentials of a flow diffusion, or PageRank divided by degree.
    sweep_nodes : int64 (sweep_size,)
        The prefix of `nodes` of least conductance.
    conductance : float
        Of `sweep_nodes`, in the graph as it was reweighted by labels or attributes; in [0, 1].
    support_conductance : float
        Of all `nodes`.
    score : {"potential", "PageRank / degree"}
        What `values` are.
    mass : float
        Source mass of the diffusion; 1 for PageRank.
    excess : float
        Most that any node still holds beyond what it may.
    converged : bool
        Whether `excess` is within the tolerance.
    touched_nodes, touched_edges : int
        Nodes that were met, and adjacency entries that were copied: memory is proportional to these.
    pushes, visited_edges : int
        Updates of a node, and adjacency entries visited by them: time is proportional to the latter.
    """

    nodes: NDArray[np.int64]
    values: NDArray[np.float64]
    sweep_nodes: NDArray[np.int64]
    conductance: float
    support_conductance: float
    score: str
    mass: float
    excess: float
    converged: bool
    touched_nodes: int
    touched_edges: int
    pushes: int
    visited_edges: int

    def __len__(self) -> int:
        return int(self.nodes.shape[0])

    def __repr__(self) -> str:
        note = "" if self.converged else f", not converged (excess {self.excess:.3g})"
        return (
            f"LocalCluster({len(self):,} nodes, sweep of {self.sweep_nodes.shape[0]:,} with conductance "
            f"{self.conductance:.4f}, mass {self.mass:.6g}{note}; touched {self.touched_nodes:,} nodes and "
            f"{self.touched_edges:,} edge entries in {self.pushes:,} pushes)"
        )


def open_seeds(graph: LocalGraph, seeds: ArrayLike) -> NDArray[np.int64]:
    """Slots of seeds whose rows are open, or an error that names the seed from which nothing can flow."""
    nodes = check_nodes("seeds", seeds, graph.num_nodes)
    slots = graph.touch(nodes)
    graph.open(slots)
    stuck = graph.row_weight[slots] <= 0
    if stuck.any():
        seed = nodes[int(np.argmax(stuck))]
        entries = graph.rows.indptr[seed + 1] - graph.rows.indptr[seed]
        if graph.degree[slots[int(np.argmax(stuck))]] - graph.loops[slots[int(np.argmax(stuck))]] > 0:
            raise InvalidInput(
                f"nothing can leave seed {seed}: labels and attributes make all of its {entries} edges weigh 0; use "
                f"epsilon > 0 (got {graph.epsilon:g}) or a smaller gamma"
            )
        raise InvalidInput(f"seed {seed} is isolated: it has no edge of positive weight to another node")
    return slots


def check_labelled(graph: LocalGraph, seeds: ArrayLike) -> None:
    """Labels that say nothing about any touched node are a mistake, not a cluster."""
    if graph.labels.shape[0] and not (graph.labels[: graph.count] >= 0).any():
        raise InvalidInput(
            f"no node near the seeds {np.atleast_1d(seeds)[:5].tolist()} has a label: all {graph.count} touched nodes "
            "are labelled < 0 (unknown); label some of them or leave labels out"
        )


def finish(
    graph: LocalGraph,
    scores: NDArray[np.float64],
    *,
    score: str,
    mass: float,
    excess: float,
    converged: bool,
    pushes: int,
    visited_edges: int,
) -> LocalCluster:
    """Order the support of `scores` (by slot) and cut it. Nodes with a score have open rows."""
    support = np.flatnonzero(scores[: graph.count] > 0)
    order, curve, size = sweep_slots(graph, support, scores[support])
    return LocalCluster(
        nodes=graph.nodes[order],
        values=scores[order],
        sweep_nodes=graph.nodes[order[:size]],
        conductance=float(curve[size - 1]) if size else 1.0,
        support_conductance=float(curve[-1]) if size else 1.0,
        score=score,
        mass=mass,
        excess=excess,
        converged=converged,
        touched_nodes=graph.count,
        touched_edges=graph.entries,
        pushes=pushes,
        visited_edges=visited_edges,
    )
