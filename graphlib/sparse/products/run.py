"""Running a checked product: tasks are made in memory that stays in a cache, and moved to the result in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...compute.relay import relay
from ...compute.threads import obey
from ...store.adjacency import id_dtype
from ..csr import CSR
from .plan import Plan, make_plan
from .semirings import ANY_PAIR, PLUS_PAIR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from .spgemm import Job

_RESERVE = 1 << 35  # bytes of address space that a result may reserve before it is known


def unsigned(array: NDArray[Any]) -> NDArray[Any]:
    """Columns as unsigned integers of the same memory, so that kernels need not look for negative ones."""
    from ...compute.jit import plain_view

    return plain_view(array).view(np.uint32 if array.dtype == np.int32 else np.uint64)


def kernel_matrix(m: CSR, dtype: np.dtype[Any] | None, semiring: int) -> tuple[NDArray[Any], ...]:
    """(indptr, columns, values) as kernels take them; a semiring that counts reads no values."""
    from ...compute.jit import plain_view

    kind = np.float32 if dtype is None else dtype
    if semiring in (PLUS_PAIR, ANY_PAIR):
        values: NDArray[Any] = np.empty(0, kind)
    elif m.values is None:
        values = np.ones(m.num_entries, kind)
    else:
        values = plain_view(m.values.astype(kind, copy=False))
    return plain_view(m.indptr), unsigned(m.indices), values


def multiply(job: Job, sort: bool, upper: bool, threads: int, out: str | Path | None) -> CSR:
    """The product by rows."""
    plan = make_plan(job, threads)
    kind = id_dtype(job.B.num_cols)
    if out is not None:
        from .files import ProductWriter

        width = job.B.num_cols if job.columns is None else job.num_cols
        with ProductWriter(out, job.A.num_rows, width, id_dtype(width), job.dtype) as writer:
            work = _Work(job, plan, sort, upper)
            work.run(lambda rows, idx, val: writer.append(rows.start, work.sizes[rows], idx, val, job.columns))
            return writer.finish()
    most = plan.max_entries
    if most * plan.entry_bytes > _RESERVE:  # count first: the bound may be far above the result
        counted = _Work(job, plan, False, upper)
        counted.run(lambda rows, idx, val: None)
        most = int(counted.sizes.sum())
    alone = threads == 1 and most == plan.max_entries and not job.top_k and job.threshold is None
    most += alone  # what is written where it belongs may go to the place behind its last entry
    indices = np.empty(most, kind)
    values = None if job.dtype is None else np.empty(most, job.dtype)
    into = (unsigned(indices), np.empty(0, np.float32) if values is None else values)
    work = _Work(job, plan, sort, upper)
    if alone:
        entries = work.run_in_place(into)
    else:
        entries = work.run_into(into)
    indptr = np.zeros(job.A.num_rows + 1, np.int64)
    np.cumsum(work.sizes, out=indptr[1:])
    indices.resize(entries, refcheck=False)  # gives back the address space that was not written to
    if values is not None:
        values.resize(entries, refcheck=False)
    return CSR(indptr, indices, values, job.B.num_cols)


class _Work:
    """The tasks of a product, each made by one worker in memory of its own, whose output is taken in order."""

    def __init__(self, job: Job, plan: Plan, sort: bool, upper: bool) -> None:
        from . import multiply_cpu as kernels

        A, B = (kernel_matrix(m, job.dtype, job.semiring) for m in (job.A, job.B))
        mask = job.mask if job.mask is not None else CSR(np.zeros(1, np.int64), np.empty(0, np.int32), None, 0)
        M = kernel_matrix(mask, None, ANY_PAIR)[:2]
        masked = (True,) * (0 if job.mask is None else kernels.COMPLEMENT if job.complement else kernels.KEEP)
        choice = kernels.Choice(upper, sort, job.top_k, job.threshold or 0.0, job.threshold is not None)
        self._operands = ((True,) * job.semiring, masked, choice, A, B, M)
        self._plan, self._dtype, self._ids, self._sort = plan, job.dtype, id_dtype(job.B.num_cols), sort
        self._starts = plan.starts.tolist()
        self._row_starts = np.empty(job.A.num_rows, np.int64)
        self.sizes = np.zeros(job.A.num_rows, np.int64)  # entries of every row
        self._scratch: list[Any] = []  # that nobody is using
        self._slots: list[tuple[NDArray[Any], NDArray[Any]]] = []

    def _make(self, task: int, out: tuple[NDArray[Any], NDArray[Any]], own: Any) -> int:
        from . import multiply_cpu as kernels

        rows = kernels.Rows(self._starts[task], self._starts[task + 1], self._plan.products, self._plan.few_products)
        return int(kernels.multiply(*self._operands, rows, own, out, (self._row_starts, self.sizes)))

    def run_in_place(self, into: tuple[NDArray[Any], NDArray[Any]]) -> int:
        """Write all tasks where they belong, on this thread; returns the number of entries."""
        done, own = 0, self._new_scratch()
        for task, bound in enumerate(self._plan.bounds.tolist()):
            obey()
            room = slice(done, done + bound + 1)
            done += self._make(task, (into[0][room], into[1][room]), own)
        return done

    def run_into(self, into: tuple[NDArray[Any], NDArray[Any]]) -> int:
        """Move what tasks made to where it belongs, while others are made; returns the number of entries."""
        ends = [0]

        def place(rows: slice, idx: NDArray[Any], val: NDArray[Any]) -> tuple[int, int]:
            ends.append(ends[-1] + idx.shape[0])
            return ends[-2], ends[-1]

        def move(at: tuple[int, int], idx: NDArray[Any], val: NDArray[Any]) -> None:
            into[0][at[0] : at[1]] = idx
            if val.shape[0]:
                into[1][at[0] : at[1]] = val

        self.run(place, move)
        return ends[-1]

    def run(self, take: Callable[..., Any], move: Callable[..., Any] | None = None) -> None:
        """`take(rows, columns, values)` of every task in order, and `move(what came back, columns, values)` in any."""
        made: dict[int, Any] = {}

        def make(task: int) -> None:
            own, slot = _unused(self._scratch, self._new_scratch), _unused(self._slots, self._new_slot)
            made[task] = slot, self._make(task, slot, own)
            self._scratch.append(own)

        def taken(task: int) -> None:
            slot, entries = made[task]
            output = tuple(part[:entries] for part in slot)
            made[task] = slot, output, take(slice(*self._starts[task : task + 2]), *output)

        def moved(task: int) -> None:
            slot, output, found = made.pop(task)
            if move is not None:
                move(found, *output)
            self._slots.append(slot)

        relay(self._plan.bounds.shape[0], make, taken, moved, ahead=self._plan.ahead)

    def _new_slot(self) -> tuple[NDArray[Any], NDArray[Any]]:
        room = self._plan.slot_entries
        values = np.empty(0, np.float32) if self._dtype is None else np.empty(room, self._dtype)
        return unsigned(np.empty(room, self._ids)), values

    def _new_scratch(self) -> Any:
        from .multiply_cpu import STATES, Scratch

        plan, dtype = self._plan, np.dtype(np.float32) if self._dtype is None else self._dtype
        words = -(-plan.num_cols // 64)
        longest = plan.longest_row if self._sort else 0
        cells = np.zeros((plan.cells, 2), dtype)
        return Scratch(
            np.zeros(STATES, np.int64),
            np.zeros(plan.places, np.uint32),
            cells,
            cells.view(np.uint32 if dtype.itemsize == 4 else np.uint64),
            np.zeros(plan.table_size, np.uint32),
            np.zeros(words, np.uint64),
            np.zeros(-(-words // 64), np.uint64),
            np.empty(plan.longest_mask, np.bool_),
            unsigned(np.empty(longest, self._ids)),
            np.empty(0 if self._dtype is None else longest, dtype),
        )


def _unused(pool: list[Any], make: Callable[[], Any]) -> Any:
    """One of the pool, or a new one; another thread may take the last one at any moment."""
    try:
        return pool.pop()
    except IndexError:
        return make()


def mirrored(upper: CSR, threads: int) -> CSR:
    """The symmetric matrix whose sorted upper triangle, diagonal included, is given."""
    from .. import csr_cpu

    n = upper.num_rows
    counts = np.zeros(n, np.int64)
    bounds = _columns_of_equal_work(upper, threads)
    indices = unsigned(upper.indices)
    csr_cpu.mirror_counts(upper.indptr, indices, bounds, counts)
    indptr = np.concatenate([[0], np.cumsum(counts + np.diff(upper.indptr))]).astype(np.int64)
    full = np.empty(int(indptr[-1]), upper.indices.dtype)
    values = None if upper.values is None else np.empty(full.shape[0], upper.values.dtype)
    none = np.empty(0, np.float32)
    csr_cpu.mirror(
        *(upper.indptr, indices, none if upper.values is None else upper.values, bounds, indptr[:-1].copy(), indptr),
        *(unsigned(full), none if values is None else values),
    )
    return CSR(indptr, full, values, n)


def _columns_of_equal_work(upper: CSR, threads: int) -> NDArray[np.int64]:
    n = upper.num_rows
    sample = np.sort(upper.indices[:: max(1, upper.num_entries // 100_000)])
    cuts = [int(sample[sample.shape[0] * t // threads]) for t in range(1, threads)] if sample.shape[0] else []
    return np.unique(np.array([0, *cuts, n], np.int64))
