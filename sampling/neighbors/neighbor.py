"""Neighbour sampling: a few neighbours per node, hop after hop, from a batch of seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.threads import threads_in_use
from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import chosen_edge_type
from ..ahead import in_order
from ..arguments import check_epoch, check_fanouts, check_seed_time, node_positions
from ..scratch import ResultMemory, Scratch, ScratchPool
from ..snapshot import EdgesThen
from .batch import Batch, Relation
from .hops import Hops, UniformHops
from .induced import induced_edges
from .picks import Draw, RowPicker, Temporal, in_units
from .subgraph import SampledSubgraph
from .wide import WideHops

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore


class NeighborSampler:
    """Sample the neighbourhood of a batch of seeds, a fixed number of edges per node and hop.

    Parameters
    ----------
    store : GraphStore
    fanouts : sequence of int
        Edges per node, nearest hop first; -1 takes all.
    replace : bool, default False
        Draw with replacement.
    direction : {"in", "out"}, default "in"
        Follow in-edges (messages flow to the seeds, as GNNs need) or out-edges.
    method : {"uniform", "labor", "labor-per-hop"}, default "uniform"
        "labor" shares one random number per neighbour across the batch and its hops, so that fewer distinct nodes are
        reached at the same variance per node (LABOR-0 with layer dependency). "labor-per-hop" shares it within a hop
        alone: the hops are then independent, and reach more nodes.
    weighted : bool, default False
        Draw in proportion to edge weight; edges of weight zero are never drawn, nor taken by a fanout of -1.
    temporal : Temporal, optional
        Respect time: `sample` then takes a time per seed, and trees are disjoint.
    disjoint : bool, default False
        One tree per seed, sharing no nodes.
    induced : bool, default False
        Return every edge between the sampled nodes instead of the edges that were followed.
    edge_type : optional
        Which edges, in a store with several types.
    seed : int, default 0
    threads : int, optional
        How many batches `sample_batches` works on at once, and how many threads a large sample uses; all cores by
        default.

    Notes
    -----
    The neighbours drawn for a node depend on (seed, epoch, node, hop) alone: not on threads, batch size or the order of
    the seeds. In disjoint mode they depend on the tree's seed (and time) too. Time O(edges sampled); memory 4 bytes per
    node of the store per running call, and nothing is copied from the store. A sample that may have four million edges
    or more is drawn by several threads, a smaller one by one; kernels release the GIL, so batches run side by side.

    Raises
    ------
    InvalidInput
        Fanouts that are not integers >= -1, options that exclude each other, weights that are missing, negative or NaN.

    References
    ----------
    W. Hamilton, R. Ying, J. Leskovec, "Inductive representation learning on large graphs", arXiv:1706.02216, Alg. 2.
    M. F. Balin and U. Catalyurek, "Layer-neighbor sampling", arXiv:2210.13339 (LABOR-0, exact-k form).

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import NeighborSampler
    >>> star = nearhop.GraphStore.from_edges(np.arange(1, 6), np.zeros(5, np.int64), directed=True)
    >>> batch = NeighborSampler(star, fanouts=[3], seed=1).sample([0])
    >>> batch.num_edges, batch.num_sampled_nodes
    (3, (1, 3))
    """

    def __init__(
        self,
        store: GraphStore,
        fanouts: Sequence[int],
        *,
        replace: bool = False,
        direction: str = "in",
        method: str = "uniform",
        weighted: bool = False,
        temporal: Temporal | None = None,
        disjoint: bool = False,
        induced: bool = False,
        edge_type: Any = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        if isinstance(fanouts, Mapping):
            raise InvalidInput("fanouts per edge type need a TypedNeighborSampler; a NeighborSampler takes one per hop")
        self.fanouts = check_fanouts("fanouts", fanouts)
        self.edge_type = chosen_edge_type(store, edge_type)
        temporal = in_units(temporal, store.attributes)
        self.draw = Draw(replace, direction, method, weighted, temporal)
        if induced and (disjoint or temporal is not None):
            raise InvalidInput("induced=True returns edges between all sampled nodes, so trees cannot be disjoint")
        self.direction = direction
        self.temporal = temporal
        self.disjoint = disjoint or temporal is not None
        self.induced = induced
        self.seed = seed
        self.threads = threads
        self._then = EdgesThen("NeighborSampler", store, self.edge_type)
        picker = RowPicker(store, edge_type, self.draw, seed)
        self._rows = picker.rows
        self._attributes = store.attributes
        uniform = method == "uniform" and not weighted and not self.disjoint
        self._results = ResultMemory()
        self._hops = UniformHops(picker, self.fanouts) if uniform else None
        self._wide = WideHops(picker, self.fanouts, self._results)
        if self._rows.num_rows != self._rows.num_cols:
            raise InvalidInput(f"edges {edge_type!r} join two node types; use a TypedNeighborSampler")
        self._relations = (Relation(edge_type, "node", "node", picker, self.fanouts, 0),)
        marks = 0 if self.disjoint else self._rows.num_rows
        self._scratch = ScratchPool(lambda: {"": Scratch(0), "node": Scratch(marks)})

    def sample(self, seeds: ArrayLike, epoch: int = 0, *, seed_time: ArrayLike | None = None) -> SampledSubgraph:
        """Sample around `seeds` (node positions, any order, repeats allowed).

        `seed_time` (num_seeds,) is required with, and only with, `temporal`.
        """
        return self._sample(seeds, epoch, seed_time, self.threads)

    def _sample(
        self, seeds: ArrayLike, epoch: int, seed_time: ArrayLike | None, threads: int | None
    ) -> SampledSubgraph:
        self._then.check()
        nodes, epoch = node_positions("seeds", seeds, self._rows.num_rows), check_epoch(epoch)
        times = self._check_times(seed_time, nodes.shape[0])
        scratch = self._scratch.take()
        with threads_in_use(threads):
            if self._hops is None:
                found = self._one_by_one(nodes, times, scratch, epoch)
            elif self._hops.is_wide(nodes.shape[0]):
                found = self._wide.sample(nodes, scratch, epoch)
            else:
                found = self._hops.sample(nodes, scratch, epoch)
        near, far, edges, edge_counts = found.near, found.far, found.edges, found.edge_counts
        if self.induced:
            near, far, edges = induced_edges(self._rows, found.nodes, scratch["node"], scratch[""], self._results)
            edge_counts = (near.shape[0],)
        scratch["node"].forget(found.nodes.shape[0])
        self._scratch.give(scratch)  # not after an error: its marks may be half-way
        row, col = (far, near) if self.direction == "in" else (near, far)
        return SampledSubgraph(
            nodes=found.nodes,
            row=row,
            col=col,
            edge_ids=edges,
            num_sampled_nodes=found.node_counts,
            num_sampled_edges=edge_counts,
            seed_index=found.seed_index,
            seed_time=times,
            tree=found.tree,
        )

    def _one_by_one(
        self, seeds: NDArray[np.int64], times: NDArray[Any] | None, scratch: dict[str, Scratch], epoch: int
    ) -> Hops:
        """The hops as kernels of their own, for the draws that `UniformHops` does not know."""
        size = {"node": self._rows.num_rows}
        batch = Batch(self._relations, size, scratch, self.disjoint, epoch)
        seed_index = batch.enter_seeds({"node": seeds}, None if times is None else {"node": times})["node"]
        batch.run(len(self.fanouts))
        found, tree = batch.results_of_nodes(self._results)
        ((near, far, edges),) = batch.results_of_edges(self._results)
        counts = tuple(batch.node_counts["node"]), tuple(batch.found[0].per_hop)
        return Hops(found["node"], near, far, edges, *counts, seed_index, tree.get("node"))

    def sample_batches(self, batches: Iterable[ArrayLike], epoch: int = 0) -> Iterator[SampledSubgraph]:
        """Sample many batches on `threads` threads, yielding in order and working a few batches ahead."""
        return in_order(lambda seeds: self._sample(seeds, epoch, None, 1), batches, self.threads)

    def _check_times(self, seed_time: ArrayLike | None, count: int) -> NDArray[Any] | None:
        if self.temporal is None:
            if seed_time is not None:
                raise InvalidInput("seed_time was given, but the sampler was made without temporal=Temporal(...)")
            return None
        return check_seed_time("seed_time", seed_time, count, self._attributes)
