"""Sparse times dense: adjacency rows with the rows of a float32 matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import kind_of, unmasked
from ..errors import InvalidInput, InvalidType
from ..scalars import is_integer
from ..store.adjacency import Adjacency

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 1 << 15  # entries and rows per piece of work


class Ending(NamedTuple):
    """A `Finish` as kernels take it: empty arrays where there is nothing to do."""

    squares: NDArray[np.float64]
    measure: bool
    total: NDArray[np.float32]
    at: int
    alpha: float
    normalize: bool


@dataclass(frozen=True)
class Finish:
    """What a kernel does with each row of a product while it is still in the cache.

    squares : float64 (rows,)
        With `measure`, gains the row's squared norm.
    total : float32 (rows, >= at + d)
        Gains `alpha * row` from column `at` on; with `normalize`, over the square root of `squares`.
    """

    squares: NDArray[np.float64] | None = None
    measure: bool = False
    total: NDArray[np.float32] | None = None
    at: int = 0
    alpha: float = 1.0
    normalize: bool = False

    def ending(self) -> Ending:
        """As the kernels take it."""
        squares = np.empty(0, np.float64) if self.squares is None else self.squares
        total = np.empty((0, 0), np.float32) if self.total is None else self.total
        return Ending(squares, bool(self.measure), total, int(self.at), float(self.alpha), bool(self.normalize))


def spmm(
    rows: Adjacency,
    X: NDArray[np.float32],
    *,
    use_weights: bool = True,
    scale: NDArray[np.float32] | None = None,
    out: NDArray[np.float32] | None = None,
    tile: int | None = None,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """`diag(scale) @ A @ X` for the matrix A that an adjacency stands for.

    Parameters
    ----------
    rows : Adjacency
        A has one row per adjacency row; parallel edges add up.
    X : float32 (rows.num_cols, d), C-contiguous
    use_weights : bool, default True
        Take A's entries from `rows.weight`; without weights every edge counts 1.
    scale : float32 (rows.num_rows,), optional
        Factor of every output row, such as 1 / degree.
    out : float32 (rows.num_rows, d), optional
        Written and returned; it must not share memory with `X`.
    tile : int, optional
        Columns per sweep over the edges. A tile of X that fits the last-level cache (num_cols * tile * 4 bytes) trades
        repeated reads of the indices for fewer reads of X.
    threads : int, optional
        Default all cores.

    Raises
    ------
    InvalidType, InvalidInput
        Arrays of another dtype, shape or layout.

    Notes
    -----
    O(entries * d) time, no temporary memory. The same bits at any thread count and any tile.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 0], [1, 2])
    >>> spmm(store.csr(), np.eye(3, dtype=np.float32)).tolist()
    [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    if not isinstance(rows, Adjacency):
        raise InvalidType(
            f"spmm: rows must be an Adjacency, such as store.csr() or spgemm(...).to_adjacency(); got {kind_of(rows)}"
        )
    _check_matrix("X", X, rows.num_cols, None)
    if out is None:
        out = np.empty((rows.num_rows, X.shape[1]), np.float32)
    _check_matrix("out", out, rows.num_rows, X.shape[1])
    if np.shares_memory(X, out):
        raise InvalidInput("spmm: out shares memory with X; give another array")
    if scale is not None and not isinstance(scale, np.ndarray):
        raise InvalidType(f"spmm: scale must be a float32 array; got {kind_of(scale)}")
    for name, given in (("X", X), ("scale", scale)):
        unmasked(f"spmm: {name}", given)
    if scale is not None and (scale.dtype != np.float32 or scale.shape != (rows.num_rows,)):
        raise InvalidInput(f"spmm: scale must be float32 ({rows.num_rows},); got {scale.dtype} {scale.shape}")
    if tile is not None and not (is_integer(tile) and tile >= 1):
        raise InvalidInput(f"spmm: tile must be a positive number of columns or None (all); got {tile!r}")
    multiply_into(rows, X, out, use_weights=use_weights, scale=scale, tile=tile, threads=threads)
    return out


def multiply_into(
    rows: Adjacency,
    X: NDArray[Any],
    out: NDArray[Any],
    *,
    use_weights: bool = True,
    scale: NDArray[Any] | None = None,
    tile: int | None = None,
    finish: Finish | None = None,
    threads: int | None = None,
) -> None:
    """`spmm` for arrays that were checked before, with what is to be done with each row of the product."""
    from ..compute.jit import threads_in_use
    from . import spmm_cpu as kernels

    starts = balanced_starts(rows.indptr)
    weight = rows.weight if use_weights else None
    scale = np.empty(0, np.float32) if scale is None else scale
    ending = (finish or Finish()).ending()
    width = max(1, X.shape[1] if tile is None or finish is not None else tile)
    with threads_in_use(threads):
        for first in range(0, X.shape[1], width):
            last = min(first + width, X.shape[1])
            kernels.multiply(starts, (rows.indptr, rows.indices), weight, X, scale, out, (first, last), ending)


def balanced_starts(indptr: NDArray[np.int64], chunk: int = _CHUNK) -> NDArray[np.int64]:
    """First rows of pieces of work with about `chunk` entries and rows each, ending with the number of rows."""
    num_rows = indptr.shape[0] - 1
    work = indptr + np.arange(num_rows + 1)
    pieces = max(1, int(work[-1] - work[0]) // chunk)
    inner = np.searchsorted(work, work[0] + (work[-1] - work[0]) * np.arange(1, pieces) // pieces)
    return np.unique(np.concatenate([[0], inner, [num_rows]])).astype(np.int64)


def _check_matrix(name: str, matrix: NDArray[Any], num_rows: int, width: int | None) -> None:
    if not isinstance(matrix, np.ndarray) or matrix.dtype != np.float32:
        raise InvalidType(
            f"spmm: {name} must be a float32 array; got {getattr(matrix, 'dtype', type(matrix).__name__)}"
        )
    if matrix.ndim != 2 or matrix.shape[0] != num_rows or (width is not None and matrix.shape[1] != width):
        wanted = f"({num_rows}, {'d' if width is None else width})"
        raise InvalidInput(f"spmm: {name} must have shape {wanted}; got {matrix.shape}")
    if not matrix.flags.c_contiguous:
        raise InvalidInput(f"spmm: {name} must be C-contiguous; pass np.ascontiguousarray({name})")
