"""What loaders share: batches for training, sampled and gathered by threads while the model works on earlier ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.given_store import chosen_edge_type
from ..arguments import check_count, check_epoch
from ..neighbors.neighbor import NeighborSampler
from ..neighbors.typed import TypedNeighborSampler
from ..prefetch import LoaderReport, Stopwatch, check_same_process
from .batches import Batching
from .forms import PlainForm, TypedForm
from .streams import ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore


Fanouts = Sequence[int] | Mapping[tuple[str, str, str], Sequence[int]]


class Loader:
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
        epoch = check_epoch(self.epoch)
        self.epoch += 1
        order = self._batching.positions(self._total, epoch)
        devices = (table.device for table in self.tables.values())

        def make(batch: NDArray[np.int64]) -> Any:
            return self._make(batch, epoch)

        return ahead(make, order, devices=devices, workers=self._workers, watch=self._watch)

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
