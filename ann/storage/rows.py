"""How an HNSW index keeps its rows: what every storage does, and the names of those there are.

A storage is one object: it takes rows as users give them, keeps them, makes queries comparable with them, hands them to
kernels as named tuples of arrays (see `distances.rows_cpu`), and says what of it goes into a file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ...graphlib.errors import InvalidInput
from ..metrics import COSINE, HAMMING
from ..stored import laid_out
from .room import copied, grown, twin

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Name, module and class: a line makes a storage.
_STORAGES: dict[str, Any] = {
    "float32": "floats:FloatRows",
    "float16": "halves:HalfRows",
    "int8": "coded:CodedRows",
    "int8-float16": "coded:CodedHalves",
    "int8-only": "alone:CodesAlone",
    "int4": "rabitq.beside:FourBits",
    "1bit": "rabitq.beside:OneBit",
    "int4-only": "rabitq.alone:FourBitsAlone",
    "1bit-only": "rabitq.alone:OneBitAlone",
}
_BITS = "bits:BitRows"  # of metric "hamming", which takes no storage


def storages() -> tuple[str, ...]:
    """The names of all storages.

    >>> storages()
    ('float32', 'float16', 'int8', 'int8-float16', 'int8-only', 'int4', '1bit', 'int4-only', '1bit-only')
    """
    return tuple(_STORAGES)


def storage_class(storage: str, metric: int) -> type[Rows]:
    """The class of a storage of that name; bits are kept in their own way."""
    where: Any = _BITS if metric == HAMMING else _STORAGES[storage]
    if isinstance(where, str):
        module, _, name = where.partition(":")
        where = getattr(importlib.import_module(f".{module}", __package__), name)
    made: type[Rows] = where
    return made


def rows_of(storage: str, metric: int, dim: int) -> Rows:
    """An empty storage of that name."""
    return storage_class(storage, metric)(metric, dim)


class Rows:
    """Rows in one array, `kept`, with a factor per row for cosine: 1 / |row|. Storages derive from it.

    A storage has to say `dtype`, `width`, `encoded`, `given` and `exact`; the rest follows from those unless it keeps
    more than one array.

    Attributes
    ----------
    metric, dim : int
        The metric's number, and the columns of what users give.
    kept : array (capacity, any)
        What is kept of the rows; those in use come first.
    scale : float32 (capacity,) for cosine, else (1,)
    borrowed : bool
        `kept` belongs to a store: it is copied before anything is written to it or behind it.
    """

    dtype: ClassVar[Any] = np.float32
    has_codes: ClassVar[bool] = False  # whether walks may compare codes

    def __init__(self, metric: int, dim: int) -> None:
        self.metric, self.dim = metric, dim
        self.kept: NDArray[Any] = np.empty((0, self.width), self.dtype)
        self.scale = np.ones(1, np.float32)
        self.borrowed = False

    # What a storage says.

    @property
    def width(self) -> int:
        """Columns of `kept`."""
        return self.dim

    def encoded(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Given rows as they are kept, and their factors."""
        raise NotImplementedError

    def given(self, kept: NDArray[Any]) -> NDArray[Any]:
        """Kept rows as users would give them."""
        raise NotImplementedError

    @property
    def exact(self) -> Any:
        """The rows as kernels take them whose distances decide what a search returns."""
        raise NotImplementedError

    @property
    def walk(self) -> Any:
        """The rows as kernels take them that walks compare."""
        return self.exact

    # Queries.

    def ask(self, queries: NDArray[Any], factors: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Given queries as distances of `exact` take them, and their factors."""
        return queries, factors

    def walk_room(self, count: int) -> NDArray[Any] | None:
        """Room for so many queries as `walk` compares them; None: as `exact` does."""
        return None

    def ask_walk(
        self, queries: NDArray[Any], factors: NDArray[np.float32], first: int, last: int, room: NDArray[Any]
    ) -> None:
        """Write the given queries first..last-1 into the room."""

    @property
    def is_coded(self) -> bool:
        """Whether walks compare codes."""
        return False

    @property
    def scans_codes(self) -> bool:
        """Whether those are 8-bit codes, which `code_scan` reads."""
        return False

    def expect(self, queries: NDArray[np.float32]) -> None:
        """Choose codes for queries like these, too; `InvalidInput` where a storage chooses nothing by queries."""
        raise InvalidInput("fit_queries choose the directions of 8-bit codes: use storage='int8', or leave them out")

    # Rows come and go.

    def check(self, rows: NDArray[Any]) -> None:
        """Refuse rows that cannot be kept, before anything is changed."""

    def taken(self, n: int, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """`encoded` rows, about to be kept beside the n in use, which may have to be kept otherwise because of them."""
        return self.encoded(rows)

    def staged(self) -> Self:
        """The same rows, to append others to while these are read: no memory of rows in use is written."""
        return twin(self)

    def append(self, n: int, rows: NDArray[Any]) -> None:
        """Keep given rows behind the n in use."""
        kept, scale = self.taken(n, rows)
        is_given = kept is rows
        if is_given and n == 0 and not self.borrowed:
            kept = kept.copy()
        self._put_behind(n, kept, scale, is_given=is_given)

    def _put_behind(self, n: int, kept: NDArray[Any], scale: NDArray[np.float32], *, is_given: bool = False) -> None:
        total = n + len(kept)
        if n == 0:
            self.kept, self.scale = kept, scale
            self.borrowed &= is_given
            return
        if self.borrowed:
            self.kept, self.scale, self.borrowed = self.kept[:n], self.scale[: max(n, 1)], False
        room = len(self.kept) if total <= len(self.kept) else max(total, n + n // 2)
        self.kept = grown(self.kept, n, room)
        self.kept[n:total] = kept
        if len(scale) == len(kept) and self.has_factors:
            self.scale = grown(self.scale, n, room)
            self.scale[n:total] = scale

    @property
    def has_factors(self) -> bool:
        """Whether every row has a factor of its own."""
        return self.metric == COSINE

    def replace(self, places: NDArray[np.int64], rows: NDArray[Any], n: int) -> None:
        """Keep given rows in the places of others, among the n in use."""
        kept, scale = self.taken(n, rows)
        self.own()
        self.kept[places] = kept
        if self.has_factors:
            self.scale[places] = scale

    def own(self) -> None:
        """Copy what is borrowed, or cannot be written to."""
        if self.borrowed or not self.kept.flags.writeable:
            self.kept, self.borrowed = self.kept.copy(), False
        if not self.scale.flags.writeable:
            self.scale = self.scale.copy()

    def chosen(self, nodes: NDArray[np.int64]) -> Rows:
        """A storage of some rows alone, in memory of its own."""
        part = self.anew()
        part.kept = self.kept[nodes]
        part.scale = self.scale[nodes] if self.has_factors else self.scale
        return part

    def anew(self) -> Rows:
        """An empty storage that keeps rows as this one does, where what is kept cannot be had from them again."""
        return type(self)(self.metric, self.dim)

    def truncate(self, n: int) -> None:
        """Give up the room behind the rows in use."""
        self.kept = self.kept[:n]
        if self.has_factors:
            self.scale = self.scale[:n]

    def settle(self, n: int) -> None:
        """Look again whether what was chosen from the rows fits the n that are in use now."""

    def to_mend(self) -> NDArray[np.int64]:
        """Rows whose links were picked by something that held them badly; they look for links again."""
        return np.empty(0, np.int64)

    def mended(self, nodes: NDArray[np.int64]) -> None:
        """These rows have links that nothing bad picked."""

    # Bytes and files.

    @property
    def nbytes(self) -> int:
        """Bytes held, without factors."""
        return self.kept.nbytes

    @classmethod
    def bytes_of(cls, metric: int, dim: int, num_rows: int) -> tuple[int, int]:
        """Bytes that so many rows take with their factors, and those of codes beside them, at most."""
        return (np.dtype(cls.dtype).itemsize * dim + 4 * (metric == COSINE)) * num_rows, 0

    def into_memory(self, *, walks_only: bool) -> None:
        """Copy the rows out of the file where it is mapped, or only what walks read of them."""
        self.kept, self.scale, self.borrowed = copied(self.kept), self.scale.copy(), False

    @property
    def in_column(self) -> bool:
        """Whether the rows are a float32 column of a store as it is given, beside which an index can be kept."""
        return False

    def columns(self, n: int) -> dict[str, NDArray[Any]]:
        """Columns of the n rows in a file, by name: "vector" and whatever else there is."""
        columns = {"vector": self.kept[:n]}
        if self.has_factors:
            columns["scale"] = self.scale[:n]
        return columns

    def tables(self) -> dict[str, NDArray[Any]]:
        """Matrices in a file that have no row per node, by name."""
        return {}

    def fields(self) -> dict[str, Any]:
        """JSON fields in a file beside those of the index."""
        return {}

    def open(self, n: int, columns: Any, tables: Any, fields: dict[str, Any]) -> None:
        """Take n rows from what `columns`, `tables` and `fields` wrote; `IndexMismatch` where it does not fit.

        `columns` and `tables` are mappings from a name to an array; nothing is read that need not be.
        """
        self.kept = laid_out("vector", columns["vector"], self.dtype, (n, self.width))
        if self.has_factors:
            self.scale = laid_out("scale", columns["scale"], np.float32, (n,))
        self.borrowed = True


__all__ = ["Rows", "rows_of", "storage_class", "storages"]
