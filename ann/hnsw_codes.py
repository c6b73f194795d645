"""8-bit codes of vectors that a graph walk reads instead of the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..graphlib.errors import InvalidInput
from .metrics import COSINE, IP

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_DIM = 16_384  # beyond it a rank might not fit in 32 bits
_SAMPLE = 8192
_LINE, _BLOCK, _TERM = 64, 32, 4
_SWEEPS = 6
_WIDTHS = (28, 60, 124, 188, 252)
_KEPT_VARIANCE = 0.93
_DEVIATIONS = 5.0
_MOST_CLIPPED = 0.01


class ScalarCodes:
    """Vectors projected to their principal directions, rotated at random, and rounded to 8 bits with one step.

    Attributes
    ----------
    centre : float32 (dim,); basis : float32 (width, dim) with orthonormal rows; step : float
        A code is round(basis (x - centre) / step) + 128. An empty basis stands for the coordinates as they are.
    codes : uint8 (capacity, bytes) with rows on cache lines; terms : the same memory as int32
        A row holds `width` codes and, in its last four bytes, its term.
    fitted_rows : int
        How many rows the basis and the step were chosen from.

    Notes
    -----
    Rank = term - 2 code . query equals the squared distance of the rounded projections plus the squared lengths that
    the projection leaves out, less a constant of the query. The rotation spreads the variance evenly over the
    coordinates, so that one step serves all. The width is the smallest of 28, 60, 124, 188, 252 that keeps 93 % of the
    variance (whole cache lines with the term), else every coordinate is kept as it is.

    References
    ----------
    C. Aguerrebere et al., "Similarity search in the blink of an eye with compressed indices", VLDB 2023,
    arXiv:2304.04759 (centring and 8-bit scalar codes). M. Tepper et al., "LeanVec", TMLR 2024, arXiv:2312.16335
    (principal directions for the walk, rescoring with full vectors). Differences: one step for all rows, integer
    ranks, lengths outside the projection are added, a random rotation, the width is chosen.
    """

    def __init__(self, metric: int, dim: int) -> None:
        if dim > MOST_DIM:
            raise InvalidInput(
                f"storage='int8' holds vectors of at most {MOST_DIM:,} dimensions; got {dim:,}; use 'float32'"
            )
        self.metric = metric
        self.centre: NDArray[np.float32] = np.zeros(dim, np.float32)
        self.basis: NDArray[np.float32] = np.empty((0, dim), np.float32)
        self.step = 1.0
        self.codes: NDArray[np.uint8] = np.empty((0, _BLOCK), np.uint8)
        self.fitted_rows = 0
        self._replaced = 0

    @property
    def terms(self) -> NDArray[np.int32]:
        return self.codes.view(np.int32)

    @property
    def width(self) -> int:
        """Coordinates per code row."""
        return len(self.basis) or len(self.centre)

    @property
    def row_bytes(self) -> int:
        """Bytes of a code row: the codes and the term, in blocks of 32."""
        return widest_row(self.width)

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.basis.nbytes

    def extend(self, vectors: NDArray[np.float32], scale: NDArray[np.float32], first: int, last: int) -> None:
        """Code rows first..last-1 behind the present ones.

        All rows are coded anew where they are four times those that the codes were chosen from, or where more than 1 %
        of the new coordinates lie beyond the codes' range.
        """
        if last >= 4 * self.fitted_rows or (
            self._encode(vectors, scale, first, last) > _MOST_CLIPPED and last > self.fitted_rows
        ):
            self._fit(vectors[:last], scale)
            self._encode(vectors, scale, 0, last)

    def replace(
        self, vectors: NDArray[np.float32], scale: NDArray[np.float32], rows: NDArray[np.int64], count: int
    ) -> None:
        """Code some of the `count` rows in use again, whose vectors are other ones now.

        All are coded anew where more than 1 % of the coordinates lie beyond the codes' range, once a quarter of the
        rows was replaced since the codes were chosen.
        """
        self._replaced += len(rows)
        part = ScalarCodes(self.metric, vectors.shape[1])
        part.centre, part.basis, part.step = self.centre, self.basis, self.step
        clipped = part._encode(vectors[rows], scale[rows] if self.metric == COSINE else scale, 0, len(rows))
        if clipped > _MOST_CLIPPED and 4 * self._replaced >= count:
            self._fit(vectors[:count], scale)
            self._encode(vectors, scale, 0, count)
            return
        if not self.codes.flags.writeable:
            kept, self.codes = self.codes, aligned_bytes(len(self.codes), self.row_bytes)
            self.codes[:] = kept
        self.codes[rows] = part.codes

    def chosen(self, rows: NDArray[np.int64]) -> ScalarCodes:
        """The codes of chosen rows, in memory of their own."""
        part = ScalarCodes(self.metric, len(self.centre))
        part.centre, part.basis, part.step, part.fitted_rows = self.centre, self.basis, self.step, self.fitted_rows
        part.codes = aligned_bytes(len(rows), self.row_bytes)
        np.take(self.codes, rows, axis=0, out=part.codes)
        return part

    def _fit(self, vectors: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        """Choose centre, basis and step from up to 8,192 rows spread over `vectors`."""
        from . import hnsw_codes_cpu as kernels

        n = len(vectors)
        picked = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64))
        sample = vectors[picked]
        if self.metric == COSINE:
            sample = sample * scale[picked, None]
        if self.metric != IP:
            self.centre = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
            sample = sample - self.centre
        self.basis = _basis(sample)
        inside = sample
        if len(self.basis):
            inside = np.empty((len(sample), len(self.basis)), np.float32)
            kernels.row_products(sample, self.basis, inside)
        spread = float(np.sqrt((inside.astype(np.float64) ** 2).mean()))
        reach = min(float(np.abs(inside).max(initial=0)), _DEVIATIONS * spread)
        self.step = reach / 127 if reach > 0 else 1.0
        self.fitted_rows, self._replaced = n, 0

    def _encode(self, vectors: NDArray[np.float32], scale: NDArray[np.float32], first: int, last: int) -> float:
        """Write the codes of rows first..last-1; the share of coordinates beyond the range of the codes."""
        from . import hnsw_codes_cpu as kernels

        stride = self.row_bytes
        if first == 0 and stride != self.codes.shape[1]:
            self.codes = np.empty((0, stride), np.uint8)
        if len(self.codes) < len(vectors) or not self.codes.flags.writeable:
            bigger = aligned_bytes(len(vectors), stride)
            bigger[:first] = self.codes[:first]
            self.codes = bigger
        clipped = np.zeros((last - first + 63) // 64, np.int64)
        kernels.encode_rows(
            vectors, scale, self.centre, self.basis, np.float32(self.step), self.metric != IP, first, last, self.codes,
            self.terms, clipped,
        )  # fmt: skip
        return float(clipped.sum()) / max(1, (last - first) * self.width)

    def encode_queries(
        self, queries: NDArray[np.float32], factors: NDArray[np.float32], first: int, last: int, out: NDArray[np.int8]
    ) -> None:
        """Write the signed codes of queries first..last-1."""
        from . import hnsw_codes_cpu as kernels

        step = np.float32(0 if self.metric == IP else self.step)
        kernels.encode_queries(queries, factors, self.centre, self.basis, step, first, last, out)


def widest_row(dim: int) -> int:
    """The most bytes a code row of vectors of this width can take."""
    return -(-(dim + _TERM) // _BLOCK) * _BLOCK


def aligned_bytes(rows: int, width: int) -> NDArray[np.uint8]:
    """A byte matrix whose first row starts on a cache line."""
    raw = np.empty(rows * width + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + rows * width].reshape(rows, width)


def _basis(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orthonormal rows that keep 93 % of the sample's variance, rotated at random; none where that takes too many.

    Subspace iteration on the covariance: the leading rows converge to the principal directions.
    """
    from . import hnsw_codes_cpu as kernels

    dim = sample.shape[1]
    none = np.empty((0, dim), np.float32)
    if dim <= 2:
        return none
    columns = np.ascontiguousarray(sample.T)
    square = np.empty((dim, dim), np.float32)
    kernels.row_products(columns, columns, square)
    found = _random_rows(min(dim, _WIDTHS[-1]), dim, seed=0)
    for _ in range(_SWEEPS):
        image = np.empty_like(found)
        kernels.row_products(found, square, image)
        kernels.orthonormalise(image)
        found = image
    image = np.empty_like(found)
    kernels.row_products(found, square, image)
    kept = np.cumsum(np.einsum("ij,ij->i", found, image, dtype=np.float64))
    total = float(np.trace(square, dtype=np.float64))
    for width in _WIDTHS:
        if width >= dim or kept[width - 1] >= _KEPT_VARIANCE * total:
            width = min(width, dim)
            break
    else:
        if dim > _WIDTHS[-1] + _LINE:
            return none
        width = len(found)
    rotated = np.empty((width, dim), np.float32)
    kernels.row_products(_random_rows(width, width, seed=1), np.ascontiguousarray(found[:width].T), rotated)
    return rotated


def _random_rows(count: int, dim: int, seed: int) -> NDArray[np.float32]:
    from . import hnsw_codes_cpu as kernels

    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    kernels.orthonormalise(rows)
    return rows
