"""Batches of edges in the order of time, which see what was before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import check_store
from ..neighbors.neighbor import NeighborSampler
from ..neighbors.typed import TypedNeighborSampler
from .links import LinkLoader, labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore


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
    >>> from nearhop.sampling import TemporalLoader
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
        check_store(store)
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
        found = {**labels(edges, pairs), "edge_label_time": each}
        if not self.typed:
            found["seed_time"] = np.concatenate([each, each])
        return sample, {self.edge_type: found}
