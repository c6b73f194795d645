"""What 8-bit codes are chosen by: ordinary rows, directions that hold them, and whether ranks keep an order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics import COSINE, IP, L2, unit_rows
from .limits import HELD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .scalar_codes import ScalarCodes

_LINE = 64
_SWEEPS = 6
_WIDTHS = (28, 60, 124, 188, 252)
_KEPT_VARIANCE = 0.93
_MOST_ILL = 0.002  # the share of rows that chosen directions may hold badly
_FAR, _MOST_FAR = 3.0, 0.02
_SPREAD = 2048  # rows that are looked at closer
_ASKED, _NEAREST, _AMONG = 64, 10, 40
_TIE = 1e-5
_TURNED = 256  # rows that are made columns at a time
_ONE_THREAD = 1 << 18  # products that OpenBLAS leaves to the calling thread
_SMALLEST_STEP, _PLAIN = 2.0**-100, 2.0**30
_BEYOND_REACH = 1e-4


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Up to `most` of so many rows, spread evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def ordinary(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sample without rows far beyond all others, where they are few: three times farther from its middle than nine
    tenths of the rows are."""
    middle = np.median(sample[spread(len(sample), _SPREAD // 4)], axis=0)
    away = np.empty(len(sample))
    with np.errstate(over="ignore", invalid="ignore"):  # too far for float32 is far enough
        for start in range(0, len(sample), _SPREAD):
            part = sample[start : start + _SPREAD] - middle
            away[start : start + _SPREAD] = np.einsum("ij,ij->i", part, part)
        far = ~(away <= _FAR**2 * np.quantile(away, 0.9))
    return sample[~far] if 0 < np.count_nonzero(far) <= max(1, _MOST_FAR * len(sample)) else sample


def reach_of(sample: NDArray[np.float32]) -> float:
    """The size that all but one in ten thousand of the numbers stay below."""
    sizes = np.abs(sample).ravel()
    rank = max(0, int(len(sizes) * (1 - _BEYOND_REACH)) - 1)
    return float(np.partition(sizes, rank)[rank]) if len(sizes) > 10_000 else float(sizes.max(initial=0))


class Asked:
    """Queries of a sample, its own rows where none are given, and their nearest; the same at any thread count."""

    def __init__(self, metric: int, sample: NDArray[np.float32], queries: NDArray[np.float32] | None = None) -> None:
        self._rows = np.ascontiguousarray(sample[spread(len(sample), _SPREAD)])
        given = self._rows if queries is None else queries
        self._queries = given[spread(len(given), _ASKED)]
        self._one = np.ones(1, np.float32)
        self._metric = L2 if metric == COSINE else metric
        near = np.sort(_nearness(self._queries, self._rows, self._metric), axis=1)[:, :_NEAREST]
        self._reach = near[:, -1:] + _TIE * np.abs(near).max(axis=1, keepdims=True)

    def found(self, codes: ScalarCodes) -> float:
        """The share of the nearest that are among those of lowest rank; rows as near as the last are as good."""
        part = codes._like()
        part._encode(self._rows, self._one, 0, len(self._rows))
        asked = np.empty((len(self._queries), part.row_bytes), np.int8)
        part.encode_queries(self._queries, np.ones(len(asked), np.float32), 0, len(asked), asked)
        return self.share(part.terms[:, -1] - 2 * _few_products(asked, part.codes))

    @property
    def rows(self) -> NDArray[np.float32]:
        """The rows."""
        return self._rows

    @property
    def queries(self) -> NDArray[np.float32]:
        """Those of them that are asked about."""
        return self._queries

    def share(self, ranks: NDArray[Any]) -> float:
        """`found` of given ranks (queries, rows)."""
        lowest = np.argpartition(ranks, min(_AMONG, len(self._rows)) - 1, axis=1)[:, :_AMONG]
        rows, queries = self._rows[lowest].astype(np.float64), self._queries[:, None, :]
        near = -(rows * queries).sum(axis=2) if self._metric == IP else ((rows - queries) ** 2).sum(axis=2)
        return float(np.minimum((near <= self._reach).sum(axis=1), _NEAREST).mean() / _NEAREST)


def _nearness(queries: NDArray[np.float32], rows: NDArray[np.float32], metric: int) -> NDArray[np.float64]:
    """All distances, -dot for inner products: few rows, for which kernels would be compiled longer than this takes."""
    if metric == IP:
        return -_few_products(queries, rows)
    middle = rows.mean(axis=0, dtype=np.float64)
    one, two = queries - middle, rows - middle
    squares = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1)
    return np.maximum(squares - 2 * _few_products(one, two), 0)


def _few_products(one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.float64]:
    """one @ two.T in float64, so few products at a time that a BLAS does not wake threads, which ours stand in the way
    of while they look out for the next kernel."""
    first, out = one.astype(np.float64), np.empty((len(one), len(two)))
    step = max(1, _ONE_THREAD // max(1, first.size))
    for start in range(0, len(two), step):
        np.matmul(first, two[start : start + step].T.astype(np.float64), out=out[:, start : start + step])
    return out


def step_of(reach: float) -> float:
    return max(reach / 127, _SMALLEST_STEP) if reach > 0 else 1.0


def bases(
    sample: NDArray[np.float32],
    first: NDArray[np.float32] | None = None,
    queries: NDArray[np.float32] | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Orthonormal rows that keep 93 % of the sample's variance, and most of nearly every row, rotated at random.

    The fewest, then more, in the end none: all coordinates as they are. The direction `first` is one of them: that of
    the centre, along which queries of inner products are long. Subspace iteration on the covariance: the leading rows
    converge to the principal directions. With centred `queries`, on the mean of the covariances of both, each divided
    by its trace (as LeanVec-OOD, which searches for the weights, arXiv:2312.16335, section 3.2).
    """
    from . import codes_cpu as kernels

    dim = sample.shape[1]
    if dim > 2:
        sample = _within_float32(sample)
        square = _covariance(sample)
        if queries is not None:
            asked = _covariance(_within_float32(queries))
            for part in (square, asked):
                part /= max(np.float32(np.trace(part, dtype=np.float64)), np.finfo(np.float32).tiny)
            square += asked
        found = random_rows(min(dim, _WIDTHS[-1]), dim, seed=0)
        for _ in range(_SWEEPS):
            image = np.empty_like(found)
            kernels.row_products(found, square, False, image)
            kernels.orthonormalise(image)
            found = image
        if first is not None and first.any():
            found = np.concatenate([unit_rows(first[None, :]), found])[: len(found)]
            kernels.orthonormalise(found)
        image = np.empty_like(found)
        kernels.row_products(found, square, False, image)
        kept = np.cumsum(np.einsum("ij,ij->i", found, image, dtype=np.float64))
        total, ill = float(np.trace(square, dtype=np.float64)), _badly_held(sample, found)
        for width in sorted({min(width, dim) for width in _WIDTHS}):
            whole = width == dim or (width == _WIDTHS[-1] and dim <= _WIDTHS[-1] + _LINE)
            enough = kept[width - 1] >= _KEPT_VARIANCE * total or whole
            if width == dim or (enough and ill[width - 1] <= _MOST_ILL):
                rotated = np.empty((width, dim), np.float32)
                kernels.row_products(
                    random_rows(width, width, seed=1), np.ascontiguousarray(found[:width].T), False, rotated
                )
                yield rotated
        if dim <= _WIDTHS[-1]:
            return
    yield np.empty((0, dim), np.float32)


def _within_float32(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sample in a unit whose squares float32 holds."""
    size = float(np.sqrt(np.einsum("ij,ij->", sample, sample, dtype=np.float64) / sample.size))
    return np.ldexp(sample, -np.frexp(size)[1]) if size > 0 and not 1 / _PLAIN < size < _PLAIN else sample


def _covariance(centred: NDArray[np.float32]) -> NDArray[np.float32]:
    from . import codes_cpu as kernels

    columns = np.empty(centred.shape[::-1], np.float32)
    for start in range(0, len(centred), _TURNED):  # at once it would take six times as long
        columns[:, start : start + _TURNED] = centred[start : start + _TURNED].T
    square = np.empty((len(columns), len(columns)), np.float32)
    kernels.row_products(columns, columns, True, square)
    return square


def _badly_held(sample: NDArray[np.float32], directions: NDArray[np.float32]) -> NDArray[np.float64]:
    """The share of rows of which the first 1, 2, ... directions hold too little of the squared length."""
    rows = np.ascontiguousarray(sample[spread(len(sample), _SPREAD // 2)])
    held = np.cumsum(inside_of(rows, directions) ** 2, axis=1)
    whole = np.einsum("ij,ij->i", rows, rows)
    return (held < HELD * whole[:, None]).mean(axis=0)


def random_rows(count: int, dim: int, seed: int) -> NDArray[np.float32]:
    from . import codes_cpu as kernels

    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    kernels.orthonormalise(rows)
    return rows


def inside_of(rows: NDArray[np.float32], basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows in the coordinates of a basis; as they are where it is empty."""
    from . import codes_cpu as kernels

    if not len(basis):
        return rows
    inside = np.empty((len(rows), len(basis)), np.float32)
    kernels.row_products(np.ascontiguousarray(rows), basis, False, inside)
    return inside
