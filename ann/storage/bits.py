"""Packed bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import plain_view
from ..metrics import as_words
from ..stored import laid_out
from .rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORD = 8
_NO_FACTOR = np.ones(1, np.float32)


class BitRows(Rows):
    """Packed bits, uint8, padded to whole 64-bit words."""

    dtype = np.uint64

    @property
    def width(self) -> int:
        return -(-self.dim // _WORD)

    def encoded(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        return as_words(rows), _NO_FACTOR

    def given(self, kept: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(kept).view(np.uint8)[:, : self.dim]

    def ask(self, queries: NDArray[Any], factors: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        return as_words(queries), factors

    @property
    def exact(self) -> Any:
        return bits(self.kept, self.metric)

    @classmethod
    def bytes_of(cls, metric: int, dim: int, num_rows: int) -> tuple[int, int]:
        return num_rows * -(-dim // _WORD) * _WORD, 0

    def columns(self, n: int) -> dict[str, NDArray[Any]]:
        return {"vector": self.kept[:n].view(np.uint8)}

    def open(self, n: int, columns: Any, tables: Any, fields: dict[str, Any]) -> None:
        words = laid_out("vector", columns["vector"], np.uint8, (n, _WORD * self.width)).view(np.uint64)
        super().open(n, {"vector": words}, tables, fields)


def bits(data: NDArray[np.uint64], metric: int) -> Any:
    """Words of bits as kernels take them."""
    from .bits_cpu import Bits

    return Bits(plain_view(data), metric)
