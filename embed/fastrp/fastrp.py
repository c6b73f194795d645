"""FastRP: node embeddings by very sparse random projection, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import InvalidInput, NotFitted
from ...graphlib.scalars import is_integer
from ..model import Model
from .inductive import Fitted, embed_new
from .parameters import adjacency_of, check_out, check_parameters, read_graph
from .powers import TILE_STEP, ColumnScale, Merge, sweep
from .projection import Projection

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType

_NODE_BYTES = 100  # keys, degrees, their inverses and powers, work boundaries
_TILE = 64  # columns per tile when the result is written out of core


class FastRP(Model):
    """Fast random projection (Chen, Sultan, Tian, Chen and Skiena, CIKM 2019, arXiv:1908.11512).

    With degrees d, A = D^-1 S, L = diag(d^beta) and a random projection R: U_1 = A L R, U_i = A U_(i-1), and the
    embedding is the sum of `weights[i-1]` times U_i with rows of unit length, its columns standardised at the end.

    Parameters
    ----------
    dim : int, default 512
        Columns of R, >= 1.
    weights : sequence of float or None, default (0, 0, 1, 6.67)
        Weight of each power from the first on (alpha). None puts `num_powers` powers side by side instead.
    beta : float, default -0.64
        Exponent of the degree (beta); the paper searches [-1, 0].
    seed : int, default 0
        0..2**63 - 1. Together with a node's key it decides the node's row of R.
    threads : int, optional
        Default all cores. The result does not depend on it.
    density : "sqrt", "achlioptas" or float in (0, 1], default "sqrt"
        Share of non-zeros of a sparse R: 1/sqrt(n), 1/3, or as given. Give a number when vectors have to stay
        comparable while the graph grows.
    normalize : bool, default True
        Rows of each power have unit length in the sum (never in the recurrence).
    standardize : bool, default True
        Columns of the result have mean 0 and variance 1.
    projection : "sparse" or "gaussian", default "sparse"
    property_ratio : float in [0, 1], default 0
        The last `property_ratio * dim` columns of R are the node's features times a random matrix; needs `features`.
    features : str, optional
        Name of the node column, (n,) or (n, F), numbers, that `property_ratio` mixes in.
    self_influence : float, default 0
        Weight of the node's own row of L R in the sum.
    direction : "out", "in" or "both", default "out"
        Which neighbours count on a directed graph.
    use_weights : bool, default True
        Take edge weights (>= 0), where there are any, as S.
    num_powers : int, default 4
        Used with `weights=None` only.
    keep_powers : bool, default False
        `fit_transform` keeps what `transform` needs: (powers - 1) * n * dim * 4 bytes. `fit` always does.

    Notes
    -----
    O(powers * edges * dim) time; three n x dim float32 matrices in memory, or three n x tile ones with `out`.
    The same seed gives the same bits at any number of threads and any tile.

    Differences from the paper: L leaves out the constant (1/2m)^beta, which cancels. A node without neighbours gets
    zeros and does not count in the column statistics; as a neighbour (of a directed edge) its degree counts as 1.
    Node features, the node's own row and seeding by node follow the FastRP of Neo4j's Graph Data Science library.

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 0, 0], num_nodes=5)
    >>> embedding = FastRP(dim=8, seed=1).fit_transform(store)
    >>> embedding.shape, embedding.dtype.name, embedding[4].any().item()
    ((5, 8), 'float32', False)
    """

    def __init__(
        self,
        dim: int = 512,
        weights: Sequence[float] | None = (0, 0, 1, 6.67),
        beta: float = -0.64,
        *,
        seed: int = 0,
        threads: int | None = None,
        density: float | str = "sqrt",
        normalize: bool = True,
        standardize: bool = True,
        projection: str = "sparse",
        property_ratio: float = 0.0,
        features: str | None = None,
        self_influence: float = 0.0,
        direction: str = "out",
        use_weights: bool = True,
        num_powers: int = 4,
        keep_powers: bool = False,
    ) -> None:
        self.dim = dim
        self.weights = weights
        self.beta = beta
        self.seed = seed
        self.threads = threads
        self.density = density
        self.normalize = normalize
        self.standardize = standardize
        self.projection = projection
        self.property_ratio = property_ratio
        self.features = features
        self.self_influence = self_influence
        self.direction = direction
        self.use_weights = use_weights
        self.num_powers = num_powers
        self.keep_powers = keep_powers
        self._fitted: Fitted | None = None

    def fit(self, store: GraphStore, *, keys: ArrayLike | None = None, edge_type: EdgeType | None = None) -> FastRP:
        """Compute the powers and column statistics that `transform` needs, and keep them."""
        self._run(store, None, None, keys, edge_type, keep=True)
        return self

    def fit_transform(
        self,
        store: GraphStore,
        out: NDArray[np.float32] | None = None,
        *,
        tile: int | None = None,
        keys: ArrayLike | None = None,
        edge_type: EdgeType | None = None,
    ) -> NDArray[np.float32]:
        """The embedding of every node, float32 (n, dim); with `weights=None` (n, num_powers * dim).

        Parameters
        ----------
        store : GraphStore
        out : float32 array of the result's shape, optional
            Written tile by tile and returned, so that a memory map may be larger than memory. Only its own columns are
            touched at a time: beside `out`, peak memory is about three n x tile matrices (see `estimate_bytes`). With
            `normalize` all powers are computed twice, because a row's norm needs all columns.
        tile : int, optional
            Columns per tile, a multiple of 32; default all columns, or 64 with `out`. The result does not depend on it.
        keys : int array (n,), optional
            What each node's row of R is drawn for; default positions. Pass user ids (`store.ids()`) to make vectors
            independent of the order of nodes.
        edge_type : edge type, optional
            Which edges, whose ends are of one node type; by default ("node", "edge", "node"), or the graph's only ones.

        Raises
        ------
        InvalidInput, InvalidType
            A parameter out of its range, negative weights, features that are not finite, an `out` that does not fit.
        """
        return self._run(store, out, tile, keys, edge_type, keep=self.keep_powers)

    def estimate_bytes(
        self,
        store: GraphStore,
        *,
        out_of_core: bool = False,
        tile: int | None = None,
        edge_type: EdgeType | None = None,
    ) -> int:
        """Peak bytes that `fit_transform` allocates, the result included unless it is written out of core."""
        check_parameters(self)
        merge = self.merge()
        n = adjacency_of(store, self.direction, edge_type=edge_type).num_rows
        width = self._tile_width(tile, out_of_core, self.keep_powers)
        listed = self.project(n)
        entries = 12 * listed.density * width + 16 if listed.listed else 0.0
        columns = 2 * width + merge.parts * width  # two powers and their merge
        if width < self.dim and not out_of_core:
            columns += merge.parts * self.dim
        if self.keep_powers:
            columns += max(0, merge.last_power - 2) * self.dim
        norms = 8 * len(merge.used) if self.normalize else 0
        partial_sums = 16 * merge.parts * width * (n // 4096 + 2)
        return int(n * (4 * columns + norms + entries + _NODE_BYTES)) + partial_sums + (1 << 20)

    def transform(
        self,
        src: ArrayLike,
        dst: ArrayLike,
        *,
        num_new: int | None = None,
        weight: ArrayLike | None = None,
        keys: ArrayLike | None = None,
        features: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Embed new nodes from their edges to nodes of the fitted graph, which stay as they are.

        Parameters
        ----------
        src : int array (m,)
            New nodes, numbered from 0.
        dst : int array (m,)
            Nodes of the fitted graph.
        num_new : int, optional
            Default one more than the largest `src`.
        weight : array (m,), optional
            Needed where the graph's edge weights were used.
        keys : int array (num_new,), optional
            As in `fit`; used with `self_influence` only. Default n, n + 1, ...
        features : array (num_new, F), optional
            Needed with `self_influence` and `property_ratio`.

        Returns
        -------
        float32 (num_new, dim)
            A node of the graph that is given its own edges again gets its own embedding, to the bit. New nodes without
            edges get zeros.

        Raises
        ------
        NotFitted
            `fit` was not called, or `fit_transform` without `keep_powers`.

        Examples
        --------
        >>> import nearhop
        >>> model = FastRP(dim=8, weights=(1, 1)).fit(nearhop.GraphStore.from_edges([0, 1], [1, 2]))
        >>> model.transform([0, 0], [0, 2]).shape
        (1, 8)
        """
        if self._fitted is None:
            raise NotFitted(
                "transform needs the powers of a fitted graph: call fit, or fit_transform with keep_powers=True"
            )
        return embed_new(
            self._fitted,
            src,
            dst,
            num_new=num_new,
            weight=weight,
            keys=keys,
            features=features,
            threads=self.threads,
        )

    def merge(self) -> Merge:
        if self.weights is None:
            return Merge((float(self.self_influence), *([1.0] * self.num_powers)), self.normalize, True)
        return Merge((float(self.self_influence), *map(float, self.weights)), self.normalize, False)

    def project(self, num_nodes: int) -> Projection:
        if isinstance(self.density, str):
            density = 1.0 / 3.0 if self.density == "achlioptas" else 1.0 / max(1.0, float(num_nodes) ** 0.5)
        else:
            density = float(self.density)
        return Projection(self.dim, self.projection, density, round(self.property_ratio * self.dim), self.seed)

    def _tile_width(self, tile: int | None, out_of_core: bool, keep: bool) -> int:
        if tile is None:
            tile = _TILE if out_of_core and not keep else self.dim
        elif not is_integer(tile) or tile < 1 or (tile % TILE_STEP and tile < self.dim):
            raise InvalidInput(f"tile must be a multiple of {TILE_STEP} columns; got {tile!r}")
        if keep and tile < self.dim:
            raise InvalidInput(f"keep_powers needs all {self.dim} columns in memory; got tile={tile}")
        return min(tile, self.dim)

    def _run(
        self,
        store: GraphStore,
        out: NDArray[np.float32] | None,
        tile: int | None,
        keys: ArrayLike | None,
        edge_type: EdgeType | None,
        *,
        keep: bool,
    ) -> NDArray[np.float32]:
        check_parameters(self)
        merge = self.merge()
        graph = read_graph(self, store, keys, edge_type)
        n = graph.rows.num_rows
        projection = self.project(n)
        shape = (n, merge.parts * self.dim)
        check_out(out, shape)
        width = self._tile_width(tile, out is not None, keep)
        whole = width == self.dim
        factor = graph.degree_factor(float(self.beta))
        used = (graph.degree > 0.0) | (merge.alphas[0] != 0.0)
        squares = {i: np.zeros(n) for i in merge.used} if self.normalize else None
        tiles = [(first, min(first + width, self.dim)) for first in range(0, self.dim, width)]
        if not whole and squares is not None:
            for first, last in tiles:
                sweep(
                    *(graph, projection, factor, first, last, merge),
                    total=None,
                    squares=squares,
                    measure=True,
                    threads=self.threads,
                )
        kept: list[NDArray[np.float32]] | None = [] if keep else None
        direct = whole and (out is None or (out.flags.c_contiguous and type(out) is np.ndarray))
        result = np.empty(shape, np.float32) if out is None else out
        scales = []
        for first, last in tiles:
            total = result if direct else np.empty((n, merge.parts * (last - first)), np.float32)
            total[:] = 0.0
            sweep(
                *(graph, projection, factor, first, last, merge),
                total=total,
                squares=squares,
                measure=whole,
                threads=self.threads,
                keep=kept,
            )
            if self.standardize:
                scale = ColumnScale.of(total, used, self.threads)
                scale.apply(total, used, self.threads)
                scales.append(scale)
            if not direct:
                for part in range(merge.parts):
                    at, step = part * self.dim, last - first
                    result[:, at + first : at + last] = total[:, part * step : (part + 1) * step]
        if kept is None:
            self._fitted = None
        else:  # the last power of the sum is needed for no neighbour
            powers = kept[: max(0, merge.last_power - 1)]
            self._fitted = Fitted(
                graph, projection, merge, float(self.beta), factor, powers, scales[0] if scales else None
            )
        return result
