"""Values of a product at given places only, by intersecting rows of A with columns of B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..compute.threads import pieces
from ..store.adjacency import EDGES_AT_ONCE, id_dtype
from .csr import CSR
from .run import unsigned

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    workers = max(1, min(threads, starts.shape[0] - 1))
    bits = np.zeros((workers, -(-A.num_cols // 64)), np.uint64)
    place = np.empty((workers, A.num_cols if valued else 0), np.int64)
    cols = plain_view(pairs[1]), plain_view(pairs[2])
    kernels.intersect(
        *(combine, left, right, factors, (pairs[0], *cols), np.zeros(1, np.int64), starts, bits, place, out, counts)
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
