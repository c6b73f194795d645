"""Adjacency: the one form in which algorithms see edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compute.threads import pieces
from ..errors import InvalidInput
from ..scalars import is_integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGES_AT_ONCE = 1 << 20  # some milliseconds of counting
_INT32_MAX = np.iinfo(np.int32).max


class CompressedRows:
    """Entries by rows: row v is the slice `indptr[v]:indptr[v + 1]` of `indices` and of what lies beside them."""

    indptr: NDArray[np.int64]
    indices: NDArray[Any]

    @property
    def num_rows(self) -> int:
        return int(self.indptr.shape[0]) - 1

    @property
    def num_entries(self) -> int:
        return int(self.indices.shape[0])

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in vars(self).values() if isinstance(part, np.ndarray))


@dataclass(frozen=True, eq=False, repr=False)
class Adjacency(CompressedRows):
    """Compressed rows of neighbours. Arrays are shared with the store: treat them as read-only.

    Attributes
    ----------
    indptr : int64 (num_rows + 1,)
        Row v is the slice `indptr[v]:indptr[v + 1]` of the arrays below.
    indices : int32 or int64 (num_entries,)
        Neighbours; int32 when the ids fit. Rows are sorted by (neighbour, edge id), or by (time, edge id) on request.
    edge_ids : int32 or int64 (num_entries,)
        The edge behind every entry: a position in the store's edge columns.
    weight : float32 (num_entries,) or None
    time : int64 or float64 (num_entries,) or None
    num_cols : int
        Neighbours are in [0, num_cols).
    """

    indptr: NDArray[np.int64]
    indices: NDArray[Any]
    edge_ids: NDArray[Any]
    weight: NDArray[np.float32] | None
    time: NDArray[Any] | None
    num_cols: int

    def degrees(self) -> NDArray[np.int64]:
        """Entries per row, int64 (num_rows,); parallel edges count each."""
        return np.diff(self.indptr)

    def neighbors(self, row: int) -> NDArray[Any]:
        """The neighbours of one row, as a view.

        Raises
        ------
        InvalidInput
            A row that is no integer in [0, num_rows).
        """
        if not is_integer(row) or not 0 <= row < self.num_rows:
            raise InvalidInput(f"neighbors takes one row, an integer in 0..{self.num_rows - 1}; got {row!r:.50}")
        return self.indices[self.indptr[row] : self.indptr[row + 1]]

    def __repr__(self) -> str:
        extras = [name for name in ("weight", "time") if getattr(self, name) is not None]
        carries = f", with {' and '.join(extras)}" if extras else ""
        return (
            f"Adjacency({self.num_rows:,} rows x {self.num_cols:,} columns, {self.num_entries:,} entries, "
            f"{self.indices.dtype}{carries}, {self.nbytes / 2**20:.1f} MiB)"
        )


def id_dtype(count: int) -> type[np.int32] | type[np.int64]:
    """The dtype of ids in [0, count): int32 when they fit, else int64."""
    return np.int32 if count <= _INT32_MAX else np.int64


def build_adjacency(
    src: NDArray[Any],
    dst: NDArray[Any],
    num_rows: int,
    num_cols: int,
    *,
    both_ends: bool = False,
    first_edge: int = 0,
) -> Adjacency:
    """Rows of `src` listing `dst`; with `both_ends`, every edge is listed in the rows of both of its ends.

    Edge i is called `first_edge + i`. O(nodes + edges) time, 8 bytes per entry beside the result.
    """
    from . import adjacency_cpu as kernels

    indptr = np.zeros(num_rows + 1, np.int64)
    for a, b in pieces(src.shape[0], first=EDGES_AT_ONCE):
        kernels.count_rows(src[a:b], indptr)
        if both_ends:
            kernels.count_other_ends(src[a:b], dst[a:b], indptr)
    np.cumsum(indptr, out=indptr)
    indices = np.empty(int(indptr[-1]), id_dtype(max(num_rows, num_cols)))
    edge_ids = np.empty(indices.shape[0], id_dtype(first_edge + src.shape[0]))
    place = kernels.place_both_ends if both_ends else kernels.place_edges
    cursor = indptr[:-1].copy()
    for a, b in pieces(src.shape[0], first=EDGES_AT_ONCE):
        place(src[a:b], dst[a:b], a, cursor, indices, edge_ids)
    kernels.sort_rows(indptr, indices, edge_ids)
    if first_edge:
        edge_ids += edge_ids.dtype.type(first_edge)
    return Adjacency(indptr, indices, edge_ids, None, None, num_cols)


def merge_adjacency(base: Adjacency, delta: Adjacency, num_rows: int, num_cols: int) -> Adjacency:
    """The adjacency of both edge sets together; the delta's edge ids come after the base's."""
    from . import adjacency_cpu as kernels

    indptr = np.zeros(num_rows + 1, np.int64)
    indptr[1 : base.num_rows + 1] += base.degrees()
    indptr[1 : delta.num_rows + 1] += delta.degrees()
    np.cumsum(indptr, out=indptr)
    indices = np.empty(int(indptr[-1]), id_dtype(max(num_rows, num_cols)))
    edge_ids = np.empty(indices.shape[0], np.promote_types(base.edge_ids.dtype, delta.edge_ids.dtype))
    kernels.merge_rows(
        *(base.indptr, base.indices, base.edge_ids, delta.indptr, delta.indices, delta.edge_ids),
        *(indptr, indices, edge_ids),
    )
    return Adjacency(indptr, indices, edge_ids, None, None, num_cols)


def with_values(rows: Adjacency, weight: NDArray[Any] | None, time: NDArray[Any] | None) -> Adjacency:
    """`rows` carrying weights and times, given in edge order."""
    return Adjacency(
        rows.indptr, rows.indices, rows.edge_ids, in_row_order(rows, weight), in_row_order(rows, time), rows.num_cols
    )


def in_row_order(rows: Adjacency, values: NDArray[Any] | None) -> NDArray[Any] | None:
    """Values given in edge order, one per adjacency entry."""
    if values is None:
        return None
    from . import adjacency_cpu as kernels

    out = np.empty(rows.num_entries, values.dtype)
    kernels.take(values, rows.edge_ids, out)
    return out


def ordered_by_time(rows: Adjacency) -> Adjacency:
    """A copy with every row sorted by (time, edge id)."""
    from . import adjacency_cpu as kernels

    if rows.time is None:
        raise ValueError("ordered_by_time: the adjacency carries no time")
    indices, edge_ids, time = rows.indices.copy(), rows.edge_ids.copy(), rows.time.copy()
    before = rows.weight
    kernels.sort_rows_by_time(rows.indptr, indices, edge_ids, time)
    ordered = Adjacency(rows.indptr, indices, edge_ids, None, time, rows.num_cols)
    if before is None:
        return ordered
    by_edge = np.empty(int(edge_ids.max(initial=-1)) + 1, before.dtype)
    by_edge[rows.edge_ids] = before
    return Adjacency(rows.indptr, indices, edge_ids, in_row_order(ordered, by_edge), time, rows.num_cols)
