"""Subgraphs around nodes and between nodes: ego networks, induced subgraphs, ShaDow, cluster batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.compute.threads import pieces
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import check_store, chosen_edge_type
from ..arguments import check_count, check_epoch, node_positions, threads_for
from ..neighbors.neighbor import NeighborSampler
from ..neighbors.subgraph import SampledSubgraph
from ..scratch import Scratch, ScratchPool
from ..snapshot import EdgesThen
from .ppr import ppr_topk

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.store.store import GraphStore


@dataclass(frozen=True, eq=False, repr=False)
class EgoNetworks:
    """Nodes near each of several nodes, one ragged row each.

    Attributes
    ----------
    indptr : int64 (num_seeds + 1,)
        Row i is the slice `indptr[i]:indptr[i + 1]` of the arrays below; it starts with the seed itself.
    nodes : int32 or int64 (total,)
        In order of distance, then of discovery.
    hop : int32 (total,)
        Distance from the seed.
    """

    indptr: NDArray[np.int64]
    nodes: NDArray[Any]
    hop: NDArray[np.int32]

    def padded(self, width: int | None = None) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The first `width` nodes of every row (default: the longest), -1 where it is shorter; and how many there are.

        Returns arrays (num_seeds, width) and int64 (num_seeds,).
        """
        sizes = np.diff(self.indptr)
        columns = int(sizes.max(initial=0)) if width is None else check_count("width", width)
        counts = np.minimum(sizes, columns)
        out = np.full((sizes.shape[0], columns), -1, self.nodes.dtype)
        taken = np.arange(columns) < counts[:, None]
        out[taken] = self.nodes[(self.indptr[:-1, None] + np.arange(columns))[taken]]
        return out, counts

    def __repr__(self) -> str:
        return f"EgoNetworks({self.indptr.shape[0] - 1:,} seeds, {self.nodes.shape[0]:,} nodes in all)"


def ego_networks(
    store: GraphStore,
    seeds: ArrayLike,
    *,
    hops: int = 1,
    limit: int | None = None,
    direction: str = "out",
    edge_type: Any = None,
    threads: int | None = None,
) -> EgoNetworks:
    """All nodes within `hops` of each seed.

    Parameters
    ----------
    store : GraphStore
    seeds : int array (num_seeds,)
    hops : int >= 0, default 1
    limit : int >= 1, optional
        Stop at this many nodes per seed, the nearest first, in row order among the equally near.
    direction : {"out", "in"}, default "out"
    edge_type : optional
    threads : int, optional
        All cores by default; the result does not depend on it.

    Notes
    -----
    Every row is searched twice, once to count. Memory 4 bytes per node of the store and thread beside the result.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import ego_networks
    >>> path = nearhop.GraphStore.from_edges(np.arange(4), np.arange(1, 5))
    >>> ego_networks(path, [0, 2], hops=2).padded()[0].tolist()
    [[0, 1, 2, -1, -1], [2, 1, 3, 0, 4]]
    """
    check_store(store)
    from ...graphlib.compute.jit import threads_in_use
    from . import subgraphs_cpu

    rows = _square(store, edge_type, direction)
    nodes = node_positions("seeds", seeds, rows.num_rows)
    depth = check_count("hops", hops)
    most = rows.num_rows if limit is None else check_count("limit", limit, 1)
    indptr = np.zeros(nodes.shape[0] + 1, np.int64)
    with threads_in_use(threads_for(threads, nodes.shape[0], 4)) as parts:
        stamped = np.int32 if 2 * nodes.shape[0] < np.iinfo(np.int32).max else np.int64
        mark = np.zeros((parts, rows.num_rows), stamped)
        none, no_hop = np.empty(0, rows.indices.dtype), np.empty(0, np.int32)
        subgraphs_cpu.ego(rows.indptr, rows.indices, nodes, depth, most, mark, 0, indptr, none, no_hop)
        np.cumsum(indptr, out=indptr)
        found, hop = np.empty(int(indptr[-1]), rows.indices.dtype), np.empty(int(indptr[-1]), np.int32)
        subgraphs_cpu.ego(rows.indptr, rows.indices, nodes, depth, most, mark, nodes.shape[0], indptr, found, hop)
    return EgoNetworks(indptr, found, hop)


