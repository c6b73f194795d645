"""The random projection R that FastRP starts from: one row per node, any columns of it on request."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPARSE_UP_TO = 0.1  # above this share of non-zeros a dense matrix is multiplied faster than a list of entries


@dataclass(frozen=True)
class Entries:
    """Rows of a sparse matrix: row v has columns[indptr[v]:indptr[v + 1]] with the same values."""

    indptr: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """What a row of R is made of, apart from the node.

    dim : int
        Columns of R.
    kind : "sparse" or "gaussian"
    density : float
        Share of non-zeros of a sparse R; they are +-sqrt(1 / (density * dim)). A Gaussian R has variance 1 / dim.
    feature_dim : int
        The last so many columns are the node's features times a random matrix.
    seed : int
    """

    dim: int
    kind: str
    density: float
    feature_dim: int
    seed: int

    @property
    def listed(self) -> bool:
        """Whether R is cheaper as a list of its non-zeros."""
        return self.kind == "sparse" and self.density <= _SPARSE_UP_TO and self.feature_dim == 0

    @property
    def _log_rest(self) -> float:
        return math.log1p(-self.density) if self.density < 1.0 else -math.inf

    @property
    def _size(self) -> float:
        return 1.0 / math.sqrt(self.dim * (self.density if self.kind == "sparse" else 1.0))

    def entries(self, keys: NDArray[np.int64], factor: NDArray[Any], first: int, last: int) -> Entries:
        """Columns first..last-1 of diag(factor) R for the nodes with these keys, as a list of non-zeros."""
        from . import projection_cpu as kernels

        seed = np.uint64(self.seed)
        indptr = np.zeros(keys.shape[0] + 1, np.int64)
        kernels.count_entries(keys, seed, self._log_rest, self.dim, first, last, indptr)
        np.cumsum(indptr, out=indptr)
        entries = Entries(indptr, np.empty(int(indptr[-1]), np.int32), np.empty(int(indptr[-1]), np.float32))
        magnitude = (self._size * factor).astype(np.float32)
        kernels.fill_entries(
            keys, seed, self._log_rest, self.dim, first, last, magnitude, indptr, entries.columns, entries.values
        )
        return entries

    def dense(
        self,
        keys: NDArray[np.int64],
        factor: NDArray[Any],
        features: NDArray[np.float32] | None,
        out: NDArray[np.float32],
        first: int,
    ) -> None:
        """Write columns first..first + out.shape[1] - 1 of diag(factor) R to `out`."""
        from . import projection_cpu as kernels

        seed, width = np.uint64(self.seed), self.dim - self.feature_dim
        magnitude = (self._size * factor).astype(np.float32)
        out[:] = 0.0
        if self.kind == "sparse":
            kernels.fill_sparse(keys, seed, self._log_rest, width, first, magnitude, out)
        else:
            kernels.fill_gaussian(keys, seed, width, first, magnitude, out)
        if self.feature_dim and features is not None:
            by_sixths = (math.sqrt(3.0 / self.dim) * factor).astype(np.float32)
            kernels.mix_features(features, seed, width, first, by_sixths, out)
