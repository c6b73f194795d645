"""Vectors rounded to float16."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...graphlib.compute.jit import plain_view
from ...graphlib.errors import InvalidInput
from ..metrics import COSINE, L2, inverse_norms, scaled
from ..stored import laid_out
from .rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 65_504.0
_WIDEST = 2.0**14  # for cosine, rows of other lengths are brought near 1
_BLOCK_VALUES = 1 << 22


class HalfRows(Rows):
    """Vectors rounded to float16, whose bits are kept as uint16.

    A coordinate is off by at most 2^-11 of its size, or 2^-25 where that is more (below 2^-14).
    """

    dtype = np.uint16
    NAME: ClassVar[str] = "float16"

    def check(self, rows: NDArray[Any]) -> None:
        if self.metric == COSINE:
            return
        for start in range(0, len(rows), self._step):
            with np.errstate(over="ignore"):
                beyond = np.flatnonzero(np.isinf(rows[start : start + self._step].astype(np.float16)).any(axis=1))
            if len(beyond):
                row = start + int(beyond[0])
                raise InvalidInput(
                    f"storage={self.NAME!r} holds values up to {_MOST:,.0f}; row {row} has "
                    f"{np.abs(rows[row]).max():g}: scale the vectors, or use 'float32' or 'int8-only'"
                )

    @property
    def _step(self) -> int:
        return max(1, _BLOCK_VALUES // self.dim)

    def encoded(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        self.check(rows)
        rows = scaled(rows, self.metric, _WIDEST)
        kept = np.empty(rows.shape, np.float16)
        for start in range(0, len(rows), self._step):
            kept[start : start + self._step] = rows[start : start + self._step]
        metric = self.metric if self.metric == COSINE else L2
        return kept.view(np.uint16), inverse_norms(kept.astype(np.float32) if metric == COSINE else rows, metric)

    def given(self, kept: NDArray[Any]) -> NDArray[Any]:
        return kept.view(np.float16).astype(np.float32)

    @property
    def exact(self) -> Any:
        from .halves_cpu import Halves

        return Halves(plain_view(self.kept), plain_view(self.scale), self.metric)

    def columns(self, n: int) -> dict[str, NDArray[Any]]:
        return {**super().columns(n), "vector": self.kept[:n].view(np.float16)}

    def open(self, n: int, columns: Any, tables: Any, fields: dict[str, Any]) -> None:
        vectors = laid_out("vector", columns["vector"], np.float16, (n, self.dim)).view(np.uint16)
        super().open(n, ChainMap({"vector": vectors}, columns), tables, fields)


def floats_of(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Vectors of float32, or of the bits of float16, as float32."""
    if vectors.dtype == np.uint16:
        vectors = vectors.view(np.float16)
    return vectors.astype(np.float32)
