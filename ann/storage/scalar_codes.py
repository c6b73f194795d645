"""8-bit codes of vectors that a graph walk reads instead of the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch, InvalidInput
from ..metrics import ABSENT, COSINE, IP
from .directions import Asked, bases, inside_of, ordinary, random_rows, reach_of, spread, step_of
from .room import aligned_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_DIM = 16_384  # beyond it a rank might not fit in 32 bits
_SAMPLE = 8192
_BLOCK, _TERM = 32, 4
_DEVIATIONS = 5.0
_MOST_ROTATED = 256
ENOUGH = 256  # rows from which directions, or a step that is kept for good, can be chosen
_MOST_ILL = 0.005  # the share of rows that codes may come to hold badly
_FEW_ILL = 4
_LEAST_FOUND = 0.98
_WORTH_ROTATING = 0.8
_FEW = 32  # rows that are coded in no time


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
    Codes follow the data and are doubted. Rows far beyond all others do not count when basis and step are chosen, so
    that a few bad ones spoil nothing. A row of which its code holds less than three quarters of the squared length,
    because it lies in other directions, beyond the range, or is rounded away, is ill held; once 0.5 % of the rows are,
    and more than when the codes were chosen, all are coded anew. The width is measured then: 64 rows among 2,048 have
    to find 98 % of their 10 nearest among the 40 of lowest rank. Where no width is enough, codes are not `sound`.

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
        self.fitted_rows, self.keeps_order = 0, True
        self.ill: NDArray[np.int64] = np.empty(0, np.int64)  # rows coded since then that are ill held
        self.mend: NDArray[np.int64] = np.empty(0, np.int64)  # rows whose links were picked by codes that held them ill
        self.ill_at_fit = self.clipped = 0  # when the codes were chosen; far rows since
        self.audited = True  # False: codes of a file, whose rows nobody has looked at

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

    @property
    def sound(self) -> bool:
        """Whether walks may compare codes: ranks keep the order of distances.

        They do not where rows are of very different scales, or lie in tight groups far apart; nor, for inner products,
        where rows are so long that codes do not reach them, since those are the nearest to many queries.
        """
        return self.keeps_order and not (self.metric == IP and self.clipped)

    @property
    def origin(self) -> NDArray[np.float32]:
        """The centre in the coordinates of codes, where a stored row has to be asked about as it is: for products.

        Queries of other metrics are centred, and it is empty.
        """
        if self.metric != IP or self.alone:
            return np.empty(0, np.float32)
        return inside_of(self.centre[None, :], self.basis)[0] / np.float32(self.step)

    def extend(self, vectors: NDArray[np.float32], scale: NDArray[np.float32], first: int, last: int) -> None:
        """Code rows first..last-1 behind the present ones.

        All rows are coded anew where they are four times those that the codes were chosen from, or too many are ill
        held.
        """
        fitted = self.fitted_rows
        if last >= 4 * fitted or fitted < ENOUGH <= last:
            self._renew(vectors, scale, last)
            return
        found = self._encode(vectors, scale, first, last)
        self._doubt(vectors, scale, last, first + np.flatnonzero(found))

    def replace(
        self, vectors: NDArray[np.float32], scale: NDArray[np.float32], rows: NDArray[np.int64], count: int
    ) -> None:
        """Code some of the `count` rows in use again, whose vectors are other ones now; all, as `extend` does."""
        part = self._like()
        found = part._encode(vectors[rows], scale[rows] if self.metric == COSINE else scale, 0, len(rows))
        if not self.codes.flags.writeable:
            kept, self.codes = self.codes, aligned_bytes(len(self.codes), self.row_bytes)
            self.codes[:] = kept
        self.codes[rows], self.clipped = part.codes, part.clipped
        self._doubt(vectors, scale, count, rows[found])

    def audit(self, vectors: NDArray[np.float32], scale: NDArray[np.float32], count: int) -> None:
        """Look at `count` rows again, of which others may be left than the codes were chosen from."""
        self.audited, self.fitted_rows = True, min(self.fitted_rows, count)
        self.ill = self.ill[self.ill < count]
        some = spread(count, _SAMPLE)
        found = self._like()._encode(vectors[some], scale[some] if self.metric == COSINE else scale, 0, len(some))
        if found.mean() > _MOST_ILL:
            found = self._encode(vectors, scale, 0, count)
            self._doubt(vectors, scale, count, np.flatnonzero(found))

    def too_many_ill(self, ill: int, count: int) -> bool:
        """Whether codes have to be chosen anew where so many of the rows are ill held."""
        return ill > max(_FEW_ILL, _MOST_ILL * count, self.ill_at_fit)

    def _doubt(
        self, vectors: NDArray[np.float32], scale: NDArray[np.float32], count: int, ill: NDArray[np.int64]
    ) -> None:
        if len(ill):
            self.ill = np.union1d(self.ill, ill)
            if self.too_many_ill(len(self.ill), count):
                self._renew(vectors, scale, count)

    def _renew(self, vectors: NDArray[np.float32], scale: NDArray[np.float32], count: int) -> None:
        """Choose the codes anew and code all rows; the links of those that were ill held, and are not now, are to
        `mend`."""
        self._fit(vectors[:count], scale)
        found = self._encode(vectors, scale, 0, count)
        better = self.ill[~found[self.ill]] if self.sound else self.ill
        self.mend, self.ill, self.ill_at_fit = np.union1d(self.mend, better), self.ill[:0], int(found.sum())

    def chosen(self, rows: NDArray[np.int64]) -> ScalarCodes:
        """The codes of chosen rows, in memory of their own."""
        part = self._like()
        part.codes = aligned_bytes(len(rows), self.row_bytes)
        np.take(self.codes, rows, axis=0, out=part.codes)
        part.ill, part.mend = (np.flatnonzero(np.isin(rows, some)) for some in (self.ill, self.mend))
        return part

    def _fit(self, vectors: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        """Choose centre, basis and step from up to 8,192 rows spread over `vectors`."""
        picked = spread(len(vectors), _SAMPLE)
        sample = vectors[picked]
        if self.metric == COSINE:
            sample = sample * scale[picked, None]
        usual = ordinary(sample)
        if self.alone or len(vectors) < ENOUGH:
            self._fit_all(usual)
            self.keeps_order = True
        else:
            self._fit_directions(usual, sample)
        self.fitted_rows, self.clipped = len(vectors), 0

    def _fit_directions(self, usual: NDArray[np.float32], sample: NDArray[np.float32]) -> None:
        """Codes of the directions in which usual rows lie: the fewest whose ranks keep the order of the sample's rows.

        Where not even all do, the fewest are kept, and not walked on.
        """
        self.centre = usual.mean(axis=0, dtype=np.float64).astype(np.float32)
        usual = usual - self.centre
        asked = Asked(self.metric, sample)
        first = None
        for basis in bases(usual, self.centre if self.metric == IP else None):
            self.basis = basis
            within = inside_of(usual, self.basis)
            deviation = float(np.sqrt((within.astype(np.float64) ** 2).mean()))
            reach = min(float(np.abs(within).max(initial=0)), _DEVIATIONS * deviation)
            self.step = step_of(max(reach, reach_of(within)))
            if asked.found(self) >= _LEAST_FOUND:
                self.keeps_order = True
                return
            first = first or (self.basis, self.step)
        self.keeps_order = False
        if first is not None:
            self.basis, self.step = first

    def _fit_all(self, sample: NDArray[np.float32]) -> None:
        """One code per coordinate: whole numbers within 256 values are kept exactly, others are centred.

        Up to 256 dimensions, the coordinates are rotated at random where that makes the step smaller.
        """
        dim = sample.shape[1]
        self.centre, self.basis = np.zeros(dim, np.float32), np.empty((0, dim), np.float32)
        low, high = float(sample.min(initial=0)), float(sample.max(initial=0))
        centred = self.metric != IP or not self.alone
        if high - low <= 255 and (centred or (low >= -128 and high <= 127)) and not (sample % 1).any():
            self.centre[:] = 0 if low >= -128 and high <= 127 else low + 128
            self.step = 1.0
            return
        if centred:
            self.centre = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
            sample = sample - self.centre
        reach = reach_of(sample)
        if 2 < dim <= _MOST_ROTATED:
            rotation = random_rows(dim, dim, seed=1)
            turned = inside_of(sample, rotation)
            if reach_of(turned) < _WORTH_ROTATING * reach:
                self.basis, reach = rotation, reach_of(turned)
        self.step = step_of(reach)

    def coded(self, rows: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Codes of rows, chosen from them the first time; what lies beyond the codes' range becomes its ends."""
        if not self.fitted_rows:
            self.choose(rows, scale)
        part = self._like()
        part._encode(rows, scale, 0, len(rows))
        part.codes[:, self.width : -_TERM] = 128  # a coordinate of 0
        return part.codes

    def choose(self, rows: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        """Choose codes for these rows."""
        self._fit(rows, scale)
        self.ill_at_fit = int(self._like()._encode(rows, scale, 0, len(rows)).sum())

    def tried(self, rows: NDArray[np.float32], scale: NDArray[np.float32], held: int) -> NDArray[np.uint8] | None:
        """`coded` rows beside `held` ones; None where too many are ill held, which count from now on."""
        part = self._like()
        found = part._encode(rows, scale, 0, len(rows))
        if found.any():
            self.ill = np.concatenate([self.ill, held + np.flatnonzero(found)])
            if self.too_many_ill(len(self.ill), held + len(rows)):
                return None
        part.codes[:, self.width : -_TERM] = 128  # a coordinate of 0
        return part.codes

    def decoded(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The vectors that codes of all coordinates stand for."""
        from . import codes_cpu as kernels

        values = (codes[:, : self.width].astype(np.float32) - 128) * np.float32(self.step)
        if len(self.basis):
            turned = np.empty_like(values)
            kernels.row_products(values, np.ascontiguousarray(self.basis.T), turned)
            values = turned
        values += self.centre
        values[codes.view(np.int32)[:, -1] >= ABSENT] = 0
        return values

    def projected(self, queries: NDArray[np.float32], factors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Queries in the coordinates of the codes, in steps except for inner products, with zeros behind."""
        from . import codes_cpu as kernels

        out = np.zeros((len(queries), self.row_bytes - _TERM), np.float32)
        step = np.float32(1 if self.metric == IP else self.step)
        kernels.project_queries(queries, factors, self.centre, self.basis, step, self.width, out)
        return out

    def tables(self) -> dict[str, NDArray[Any]]:
        """The centre and the basis, as a matrix in a file."""
        return {"code_basis": np.concatenate([self.centre[None, :], self.basis])}

    def fields(self) -> dict[str, Any]:
        """JSON fields in a file."""
        return {
            "code_step": self.step, "code_rows": self.fitted_rows, "code_ill": self.ill_at_fit, "code_sound": self.sound
        }  # fmt: skip

    def open(self, codes: NDArray[Any], tables: Any, fields: dict[str, Any]) -> None:
        """Take what `tables` and `fields` wrote, and see whether codes have its width."""
        step, fitted = fields.get("code_step"), fields.get("code_rows")
        if type(step) is not float or type(fitted) is not int:
            raise IndexMismatch(f"index parameters code_step and code_rows must be numbers; got {step!r}, {fitted!r}")
        rows, dim = tables["code_basis"], len(self.centre)
        if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != dim or not 1 <= len(rows) <= 1 + dim:
            raise IndexMismatch(f"the basis of the codes is {rows.dtype} {rows.shape}, not (1 + width, dim) float32")
        self.centre, self.basis = np.array(rows[0]), np.array(rows[1:])
        self.step, self.fitted_rows = step, fitted
        ill, sound = fields.get("code_ill"), fields.get("code_sound")  # older files do not have them
        self.ill_at_fit, self.keeps_order, self.audited = ill if type(ill) is int else 0, sound is not False, False
        if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != self.row_bytes or not self.step > 0:
            raise IndexMismatch(f"codes are {codes.dtype} {codes.shape}; expected uint8 (rows, {self.row_bytes})")

    def _like(self) -> ScalarCodes:
        part = ScalarCodes(self.metric, len(self.centre), alone=self.alone)
        part.centre, part.basis, part.step, part.fitted_rows = self.centre, self.basis, self.step, self.fitted_rows
        part.keeps_order, part.clipped = self.keeps_order, self.clipped
        part.audited, part.ill_at_fit = self.audited, self.ill_at_fit
        return part

    def _encode(
        self, vectors: NDArray[np.float32], scale: NDArray[np.float32], first: int, last: int
    ) -> NDArray[np.bool_]:
        """Write the codes of rows first..last-1; which of them are ill held. `clipped` counts those beyond reach."""
        from . import codes_cpu as kernels

        stride = self.row_bytes
        if first == 0 and stride != self.codes.shape[1]:
            self.codes = np.empty((0, stride), np.uint8)
        if len(self.codes) < len(vectors) or not self.codes.flags.writeable:
            bigger = aligned_bytes(len(vectors), stride)
            bigger[:first] = self.codes[:first]
            self.codes = bigger
        ill = np.empty(last - first, np.uint8)
        encode = kernels.encode_rows.at_once if last - first <= _FEW else kernels.encode_rows
        encode(
            vectors, scale, self.centre, self.basis, np.float32(self.step), self.metric != IP, self.alone, first,
            last, self.codes, self.terms, ill,
        )  # fmt: skip
        self.clipped += int(np.count_nonzero(ill == kernels.CLIPPED))
        return ill > 0

    def encode_queries(
        self, queries: NDArray[np.float32], factors: NDArray[np.float32], first: int, last: int, out: NDArray[np.int8]
    ) -> None:
        """Write the signed codes of queries first..last-1."""
        from . import codes_cpu as kernels

        kernels.encode_queries(queries, factors, self.query_centre, self.basis, self.query_step, first, last, out)

    @property
    def query_centre(self) -> NDArray[np.float32]:
        """What queries are centred by: for inner products by nothing, since q . (x - c) orders rows as q . x does."""
        return np.zeros_like(self.centre) if self.metric == IP else self.centre

    @property
    def query_step(self) -> np.float32:
        """The step of queries; 0: each has its own."""
        return np.float32(0 if self.metric == IP else self.step)


def widest_row(dim: int) -> int:
    """The most bytes a code row of vectors of this width can take."""
    return -(-(dim + _TERM) // _BLOCK) * _BLOCK
