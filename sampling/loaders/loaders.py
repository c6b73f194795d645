"""Loaders: batches for training, sampled and gathered by threads while the model works on earlier ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, InvalidType, NotFound
from ...graphlib.types import chosen_edge_type
from ..arguments import check_count, node_positions
from ..negatives.negatives import NegativeSampler
from ..neighbors.neighbor import NeighborSampler
from ..neighbors.typed import TypedNeighborSampler
from ..prefetch import LoaderReport, Stopwatch, check_same_process, prefetched
from .batches import Batching
from .forms import PlainForm, TypedForm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore

Fanouts = Sequence[int] | Mapping[tuple[str, str, str], Sequence[int]]


class _Loader:
    """What loaders share: a pass over `_total` items in batches, each sampled, gathered and built by a thread."""

    def __init__(
        self, store: GraphStore, sampler: Any, tables: Mapping[Any, Any] | None, batching: Batching, workers: int
    ) -> None:
        several = len(store.node_types) > 1 or len(store.edge_types) > 1
        if not hasattr(sampler, "sample"):
            kind = TypedNeighborSampler if several or isinstance(sampler, Mapping) else NeighborSampler
            sampler = kind(store, sampler, seed=batching.seed)
        self.sampler = sampler
        self.typed = isinstance(sampler, TypedNeighborSampler)
        self._form: Any
        if self.typed:
            self._form = TypedForm(store, tables)
        else:
            self._edge_type = chosen_edge_type(store, getattr(sampler, "edge_type", None))
            self._form = PlainForm(store, self._edge_type, tables)
        self.epoch = 0
        self._store = store
        self._batching = batching
        self._workers = check_count("workers", workers)
        self._watch = Stopwatch()
        self._process = os.getpid()
        self._total = 0

    @property
    def tables(self) -> dict[Any, Any]:
        """The `UnifiedTensor`s that rows come from."""
        tables: dict[Any, Any] = self._form.tables
        return tables

    def __len__(self) -> int:
        """How many batches one pass yields."""
        return self._batching.count(self._total)

    def __iter__(self) -> Iterator[Any]:
        """One pass, as epoch number `epoch`, which is then counted up: every pass draws anew, and reproducibly."""
        check_same_process(self._process, "a loader")
        epoch = self.epoch
        self.epoch += 1
        order = self._batching.positions(self._total, epoch)
        return prefetched(lambda batch: self._make(batch, epoch), order, workers=self._workers, watch=self._watch)

    def _make(self, batch: NDArray[np.int64], epoch: int) -> Any:
        with self._watch.time("sample"):
            sample, extra = self._draw(batch, epoch)
        with self._watch.time("gather"):
            rows = self._form.gather(sample)
        with self._watch.time("build"):
            return self._form.data(sample, rows, extra)

    def _draw(self, batch: NDArray[np.int64], epoch: int) -> tuple[Any, dict[Any, dict[str, Any]]]:
        """A sample, and what belongs to the batch beside it, by type."""
        raise NotImplementedError

    def report(self) -> LoaderReport:
        """Where the time went since the loader was made: printing it answers which stage holds training up."""
        return self._watch.report(self._workers)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self._total:,} items, {len(self):,} batches of {self._batching.batch_size:,}, "
            f"{self._workers} threads, tables {', '.join(map(str, self.tables)) or 'none'})"
        )


class NodeLoader(_Loader):
    """Batches of nodes with their sampled neighbourhoods, as `torch_geometric.data.Data` or `HeteroData`.

    Parameters
    ----------
    store : GraphStore
    sampler : NeighborSampler or TypedNeighborSampler, or fanouts for one
        `[15, 10]` means `NeighborSampler(store, [15, 10], seed=seed)`; in a store of several types, and with fanouts by
        edge type, a `TypedNeighborSampler`, whose batches are `HeteroData`.
    nodes : int or bool array, optional
        Seeds: distinct positions, or a mask over the nodes; all nodes by default. With several types, a node type, or
        (node type, positions or mask).
    tables : mapping, optional
        Attributes of a batch: name -> column name, array or `UnifiedTensor`. By default x and y where the store has
        them. Names that begin with `edge_` are looked up by edge, the others by node. With several types: node or edge
        type -> such a mapping.
    batch_size : int >= 1, default 1024
    shuffle, drop_last : bool, default False
    seed : int, default 0
        The order of a pass is a function of (seed, epoch).
    part : (int, int), default (0, 1)
        (rank, parts): this process's share of batches of `parts * batch_size` nodes, for training with several
        processes. The shares of one batch differ by at most one node.
    workers : int >= 0, default 1
        Threads that prepare batches, each up to two ahead. With 0 the caller's thread does it.

    Notes
    -----
    A batch holds `x`, `y`, `edge_index` (messages go from row 0 to row 1), `n_id`, `e_id`, `batch_size`, `input_id`
    (positions in `nodes`), `num_sampled_nodes` and `num_sampled_edges`. The seeds are the first `batch_size` nodes, in
    order; with several types, all this is found under the node and edge types. What a batch holds depends on the
    arguments and `epoch` alone, not on threads. Leaving a loop early ends the threads. A loader cannot be used in a
    forked child; make it there.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling.loaders.loaders import NodeLoader
    >>> store = nearhop.GraphStore.from_edges(np.arange(9), np.arange(1, 10))
    >>> store.nodes["x"] = np.eye(10, dtype=np.float32)
    >>> loader = NodeLoader(store, [2, 2], batch_size=4, shuffle=True)
    >>> [batch.batch_size for batch in loader]
    [4, 4, 2]
    >>> loader.report().batches
    3
    """

    def __init__(
        self,
        store: GraphStore,
        sampler: NeighborSampler | TypedNeighborSampler | Fanouts,
        *,
        nodes: ArrayLike | str | tuple[str, ArrayLike | None] | None = None,
        tables: Mapping[Any, Any] | None = None,
        batch_size: int = 1024,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
        workers: int = 1,
    ) -> None:
        super().__init__(store, sampler, tables, Batching(batch_size, shuffle, drop_last, seed, part), workers)
        given: Any = nodes
        self.node_type = ""
        if self.typed:
            self.node_type, given = _node_type(store, nodes)
        count = store.num_nodes_of(self.node_type) if self.typed else store.num_nodes_of(self._edge_type[0])
        self.nodes = _seeds(given, count)
        self._total = self.nodes.shape[0]

    def _draw(self, batch: NDArray[np.int64], epoch: int) -> tuple[Any, dict[Any, dict[str, Any]]]:
        seeds: Any = {self.node_type: self.nodes[batch]} if self.typed else self.nodes[batch]
        return self.sampler.sample(seeds, epoch=epoch), {self.node_type: {"input_id": batch}}


class LinkLoader(_Loader):
    """Batches of edges, with negatives, and the neighbourhoods of their ends.

    Parameters
    ----------
    store : GraphStore
    sampler : NeighborSampler or TypedNeighborSampler, or fanouts for one
    edges : int array (num_edges,), optional
        Edge ids (positions in the store's edge columns); all edges by default.
    edge_type : optional
        Which edges, in a store with several types.
    negatives : int >= 0, default 1
        Pairs per edge whose second end is drawn as by `NegativeSampler`: a uniform node, not the first itself, that the
        first has no edge to. An edge whose first end leads to every other node has none.
    tables, batch_size, shuffle, drop_last, seed, part, workers
        As for `NodeLoader`; `batch_size` counts edges.

    Notes
    -----
    `edge_label_index` (2, pairs) are local numbers of the pairs, edges first, then the negatives in the order of their
    edges; `edge_label` is 1 for edges and 0 for negatives; `input_id` are edge ids. With several types they are found
    under the edge type. The edges themselves may be among those sampled for messages. Negatives depend on (seed, epoch,
    edge) alone.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling.loaders.loaders import LinkLoader
    >>> store = nearhop.GraphStore.from_edges(np.arange(9), np.arange(1, 10))
    >>> batch = next(iter(LinkLoader(store, [2], batch_size=4, negatives=2)))
    >>> batch.edge_label.tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        store: GraphStore,
        sampler: NeighborSampler | TypedNeighborSampler | Fanouts,
        *,
        edges: ArrayLike | None = None,
        edge_type: tuple[str, str, str] | None = None,
        negatives: int = 1,
        tables: Mapping[Any, Any] | None = None,
        batch_size: int = 1024,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
        workers: int = 1,
    ) -> None:
        super().__init__(store, sampler, tables, Batching(batch_size, shuffle, drop_last, seed, part), workers)
        if self.typed and edge_type not in store.edge_types:
            known = ", ".join(map(repr, store.edge_types))
            raise NotFound(f"edge_type must be one of {known}; got {edge_type!r}")
        self.edge_type = edge_type
        self._list = store.edge_list(edge_type)
        count = len(self._list)
        self.edges = np.arange(count) if edges is None else node_positions("edges", edges, count)
        self._total = self.edges.shape[0]
        self._num_negatives = check_count("negatives", negatives)
        self._negatives = NegativeSampler(store, edge_type=edge_type, seed=seed, threads=1)

    def _draw(self, batch: NDArray[np.int64], epoch: int) -> tuple[Any, dict[Any, dict[str, Any]]]:
        edges = self.edges[batch]
        near, far, _ = self._pairs(edges, epoch)
        sample, pairs = self._around(near, far, epoch, None)
        return sample, {self.edge_type: _labels(edges, pairs)}

    def _pairs(self, edges: NDArray[np.int64], epoch: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Both ends of the edges and, behind them, of their negatives; and which of `edges` each pair belongs to."""
        src, dst = self._list.src[edges].astype(np.int64), self._list.dst[edges].astype(np.int64)
        wrong = self._negatives.sample(src, self._num_negatives, epoch=epoch, keys=edges)
        found = wrong >= 0
        place = np.arange(edges.shape[0])
        owner = np.concatenate([place, np.repeat(place, found.sum(axis=1))])
        return src[owner], np.concatenate([dst, wrong[found]]), owner

    def _around(
        self, near: NDArray[Any], far: NDArray[Any], epoch: int, when: NDArray[Any] | None
    ) -> tuple[Any, NDArray[Any]]:
        """The neighbourhood of both ends of all pairs, at the pairs' times, and the local numbers of the ends."""
        if not self.typed or self.edge_type is None:
            both = None if when is None else np.concatenate([when, when])
            sample = self.sampler.sample(np.concatenate([near, far]), epoch=epoch, seed_time=both)
            return sample, sample.seed_index.reshape(2, -1)
        source, _, target = self.edge_type
        ends = {source: [near], target: [far]} if source != target else {source: [near, far]}
        seeds = {name: np.concatenate(parts) for name, parts in ends.items()}
        times = None if when is None else {name: np.concatenate([when] * len(parts)) for name, parts in ends.items()}
        sample = self.sampler.sample(seeds, epoch=epoch, seed_time=times)
        local = [sample.seed_index[name] for name in dict.fromkeys((source, target))]
        return sample, np.concatenate(local).reshape(2, -1)


class TemporalLoader(LinkLoader):
    """Edges in the order of their times, each end's neighbourhood as it was before the edge.

    Parameters
    ----------
    store : GraphStore
        With edge times.
    sampler : NeighborSampler or TypedNeighborSampler
        Made with `temporal=Temporal(...)`.
    edges, edge_type, negatives, tables, batch_size, drop_last, seed, part, workers
        As for `LinkLoader`. There is no shuffling: edges come by (time, edge id).

    Notes
    -----
    Batches are those of `LinkLoader`, with a tree per end (`batch` names it), `edge_label_time`, and `seed_time` per
    tree; with several types, `edge_label_time` alone says when. Negatives have the time of their edge.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import NeighborSampler, Temporal
    >>> from nearhop.sampling.loaders.loaders import TemporalLoader
    >>> store = nearhop.GraphStore.from_edges(np.arange(9), np.arange(1, 10), time=np.arange(9)[::-1])
    >>> loader = TemporalLoader(store, NeighborSampler(store, [2], temporal=Temporal()), batch_size=3)
    >>> [batch.input_id.tolist() for batch in loader]
    [[8, 7, 6], [5, 4, 3], [2, 1, 0]]
    """

    def __init__(
        self,
        store: GraphStore,
        sampler: NeighborSampler | TypedNeighborSampler,
        *,
        edges: ArrayLike | None = None,
        edge_type: tuple[str, str, str] | None = None,
        negatives: int = 1,
        tables: Mapping[Any, Any] | None = None,
        batch_size: int = 200,
        drop_last: bool = False,
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
        workers: int = 1,
    ) -> None:
        draw = getattr(sampler, "draw", None)
        if draw is None or draw.temporal is None:
            raise InvalidInput(
                "a TemporalLoader needs a sampler made with temporal=Temporal(...), or it leaks the future"
            )
        options: dict[str, Any] = {"tables": tables, "batch_size": batch_size, "drop_last": drop_last, "part": part}
        which: dict[str, Any] = {"edges": edges, "edge_type": edge_type, "negatives": negatives}
        super().__init__(store, sampler, **which, seed=seed, workers=workers, **options)
        time = self._list.time
        if time is None:
            raise InvalidInput("this store has no edge times; ingest it with time=...")
        self._time = time
        self.edges = self.edges[np.lexsort((self.edges, time[self.edges]))]

    def _draw(self, batch: NDArray[np.int64], epoch: int) -> tuple[Any, dict[Any, dict[str, Any]]]:
        edges = self.edges[batch]
        when = self._time[edges]
        near, far, owner = self._pairs(edges, epoch)
        each = when[owner]
        sample, pairs = self._around(near, far, epoch, each)
        found = {**_labels(edges, pairs), "edge_label_time": each}
        if not self.typed:
            found["seed_time"] = np.concatenate([each, each])
        return sample, {self.edge_type: found}


def _labels(edges: NDArray[np.int64], pairs: NDArray[Any]) -> dict[str, Any]:
    label = np.zeros(pairs.shape[1], np.float32)
    label[: edges.shape[0]] = 1
    return {"edge_label": label, "edge_label_index": pairs, "input_id": edges}


def _node_type(store: GraphStore, given: Any) -> tuple[str, Any]:
    """The node type that seeds are of, and the seeds."""
    name, nodes = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if not isinstance(name, str) or name not in store.node_types:
        known = ", ".join(map(repr, store.node_types))
        raise NotFound(f"nodes must be a node type or (node type, positions or mask), of {known}; got {given!r}")
    return name, nodes


def _seeds(given: ArrayLike | None, num_nodes: int) -> NDArray[np.int64]:
    """Distinct node positions from positions, a mask, or nothing for all."""
    if given is None:
        return np.arange(num_nodes)
    nodes: NDArray[Any] = np.asarray(given)
    if nodes.dtype == np.bool_:
        if nodes.shape != (num_nodes,):
            raise InvalidInput(f"a mask of nodes must have shape ({num_nodes},); got {nodes.shape}")
        return np.flatnonzero(nodes)
    if nodes.dtype.kind not in "iu" and nodes.size:
        raise InvalidType(f"nodes must hold node positions or be a mask; got dtype {nodes.dtype}")
    nodes = node_positions("nodes", nodes, num_nodes)
    values, counts = np.unique(nodes, return_counts=True)
    if (counts > 1).any():
        raise InvalidInput(f"nodes must be distinct; {values[np.argmax(counts > 1)]} is there more than once")
    return nodes
