"""Codes of one or four bits a coordinate, and nothing else: estimates are the distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ....graphlib.compute.jit import plain_view
from ..alone import OnlyCodes
from ..following import ENOUGH
from .codes import BitCodes
from .layout import row_bytes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FewBitsAlone(OnlyCodes):
    """Estimates of distances (see `BitCodes`) are what walks compare and what is returned."""

    BITS: ClassVar[int]

    def _new_coder(self) -> BitCodes:
        return BitCodes(self.metric, self.dim, self.BITS)

    @property
    def exact_codes(self) -> Any:
        from .estimates_cpu import EstimatesAlone

        coder = self.coder
        return EstimatesAlone(
            plain_view(self.kept), coder.centre, coder.signs, coder.turned, coder.bits, coder.metric
        )  # fmt: skip

    def ask(self, queries: NDArray[Any], factors: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        if not self.is_coded:
            return queries, factors
        out = np.empty((len(queries), self.coder.query_bytes), np.int8)
        self.coder.encode_queries(queries, factors, 0, len(queries), out)
        return out, factors

    @classmethod
    def bytes_of(cls, metric: int, dim: int, num_rows: int) -> tuple[int, int]:
        enough = num_rows >= ENOUGH
        return (row_bytes_of(dim, cls.BITS) * num_rows, 0) if enough else super().bytes_of(metric, dim, num_rows)


class OneBitAlone(FewBitsAlone):
    """One bit a coordinate."""

    BITS = 1


class FourBitsAlone(FewBitsAlone):
    """Four bits a coordinate."""

    BITS = 4
