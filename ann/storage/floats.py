"""Vectors as they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import plain_view
from ..metrics import inverse_norms, scaled
from .rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FloatRows(Rows):
    """Vectors as they are given; for cosine, those of extreme length times a power of two."""

    def encoded(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        rows = scaled(rows, self.metric)
        return rows, inverse_norms(rows, self.metric)

    def given(self, kept: NDArray[Any]) -> NDArray[Any]:
        return kept

    @property
    def exact(self) -> Any:
        return floats(self.kept, self.scale, self.metric)

    @property
    def in_column(self) -> bool:
        return True


def floats(data: NDArray[Any], scale: NDArray[np.float32], metric: int) -> Any:
    """Vectors as kernels take them."""
    from .floats_cpu import Floats

    return Floats(plain_view(data), plain_view(scale), metric)
