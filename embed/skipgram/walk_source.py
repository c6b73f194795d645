"""The graph as trained embeddings see it: walks on demand, and how often each node is met."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.compute.streams import Purpose, generator, root_of
from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import one_node_type
from ..fastrp.parameters import adjacency_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType


@dataclass(frozen=True, eq=False)
class WalkSource:
    """Walks along `rows`, and the weighted degrees that decide where they start and which negatives are drawn.

    Attributes
    ----------
    rows : Adjacency
        What walks follow; every edge in both directions, or out-edges only.
    strength : float64 (n,)
        Sum of the weights of a node's entries in `rows`.
    mass : float64 (n,)
        Sum over both directions: how often the node is met.
    tables : tuple of arrays
        Alias tables per row for weighted walks, else empty.
    p, q, seed : node2vec's parameters and the seed of all walks
    threads : int or None
    """

    rows: Adjacency
    strength: NDArray[np.float64]
    mass: NDArray[np.float64]
    tables: tuple[NDArray[Any], ...]
    p: float
    q: float
    seed: int
    threads: int | None

    @classmethod
    def for_model(cls, owner: str, model: Any, store: GraphStore, edge_type: EdgeType | None) -> WalkSource:
        """As the model's own parameters say."""
        names = ("direction", "use_weights", "p", "q", "seed", "threads")
        return cls.of(owner, store, edge_type=edge_type, **{name: getattr(model, name) for name in names})

    @classmethod
    def of(
        cls,
        owner: str,
        store: GraphStore,
        *,
        direction: str,
        use_weights: bool,
        p: float,
        q: float,
        seed: int,
        threads: int | None,
        edge_type: EdgeType | None = None,
    ) -> WalkSource:
        """Read the store's edges; InvalidInput for a graph without edges or with negative weights."""
        from ...graphlib.compute.alias_cpu import row_alias_tables
        from ...sampling.walks.walks import bounded_bias

        rows = adjacency_of(store, direction, owner, edge_type)
        n = rows.num_rows
        if rows.num_entries == 0:
            raise InvalidInput(f"{owner}: the graph has {n} nodes and no edges; there is nothing to train on")
        weight = rows.weight if use_weights else None
        tables = _NO_TABLES
        values: NDArray[Any]
        if weight is None:
            strength = rows.degrees().astype(np.float64)
            values = np.broadcast_to(np.float64(1.0), rows.indices.shape)
        else:
            if not (np.isfinite(weight).all() and float(weight.min()) >= 0.0):
                raise InvalidInput(
                    f"{owner}: edge weights must be finite and >= 0; the smallest is {weight.min()}; "
                    "or use_weights=False (--unweighted on the command line)"
                )
            if not float(weight.max()) > 0.0:
                raise InvalidInput(f"{owner}: all edge weights are 0; there is nothing to train on")
            keep, alias = np.empty(weight.shape[0], np.float32), np.empty(weight.shape[0], np.int32)
            strength = np.empty(n, np.float64)
            with threads_in_use(threads):
                row_alias_tables(rows.indptr, weight, keep, alias, strength)
            tables = keep, alias, strength, weight
            values = weight
        directed = direction == "out" and store.is_directed(one_node_type(store, owner, edge_type))
        mass = strength + np.bincount(rows.indices, values, minlength=n) if directed else strength
        return cls(rows, strength, mass, tables, bounded_bias(p), bounded_bias(q), seed, threads)

    @property
    def num_nodes(self) -> int:
        return self.rows.num_rows

    def walks(self, starts: NDArray[Any], streams: NDArray[np.int32], epoch: int, length: int) -> NDArray[Any]:
        """Walks of `length` edges named (seed, epoch, start, stream), ended by -1 at a node without a way on."""
        from ...sampling.walks import walks_cpu

        out = np.empty((starts.shape[0], length + 1), self.rows.indices.dtype)
        common = (starts, streams, root_of(self.seed, Purpose.CORPUS), epoch, out)
        edges = self.rows.indptr, self.rows.indices
        keep, alias = self.tables[:2]
        with threads_in_use(self.threads):
            if self.p != 1.0 or self.q != 1.0:
                trials = np.empty(starts.shape[0], np.int64)
                walks_cpu.node2vec_walks(*edges, self.tables, (self.p, self.q), *common, trials)
            elif keep.shape[0]:
                walks_cpu.weighted_walks(*edges, keep, alias, *common)
            else:
                walks_cpu.uniform_walks(*edges, *common)
        return out

    def alias_of(self, weight: NDArray[np.float64], offsets: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Alias tables of the slices of `weight` that `offsets` delimits, side by side."""
        from ...graphlib.compute.alias_cpu import row_alias_tables

        keep, alias = np.empty(weight.shape[0], np.float32), np.empty(weight.shape[0], np.int32)
        with threads_in_use(self.threads):
            row_alias_tables(offsets, weight, keep, alias, np.empty(offsets.shape[0] - 1))
        return keep, alias

    def frequency(self, exponent: float) -> NDArray[np.float64]:
        """Mass to the power of `exponent`, zero for nodes without edges: what negatives are drawn by."""
        found = np.zeros(self.num_nodes)
        np.power(self.mass, float(exponent), out=found, where=self.mass > 0.0)
        return found

    def fingerprint(self) -> str:
        """A digest of the edges and weights that training sees."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.rows.indptr, self.rows.indices, self.tables[3]):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
        return digest.hexdigest()


_NO_TABLES = (np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.float32))


def initial_vertex(
    source: WalkSource, dim: int, seed: int, order: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Rows uniform in (-0.5 / dim, 0.5 / dim), padded; zero for nodes without edges. Row i is of node `order[i]`."""
    from .rows_cpu import aligned_table

    table = aligned_table(source.num_nodes, dim)
    rng = generator(seed, Purpose.INITIAL)
    place = None if order is None else np.argsort(order)
    for start in range(0, source.num_nodes, 1 << 16):
        stop = min(start + (1 << 16), source.num_nodes)
        values = (rng.random((stop - start, dim), np.float32) - np.float32(0.5)) / np.float32(dim)
        values[source.mass[start:stop] == 0.0] = 0.0
        table[slice(start, stop) if place is None else place[start:stop], :dim] = values
    return table