class InducedSubgraphs:
    """Takes subgraphs of one store, using its working memory again.

    Parameters
    ----------
    store : GraphStore
    edge_type : optional

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.sampling import InducedSubgraphs
    >>> store = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3], directed=True)
    >>> part = InducedSubgraphs(store).take([2, 1, 0])
    >>> part.nodes[part.row].tolist(), part.nodes[part.col].tolist(), part.edge_ids.tolist()
    ([1, 0], [2, 1], [1, 0])
    """

    def __init__(self, store: GraphStore, *, edge_type: Any = None) -> None:
        check_store(store)
        self._rows = _square(store, edge_type, "in")
        self._then = EdgesThen("InducedSubgraphs", store, chosen_edge_type(store, edge_type))
        self._scratch = ScratchPool(lambda: {"": Scratch(self._rows.num_rows)})

    def take(self, nodes: ArrayLike) -> SampledSubgraph:
        """The subgraph of `nodes` (positions, repeats allowed) and every edge between them.

        O(sum of the nodes' in-degrees). Undirected edges appear once in each direction.
        """
        given = node_positions("nodes", nodes, self._rows.num_rows)
        distinct, first = np.unique(given, return_index=True)
        distinct = given[np.sort(first)]
        blocks = np.array([0, distinct.shape[0]])
        row, col, edges = self.edges_within(distinct, blocks)
        order = np.argsort(distinct)
        return SampledSubgraph(
            nodes=distinct,
            row=row,
            col=col,
            edge_ids=edges,
            num_sampled_nodes=(distinct.shape[0],),
            num_sampled_edges=(row.shape[0],),
            seed_index=order[np.searchsorted(distinct[order], given)],
        )

    def edges_within(self, nodes: NDArray[Any], blocks: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Sources, destinations (positions in `nodes`) and ids of the edges within each `nodes[blocks[b]:blocks[b+1]]`.

        Nodes are distinct within a block.
        """
        from . import subgraphs_cpu

        self._then.check()
        scratch = self._scratch.take()
        memory, entries = scratch[""], (self._rows.indptr, self._rows.indices)

        def run(out: tuple[NDArray[Any], ...]) -> int:
            found = 0
            for a, b in pieces(blocks.shape[0] - 1, first=256):
                part = entries, nodes, blocks[a : b + 1], (memory.mark, memory.base)
                found, memory.base = subgraphs_cpu.edges_within_blocks(*part, found, out)
            return found

        none = np.empty(0, np.int64)
        total = run((none, none, none))
        positions, row, col = (np.empty(total, np.int64) for _ in range(3))
        run((positions, row, col))
        self._scratch.give(scratch)
        return row, col, self._rows.edge_ids[positions]


class ShadowSampler:
    """A small subgraph of its own for every seed, so that a deep network does not reach further (ShaDow).

    Parameters
    ----------
    store : GraphStore
    fanouts : sequence of int, optional
        The nodes are those a `NeighborSampler` reaches with these fanouts.
    top : int >= 1, optional
        Instead: the seed and the `top` nodes of highest personalised PageRank from it.
    seed : int, default 0
        Streams of the neighbour sampler.
    edge_type : optional

    Notes
    -----
    All edges between the nodes of a subgraph are returned, and none between subgraphs: `tree` says which seed a node
    belongs to, nodes of a tree lie together, and `seed_index` points to the roots.

    References
    ----------
    H. Zeng et al., "Decoupling the depth and scope of graph neural networks", arXiv:2201.07858, section 3.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.sampling import ShadowSampler
    >>> ring = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> batch = ShadowSampler(ring, fanouts=[2]).sample([0, 2])
    >>> batch.num_nodes, batch.num_edges, batch.nodes[batch.seed_index].tolist()
    (6, 8, [0, 2])
    """

    def __init__(
        self,
        store: GraphStore,
        *,
        fanouts: Sequence[int] | None = None,
        top: int | None = None,
        seed: int = 0,
        edge_type: Any = None,
    ) -> None:
        check_store(store)
        if (fanouts is None) == (top is None):
            raise InvalidInput("ShadowSampler needs fanouts=[...] or top=..., and not both")
        self._store = store
        self._edge_type = edge_type
        self._top = None if top is None else check_count("top", top, 1)
        self._induced = InducedSubgraphs(store, edge_type=edge_type)
        self._sampler = None
        if fanouts is not None:
            self._sampler = NeighborSampler(store, fanouts, disjoint=True, seed=seed, edge_type=edge_type)

    def sample(self, seeds: ArrayLike, epoch: int = 0) -> SampledSubgraph:
        """Subgraphs of the seeds (node positions, repeats allowed), one block each."""
        epoch = check_epoch(epoch)
        if self._sampler is not None:
            reached = self._sampler.sample(seeds, epoch)
            trees = reached.tree if reached.tree is not None else np.empty(0, np.int64)
            order = np.argsort(trees, kind="stable")  # the seed was numbered first in its tree
            nodes, tree, count = reached.nodes[order], trees[order], reached.seed_index.shape[0]
        else:
            near = ppr_topk(self._store, seeds, top=self._top or 1, edge_type=self._edge_type, direction="in")
            given = np.asarray(seeds, np.int64)
            count = given.shape[0]
            bag = np.concatenate([given[:, None], near.nodes], axis=1)
            bag[:, 1:][near.nodes == given[:, None]] = -1  # the seed stands first
            tree, place = np.nonzero(bag >= 0)
            nodes = bag[tree, place].astype(np.int64)
        blocks = np.searchsorted(tree, np.arange(count + 1))
        row, col, edges = self._induced.edges_within(nodes, blocks)
        return SampledSubgraph(
            nodes=nodes,
            row=row,
            col=col,
            edge_ids=edges,
            num_sampled_nodes=(count, nodes.shape[0] - count),
            num_sampled_edges=(row.shape[0],),
            seed_index=blocks[:-1],
            tree=tree,
        )


def cluster_batches(
    store: GraphStore,
    parts: ArrayLike,
    *,
    per_batch: int = 1,
    seed: int = 0,
    epoch: int = 0,
    edge_type: Any = None,
) -> Iterator[SampledSubgraph]:
    """Subgraphs of a few clusters each, every cluster once per epoch (Cluster-GCN).

    Parameters
    ----------
    store : GraphStore
    parts : int array (num_nodes,)
        The cluster of every node, >= 0; from METIS or any community detection.
    per_batch : int >= 1, default 1
        Clusters per batch (q); edges between them are kept.
    seed, epoch : int
        Which clusters come together.
    edge_type : optional

    References
    ----------
    W. Chiang et al., "Cluster-GCN", arXiv:1905.07953, Alg. 1.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.sampling import cluster_batches
    >>> store = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3])
    >>> sorted(sorted(b.nodes.tolist()) for b in cluster_batches(store, [0, 0, 1, 1]))
    [[0, 1], [2, 3]]
    """
    check_store(store)
    together, epoch = check_count("per_batch", per_batch, 1), check_epoch(epoch)
    induced = InducedSubgraphs(store, edge_type=edge_type)
    labels: NDArray[Any] = unmasked("parts", parts)
    if labels.dtype.kind not in "iu":
        raise InvalidType(f"parts must hold integers, the cluster of every node; got dtype {labels.dtype}")
    if labels.shape != (induced._rows.num_rows,):
        raise InvalidInput(f"parts must have shape ({induced._rows.num_rows},), one per node; got {labels.shape}")
    if labels.size and labels.min() < 0:
        where = int(np.argmax(labels < 0))
        raise InvalidInput(f"parts[{where}] is {labels[where]}; clusters are >= 0")
    return _cluster_batches(induced, labels, together, seed, epoch)


def _cluster_batches(
    induced: InducedSubgraphs, labels: NDArray[Any], together: int, seed: int, epoch: int
) -> Iterator[SampledSubgraph]:
    from . import subgraphs_cpu

    by_cluster = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[by_cluster], return_index=True)
    members = np.split(by_cluster, starts[1:]) if labels.size else []
    order = np.arange(len(members))
    subgraphs_cpu.shuffle(root_of(seed, Purpose.CLUSTERS), epoch, order)
    for first in range(0, len(members), together):
        yield induced.take(np.concatenate([members[cluster] for cluster in order[first : first + together]]))


def _square(store: GraphStore, edge_type: Any, direction: str) -> Adjacency:
    """Rows of edges that join a node type with itself."""
    if direction not in ("in", "out"):
        raise InvalidInput(f'direction must be "in" or "out"; got {direction!r}')
    rows = store.csc(edge_type) if direction == "in" else store.csr(edge_type)
    if rows.num_rows != rows.num_cols:
        raise InvalidInput(f"edges {edge_type!r} join two node types; these subgraphs need one")
    return rows
