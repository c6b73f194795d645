"""A store's nodes as the rows of an index: their vectors, their ids, and conditions on their columns."""

from __future__ import annotations

import copy
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import IndexMismatch, NotFound
from ..graphlib.store.text import TextColumn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.store.store import GraphStore
    from .ids import RowIds


class NodeCondition:
    """The nodes that an index was made from: notices another column, and answers SQL conditions with a bitmap of rows.

    A row stands for the node whose id it has, wherever it lies; rows with ids that the store has not never pass.
    """

    def __init__(
        self, store: GraphStore, node_type: str | None, ids: NDArray[Any], column: str, vectors: NDArray[np.float32]
    ) -> None:
        self._store, self._node_type, self._ids = store, node_type, ids
        self._columns = store.nodes(node_type)
        self._column, self._vectors = column, vectors
        self._made_from = checksum(vectors) if vectors.flags.writeable else None  # a committed column stays as it is
        self.in_order = True  # row i is node i

    def scattered(self) -> NodeCondition:
        """The same for rows that no longer lie in the order of the nodes."""
        other = copy.copy(self)
        other.in_order = False
        return other

    def check_column(self) -> None:
        """`IndexMismatch` where the column holds other values than the index was made from; else O(1).

        A column that is another array is compared once: a commit puts a map of the file in its place.
        """
        if self._column not in self._columns:
            return
        now: Any = self._columns.stored(self._column)
        if now is self._vectors:
            return
        made_from = checksum(self._vectors) if self._made_from is None else self._made_from
        if (
            isinstance(now, TextColumn)
            or now.shape != self._vectors.shape
            or now.dtype != np.float32
            or checksum(now) != made_from
        ):
            raise IndexMismatch(
                f"column {self._column!r} was replaced since the index was made from it; make the index again with "
                "from_store"
            )
        self._vectors = now

    def check_values(self) -> None:
        """`IndexMismatch` where values were written into the column since the index was made; reads all of it."""
        if self._made_from is not None and checksum(self._vectors) != self._made_from:
            raise IndexMismatch(
                f"values were written into column {self._column!r} since the index was made from it; make the index "
                "again with from_store"
            )

    def __call__(self, sql: str, rows: RowIds) -> NDArray[np.bool_]:
        passing = self._store.where(sql, node_type=self._node_type, as_bitmap=True)
        if self.in_order:
            return passing
        found = rows.positions(self._ids[passing])
        bitmap = np.zeros(len(rows), bool)
        bitmap[found[found >= 0]] = True
        return bitmap


def checksum(rows: NDArray[Any]) -> int:
    """CRC-32 of the rows' bytes, in their order."""
    return zlib.crc32(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)


def store_column(store: GraphStore, column: str, node_type: str | None) -> NDArray[np.float32]:
    """A node column as a float32 matrix, not copied; `IndexMismatch` when it is something else."""
    values = store.nodes(node_type).private(column)
    if values.dtype != np.float32 or values.ndim != 2 or not values.shape[1] or not values.flags.c_contiguous:
        raise IndexMismatch(
            f"column {column!r} is {values.dtype}{list(values.shape)}, but an index needs a float32 matrix; assign "
            "np.ascontiguousarray(x, np.float32) as a new column"
        )
    return values


def store_ids(store: GraphStore, node_type: str | None, count: int, *, text: bool) -> NDArray[Any]:
    """The user ids of a store's nodes, else their positions; also where they are text, unless `text`."""
    try:
        ids = store.ids(node_type)
    except NotFound as error:
        raise IndexMismatch(str(error)) from error
    if ids is None or (ids.dtype != np.int64 and not text):
        return np.arange(count, dtype=np.int64)
    return ids
