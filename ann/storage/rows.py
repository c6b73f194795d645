"""How an HNSW index keeps its rows, by the name of its storage: what is kept, and what queries become.

A graph's kernels see an array whose dtype tells the form (see `row_sums_cpu`): float32 vectors, float16 as uint16,
8-bit codes of all coordinates as uint8, packed bits as uint64. Everything else asks the graph's `form` to translate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput
from ..metrics import COSINE, HAMMING, IP, L2, as_words, inverse_norms, scaled
from .scalar_codes import ENOUGH, ScalarCodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

STORAGES = ("float32", "float16", "int8", "int8-only")
_MOST_HALF = 65_504.0
_WIDEST_HALF = 2.0**14  # for cosine, rows of other lengths are brought near 1
_BLOCK_VALUES = 1 << 22


class FloatRows:
    """Vectors as they are given. Other forms derive from it.

    Attributes
    ----------
    dim : int
        Columns of what users give.
    metric : int
        The metric that kernels compute.
    coder : ScalarCodes or None
        What makes codes of rows, where nothing else is kept of them.
    """

    coder: ScalarCodes | None = None

    def __init__(self, metric: int, dim: int) -> None:
        self.metric, self.dim = metric, dim

    @property
    def nbytes(self) -> int:
        """Bytes held beside the rows."""
        return 0

    def keep(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Given rows as they are kept, and the kernels' `scale` of them."""
        rows = scaled(rows, self.metric)
        return rows, inverse_norms(rows, self.metric)

    def given(self, kept: NDArray[Any]) -> NDArray[Any]:
        """Kept rows as users would give them (for cosine, codes give rows of length 1)."""
        return kept

    def ask(self, queries: NDArray[Any], factors: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Given queries as kernels compare them with kept rows, and their factors."""
        return queries, factors

    def walk(self, asked: NDArray[Any]) -> NDArray[Any]:
        """Queries of `ask` as walks compare them with kept rows."""
        return asked


class HalfRows(FloatRows):
    """Vectors rounded to float16, whose bits are kept as uint16.

    A coordinate is off by at most 2^-11 of its size, or 2^-25 where that is more (below 2^-14).
    """

    def keep(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        rows = scaled(rows, self.metric, _WIDEST_HALF)
        kept = np.empty(rows.shape, np.float16)
        step = max(1, _BLOCK_VALUES // rows.shape[1])
        with np.errstate(over="ignore"):
            for start in range(0, len(rows), step):
                kept[start : start + step] = rows[start : start + step]
        beyond = np.flatnonzero(np.isinf(kept).any(axis=1))
        if len(beyond):
            raise InvalidInput(
                f"storage='float16' holds values up to {_MOST_HALF:,.0f}; row {beyond[0]} has "
                f"{np.abs(rows[beyond[0]]).max():g}: scale the vectors, or use 'float32' or 'int8-only'"
            )
        scale = (
            inverse_norms(kept.astype(np.float32), self.metric) if self.metric == COSINE else inverse_norms(rows, L2)
        )
        return kept.view(np.uint16), scale

    def given(self, kept: NDArray[Any]) -> NDArray[Any]:
        return kept.view(np.float16).astype(np.float32)


class CodeRows(FloatRows):
    """All coordinates as 8-bit codes with one step; nothing else is kept.

    Cosine is compared as half the squared distance of unit vectors, which equals 1 - cos. An index holds vectors as
    they are until there are `ENOUGH` to choose codes from.
    """

    def __init__(self, metric: int, dim: int) -> None:
        super().__init__(L2 if metric == COSINE else metric, dim)
        self.coder: ScalarCodes = ScalarCodes(metric, dim, alone=True)

    @property
    def nbytes(self) -> int:
        return self.coder.nbytes

    @property
    def scale(self) -> NDArray[np.float32]:
        """What sums over codes are multiplied by."""
        step = self.coder.step
        factor = {IP: step, L2: step * step, COSINE: step * step / 2}[self.coder.metric]
        return np.array([factor], np.float32)

    def keep(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        rows = scaled(rows, self.coder.metric)
        return self.coder.coded(rows, inverse_norms(rows, self.coder.metric)), self.scale

    def widened(self, kept: NDArray[np.uint8], rows: NDArray[np.float32]) -> NDArray[np.uint8] | None:
        """Codes of the kept rows chosen anew, where the present ones hold too many of the new rows ill."""
        rows = scaled(rows, self.coder.metric)
        if not self.coder.is_outgrown(rows, inverse_norms(rows, self.coder.metric), len(kept)):
            return None
        old = self.coder.decoded(kept)
        return self.chosen_from(old, rows)

    def chosen_from(self, old: NDArray[np.float32], new: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Choose the codes anew, from rows as users give them; the codes of the old ones."""
        rows = scaled(np.concatenate([old, new]), self.coder.metric)
        self.coder = ScalarCodes(self.coder.metric, self.dim, alone=True)
        self.coder.choose(rows, inverse_norms(rows, self.coder.metric))
        return self.keep(rows[: len(old)])[0]

    def given(self, kept: NDArray[Any]) -> NDArray[Any]:
        return self.coder.decoded(kept)

    def ask(self, queries: NDArray[Any], factors: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        # A query without length is at distance 1 from every row: see `distances_cpu.distance`.
        return self.coder.projected(queries, factors), (factors != 0).astype(np.float32)

    def walk(self, asked: NDArray[Any]) -> NDArray[Any]:
        return self.coder.rounded(asked)


class BitRows(FloatRows):
    """Packed bits, uint8, padded to whole 64-bit words."""

    def keep(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        return as_words(rows), inverse_norms(rows, HAMMING)

    def given(self, kept: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(kept).view(np.uint8)[:, : self.dim]

    def ask(self, queries: NDArray[Any], factors: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        return as_words(queries), factors


def form_of(storage: str, metric: int, dim: int, count: int = ENOUGH) -> FloatRows:
    """The form of the rows of an index with that storage that holds so many of them."""
    if storage == "int8-only" and count < ENOUGH:
        return FloatRows(metric, dim)
    if metric == HAMMING:
        return BitRows(metric, dim)
    return {"float16": HalfRows, "int8-only": CodeRows}.get(storage, FloatRows)(metric, dim)


__all__ = ["STORAGES", "BitRows", "CodeRows", "FloatRows", "HalfRows", "form_of"]
