"""Vectors rounded to float16, and beside them codes of one or four bits a coordinate that walks compare."""

from __future__ import annotations

from typing import Any, ClassVar

from ....graphlib.compute.jit import plain_view
from ..coded import BesideCodes
from ..halves import HalfRows
from .codes import BitCodes
from .layout import row_bytes_of


class FewBits(BesideCodes, HalfRows):
    """Walks compare estimates of distances (see `BitCodes`); distances of the float16 vectors decide."""

    BITS: ClassVar[int]

    def __init__(self, metric: int, dim: int) -> None:
        super().__init__(metric, dim)
        self.codes = BitCodes(metric, dim, self.BITS)

    @property
    def walk(self) -> Any:
        if not self.is_coded:
            return self.exact
        from .estimates_cpu import Estimates

        codes = self.codes
        return Estimates(
            plain_view(codes.codes), plain_view(self.kept), plain_view(self.scale), codes.centre, codes.signs,
            codes.bits, codes.metric,
        )  # fmt: skip

    @classmethod
    def bytes_of(cls, metric: int, dim: int, num_rows: int) -> tuple[int, int]:
        return super().bytes_of(metric, dim, num_rows)[0], row_bytes_of(dim, cls.BITS) * num_rows


class OneBit(FewBits):
    """One bit a coordinate."""

    NAME, BITS = "1bit", 1


class FourBits(FewBits):
    """Four bits a coordinate."""

    NAME, BITS = "int4", 4
