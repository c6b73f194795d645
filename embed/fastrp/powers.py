"""Powers of the transition matrix times a projection, on any tile of columns, and their weighted sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.sparse.spmm import Finish, balanced_starts, multiply_into

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.adjacency import Adjacency
    from .projection import Projection

TILE_STEP = 32  # tiles of whole blocks of squares give the same norms as all columns at once (spmm_cpu.squared_norm)


@dataclass(frozen=True)
class Graph:
    """What FastRP reads of a graph: A = diag(inverse) S and the keys and features of its nodes."""

    rows: Adjacency
    use_weights: bool
    degree: NDArray[np.float64]
    inverse: NDArray[np.float32]
    keys: NDArray[np.int64]
    features: NDArray[np.float32] | None

    @classmethod
    def of(
        cls,
        rows: Adjacency,
        *,
        use_weights: bool,
        keys: NDArray[np.int64],
        features: NDArray[np.float32] | None,
        threads: int | None,
    ) -> Graph:
        """Degrees are sums of weights where weights are used; a row without weight is multiplied by zero."""
        from ...graphlib.compute.jit import threads_in_use
        from . import fastrp_cpu as kernels

        if use_weights and rows.weight is not None:
            degree = np.empty(rows.num_rows, np.float64)
            with threads_in_use(threads):
                kernels.row_sums(rows.indptr, rows.weight, degree)
        else:
            degree = rows.degrees().astype(np.float64)
        inverse = np.zeros(rows.num_rows, np.float32)
        np.divide(1.0, degree, out=inverse, where=degree > 0.0, casting="unsafe")
        return cls(rows, use_weights, degree, inverse, keys, features)

    def degree_factor(self, beta: float) -> NDArray[np.float64]:
        """The diagonal of L = diag(degree^beta); 1 where the degree is 0."""
        return np.power(np.where(self.degree > 0.0, self.degree, 1.0), beta)


@dataclass(frozen=True)
class Merge:
    """How powers become columns of the result.

    alphas : weight of U_0, U_1, ..., U_q
    normalize : divide each power's rows by their norms first
    concatenate : put powers 1..q side by side instead of adding them
    """

    alphas: tuple[float, ...]
    normalize: bool
    concatenate: bool

    @property
    def last_power(self) -> int:
        """The highest power that is used."""
        return max((i for i, alpha in enumerate(self.alphas) if alpha != 0.0), default=0)

    @property
    def used(self) -> tuple[int, ...]:
        return tuple(i for i, alpha in enumerate(self.alphas) if alpha != 0.0)

    @property
    def parts(self) -> int:
        """Result columns per projection column."""
        return len(self.alphas) - 1 if self.concatenate else 1

    def column(self, power: int, width: int) -> int:
        """First column of a power in a result whose parts are `width` wide."""
        return (power - 1) * width if self.concatenate else 0


def sweep(
    graph: Graph,
    projection: Projection,
    factor: NDArray[np.float64],
    first: int,
    last: int,
    merge: Merge,
    *,
    total: NDArray[np.float32] | None,
    squares: dict[int, NDArray[np.float64]] | None,
    measure: bool,
    threads: int | None,
    keep: list[NDArray[np.float32]] | None = None,
    until: int | None = None,
) -> None:
    """Columns first..last-1 of U_1 = A L R, U_2 = A U_1, ... and their merge.

    `total` gains the merge of these columns; `squares[i]` gains the squared row norms of U_i with `measure`, and is
    what rows are normalised by. `keep` collects the powers. Peak memory is two matrices of these columns, without
    `total` and `keep`.
    """
    from ...graphlib.compute.jit import threads_in_use
    from . import fastrp_cpu as kernels

    rows, width = graph.rows, last - first
    shape = (rows.num_rows, width)

    def ending(power: int) -> Finish:
        wanted = merge.alphas[power] != 0.0 if power < len(merge.alphas) else False
        mine = squares.get(power) if squares is not None and wanted else None
        target = total if wanted else None
        return Finish(
            mine,
            measure and mine is not None,
            target,
            merge.column(power, width),
            merge.alphas[power] if wanted else 0.0,
            merge.normalize,
        )

    with threads_in_use(threads):
        current = np.empty(shape, np.float32)
        stop = merge.last_power if until is None else until
        start = 1
        if projection.listed and merge.alphas[0] == 0.0:
            if stop >= 1:
                entries = projection.entries(graph.keys, factor, first, last)
                weight = rows.weight if graph.use_weights else None
                kernels.first_power(
                    *(balanced_starts(rows.indptr), (rows.indptr, rows.indices), weight),
                    *((entries.indptr, entries.columns, entries.values), graph.inverse, current),
                    ending(1).ending(),
                )
                start = 2
                if keep is not None:
                    keep.append(current)
        else:
            projection.dense(graph.keys, factor, graph.features, current, first)
            if merge.alphas[0] != 0.0:
                kernels.merge_power(current, ending(0).ending())
        spare = None
        for power in range(start, stop + 1):
            target = np.empty(shape, np.float32) if spare is None or keep is not None else spare
            multiply_into(
                rows,
                current,
                target,
                use_weights=graph.use_weights,
                scale=graph.inverse,
                finish=ending(power),
                threads=threads,
            )
            current, spare = target, current
            if keep is not None:
                keep.append(current)


def merge_kept(
    kept: Sequence[NDArray[np.float32]],
    merge: Merge,
    total: NDArray[np.float32],
    squares: dict[int, NDArray[np.float64]],
    threads: int | None,
) -> None:
    """The merge of powers 1..q that were kept, `total` and all; the same bits as `sweep` gives."""
    from ...graphlib.compute.jit import threads_in_use
    from . import fastrp_cpu as kernels

    with threads_in_use(threads):
        for power in merge.used:
            U = kept[power - 1]
            ending = Finish(
                squares[power],
                False,
                total,
                merge.column(power, U.shape[1]),
                merge.alphas[power],
                merge.normalize,
            )
            kernels.merge_power(U, ending.ending())


@dataclass(frozen=True)
class ColumnScale:
    """Mean and 1 / standard deviation of every column, float64."""

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]

    @classmethod
    def of(cls, X: NDArray[np.float32], used: NDArray[np.bool_], threads: int | None) -> ColumnScale:
        """Statistics of the used rows, in two passes; a constant column keeps the factor 1."""
        from ...graphlib.compute.jit import threads_in_use
        from . import fastrp_cpu as kernels

        count = max(1, int(np.count_nonzero(used)))
        partial = np.zeros((-(-X.shape[0] // kernels.STAT_ROWS), X.shape[1]))
        with threads_in_use(threads):
            kernels.column_sums(X, used, np.zeros(X.shape[1]), False, partial)
            mean = _sum_in_order(partial) / count
            kernels.column_sums(X, used, mean, True, partial)
            deviation = np.sqrt(_sum_in_order(partial) / count)
        constant = deviation <= 1e-12 * np.abs(mean)
        return cls(mean, 1.0 / np.where(constant, 1.0, deviation))

    def apply(self, X: NDArray[np.float32], used: NDArray[np.bool_], threads: int | None) -> None:
        """Standardise the used rows of X in place and set the others to zero."""
        from ...graphlib.compute.jit import threads_in_use
        from . import fastrp_cpu as kernels

        with threads_in_use(threads):
            kernels.standardize(X, used, self.mean, self.factor)


def _sum_in_order(partial: NDArray[Any]) -> NDArray[Any]:
    total = np.zeros(partial.shape[1])
    for row in partial:
        total += row
    return total
