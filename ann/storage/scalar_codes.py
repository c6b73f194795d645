"""8-bit codes of vectors that a graph walk reads instead of the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch
from ..metrics import ABSENT, COSINE, IP, unit_rows
from .directions import Asked, bases, inside_of, ordinary, random_rows, reach_of, spread, step_of
from .following import ENOUGH, FEW, SAMPLE, FollowingCodes
from .halves import floats_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK, _TERM = 32, 4
_DEVIATIONS = 5.0
_MOST_ROTATED = 256
_LEAST_FOUND = 0.98
_WORTH_ROTATING = 0.8
_MOST_QUERIES = 2048
_NOWHERE = np.empty(0, np.float32)


class ScalarCodes(FollowingCodes):
    """Vectors projected to their principal directions, rotated at random, and rounded to 8 bits with one step.

    Attributes
    ----------
    centre : float32 (dim,); basis : float32 (width, dim) with orthonormal rows; step : float
        A code is round(basis (x - centre) / step) + 128. An empty basis stands for the coordinates as they are.
    codes : uint8 (capacity, bytes) with rows on cache lines; terms : the same memory as int32
        A row holds `width` codes and, in its last four bytes, its term.

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

    WHAT = "8-bit"

    def __init__(self, metric: int, dim: int, *, alone: bool = False) -> None:
        super().__init__(metric, dim)
        self.alone = alone
        self.basis: NDArray[np.float32] = np.empty((0, dim), np.float32)
        self.step = 1.0
        self._laid: tuple[NDArray[np.float32], NDArray[np.int16]] | None = None  # a basis, as queries take it
        self.fit_queries: NDArray[np.float32] | None = None  # that directions are chosen for, beside rows
        self.clipped = 0  # far rows since the codes were chosen

    @property
    def terms(self) -> NDArray[np.int32]:
        return self.codes.view(np.int32)

    @property
    def width(self) -> int:
        """Coordinates per code row."""
        return len(self.basis) or len(self.centre)

    @property
    def directions(self) -> NDArray[np.int16]:
        """The basis as queries take it (see `directions_cpu`)."""
        if self._laid is None or self._laid[0] is not self.basis:
            from .directions_cpu import in_blocks

            self._laid = self.basis, in_blocks(self.basis)
        return self._laid[1]

    @property
    def row_bytes(self) -> int:
        """Bytes of a code row: the codes and the term, in blocks of 32."""
        return widest_row(self.width)

    @property
    def query_bytes(self) -> int:
        """Bytes of a query."""
        return self.row_bytes

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
            return _NOWHERE
        return inside_of(self.centre[None, :], self.basis)[0] / np.float32(self.step)

    def _fit(self, vectors: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        """Choose centre, basis and step from up to 8,192 rows spread over `vectors`."""
        picked = spread(len(vectors), SAMPLE)
        sample = floats_of(vectors[picked])
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
        queries = self.fit_queries
        asked = Asked(self.metric, sample, queries)
        if queries is not None and self.metric != IP:
            queries = queries - self.centre
        first = None
        for basis in bases(usual, self.centre if self.metric == IP else None, queries):
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

    def expect(self, queries: NDArray[np.float32]) -> None:
        """Choose directions for queries like these, of which up to 2,048 are kept."""
        queries = queries[spread(len(queries), _MOST_QUERIES)]
        self.fit_queries = unit_rows(queries) if self.metric == COSINE else queries.copy()

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

    def _taken_from(self, part: ScalarCodes) -> None:
        self.clipped = part.clipped

    def _blanked(self) -> NDArray[np.uint8]:
        self.codes[:, self.width : -_TERM] = 128  # a coordinate of 0
        return self.codes

    def decoded(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The vectors that codes of all coordinates stand for."""
        from . import codes_cpu as kernels

        values = (codes[:, : self.width].astype(np.float32) - 128) * np.float32(self.step)
        if len(self.basis):
            turned = np.empty_like(values)
            kernels.row_products(values, np.ascontiguousarray(self.basis.T), False, turned)
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
        """The centre, the basis and the queries that they were chosen for, as a matrix in a file."""
        queries = [] if self.fit_queries is None else [self.fit_queries]
        return {"code_basis": np.concatenate([self.centre[None, :], self.basis, *queries])}

    def fields(self) -> dict[str, Any]:
        """JSON fields in a file."""
        return {
            "code_step": self.step, "code_rows": self.fitted_rows, "code_ill": self.ill_at_fit,
            "code_sound": self.sound, "code_queries": 0 if self.fit_queries is None else len(self.fit_queries),
        }  # fmt: skip

    def open(self, codes: NDArray[Any], tables: Any, fields: dict[str, Any]) -> None:
        """Take what `tables` and `fields` wrote, and see whether codes have its width."""
        step, fitted = fields.get("code_step"), fields.get("code_rows")
        if type(step) is not float or type(fitted) is not int:
            raise IndexMismatch(f"index parameters code_step and code_rows must be numbers; got {step!r}, {fitted!r}")
        rows, dim, asked = tables["code_basis"], len(self.centre), fields.get("code_queries", 0)
        if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != dim:
            raise IndexMismatch(f"the basis of the codes is {rows.dtype} {rows.shape}, not (1 + width, dim) float32")
        if type(asked) is not int or not 0 <= asked < len(rows) or len(rows) - asked > 1 + dim:
            raise IndexMismatch(f"the basis of the codes has {len(rows)} rows for dim {dim} and {asked!r} queries")
        self.centre, self.basis = np.array(rows[0]), np.array(rows[1 : len(rows) - asked])
        self.fit_queries = np.array(rows[len(rows) - asked :]) if asked else None
        self.step, self.fitted_rows = step, fitted
        ill, sound = fields.get("code_ill"), fields.get("code_sound")  # older files do not have them
        self.ill_at_fit, self.keeps_order, self.audited = ill if type(ill) is int else 0, sound is not False, False
        if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != self.row_bytes or not self.step > 0:
            raise IndexMismatch(f"codes are {codes.dtype} {codes.shape}; expected uint8 (rows, {self.row_bytes})")

    def _like(self) -> ScalarCodes:
        part = self._copied_marks(ScalarCodes(self.metric, len(self.centre), alone=self.alone))
        part.basis, part._laid, part.step, part.clipped = self.basis, self._laid, self.step, self.clipped
        part.fit_queries = self.fit_queries
        return part

    def _encode(
        self, vectors: NDArray[np.float32], scale: NDArray[np.float32], first: int, last: int
    ) -> NDArray[np.bool_]:
        """Write the codes of rows first..last-1; which of them are ill held. `clipped` counts those beyond reach."""
        from . import codes_cpu as kernels

        self._reserve(first, len(vectors))
        ill = np.empty(last - first, np.uint8)
        encode = kernels.encode_rows.one_turn if last - first <= FEW else kernels.encode_rows
        frame = kernels.Frame(self.centre, self.basis, np.float32(self.step))
        encode(vectors, scale, frame, self.metric != IP, self.alone, first, last, self.codes, self.terms, ill)
        self.clipped += int(np.count_nonzero(ill == kernels.CLIPPED))
        return ill > 0

    def encode_queries(
        self, queries: NDArray[np.float32], factors: NDArray[np.float32], first: int, last: int, out: NDArray[np.int8]
    ) -> None:
        """Write the signed codes of queries first..last-1."""
        from . import codes_cpu as kernels

        kernels.encode_queries(
            queries, factors, self.query_centre, self.directions, self.width, self.query_step, first, last, out
        )

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
