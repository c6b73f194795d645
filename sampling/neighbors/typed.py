"""Neighbour sampling over several node and edge types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.threads import threads_in_use
from ...graphlib.errors import InvalidInput, NotFound
from ...graphlib.given_store import check_store
from ...graphlib.notebook import table
from ..ahead import in_order
from ..arguments import check_epoch, check_fanouts, check_seed_time, node_positions
from ..scratch import ResultMemory, Scratch, ScratchPool
from ..snapshot import EdgesThen
from .batch import Batch, Relation
from .induced import induced_edges
from .picks import Draw, RowPicker, Temporal, in_units

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore

EdgeType = tuple[str, str, str]


@dataclass(frozen=True, eq=False, repr=False)
class TypedSubgraph:
    """Nodes and edges reached from a batch of seeds, by type.

    Attributes
    ----------
    nodes : dict of node type to int64 (num_nodes,)
        Store positions in order of first visit, the distinct seeds first. Disjoint: once per tree.
    row, col : dict of edge type to int64 (num_edges,)
        Local numbers of the edges' sources and destinations, each within its own node type.
    edge_ids : dict of edge type to int32 or int64 (num_edges,)
        Positions in the edge columns of that type.
    num_sampled_nodes : dict of node type to tuple of int
        New nodes per hop, the seeds first.
    num_sampled_edges : dict of edge type to tuple of int
        Edges per hop, or all in one number where they are induced.
    seed_index : dict of node type to int64 (num_seeds,)
        Local number of every seed as given.
    seed_time : dict of node type to array (num_seeds,), or None
    tree : dict of node type to int64 (num_nodes,), or None
        In disjoint mode, the seed each node belongs to; seeds of all types are counted in the store's order of types.
    """

    nodes: dict[str, NDArray[Any]]
    row: dict[EdgeType, NDArray[Any]]
    col: dict[EdgeType, NDArray[Any]]
    edge_ids: dict[EdgeType, NDArray[Any]]
    num_sampled_nodes: dict[str, tuple[int, ...]]
    num_sampled_edges: dict[EdgeType, tuple[int, ...]]
    seed_index: dict[str, NDArray[Any]]
    seed_time: dict[str, NDArray[Any]] | None = None
    tree: dict[str, NDArray[Any]] | None = None

    @property
    def num_nodes(self) -> int:
        """Nodes of all types."""
        return sum(int(nodes.shape[0]) for nodes in self.nodes.values())

    @property
    def num_edges(self) -> int:
        """Edges of all types."""
        return sum(int(edges.shape[0]) for edges in self.edge_ids.values())

    def __repr__(self) -> str:
        nodes = ", ".join(f"{name} {len(n):,}" for name, n in self.nodes.items())
        edges = ", ".join(f"{'-'.join(name)} {len(e):,}" for name, e in self.edge_ids.items())
        return f"TypedSubgraph(nodes: {nodes}; edges: {edges})"

    def _repr_html_(self) -> str:
        rows = [("nodes", name, f"{len(n):,}", self.num_sampled_nodes[name]) for name, n in self.nodes.items()]
        rows += [
            ("edges", "-".join(name), f"{len(e):,}", self.num_sampled_edges[name]) for name, e in self.edge_ids.items()
        ]
        caption = f"TypedSubgraph({self.num_nodes:,} nodes, {self.num_edges:,} edges)"
        return table(caption, ["", "type", "count", "by hop"], rows)


class TypedNeighborSampler:
    """Sample the neighbourhood of a batch of seeds in a store with several node or edge types.

    Parameters
    ----------
    store : GraphStore
    fanouts : sequence of int, or mapping from edge type to sequence of int
        Edges per node and hop, nearest hop first; -1 takes all. One list holds for every edge type. Edge types that a
        mapping leaves out are not followed; its lists must be equally long (write 0 to skip a hop).
    replace, direction, method, weighted, temporal, disjoint, seed, threads
        As in `NeighborSampler`, for every edge type that is followed.
    induced : bool, default False
        Return every edge between the sampled nodes, of the types that `fanouts` names, instead of the edges that were
        followed. A type whose fanouts are all 0 is not followed and yet returned.

    Notes
    -----
    With direction "in", an edge type (a, r, b) leads from sampled nodes of type b to new ones of type a. What is drawn
    for a node depends on (seed, epoch, node, hop, edge type) alone. Memory 4 bytes per node of the store per thread.

    Raises
    ------
    NotFound
        A fanout for an edge type that the store does not have.
    InvalidInput
        Fanouts that are not integers >= -1 or of unequal lengths; weights or times that are missing or cannot be used;
        options that exclude each other.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import TypedNeighborSampler
    >>> shop = nearhop.GraphStore.from_typed(
    ...     nodes={"user": 2, "item": 3},
    ...     edges={("user", "buys", "item"): (np.array([0, 1]), np.array([2, 2]))},
    ... )
    >>> batch = TypedNeighborSampler(shop, {("user", "buys", "item"): [5]}).sample({"item": [2, 0]})
    >>> batch
    TypedSubgraph(nodes: user 2, item 2; edges: user-buys-item 2)
    """

    def __init__(
        self,
        store: GraphStore,
        fanouts: Sequence[int] | Mapping[EdgeType, Sequence[int]],
        *,
        replace: bool = False,
        direction: str = "in",
        method: str = "uniform",
        weighted: bool = False,
        temporal: Temporal | None = None,
        disjoint: bool = False,
        induced: bool = False,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        check_store(store)
        if induced and (disjoint or temporal is not None):
            raise InvalidInput("induced=True returns edges between all sampled nodes, so trees cannot be disjoint")
        self.fanouts = _fanouts_by_type(store, fanouts)
        self._then = EdgesThen("TypedNeighborSampler", store, *self.fanouts)
        self.num_hops = max((len(f) for f in self.fanouts.values()), default=0)
        self._attributes = store.attributes
        self.draw = Draw(replace, direction, method, weighted, in_units(temporal, store.attributes))
        self.disjoint = disjoint or temporal is not None
        self.induced = induced
        self.seed = seed
        self.threads = threads
        relations = []
        for index, (edge_type, counts) in enumerate(self.fanouts.items()):
            source, _, target = edge_type
            near, far = (target, source) if direction == "in" else (source, target)
            relations.append(
                Relation(edge_type, near, far, RowPicker(store, edge_type, self.draw, seed), counts, index)
            )
        self._relations = tuple(relations)
        self._num_nodes = {name: store.num_nodes_of(name) for name in store.node_types}
        self._scratch = ScratchPool(self._new_scratch)
        self._results = ResultMemory(16)

    def _new_scratch(self) -> dict[str, Scratch]:
        marks = {name: Scratch(0 if self.disjoint else count) for name, count in self._num_nodes.items()}
        return {"": Scratch(0), **marks}

    def sample(
        self, seeds: Mapping[str, ArrayLike], epoch: int = 0, *, seed_time: Mapping[str, ArrayLike] | None = None
    ) -> TypedSubgraph:
        """Sample around `seeds`: node positions by node type, any order, repeats allowed.

        `seed_time`, one time per seed by node type, is required with, and only with, `temporal`.
        """
        self._then.check()
        nodes, epoch = self._check_seeds(seeds), check_epoch(epoch)
        times = self._check_times(nodes, seed_time)
        scratch = self._scratch.take()
        batch = Batch(self._relations, self._num_nodes, scratch, self.disjoint, epoch)
        with threads_in_use(self.threads):
            seed_index = batch.enter_seeds(nodes, times)
            batch.run(self.num_hops)
            found, trees = batch.results_of_nodes(self._results)
            ends = [] if self.induced else batch.results_of_edges(self._results)
        edge_counts: list[tuple[int, ...]]
        if self.induced:
            ends = [
                induced_edges(r.picker.rows, found[r.near], scratch[r.far], scratch[""], self._results)
                for r in self._relations
            ]
            edge_counts = [(e[0].shape[0],) for e in ends]
        else:
            edge_counts = [tuple(f.per_hop) for f in batch.found]
        batch.forget()
        self._scratch.give(scratch)  # not after an error: its marks may be half-way
        near = {r.edge_type: e[0] for r, e in zip(self._relations, ends, strict=True)}
        far = {r.edge_type: e[1] for r, e in zip(self._relations, ends, strict=True)}
        row, col = (far, near) if self.draw.direction == "in" else (near, far)
        return TypedSubgraph(
            nodes=found,
            row=row,
            col=col,
            edge_ids={r.edge_type: e[2] for r, e in zip(self._relations, ends, strict=True)},
            num_sampled_nodes={name: tuple(counts) for name, counts in batch.node_counts.items()},
            num_sampled_edges={r.edge_type: c for r, c in zip(self._relations, edge_counts, strict=True)},
            seed_index=seed_index,
            seed_time=times,
            tree=trees if self.disjoint else None,
        )

    def sample_batches(self, batches: Iterable[Mapping[str, ArrayLike]], epoch: int = 0) -> Iterator[TypedSubgraph]:
        """Sample many batches on `threads` threads, yielding in order and working a few batches ahead."""
        return in_order(lambda seeds: self.sample(seeds, epoch), batches, self.threads)

    def _check_seeds(self, seeds: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.int64]]:
        if not isinstance(seeds, Mapping):
            known = ", ".join(map(repr, self._num_nodes))
            raise InvalidInput(f"seeds must map a node type to positions, such as {{'name': [0, 1]}}; types: {known}")
        for name in seeds:
            if name not in self._num_nodes:
                raise NotFound(f"seeds name the node type {name!r}; the store has {', '.join(self._num_nodes)}")
        return {
            name: node_positions(f"seeds[{name!r}]", seeds[name], count)
            for name, count in self._num_nodes.items()
            if name in seeds
        }

    def _check_times(
        self, seeds: Mapping[str, NDArray[Any]], seed_time: Mapping[str, ArrayLike] | None
    ) -> dict[str, NDArray[Any]] | None:
        if self.draw.temporal is None:
            if seed_time is not None:
                raise InvalidInput("seed_time was given, but the sampler was made without temporal=Temporal(...)")
            return None
        given = seed_time or {}
        return {
            name: check_seed_time(f"seed_time[{name!r}]", given.get(name), nodes.shape[0], self._attributes)
            for name, nodes in seeds.items()
        }


def _fanouts_by_type(
    store: GraphStore, fanouts: Sequence[int] | Mapping[EdgeType, Sequence[int]]
) -> dict[EdgeType, tuple[int, ...]]:
    if not isinstance(fanouts, Mapping):
        counts = check_fanouts("fanouts", fanouts)
        return dict.fromkeys(store.edge_types, counts)
    types = (*store.edge_types, *store.link_types)
    for edge_type in fanouts:
        if edge_type not in types:
            known = ", ".join(map(repr, types))
            raise NotFound(f"fanouts name the edge type {edge_type!r}; the store has {known}")
    # the store's order of types, so that streams do not depend on the mapping's
    checked = {t: check_fanouts(f"fanouts[{t!r}]", fanouts[t]) for t in types if t in fanouts}
    if len({len(counts) for counts in checked.values()}) > 1:
        lengths = ", ".join(f"{t!r}: {len(counts)}" for t, counts in checked.items())
        raise InvalidInput(f"fanouts must have one entry per hop for every edge type; got lengths {lengths}")
    return checked
