"""8-bit codes of all coordinates, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...graphlib.compute.jit import plain_view
from ..metrics import COSINE, IP, L2, inverse_norms, scaled
from ..stored import laid_out
from .coded import ranks
from .floats import floats
from .following import ENOUGH
from .room import aligned_bytes, copied, twin
from .rows import Rows
from .scalar_codes import ScalarCodes, widest_row

if TYPE_CHECKING:
    from numpy.typing import NDArray


_NO_FACTOR = np.ones(1, np.float32)


class OnlyCodes(Rows):
    """Codes; until there are `ENOUGH` rows to choose codes from, float32 vectors.

    Attributes
    ----------
    coder : FollowingCodes
        What makes the codes; `fitted_rows` is 0 while rows are kept as they are.
    """

    has_codes = True

    def __init__(self, metric: int, dim: int) -> None:
        self.metric, self.dim = metric, dim
        self.coder: Any = self._new_coder()
        super().__init__(metric, dim)

    def _new_coder(self) -> Any:
        """What makes the codes, before it has seen rows."""
        raise NotImplementedError

    @property
    def exact_codes(self) -> Any:
        """The codes as kernels take them."""
        raise NotImplementedError

    @property
    def is_coded(self) -> bool:
        return bool(self.coder.fitted_rows > 0)

    @property
    def has_factors(self) -> bool:
        return not self.is_coded and super().has_factors

    @property
    def width(self) -> int:
        return int(self.coder.row_bytes) if self.is_coded else self.dim

    def encoded(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        rows = scaled(rows, self.metric)
        factors = inverse_norms(rows, self.metric)
        return (self.coder.coded(rows, factors), _NO_FACTOR) if self.is_coded else (rows, factors)

    def given(self, kept: NDArray[Any]) -> NDArray[Any]:
        """For cosine, codes give rows of length 1."""
        return self.coder.decoded(kept) if self.is_coded else kept

    @property
    def exact(self) -> Any:
        return self.exact_codes if self.is_coded else floats(self.kept, self.scale, self.metric)

    def staged(self) -> Self:
        part = super().staged()
        part.coder = twin(self.coder)
        return part

    def taken(self, n: int, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Codes are chosen where there are enough rows now, and anew where too many of the new ones are held badly."""
        if self.is_coded and n:
            new = scaled(rows, self.metric)
            codes: NDArray[Any] | None = self.coder.tried(new, inverse_norms(new, self.metric), n)
            if codes is not None:
                return codes, _NO_FACTOR
            self._choose(n, rows)
        elif not self.is_coded and n + len(rows) >= ENOUGH:
            self._choose(n, rows)
        return self.encoded(rows)

    def _choose(self, n: int, rows: NDArray[Any]) -> None:
        """Choose codes from the n rows in use and those about to be kept."""
        old = self.given(self.kept[:n])
        every = scaled(np.concatenate([old, rows]) if n else rows, self.metric)
        self.coder = self._new_coder()
        self.coder.choose(every, inverse_norms(every, self.metric))
        room = aligned_bytes(len(self.kept), self.width)
        room[:n], self.scale = self.encoded(old)
        self.kept, self.borrowed = room, False

    def anew(self) -> Rows:
        part = super().anew()
        part.coder = self.coder  # type: ignore[attr-defined]
        return part

    @property
    def nbytes(self) -> int:
        return int(super().nbytes + self.coder.nbytes)

    def into_memory(self, *, walks_only: bool) -> None:
        self.kept, self.scale, self.borrowed = copied(self.kept), self.scale.copy(), False

    def tables(self) -> dict[str, NDArray[Any]]:
        return self.coder.tables() if self.is_coded else {}

    def fields(self) -> dict[str, Any]:
        return self.coder.fields() if self.is_coded else {}

    def open(self, n: int, columns: Any, tables: Any, fields: dict[str, Any]) -> None:
        if columns["vector"].dtype == np.uint8:
            self.coder.open(columns["vector"], tables, fields)
            self.kept = laid_out("vector", columns["vector"], np.uint8, (n, self.width))
            self.borrowed = True
        else:
            super().open(n, columns, tables, fields)


class CodesAlone(OnlyCodes):
    """All coordinates as 8-bit codes with one step."""

    def _new_coder(self) -> ScalarCodes:
        return ScalarCodes(self.metric, self.dim, alone=True)

    @property
    def scans_codes(self) -> bool:
        return self.is_coded

    @property
    def exact_codes(self) -> Any:
        from .alone_cpu import Codes

        coder, step = self.coder, self.coder.step
        factor = {IP: step, L2: step * step, COSINE: step * step / 2}[self.metric]
        return Codes(
            plain_view(self.kept), np.float32(factor), IP if self.metric == IP else L2, coder.query_centre,
            plain_view(coder.basis), np.float32(1 if self.metric == IP else step), coder.width,
        )  # fmt: skip

    @property
    def walk(self) -> Any:
        return ranks(self.coder, self.kept) if self.is_coded else self.exact

    def ask(self, queries: NDArray[Any], factors: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        if not self.is_coded:
            return queries, factors
        # A query without length is at distance 1 from every row.
        return self.coder.projected(queries, factors), (factors != 0).astype(np.float32)

    def walk_room(self, count: int) -> NDArray[Any] | None:
        return np.empty((count, self.width), np.int8) if self.is_coded else None

    def ask_walk(
        self, queries: NDArray[Any], factors: NDArray[np.float32], first: int, last: int, room: NDArray[Any]
    ) -> None:
        self.coder.encode_queries(queries, factors, first, last, room)

    @classmethod
    def bytes_of(cls, metric: int, dim: int, num_rows: int) -> tuple[int, int]:
        return (widest_row(dim) * num_rows, 0) if num_rows >= ENOUGH else super().bytes_of(metric, dim, num_rows)
