"""Sketches of neighbourhoods: about how many nodes lie at each pair of distances from two given ones."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from ...ann.minhash.minhash import MinHash
from ...graphlib.compute.jit import threads_in_use
from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import check_store
from ...graphlib.scalars import integer
from ...graphlib.sparse.csr import as_adjacency
from ...sampling.arguments import pair_positions
from ..sparse.propagation import neighbor_sets, with_loops
from . import sketches_cpu as kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.sparse.csr import CSR
    from ...graphlib.store.store import GraphStore

_REGISTERS = 256


class PairSketches:
    """BUDDY's structure features: counts of nodes at distance (i, j) from the two ends of a pair, i, j <= `hops`.

    Parameters
    ----------
    store : GraphStore
        The graph that may be read; edges count without direction.
    hops : {1, 2}, default 2
    num_perm : int, default 128
        Values of a MinHash signature; the error of an intersection falls with its root.
    seed : int, default 1
    compat : bool, default False
        Subtract the count at (1, 1) twice from that at (2, 0), as the authors' code does.
    threads : int, optional

    Attributes
    ----------
    neighbors : CSR
        The graph that was sketched.
    sizes : list of float64 (n,)
        About how many nodes lie within 1, ... hops of each, itself included.

    Notes
    -----
    The set of nodes within k hops of v is sketched by a MinHash signature and 256 HyperLogLog registers; of a union of
    sets both are elementwise, so k hops cost k passes over the edges. `hops` * (4 num_perm + 256) bytes per node.
    An intersection is the share of equal signature values times the size of the union.

    References
    ----------
    B. Chamberlain et al., "Graph neural networks for link prediction with subgraph sketching", arXiv:2209.15486,
    section 4; P. Flajolet et al., "HyperLogLog", 2007.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.gnn.links import PairSketches
    >>> square = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> PairSketches(square).counts([0], [2]).shape
    (1, 8)
    """

    def __init__(
        self,
        store: GraphStore,
        *,
        hops: int = 2,
        num_perm: int = 128,
        seed: int = 1,
        compat: bool = False,
        threads: int | None = None,
    ) -> None:
        check_store(store)
        if hops not in (1, 2):
            raise InvalidInput(f"hops must be 1 or 2; got {hops!r}")
        self.hops, self.compat, self._threads = hops, compat, threads
        self._num_perm, self._seed = num_perm, integer("seed", seed, 0)
        self._sketch(neighbor_sets(store))

    def of(self, neighbors: CSR) -> PairSketches:
        """Sketches of another graph by the same hash functions: these ones where the neighbours are those sketched."""
        known = self.neighbors
        if np.array_equal(known.indptr, neighbors.indptr) and np.array_equal(known.indices, neighbors.indices):
            return self
        made = copy.copy(self)
        made._sketch(neighbors)
        return made

    def _sketch(self, neighbors: CSR) -> None:
        self.neighbors = neighbors
        n = neighbors.num_rows
        own = with_loops(neighbors)
        registers = np.zeros((n, _REGISTERS), np.uint8)
        hashes = generator(self._seed, Purpose.SKETCHES).integers(0, 2**64, n, np.uint64)
        self._signs = [MinHash(self._num_perm, seed=self._seed).fit_transform(as_adjacency(own))]
        self._registers: list[NDArray[np.uint8]] = []
        self.sizes: list[NDArray[np.float64]] = []
        with threads_in_use(self._threads):
            kernels.first_registers(hashes, registers)
            for hop in range(self.hops):
                if hop:
                    signs = np.empty_like(self._signs[0])
                    kernels.spread(own.indptr, own.indices, self._signs[-1], False, signs)
                    self._signs.append(signs)
                spread = np.empty_like(registers)
                kernels.spread(own.indptr, own.indices, registers, True, spread)
                registers = spread
                size = np.empty(n)
                kernels.cardinalities(registers, size)
                self._registers.append(registers)
                self.sizes.append(size)

    @property
    def num_counts(self) -> int:
        """Columns of `counts`."""
        return 3 if self.hops == 1 else 8

    def counts(self, src: NDArray[np.int64], dst: NDArray[np.int64]) -> NDArray[np.float32]:
        """Counts (m, 3) at distances (1,1), (0,1), (1,0), or (m, 8) at (1,1), (2,1), (1,2), (2,2), (0,1), (1,0), (0,2), (2,0).

        Distance 0 stands for "farther than `hops`"; counts are estimates, never below 0.
        """  # noqa: E501
        u, v = pair_positions(src, dst, self.sizes[0].shape[0])
        both = [[self._shared(i, j, u, v) for j in range(self.hops)] for i in range(self.hops)]
        at_11 = both[0][0]
        near = [size[v] for size in self.sizes], [size[u] for size in self.sizes]
        if self.hops == 1:
            columns = [at_11, near[0][0] - at_11, near[1][0] - at_11]
        else:
            at_21, at_12 = both[1][0] - at_11, both[0][1] - at_11
            at_22 = both[1][1] - at_11 - at_21 - at_12
            shared = at_11 + at_12 + at_21 + at_22
            alone_v, alone_u = near[0][0] - at_11 - at_21, near[1][0] - at_11 - at_12
            far_v, far_u = near[0][1] - alone_v - shared, near[1][1] - alone_u - shared
            if self.compat:
                far_u = far_u - at_11
            columns = [at_11, at_21, at_12, at_22, alone_v, alone_u, far_v, far_u]
        return np.maximum(np.stack(columns, axis=1), 0).astype(np.float32)

    def _shared(self, i: int, j: int, u: NDArray[np.int64], v: NDArray[np.int64]) -> NDArray[np.float64]:
        out = np.empty(u.shape[0])
        with threads_in_use(self._threads):
            kernels.intersections(self._signs[i], self._signs[j], self._registers[i], self._registers[j], u, v, out)
        return out
