"""Values of a product at given places only, by intersecting rows of A with columns of B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..compute.threads import pieces
from ..store.adjacency import EDGES_AT_ONCE, id_dtype
from .csr import CSR, rows_sorted, transposed
from .products.run import unsigned
from .products.semirings import ANY_PAIR, MAX_TIMES, PLUS_PAIR, PLUS_TIMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .products.spgemm import Job

_TASK = 1 << 13  # pairs and entries of rows


def grouped_by_row(
    src: NDArray[np.int64], dst: NDArray[np.int64], num_rows: int
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Pairs by their row: (indptr, columns, positions), by counting."""
    from ..store import adjacency_cpu as kernels

    indptr = np.zeros(num_rows + 1, np.int64)
    for a, b in pieces(src.shape[0], first=EDGES_AT_ONCE):
        kernels.count_rows(src[a:b], indptr)
    np.cumsum(indptr, out=indptr)
    cols = np.empty(src.shape[0], id_dtype(int(dst.max(initial=0)) + 1))
    ids = np.empty(src.shape[0], id_dtype(src.shape[0]))
    cursor = indptr[:-1].copy()
    for a, b in pieces(src.shape[0], first=EDGES_AT_ONCE):
        kernels.place_edges(src[a:b], dst[a:b], a, cursor, cols, ids)
    return indptr, cols, ids


def intersect(
    combine: int,
    A: CSR,
    B: CSR,
    pairs: tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]],
    *,
    factors: NDArray[Any] | None,
    dtype: np.dtype[Any],
    threads: int,
    count: bool = False,
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Merged terms over the columns that row u of A shares with row v of B, and how many they are with `count`.

    A and B have the same columns, rows that rise strictly. Called inside `threads_in_use`.
    """
    from ..compute.jit import plain_view
    from . import intersect_cpu as kernels

    num_pairs = pairs[1].shape[0]
    out = np.zeros(num_pairs, dtype)
    counts = np.zeros(num_pairs if count else 0, np.int32)
    valued = combine != kernels.COUNT
    left, right = (_arrays(m, dtype, valued) for m in (A, B))
    factors = np.empty(0, dtype) if factors is None else np.ascontiguousarray(factors, dtype)
    work = np.concatenate([[0], np.cumsum((np.diff(A.indptr) + np.diff(pairs[0]) + 1) * (np.diff(pairs[0]) > 0))])
    cuts = np.searchsorted(work, np.arange(1, max(1, int(work[-1]) // _TASK)) * _TASK)
    starts = np.unique(np.concatenate([[0], cuts, [A.num_rows]])).astype(np.int64)
    bits = np.zeros((threads, -(-A.num_cols // 64)), np.uint64)
    place = np.empty((threads, A.num_cols if valued else 0), np.int64)
    cols = plain_view(pairs[1]), plain_view(pairs[2])
    kernels.intersect(
        *(combine, left, right, factors, (pairs[0], *cols), starts, (bits, place)),
        *(out, counts),
    )
    return out, counts


def _arrays(m: CSR, dtype: np.dtype[Any], valued: bool) -> tuple[NDArray[Any], ...]:
    from ..compute.jit import plain_view

    if not valued:
        values: NDArray[Any] = np.empty(0, dtype)
    elif m.values is None:
        values = np.ones(m.num_entries, dtype)
    else:
        values = plain_view(m.values.astype(dtype, copy=False))
    return plain_view(m.indptr), unsigned(m.indices), values


def masked_by_intersection(job: Job, threads: int) -> CSR | None:
    """The product at its mask by inner products, or None where going through all products is cheaper.

    It reads a row of A and, per place of the mask, a column of B; the other way reads every product.
    """
    from . import intersect_cpu as kernels

    mask = job.mask
    if mask is None or job.complement:
        return None
    in_column = np.bincount(job.B.indices, minlength=job.B.num_cols)
    reads = int(in_column[mask.indices].sum()) + job.A.num_entries + 4 * job.B.num_entries
    if reads > int(job.products.sum()) or not rows_sorted(job.A) or not rows_sorted(mask):
        return None
    other = transposed(job.B)
    if not rows_sorted(other):  # parallel entries count each, and intersections count columns
        return None
    combine = {PLUS_PAIR: kernels.COUNT, ANY_PAIR: kernels.COUNT, PLUS_TIMES: kernels.PRODUCT}.get(job.semiring)
    if combine is None:
        combine = kernels.LARGEST_PRODUCT if job.semiring == MAX_TIMES else kernels.SMALLEST_SUM
    if combine == kernels.PRODUCT and job.A.values is None and job.B.values is None:
        combine = kernels.COUNT
    ids = np.arange(mask.num_entries, dtype=id_dtype(mask.num_entries))
    dtype = np.dtype(np.int32) if job.dtype is None else job.dtype
    out, met = intersect(
        combine, job.A, other, (mask.indptr, mask.indices, ids), factors=None, dtype=dtype, threads=threads, count=True
    )
    keep = met > 0
    kept = np.concatenate([[0], np.cumsum(keep)])
    values = None if job.dtype is None else out[keep]
    return CSR(kept[mask.indptr].astype(np.int64), mask.indices[keep], values, job.B.num_cols)
