"""Vectors as they are given or rounded to float16, and beside them 8-bit codes that walks compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ...graphlib.compute.jit import plain_view
from ..stored import laid_out
from .floats import FloatRows
from .halves import HalfRows
from .room import copied, twin
from .rows import Rows
from .scalar_codes import ScalarCodes, widest_row

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BesideCodes(Rows):
    """Vectors as another storage keeps them, and beside them codes that walks compare where those are sound."""

    has_codes = True
    codes: Any

    @property
    def is_coded(self) -> bool:
        return bool(self.codes.sound)

    def walk_room(self, count: int) -> NDArray[Any] | None:
        return np.empty((count, self.codes.query_bytes), np.int8) if self.is_coded else None

    def ask_walk(
        self, queries: NDArray[Any], factors: NDArray[np.float32], first: int, last: int, room: NDArray[Any]
    ) -> None:
        self.codes.encode_queries(queries, factors, first, last, room)

    def staged(self) -> Self:
        part = super().staged()
        part.codes = twin(self.codes)
        return part

    def append(self, n: int, rows: NDArray[Any]) -> None:
        super().append(n, rows)
        self._look_once(n)
        self.codes.extend(self.kept, self.scale, n, n + len(rows))

    def replace(self, places: NDArray[np.int64], rows: NDArray[Any], n: int) -> None:
        super().replace(places, rows, n)
        self._look_once(n)
        self.codes.replace(self.kept, self.scale, places, n)

    def _look_once(self, n: int) -> None:
        if not self.codes.audited:
            self.codes.audit(self.kept, self.scale, n)

    def chosen(self, nodes: NDArray[np.int64]) -> Rows:
        part = super().chosen(nodes)
        part.codes = self.codes.chosen(nodes)  # type: ignore[attr-defined]
        return part

    def settle(self, n: int) -> None:
        self.codes.audit(self.kept, self.scale, n)

    def to_mend(self) -> NDArray[np.int64]:
        mend: NDArray[np.int64] = self.codes.mend
        return mend

    def mended(self, nodes: NDArray[np.int64]) -> None:
        self.codes.mend = np.setdiff1d(self.codes.mend, nodes)

    @property
    def nbytes(self) -> int:
        return int(super().nbytes + self.codes.nbytes)

    def into_memory(self, *, walks_only: bool) -> None:
        if walks_only and self.is_coded:
            self.scale = self.scale.copy()
        else:
            super().into_memory(walks_only=walks_only)
        self.codes.codes = copied(self.codes.codes)

    def columns(self, n: int) -> dict[str, NDArray[Any]]:
        return {**super().columns(n), "code": self.codes.codes[:n]}

    def tables(self) -> dict[str, NDArray[Any]]:
        tables: dict[str, NDArray[Any]] = self.codes.tables()
        return tables

    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = self.codes.fields()
        return fields

    def open(self, n: int, columns: Any, tables: Any, fields: dict[str, Any]) -> None:
        super().open(n, columns, tables, fields)
        self.codes.open(columns["code"], tables, fields)
        self.codes.codes = laid_out("code", columns["code"], np.uint8, (n, self.codes.row_bytes))


class EightBits(BesideCodes):
    """Beside the vectors, codes of their principal directions (see `ScalarCodes`)."""

    def __init__(self, metric: int, dim: int) -> None:
        super().__init__(metric, dim)
        self.codes = ScalarCodes(metric, dim)

    def expect(self, queries: NDArray[np.float32]) -> None:
        self.codes.expect(queries)

    def anew(self) -> Rows:
        part = super().anew()
        part.codes.fit_queries = self.codes.fit_queries  # type: ignore[attr-defined]
        return part

    @property
    def scans_codes(self) -> bool:
        return self.is_coded

    @property
    def walk(self) -> Any:
        return ranks(self.codes) if self.is_coded else self.exact

    @classmethod
    def bytes_of(cls, metric: int, dim: int, num_rows: int) -> tuple[int, int]:
        return super().bytes_of(metric, dim, num_rows)[0], widest_row(dim) * num_rows


class CodedRows(EightBits, FloatRows):
    """float32 vectors, and 8-bit codes beside them."""


class CodedHalves(EightBits, HalfRows):
    """Vectors rounded to float16, and 8-bit codes beside them."""

    NAME: ClassVar[str] = "int8-float16"


def ranks(codes: ScalarCodes, data: NDArray[np.uint8] | None = None) -> Any:
    """Codes as kernels take them."""
    from .codes_cpu import Ranks

    return Ranks(
        plain_view(codes.codes if data is None else data), codes.query_centre, codes.directions,
        codes.query_step, codes.origin, codes.width,
    )  # fmt: skip
