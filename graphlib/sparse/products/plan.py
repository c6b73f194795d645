"""How a product is cut into tasks, and what memory it may need: known before the work begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...store.adjacency import id_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..csr import CSR
    from .spgemm import Job

TASK_BYTES = 4 << 20  # of output, at most: it is moved to the result while it lies in a cache
_LEAST_TASK, _SHARED_TASK, _TASK = 1 << 15, 1 << 18, 1 << 19  # products; of several workers, and of one
_SLOTS = 3  # outputs in the making or waiting to be moved, a worker
_HASHED_COLUMNS = 1 << 21  # from this width on, rows of few products go through a hash table in the first cache
_FEW_PRODUCTS = 512
_DENSE_COLUMNS = 1 << 25  # from this width on, all rows do


@dataclass(frozen=True)
class ProductEstimate:
    """What a product takes, at most.

    Attributes
    ----------
    products : int
        Multiplications; time is proportional to it.
    max_entries : int
        Upper bound of the entries of the result.
    result_bytes : int
        Upper bound of the result's size.
    scratch_bytes : int
        Working memory of all threads together.
    longest_row : int
        Upper bound of the entries of a row.
    """

    products: int
    max_entries: int
    result_bytes: int
    scratch_bytes: int
    longest_row: int


@dataclass(frozen=True, eq=False)
class Plan:
    """Tasks of a product: rows `starts[t]:starts[t + 1]`, at most `bounds[t]` entries each."""

    products: NDArray[np.int64]
    starts: NDArray[np.int64]
    bounds: NDArray[np.int64]
    max_entries: int
    longest_row: int
    longest_mask: int
    few_products: int
    workers: int
    entry_bytes: int
    num_cols: int
    keeps: bool

    @property
    def places(self) -> int:
        """Slots of a worker's array of places."""
        return 0 if self.few_products == np.iinfo(np.int64).max else self.num_cols

    @property
    def cells(self) -> int:
        """Slots of a worker's dense accumulator: a value and a stamp each."""
        return 0 if self.keeps else self.places

    @property
    def table_size(self) -> int:
        """Slots of a worker's hash table."""
        most = int(self.products.max(initial=0))
        return 1 << max(4, (2 * min(self.few_products, most) - 1).bit_length()) if self.few_products >= 0 else 0

    @property
    def slot_entries(self) -> int:
        """Room of a task's output, which may write to the place behind its last entry."""
        return int(self.bounds.max(initial=0)) + 1

    @property
    def ahead(self) -> int:
        """Tasks that may be begun before an earlier one is moved to the result."""
        return (_SLOTS - 1) * self.workers

    def estimate(self) -> ProductEstimate:
        own = 4 * self.places + 4 * self.table_size + self.num_cols // 7 + self.longest_mask
        own += (8 if self.entry_bytes <= 8 else 16) * self.cells + self.entry_bytes * self.longest_row
        return ProductEstimate(
            int(self.products.sum()),
            self.max_entries,
            self.max_entries * self.entry_bytes + 8 * (self.products.shape[0] + 1),
            self.workers * (own + _SLOTS * self.entry_bytes * self.slot_entries),
            self.longest_row,
        )


def row_products(A: CSR, B: CSR) -> NDArray[np.int64]:
    """How many products every row of `A @ B` is the sum of."""
    from .multiply_cpu import count_products

    found = np.empty(A.num_rows, np.int64)
    count_products(A.indptr, A.indices, B.indptr, found)
    return found


def make_plan(job: Job, threads: int) -> Plan:
    """Cut the rows; the result of the product does not depend on the plan."""
    A, B, mask, products = job.A, job.B, job.mask, job.products
    bounds = np.minimum(products, B.num_cols)
    longest_mask, keeps = 0, False
    if mask is not None and not job.complement:
        keeps = True
        bounds = np.diff(mask.indptr)  # a row is marked whole before it is filled
        longest_mask = int(bounds.max(initial=0))
    kept = np.minimum(bounds, job.top_k) if job.top_k else bounds
    work = np.concatenate([[0], np.cumsum(products + 1)])
    size = int(np.clip(work[-1] // (16 * threads), _LEAST_TASK, _TASK if threads == 1 else _SHARED_TASK))
    cuts = np.searchsorted(work, np.arange(1, max(1, int(work[-1]) // size)) * size)
    starts = np.unique(np.concatenate([[0], cuts, [A.num_rows]])).astype(np.int64)
    entry_bytes = np.dtype(id_dtype(B.num_cols)).itemsize + (0 if job.dtype is None else job.dtype.itemsize)
    room = np.concatenate([[0], np.cumsum(bounds)])
    starts = _split_rooms(starts, room, max(1, TASK_BYTES // entry_bytes))
    task_bounds = np.diff(room[starts])
    hashed = B.num_cols >= _HASHED_COLUMNS and mask is None
    few = _FEW_PRODUCTS if hashed else -1
    if hashed and B.num_cols >= _DENSE_COLUMNS:
        few = np.iinfo(np.int64).max
    return Plan(
        *(products, starts, task_bounds, int(kept.sum()), int(bounds.max(initial=0)), longest_mask, int(few)),
        *(threads, entry_bytes, B.num_cols),
        keeps,
    )


def _split_rooms(starts: NDArray[np.int64], room: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Cut tasks that may write more than `most` entries, unless they are a single row."""
    pieces = [starts]
    for t in np.flatnonzero(np.diff(room[starts]) > most):
        first, last = int(starts[t]), int(starts[t + 1])
        targets = np.arange(room[first] + most, room[last], most)
        pieces.append(np.clip(np.searchsorted(room, targets, "right") - 1, first, last))
        pieces.append(np.clip(np.searchsorted(room, targets, "right"), first, last))  # a long row stands alone
    return np.unique(np.concatenate(pieces)).astype(np.int64)
