"""Codes that follow the rows they are chosen from: what 8-bit codes and codes of fewer bits have in common."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...graphlib.errors import InvalidInput
from ..metrics import COSINE
from .directions import spread
from .room import aligned_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_DIM = 16_384  # beyond it a sum over a row of codes might not fit in 32 bits
SAMPLE = 8192
ENOUGH = 256  # rows from which directions, or a step that is kept for good, can be chosen
_MOST_ILL = 0.005  # the share of rows that codes may come to hold badly
_FEW_ILL = 4
FEW = 32  # rows that are coded in no time


class FollowingCodes(abc.ABC):
    """Codes of rows that are doubted as rows come, and chosen anew where they hold too many of them badly.

    Attributes
    ----------
    centre : float32 (dim,)
        What vectors are centred by.
    codes : uint8 (capacity, bytes)
    fitted_rows : int
        How many rows the codes were chosen from.
    """

    WHAT = "coded"  # storages, in errors
    GROWTH = 4.0  # codes are chosen anew where rows are as many times those that they were chosen from

    def __init__(self, metric: int, dim: int) -> None:
        if dim > MOST_DIM:
            raise InvalidInput(
                f"{self.WHAT} storages hold vectors of at most {MOST_DIM:,} dimensions; got {dim:,}; use 'float32'"
            )
        self.metric = metric
        self.centre: NDArray[np.float32] = np.zeros(dim, np.float32)
        self.codes: NDArray[np.uint8] = np.empty((0, 32), np.uint8)
        self.fitted_rows, self.keeps_order = 0, True
        self.ill: NDArray[np.int64] = np.empty(0, np.int64)  # rows coded since then that are ill held
        self.mend: NDArray[np.int64] = np.empty(0, np.int64)  # rows whose links were picked by codes that held them ill
        self.ill_at_fit = 0  # when the codes were chosen
        self.audited = True  # False: codes of a file, whose rows nobody has looked at

    @property
    @abc.abstractmethod
    def row_bytes(self) -> int:
        """Bytes of a code row."""

    @property
    @abc.abstractmethod
    def sound(self) -> bool:
        """Whether walks may compare codes."""

    @abc.abstractmethod
    def _like(self) -> Self:
        """The same codes of no rows."""

    @abc.abstractmethod
    def _fit(self, vectors: NDArray[Any], scale: NDArray[np.float32]) -> None:
        """Choose the codes from these rows."""

    @abc.abstractmethod
    def _encode(self, vectors: NDArray[Any], scale: NDArray[np.float32], first: int, last: int) -> NDArray[np.bool_]:
        """Write the codes of rows first..last-1; which of them are ill held."""

    def _reserve(self, first: int, total: int) -> None:
        """Make room for the codes of so many rows, and keep those of the first ones."""
        stride = self.row_bytes
        if first == 0 and stride != self.codes.shape[1]:
            self.codes = np.empty((0, stride), np.uint8)
        if len(self.codes) < total or not self.codes.flags.writeable:
            bigger = aligned_bytes(total, stride)
            bigger[:first] = self.codes[:first]
            self.codes = bigger

    def _apart(self) -> None:
        """Write codes to memory of their own from now on: searches may read the present ones."""
        self.codes = np.empty((0, self.row_bytes), np.uint8)

    def _copied_marks(self, part: Self) -> Self:
        part.centre, part.fitted_rows, part.keeps_order = self.centre, self.fitted_rows, self.keeps_order
        part.audited, part.ill_at_fit = self.audited, self.ill_at_fit
        return part

    def _taken_from(self, part: Self) -> None:
        """Rows of this were coded by `part`."""
        del part

    def _blanked(self) -> NDArray[np.uint8]:
        """The codes, where they are kept alone."""
        return self.codes

    def extend(self, vectors: NDArray[Any], scale: NDArray[np.float32], first: int, last: int) -> None:
        """Code rows first..last-1 behind the present ones.

        All rows are coded anew where they are `GROWTH` times those that the codes were chosen from, or too many are ill
        held.
        """
        fitted = self.fitted_rows
        if last >= self.GROWTH * fitted or fitted < ENOUGH <= last:
            self._renew(vectors, scale, last)
            return
        found = self._encode(vectors, scale, first, last)
        self._doubt(vectors, scale, last, first + np.flatnonzero(found))

    def replace(self, vectors: NDArray[Any], scale: NDArray[np.float32], rows: NDArray[np.int64], count: int) -> None:
        """Code some of the `count` rows in use again, whose vectors are other ones now; all, as `extend` does."""
        part = self._like()
        found = part._encode(vectors[rows], scale[rows] if self.metric == COSINE else scale, 0, len(rows))
        if not self.codes.flags.writeable:
            kept, self.codes = self.codes, aligned_bytes(len(self.codes), self.row_bytes)
            self.codes[:] = kept
        self.codes[rows] = part.codes
        self._taken_from(part)
        self._doubt(vectors, scale, count, rows[found])

    def audit(self, vectors: NDArray[Any], scale: NDArray[np.float32], count: int) -> None:
        """Look at `count` rows again, of which others may be left than the codes were chosen from."""
        self.audited, self.fitted_rows = True, min(self.fitted_rows, count)
        self.ill = self.ill[self.ill < count]
        some = spread(count, SAMPLE)
        found = self._like()._encode(vectors[some], scale[some] if self.metric == COSINE else scale, 0, len(some))
        if found.mean() > _MOST_ILL:
            self._apart()
            found = self._encode(vectors, scale, 0, count)
            self._doubt(vectors, scale, count, np.flatnonzero(found))

    def too_many_ill(self, ill: int, count: int) -> bool:
        """Whether codes have to be chosen anew where so many of the rows are ill held."""
        return ill > max(_FEW_ILL, _MOST_ILL * count, self.ill_at_fit)

    def _doubt(self, vectors: NDArray[Any], scale: NDArray[np.float32], count: int, ill: NDArray[np.int64]) -> None:
        if len(ill):
            self.ill = np.union1d(self.ill, ill)
            if self.too_many_ill(len(self.ill), count):
                self._renew(vectors, scale, count)

    def _renew(self, vectors: NDArray[Any], scale: NDArray[np.float32], count: int) -> None:
        """Choose the codes anew and code all rows; the links of those that were ill held, and are not now, are to
        `mend`."""
        self._fit(vectors[:count], scale)
        self._apart()
        found = self._encode(vectors, scale, 0, count)
        better = self.ill[~found[self.ill]] if self.sound else self.ill
        self.mend, self.ill, self.ill_at_fit = np.union1d(self.mend, better), self.ill[:0], int(found.sum())

    def chosen(self, rows: NDArray[np.int64]) -> Self:
        """The codes of chosen rows, in memory of their own."""
        part = self._like()
        part.codes = aligned_bytes(len(rows), self.row_bytes)
        np.take(self.codes, rows, axis=0, out=part.codes)
        part.ill, part.mend = (np.flatnonzero(np.isin(rows, some)) for some in (self.ill, self.mend))
        return part

    def coded(self, rows: NDArray[Any], scale: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Codes of rows, chosen from them the first time; what lies beyond the codes' range becomes its ends."""
        if not self.fitted_rows:
            self.choose(rows, scale)
        part = self._like()
        part._encode(rows, scale, 0, len(rows))
        return part._blanked()

    def choose(self, rows: NDArray[Any], scale: NDArray[np.float32]) -> None:
        """Choose codes for these rows."""
        self._fit(rows, scale)
        self.ill_at_fit = int(self._like()._encode(rows, scale, 0, len(rows)).sum())

    def tried(self, rows: NDArray[Any], scale: NDArray[np.float32], held: int) -> NDArray[np.uint8] | None:
        """`coded` rows beside `held` ones; None where too many are ill held, which count from now on."""
        part = self._like()
        found = part._encode(rows, scale, 0, len(rows))
        if found.any():
            self.ill = np.concatenate([self.ill, held + np.flatnonzero(found)])
            if self.too_many_ill(len(self.ill), held + len(rows)):
                return None
        return part._blanked()
