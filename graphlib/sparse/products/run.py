"""Running a checked product: waves of tasks into scratch memory, rows moved to the result in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...store.adjacency import id_dtype
from ..csr import CSR
from .plan import Plan, make_plan
from .semirings import ANY_PAIR, PLUS_PAIR

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    plan = make_plan(job.A, job.B, job.mask, job.complement, job.top_k, job.dtype, threads)
    kind = id_dtype(job.B.num_cols)
    if out is not None:
        from .files import ProductWriter

        width = job.B.num_cols if job.columns is None else job.num_cols
        with ProductWriter(out, job.A.num_rows, width, id_dtype(width), job.dtype) as writer:
            for starts, room, offsets, idx, val in _waves(job, plan, sort, upper):
                writer.append(starts, room, offsets, idx, val, job.columns)
            return writer.finish()
    most = plan.max_entries
    if most * plan.entry_bytes > _RESERVE:  # count first: the bound may be far above the result
        most = sum(int(offsets[-1] - offsets[0]) for _, _, offsets, _, _ in _waves(job, plan, False, upper))
    alone = threads == 1 and most == plan.max_entries and not job.top_k and job.threshold is None
    most += alone  # a wave that is written where it belongs may write to the place behind its last entry
    indices = np.empty(most, kind)
    values = None if job.dtype is None else np.empty(most, job.dtype)
    indptr = np.zeros(job.A.num_rows + 1, np.int64)
    into = (unsigned(indices), np.empty(0, np.float32) if values is None else values)
    for starts, room, offsets, idx, val in _waves(job, plan, sort, upper, into if alone else None):
        first, last = int(offsets[0]), int(offsets[-1])
        indptr[starts[0] : starts[-1] + 1] = offsets
        if not alone:
            _gather(starts, room, offsets, idx, val, into[0][first:last], into[1][first:last])
    entries = int(indptr[-1])
    indices.resize(entries, refcheck=False)  # gives back the address space that was not written to
    if values is not None:
        values.resize(entries, refcheck=False)
    return CSR(indptr, indices, values, job.B.num_cols)


def _gather(*arguments: Any) -> None:
    from .multiply_cpu import gather

    starts, room, offsets, *rest = arguments
    gather(starts - starts[0], room, offsets, *rest)


def _waves(
    job: Job, plan: Plan, sort: bool, upper: bool, into: tuple[NDArray[Any], NDArray[Any]] | None = None
) -> Iterator[tuple[NDArray[Any], ...]]:
    """(starts, room, offsets, columns, values) of each wave: rows of task t lie from room[t] on, without gaps.

    With `into`, the columns and values of a result that one worker makes, a wave is one task that lies there already.
    """
    from . import multiply_cpu as kernels

    A, B = (kernel_matrix(m, job.dtype, job.semiring) for m in (job.A, job.B))
    mask = job.mask if job.mask is not None else CSR(np.zeros(1, np.int64), np.empty(0, np.int32), None, 0)
    M = kernel_matrix(mask, None, ANY_PAIR)[:2]
    masked = (True,) * (0 if job.mask is None else kernels.COMPLEMENT if job.complement else kernels.KEEP)
    choice = kernels.Choice(upper, sort, job.top_k, job.threshold or 0.0, job.threshold is not None)
    own = plan.wave_entries if into is None else 0
    idx = unsigned(np.empty(own, id_dtype(job.B.num_cols)))
    val = np.empty(0, np.float32) if job.dtype is None else np.empty(own, job.dtype)
    scratch = _scratch(plan, idx, val if job.dtype is None else np.empty(1, job.dtype), sort)
    sizes = np.zeros(job.A.num_rows, np.int64)
    row_starts = np.empty(job.A.num_rows, np.int64)
    done = np.int64(0)
    for a, b in zip(plan.waves, plan.waves[1:], strict=False):
        starts = plan.starts[a : b + 1]
        room = np.concatenate([[0], np.cumsum(plan.bounds[a:b] + 1)])[:-1].astype(np.int64)
        if into is not None:
            starts, room = starts[[0, -1]], room[:1]
            idx, val = into[0][done:], into[1][done:]
        tasks = kernels.Tasks(np.zeros(1, np.int64), starts, room, plan.products, plan.few_products)
        kernels.multiply(
            (True,) * job.semiring, masked, choice, A, B, M, tasks, scratch, (idx, val), (row_starts, sizes)
        )
        offsets = done + np.concatenate([[0], np.cumsum(sizes[starts[0] : starts[-1]])]).astype(np.int64)
        done = offsets[-1]
        yield starts, room, offsets, idx, val


def _scratch(plan: Plan, idx: NDArray[Any], val: NDArray[Any], sort: bool) -> Any:
    from .multiply_cpu import Scratch

    words = -(-plan.num_cols // 64)
    longest = plan.longest_row if sort else 0
    cells = np.zeros((plan.workers, plan.cells, 2), val.dtype)
    return Scratch(
        np.empty((plan.workers, plan.places), np.uint32),
        cells,
        cells.view(np.uint32 if val.dtype.itemsize == 4 else np.uint64),
        np.zeros(plan.workers, np.uint64),
        np.empty((plan.workers, plan.table_size), np.uint32),
        np.zeros((plan.workers, words), np.uint64),
        np.zeros((plan.workers, -(-words // 64)), np.uint64),
        np.empty((plan.workers, plan.longest_mask), np.bool_),
        np.empty((plan.workers, longest), idx.dtype),
        np.empty((plan.workers, longest if val.shape[0] else 0), val.dtype),
    )


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
