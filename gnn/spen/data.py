"""Graphs as SPEN reads them: normalised adjacency and tags on the pairs of a bag of ego networks, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...sampling.arguments import node_positions
from ...sampling.subgraphs.bags import ego_bag, graph_bag, slices
from .plan import BagPlan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...datasets.graphs import GraphSet
    from ...sampling.subgraphs.bags import EgoBag
    from .sizes import SizeClasses


@dataclass(frozen=True)
class EgoBatch:
    """Some graphs, ready for a model.

    Attributes
    ----------
    plan : BagPlan
    pairs : float32 (num_pairs, num_tags + 1)
        On the diagonal the one-hot tag behind a zero; elsewhere D^-1/2 A D^-1/2 in every channel.
    nodes : float32 (num_nodes, num_tags)
        The one-hot tags.
    """

    plan: BagPlan
    pairs: Tensor
    nodes: Tensor


class EgoGraphs:
    """A bag of ego networks with the tags and edges of its graphs.

    Parameters
    ----------
    graphs : GraphSet
    hops : int >= 0, optional
        Reach of an ego network, 1 by default; None for one "ego network" per graph, all of it.
    max_size : int, optional
        As in `ego_bag`.

    Attributes
    ----------
    bag : EgoBag
    num_tags : int
    labels : int64 (num_graphs,)

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.datasets.graphs import GraphSet
    >>> from nearhop.gnn.spen import EgoGraphs, SizeClasses
    >>> path = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    >>> data = EgoGraphs(GraphSet.of([path, path], [0, 1]))
    >>> data.batch([1], SizeClasses((2, 3))).pairs.shape
    torch.Size([9, 2])
    """

    def __init__(self, graphs: GraphSet, *, hops: int | None = 1, max_size: int | None = None) -> None:
        bag = graph_bag(graphs.store) if hops is None else ego_bag(graphs.store, hops=hops, max_size=max_size)
        self.bag: EgoBag = bag
        self.num_tags, self.labels, self._tags = graphs.num_tags, graphs.labels, graphs.tags
        self._adjacency = _normalised(graphs, bag)

    def sizes_of(self, ids: ArrayLike) -> NDArray[np.int64]:
        """The sizes of the ego networks of some graphs, for `SizeClasses.fit`."""
        return self.bag.sizes[np.isin(self.bag.graph, self._chosen(ids))]

    def batch(self, ids: ArrayLike, classes: SizeClasses, *, device: torch.device | str = "cpu") -> EgoBatch:
        """The graphs `ids`, in that order."""
        bag, chosen = self.bag, self._chosen(ids)
        part = bag.take(chosen)
        at, _ = slices(bag.pair_ptr[chosen], np.diff(part.pair_ptr))
        of_nodes, _ = slices(bag.node_ptr[chosen], np.diff(part.node_ptr))
        nodes = np.zeros((of_nodes.shape[0], self.num_tags), np.float32)
        nodes[np.arange(nodes.shape[0]), self._tags[of_nodes]] = 1
        pairs = np.repeat(self._adjacency[at, None], self.num_tags + 1, axis=1)
        diagonal = np.flatnonzero(part.pairs[:, 0] == part.pairs[:, 1])
        pairs[diagonal, 0], pairs[diagonal, 1:] = 0, nodes
        plan = BagPlan(part, classes, device=device)
        return EgoBatch(plan, *(torch.from_numpy(rows).to(device) for rows in (pairs, nodes)))

    def _chosen(self, ids: ArrayLike) -> NDArray[np.int64]:
        return node_positions("ids", ids, self.bag.num_graphs, of="graph")

    def __repr__(self) -> str:
        return f"EgoGraphs({self.bag!r}, {self.num_tags} tags)"


def _normalised(graphs: GraphSet, bag: EgoBag) -> NDArray[np.float32]:
    """1 / sqrt(degree of a * degree of b) at each pair (a, b) that is an edge, without self-loops."""
    rows = graphs.store.csr()
    n = rows.num_rows
    src: NDArray[Any] = np.repeat(np.arange(n, dtype=np.int64), np.diff(rows.indptr))
    dst = rows.indices.astype(np.int64)
    edges = np.unique((src * n + dst)[src != dst])
    out_degree, in_degree = np.bincount(edges // n, minlength=n), np.bincount(edges % n, minlength=n)
    value = 1 / np.sqrt(out_degree[edges // n] * in_degree[edges % n])
    keys = bag.pairs[:, 0].astype(np.int64) * n + bag.pairs[:, 1]
    at = np.minimum(np.searchsorted(keys, edges), keys.shape[0] - 1)
    found = keys[at] == edges
    adjacency = np.zeros(keys.shape[0], np.float32)
    adjacency[at[found]] = value[found]
    return adjacency
