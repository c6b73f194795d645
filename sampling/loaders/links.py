"""Batches of edges, their negatives and the neighbourhoods of their ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import NotFound
from ...graphlib.given_store import check_store
from ..arguments import check_count, chosen_positions
from ..negatives.negatives import NegativeSampler
from ..neighbors.neighbor import NeighborSampler
from ..neighbors.typed import TypedNeighborSampler
from .batches import Batching
from .loader import Fanouts, Loader

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore


class LinkLoader(Loader):
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
    >>> from nearhop.sampling import LinkLoader
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
        check_store(store)
        super().__init__(store, sampler, tables, Batching(batch_size, shuffle, drop_last, seed, part), workers)
        types = (*store.edge_types, *store.link_types)
        if self.typed and edge_type not in types:
            known = ", ".join(map(repr, types))
            raise NotFound(f"edge_type must be one of {known}; got {edge_type!r}")
        self.edge_type = edge_type
        self._list = store.edge_list(edge_type)
        count = len(self._list)
        self.edges = np.arange(count) if edges is None else chosen_positions("edges", edges, count, of="edge")
        self._total = self.edges.shape[0]
        self._num_negatives = check_count("negatives", negatives)
        self._negatives = NegativeSampler(store, edge_type=edge_type, seed=seed, threads=1)

    def _draw(self, batch: NDArray[np.int64], epoch: int) -> tuple[Any, dict[Any, dict[str, Any]]]:
        edges = self.edges[batch]
        near, far, _ = self._pairs(edges, epoch)
        sample, pairs = self._around(near, far, epoch, None)
        return sample, {self.edge_type: labels(edges, pairs)}

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


def labels(edges: NDArray[np.int64], pairs: NDArray[Any]) -> dict[str, Any]:
    """Which pairs are edges, under the names that PyG gives them."""
    label = np.zeros(pairs.shape[1], np.float32)
    label[: edges.shape[0]] = 1
    return {"edge_label": label, "edge_label_index": pairs, "input_id": edges}
