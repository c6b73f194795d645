"""8-bit codes of vectors that a graph walk reads instead of the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import InvalidInput
from ..metrics import COSINE, IP

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
_MOST_ROTATED = 256
_WORTH_ROTATING = 0.8
_BEYOND_REACH = 1e-4


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

    def __init__(self, metric: int, dim: int, *, alone: bool = False) -> None:
        if dim > MOST_DIM:
            raise InvalidInput(
                f"8-bit storages hold vectors of at most {MOST_DIM:,} dimensions; got {dim:,}; use 'float32'"
            )
        self.metric, self.alone = metric, alone
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
        part = self._like()
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
        part = self._like()
        part.codes = aligned_bytes(len(rows), self.row_bytes)
        np.take(self.codes, rows, axis=0, out=part.codes)
        return part

    def _fit(self, vectors: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        """Choose centre, basis and step from up to 8,192 rows spread over `vectors`."""
        from . import codes_cpu as kernels

        n = len(vectors)
        picked = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64))
        sample = vectors[picked]
        if self.metric == COSINE:
            sample = sample * scale[picked, None]
        if self.alone:
            self._fit_all(sample)
            self.fitted_rows, self._replaced = n, 0
            return
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

    def _fit_all(self, sample: NDArray[np.float32]) -> None:
        """One code per coordinate: whole numbers within 256 values are kept exactly, others are centred.

        Up to 256 dimensions, the coordinates are rotated at random where that makes the step smaller.
        """
        from . import codes_cpu as kernels

        dim = sample.shape[1]
        self.centre, self.basis = np.zeros(dim, np.float32), np.empty((0, dim), np.float32)
        low, high = float(sample.min(initial=0)), float(sample.max(initial=0))
        centred = self.metric != IP
        if high - low <= 255 and (centred or (low >= -128 and high <= 127)) and not (sample % 1).any():
            self.centre[:] = 0 if low >= -128 and high <= 127 else low + 128
            self.step = 1.0
            return
        if centred:
            self.centre = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
            sample = sample - self.centre
        reach = _reach(sample)
        if 2 < dim <= _MOST_ROTATED:
            rotation, turned = _random_rows(dim, dim, seed=1), np.empty_like(sample)
            kernels.row_products(sample, rotation, turned)
            if _reach(turned) < _WORTH_ROTATING * reach:
                self.basis, reach = rotation, _reach(turned)
        self.step = reach / 127 if reach > 0 else 1.0

    def coded(self, rows: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Codes of rows, chosen from them the first time; what lies beyond the codes' range becomes its ends."""
        if not self.fitted_rows:
            self._fit(rows, scale)
        part = self._like()
        part._encode(rows, scale, 0, len(rows))
        part.codes[:, self.width : -_TERM] = 128  # a coordinate of 0
        return part.codes

    def is_outgrown(self, rows: NDArray[np.float32], scale: NDArray[np.float32]) -> bool:
        """Whether more than 1 % of the coordinates of rows lie beyond the codes' range."""
        return self._like()._encode(rows, scale, 0, len(rows)) > _MOST_CLIPPED

    def decoded(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The vectors that codes of all coordinates stand for."""
        from . import codes_cpu as kernels

        values = (codes[:, : self.width].astype(np.float32) - 128) * np.float32(self.step)
        if len(self.basis):
            turned = np.empty_like(values)
            kernels.row_products(values, np.ascontiguousarray(self.basis.T), turned)
            values = turned
        values += self.centre
        return values

    def projected(self, queries: NDArray[np.float32], factors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Queries in the coordinates of the codes, in steps except for inner products, with zeros behind."""
        from . import codes_cpu as kernels

        out = np.zeros((len(queries), self.row_bytes - _TERM), np.float32)
        step = np.float32(1 if self.metric == IP else self.step)
        kernels.project_queries(queries, factors, self.centre, self.basis, step, self.width, out)
        return out

    def rounded(self, projected: NDArray[np.float32]) -> NDArray[np.int8]:
        """Signed codes of projected queries."""
        from . import codes_cpu as kernels

        out = np.empty((len(projected), self.row_bytes), np.int8)
        nothing = np.zeros(projected.shape[1], np.float32)
        step = np.float32(0 if self.metric == IP else 1)
        kernels.encode_queries(
            projected, np.ones(1, np.float32), nothing, nothing[None, :][:0], step, 0, len(projected), out
        )
        return out

    def _like(self) -> ScalarCodes:
        part = ScalarCodes(self.metric, len(self.centre), alone=self.alone)
        part.centre, part.basis, part.step, part.fitted_rows = self.centre, self.basis, self.step, self.fitted_rows
        return part

    def _encode(self, vectors: NDArray[np.float32], scale: NDArray[np.float32], first: int, last: int) -> float:
        """Write the codes of rows first..last-1; the share of coordinates beyond the range of the codes."""
        from . import codes_cpu as kernels

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
        from . import codes_cpu as kernels

        kernels.encode_queries(queries, factors, self.centre, self.basis, self.query_step, first, last, out)

    @property
    def query_step(self) -> np.float32:
        """The step of queries; 0: each has its own."""
        return np.float32(0 if self.metric == IP else self.step)


def widest_row(dim: int) -> int:
    """The most bytes a code row of vectors of this width can take."""
    return -(-(dim + _TERM) // _BLOCK) * _BLOCK


def aligned_bytes(rows: int, width: int) -> NDArray[np.uint8]:
    """A byte matrix whose first row starts on a cache line."""
    raw = np.empty(rows * width + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + rows * width].reshape(rows, width)


def _reach(sample: NDArray[np.float32]) -> float:
    """The size that all but one in ten thousand of the numbers stay below."""
    sizes = np.abs(sample).ravel()
    rank = max(0, int(len(sizes) * (1 - _BEYOND_REACH)) - 1)
    return float(np.partition(sizes, rank)[rank]) if len(sizes) > 10_000 else float(sizes.max(initial=0))


def _basis(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orthonormal rows that keep 93 % of the sample's variance, rotated at random; none where that takes too many.

    Subspace iteration on the covariance: the leading rows converge to the principal directions.
    """
    from . import codes_cpu as kernels

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
    from . import codes_cpu as kernels

    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    kernels.orthonormalise(rows)
    return rows
