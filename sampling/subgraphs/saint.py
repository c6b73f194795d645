"""GraphSAINT: training on random induced subgraphs, and the normalisers that keep the loss unbiased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import chosen_edge_type
from ..arguments import check_count, check_epoch, words_of
from ..negatives.negatives import alias_table
from ..walks.walks import random_walks
from .subgraphs import InducedSubgraphs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore
    from ..neighbors.subgraph import SampledSubgraph


@dataclass(frozen=True, eq=False, repr=False)
class SaintNorms:
    """Weights that correct for how often nodes and edges are sampled.

    Attributes
    ----------
    node : float32 (num_nodes,)
        Weight of a node's loss: samples / (times sampled * num_nodes), that is 1 / (num_nodes * p_v).
    edge : float32 (num_edges,)
        Weight of an edge's message: times its destination was sampled / times the edge was, that is p_v / p_uv.
        Undirected edges have one weight, the mean of both directions.
    samples : int
        Subgraphs that were counted.
    """

    node: NDArray[np.float32]
    edge: NDArray[np.float32]
    samples: int

    def __repr__(self) -> str:
        return f"SaintNorms({self.node.shape[0]:,} nodes, {self.edge.shape[0]:,} edges, from {self.samples} subgraphs)"


class SaintSampler:
    """Random subgraphs for GraphSAINT.

    Parameters
    ----------
    store : GraphStore
    method : {"node", "edge", "walk"}
        "node" draws nodes v in proportion to the sum of 1 / d_u^2 over v's neighbours u; "edge" draws edges (u, v) in
        proportion to 1 / d_u + 1 / d_v and takes their ends; "walk" takes the nodes of walks from uniform roots.
    budget : int >= 1
        Nodes, edges or roots drawn per subgraph, with replacement.
    length : int >= 0, default 2
        Steps per walk.
    seed : int, default 0
    edge_type : optional

    Notes
    -----
    Subgraph number i of an epoch is a function of (seed, epoch, i): not of threads, nor of which were taken before.

    References
    ----------
    H. Zeng et al., "GraphSAINT", arXiv:1907.04931, Alg. 2 and eq. 3 (normalisers in section 3.2).

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import SaintSampler
    >>> ring = nearhop.GraphStore.from_edges(np.arange(20), (np.arange(20) + 1) % 20)
    >>> sampler = SaintSampler(ring, "walk", budget=3, length=2)
    >>> part = sampler.sample(0)
    >>> part.num_nodes <= 9, sampler.normalizers(50).node.shape
    (True, (20,))
    """

    def __init__(
        self, store: GraphStore, method: str, *, budget: int, length: int = 2, seed: int = 0, edge_type: Any = None
    ) -> None:
        if method not in ("node", "edge", "walk"):
            raise InvalidInput(f'method must be "node", "edge" or "walk"; got {method!r}')
        self.method = method
        self.budget = check_count("budget", budget, 1)
        self.length = check_count("length", length)
        self.seed = seed
        self._root = root_of(seed, Purpose.SAINT, method, *words_of(chosen_edge_type(store, edge_type)))
        self._store = store
        self._edge_type = edge_type
        self._induced = InducedSubgraphs(store, edge_type=edge_type)
        self._num_nodes = self._induced._rows.num_rows
        if self._num_nodes == 0:
            raise InvalidInput("there are no nodes to sample")
        self._keep, self._alias = np.empty(0, np.float32), np.empty(0, np.int32)
        if method != "walk":
            self._keep, self._alias = alias_table(self._mass())

    def _mass(self) -> NDArray[np.float64]:
        """What nodes (or edges) are drawn in proportion to."""
        edges = self._store.edge_list(self._edge_type)
        out, into = (side(self._edge_type).degrees() for side in (self._store.csr, self._store.csc))
        per_out, per_in = 1.0 / np.maximum(out, 1), 1.0 / np.maximum(into, 1)
        if self.method == "edge":
            mass: NDArray[np.float64] = per_out[edges.src] + per_in[edges.dst]
            return mass
        # the square of column u of the matrix whose rows, the destinations, are divided by their degree
        mass = np.bincount(edges.src, per_in[edges.dst] ** 2, self._num_nodes).astype(np.float64)
        if not self._store.is_directed(self._edge_type):
            loops = edges.src == edges.dst
            mass += np.bincount(edges.dst[~loops], per_in[edges.src[~loops]] ** 2, self._num_nodes)
        return mass

    def sample(self, index: int, epoch: int = 0) -> SampledSubgraph:
        """Subgraph number `index` of an epoch, with every edge between its nodes."""
        return self._induced.take(self._nodes(check_count("index", index), check_epoch(epoch)))

    def _nodes(self, index: int, epoch: int) -> NDArray[np.int64]:
        from . import saint_cpu

        drawn = np.empty(self.budget, np.int64)
        saint_cpu.draws(self._keep, self._alias, self._num_nodes, self._root, epoch, index, drawn)
        if self.method == "node":
            return drawn
        if self.method == "edge":
            edges = self._store.edge_list(self._edge_type)
            return np.stack([edges.src[drawn], edges.dst[drawn]], axis=1).ravel().astype(np.int64)
        named = {"seed": root_of(self.seed, Purpose.SAINT_WALKS), "epoch": saint_cpu.name_of(epoch, index)}
        walks = random_walks(self._store, drawn, length=self.length, weighted=False, edge_type=self._edge_type, **named)
        return walks[walks >= 0].astype(np.int64)

    def normalizers(self, samples: int = 200, *, epoch: int = -1) -> SaintNorms:
        """Estimate the normalisers from `samples` subgraphs, those of an epoch that training does not use.

        What was never met counts as met once.
        """
        rounds = check_count("samples", samples, 1)
        edges = self._store.edge_list(self._edge_type)
        nodes_met, edges_met = np.zeros(self._num_nodes, np.int64), np.zeros(len(edges), np.int64)
        for index in range(rounds):
            part = self.sample(index, epoch)
            nodes_met[part.nodes] += 1
            edges_met[np.unique(part.edge_ids)] += 1
        node = rounds / (np.maximum(nodes_met, 1) * self._num_nodes)
        into = nodes_met[edges.dst].astype(np.float64)
        if not self._store.is_directed(self._edge_type):
            into = (into + nodes_met[edges.src]) / 2
        edge = np.maximum(into, 1) / np.maximum(edges_met, 1)
        return SaintNorms(node.astype(np.float32), edge.astype(np.float32), rounds)
