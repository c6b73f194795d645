"""Which seeds are in which batch, and a sampled subgraph as a torch_geometric `Data`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import InvalidInput, InvalidType
from ..graphlib.extras import require
from .unified_tensor import UnifiedTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.store import GraphStore
    from .subgraph import SampledSubgraph


@dataclass(frozen=True)
class Batching:
    """How positions 0..count - 1 become batches.

    Attributes
    ----------
    batch_size : int >= 1
        Per part.
    shuffle, drop_last : bool
    seed : int
        The order of an epoch is a function of (seed, epoch).
    part : (int, int)
        Which of how many equal parts of every batch: the rank and the number of processes that train together.
    """

    batch_size: int
    shuffle: bool
    drop_last: bool
    seed: int
    part: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        size = self.batch_size
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise InvalidInput(f"batch_size must be an integer >= 1; got {size!r}")
        rank, parts = self.part
        if not (parts >= 1 and 0 <= rank < parts):
            raise InvalidInput(f"part must be (rank, parts) with 0 <= rank < parts; got {self.part!r}")

    def count(self, total: int) -> int:
        """How many batches `total` positions make."""
        whole = int(self.batch_size) * self.part[1]
        return total // whole if self.drop_last else -(-total // whole)

    def positions(self, total: int, epoch: int) -> list[NDArray[np.int64]]:
        """The positions of every batch of this part, in order."""
        order = np.arange(total)
        if self.shuffle:
            from . import batches_cpu

            words = np.empty(total, np.uint64)
            batches_cpu.order_words(self.seed, epoch, words)
            order = np.argsort(words, kind="stable")
        rank, parts = self.part
        whole = int(self.batch_size) * parts
        found = []
        for batch in range(self.count(total)):
            members = order[batch * whole : (batch + 1) * whole]
            first, last = (members.shape[0] * r // parts for r in (rank, rank + 1))
            found.append(members[first:last])
        return found


def as_tables(store: GraphStore, given: Mapping[str, Any] | None) -> dict[str, UnifiedTensor]:
    """The tables of a loader by attribute name; by default the store's columns x and y, where it has them.

    Values are `UnifiedTensor`s, arrays, or names of columns. Names that begin with `edge_` are indexed by edge.
    """
    if given is None:
        given = {name: name for name in ("x", "y") if name in store.nodes}
    if not isinstance(given, Mapping):
        raise InvalidType(f"tables must map attribute names to columns or arrays; got {type(given).__name__}")
    tables = {}
    for name, value in given.items():
        by_edge = name.startswith("edge_")
        length, unit = (store.num_edges, "edges") if by_edge else (store.num_nodes, "nodes")
        if isinstance(value, str):
            value = (store.edges if by_edge else store.nodes)[value]
        table = value if isinstance(value, UnifiedTensor) else UnifiedTensor(value, threads=1)
        if len(table) != length:
            raise InvalidInput(f"table {name!r} has {len(table)} rows but the store has {length} {unit}")
        tables[name] = table
    return tables


def gather_tables(tables: Mapping[str, UnifiedTensor], sample: SampledSubgraph) -> dict[str, Any]:
    """The rows of every table that a sample needs."""
    return {
        name: table[sample.edge_ids if name.startswith("edge_") else sample.nodes] for name, table in tables.items()
    }


def to_data(sample: SampledSubgraph, rows: Mapping[str, Any], extra: Mapping[str, Any]) -> Any:
    """A `torch_geometric.data.Data` named as PyG's own loaders name things; arrays in `extra` become tensors.

    `n_id` and `e_id` are positions in the store, `batch_size` counts the seeds' nodes, which come first.
    """
    torch = require("torch", "loaders")
    data = require("torch_geometric.data", "loaders").Data()
    data.edge_index = torch.from_numpy(np.stack([sample.row, sample.col]))
    data.num_nodes = sample.num_nodes
    data.n_id = torch.from_numpy(sample.nodes)
    data.e_id = torch.from_numpy(sample.edge_ids)
    data.batch_size = sample.num_sampled_nodes[0]
    data.num_sampled_nodes = list(sample.num_sampled_nodes)
    data.num_sampled_edges = list(sample.num_sampled_edges)
    if sample.tree is not None:
        data.batch = torch.from_numpy(sample.tree)
    for name, value in extra.items():
        setattr(data, name, torch.from_numpy(value) if isinstance(value, np.ndarray) else value)
    for name, value in rows.items():
        setattr(data, name, value)
    devices = {value.device for value in rows.values()}
    return data.to(devices.pop(), non_blocking=True) if len(devices) == 1 else data
