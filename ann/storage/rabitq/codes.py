"""Codes of one to eight bits a coordinate, from which distances are estimated without bias."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ....graphlib.compute.jit import plain_view
from ....graphlib.errors import IndexMismatch
from ...metrics import COSINE
from ..directions import Asked, inside_of, ordinary, spread
from ..following import ENOUGH, FEW, SAMPLE, FollowingCodes
from ..halves import floats_of
from .layout import CONSTANTS, padded, row_bytes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The steps of least squared error for a normal distribution, in its deviations, by bits (J. Max, 1960).
_STEPS = (1.0, 1.0, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308)
_TURNS, _MORE_TURNS = 3, 4
_FAR = 3.0
_LEAST_FOUND = 0.6
_MOST_MOVED = 0.3  # of the mean squared distance from the centre, which the mean may lie away from it
_SEED = 20
_FIELDS: dict[str, type] = {"rows": int, "ill": int, "sound": bool, "reach": float, "away": float}


class BitCodes(FollowingCodes):
    """Vectors centred, rotated at random, and rounded to a few bits a coordinate.

    Attributes
    ----------
    bits : int in [1, 8]
    centre : float32 (dim,)
        The mean of usual rows (unit rows for cosine).
    signs : float32 (turns, width)
        1 and -1: the random rotation, by Walsh-Hadamard transforms of `width` >= dim coordinates (a multiple of 64).
    codes : uint8 (capacity, bytes)
        Levels and three factors a row: see `layout`.
    reach : float
        Rows whose squared distance from the centre is more than this are ill held.

    Notes
    -----
    Let o = R (x - centre) for the rotation R, u the levels less their middle, and q = R (query - centre). Then
    (u . q) |o|^2 / (u . o) estimates o . q. Over random rotations its mean is o . q, and it is off by about
    |o| |q| sqrt((1 / c^2 - 1) / (width - 1)) for the cosine c of u and o: 0.8 for one bit, 0.995 for four. Squared
    distances and inner products follow from it and from lengths that are kept exactly. One bit takes signs; more bits
    take the step, among nine about that of a normal distribution, whose levels have the largest cosine. A query is
    rounded to 8 bits with a step of its own, so that u . q is a sum of integers.

    For inner products a query is parted into a multiple of the centre, whose products are kept exactly, and the rest.

    Codes are `sound` from `ENOUGH` rows on, where 64 rows of 2,048 find three fifths of their 10 nearest among the 40
    of lowest estimate: fewer where rows lie in tight groups far apart, or at very different scales.

    References
    ----------
    J. Gao and C. Long, "RaBitQ", SIGMOD 2024, arXiv:2405.12497 (the estimate and its bound). J. Gao et al., "Practical
    and asymptotically optimal quantization of high-dimensional vectors", SIGMOD 2025, arXiv:2409.09913 (more bits).
    Differences: one centre for all rows, Hadamard transforms for the rotation, nine steps tried for the best, queries
    of 8 bits rounded to the nearest.
    """

    WHAT, GROWTH = "int4 and 1bit", 1.5

    def __init__(self, metric: int, dim: int, bits: int) -> None:
        super().__init__(metric, dim)
        self.bits, self.reach = bits, float("inf")
        self.shift: NDArray[np.float64] = np.zeros(dim)  # from the centre to the mean of rows coded alone
        self.away = 0.0  # their mean squared distance from the centre
        width = padded(dim)
        turns = _TURNS if width & (width - 1) == 0 else _MORE_TURNS
        drawn = np.random.default_rng(_SEED).integers(0, 2, (turns, width))
        self.signs: NDArray[np.float32] = (2 * drawn - 1).astype(np.float32)
        self.codes = np.empty((0, self.row_bytes), np.uint8)

    @property
    def width(self) -> int:
        """Coordinates of a code."""
        return self.signs.shape[1]

    @property
    def row_bytes(self) -> int:
        return row_bytes_of(len(self.centre), self.bits)

    @property
    def query_bytes(self) -> int:
        """Bytes of a query."""
        return self.width + CONSTANTS

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.signs.nbytes

    @property
    def sound(self) -> bool:
        """Whether walks may compare codes."""
        return self.keeps_order and self.fitted_rows >= ENOUGH

    @functools.cached_property
    def turned(self) -> NDArray[np.float32]:
        """The centre, rotated."""
        return self._rotated(self.centre[None, :])[0]

    def _rotated(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        from . import codes_cpu as kernels

        out = np.zeros((len(rows), self.width), np.float32)
        out[:, : rows.shape[1]] = rows
        kernels.rotate_rows(out, self.signs)
        return out

    @property
    def form(self) -> Any:
        """How kernels make codes and queries."""
        from .codes_cpu import Form

        return Form(self.centre, self.signs, self.bits, self.metric, _STEPS[self.bits])

    def _like(self) -> BitCodes:
        part = self._copied_marks(BitCodes(self.metric, len(self.centre), self.bits))
        part.signs, part.reach = self.signs, self.reach
        return part

    def _fit(self, vectors: NDArray[Any], scale: NDArray[np.float32]) -> None:
        """Choose the centre from up to 8,192 rows spread over `vectors`, and see whether estimates keep their order."""
        picked = spread(len(vectors), SAMPLE)
        sample = floats_of(vectors[picked])
        if self.metric == COSINE:
            sample = sample * scale[picked, None]
        usual = ordinary(sample)
        self.centre = usual.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.__dict__.pop("turned", None)
        some = usual[spread(len(usual), SAMPLE // 4)].astype(np.float64) - self.centre
        squares = (some**2).sum(axis=1)
        self.reach, self.away = float(_FAR**2 * np.quantile(squares, 0.9)), float(squares.mean())
        self.shift = np.zeros(len(self.centre))
        self.fitted_rows = len(vectors)
        self.keeps_order = len(vectors) < ENOUGH or self._found(Asked(self.metric, sample)) >= _LEAST_FOUND

    def tried(self, rows: NDArray[np.float32], scale: NDArray[np.float32], held: int) -> NDArray[np.uint8] | None:
        """Codes of rows beside `held` ones; None where they, or all of them together, lie too far from the centre."""
        if self.metric == COSINE:
            rows, scale = rows * scale[:, None], (scale != 0).astype(np.float32)
        off = rows.astype(np.float64) - self.centre
        squares = (off**2).sum(axis=1)
        usual = squares <= self.reach
        total = held + np.count_nonzero(usual)
        shift = (held * self.shift + off[usual].sum(axis=0)) / total
        away = (held * self.away + squares[usual].sum()) / total
        if shift @ shift > _MOST_MOVED * away:
            return None
        self.shift, self.away = shift, float(away)
        return super().tried(rows, scale, held)

    def _found(self, asked: Asked) -> float:
        part, one = self._like(), np.ones(1, np.float32)
        part._encode(asked.rows, one, 0, len(asked.rows))
        queries = np.empty((len(asked.queries), self.query_bytes), np.int8)
        part.encode_queries(asked.queries, one, 0, len(queries), queries)
        return asked.share(part.estimates(queries))

    def estimates(self, queries: NDArray[np.int8]) -> NDArray[np.float32]:
        """Estimates of all distances (queries, rows), -dot for inner products, from encoded queries."""
        from . import codes_cpu as kernels

        levels = np.empty((len(self.codes), self.width), np.uint8)
        kernels.unpack_rows(self.codes, self.bits, levels)
        asked, constants = queries[:, : self.width], np.ascontiguousarray(queries[:, self.width :])
        factors = np.ascontiguousarray(self.codes).view(np.float32)
        base, (multiple, share, constant) = constants.view(np.int32)[:, :1], constants.view(np.float32)[:, 1:].T
        totals = 2 * (asked.astype(np.float64) @ levels.T.astype(np.float64)) + base
        part = factors[:, -2] * (multiple[:, None] * totals.astype(np.float32))
        return share[:, None] * factors[:, -3] + part + constant[:, None]

    def _encode(self, vectors: NDArray[Any], scale: NDArray[np.float32], first: int, last: int) -> NDArray[np.bool_]:
        from . import codes_cpu as kernels

        self._reserve(first, len(vectors))
        ill = np.empty(last - first, np.bool_)
        encode = kernels.encode_rows.at_once if last - first <= FEW else kernels.encode_rows
        encode(plain_view(vectors), plain_view(scale), self.form, self.reach, first, last, self.codes, ill)
        return ill

    def encode_queries(
        self, queries: NDArray[np.float32], factors: NDArray[np.float32], first: int, last: int, out: NDArray[np.int8]
    ) -> None:
        """Write queries first..last-1 as estimates take them."""
        from . import codes_cpu as kernels

        kernels.encode_queries(queries, factors, self.form, first, last, out)

    def decoded(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The vectors that codes stand for."""
        from . import codes_cpu as kernels

        values = np.empty((len(codes), self.width), np.float32)
        kernels.decode_rows(codes, self.bits, values)
        rows = inside_of(values, self._rotated(np.eye(len(self.centre), dtype=np.float32)))  # turned back
        rows += self.centre
        if self.metric == COSINE:
            rows[codes.view(np.float32)[:, -3] >= kernels.ABSENT_ADDEND] = 0
        return rows

    def tables(self) -> dict[str, NDArray[Any]]:
        """The centre and the signs of the rotation, as matrices in a file."""
        return {"code_centre": self.centre[None, :], "code_signs": self.signs.astype(np.int8)}

    def fields(self) -> dict[str, Any]:
        """JSON fields in a file."""
        return {
            "code_rows": self.fitted_rows, "code_ill": self.ill_at_fit, "code_sound": self.keeps_order,
            "code_reach": self.reach, "code_away": self.away,
        }  # fmt: skip

    def open(self, codes: NDArray[Any], tables: Any, fields: dict[str, Any]) -> None:
        """Take what `tables` and `fields` wrote, and see whether codes have its width."""
        given: dict[str, Any] = {name: fields.get(f"code_{name}") for name in _FIELDS}
        if any(type(given[name]) is not kind for name, kind in _FIELDS.items()):
            raise IndexMismatch(
                "index parameters code_rows and code_ill must be integers, code_sound a truth value, code_reach and "
                f"code_away numbers; got {', '.join(map(repr, given.values()))}"
            )
        centre, signs = tables["code_centre"], tables["code_signs"]
        if centre.dtype != np.float32 or centre.shape != (1, len(self.centre)) or not np.isfinite(centre).all():
            raise IndexMismatch(
                f"the centre of the codes is {centre.dtype} {centre.shape}, not (1, dim) float32, finite"
            )
        if signs.dtype != np.int8 or signs.shape != self.signs.shape or not (np.abs(signs) == 1).all():
            raise IndexMismatch(
                f"the signs of the codes are {signs.dtype} {signs.shape}, not int8 {self.signs.shape} of 1 and -1"
            )
        self.centre, self.signs = np.array(centre[0]), signs.astype(np.float32)
        self.fitted_rows, self.ill_at_fit, self.keeps_order, self.reach, self.away = given.values()
        self.audited = False
        if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != self.row_bytes:
            raise IndexMismatch(f"codes are {codes.dtype} {codes.shape}; expected uint8 (rows, {self.row_bytes})")
