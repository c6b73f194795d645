"""Hop contexts and node sets as their definitions say them, with explicit matrices."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def matrix(store, *, direction="out", weighted=False):
    """A with a row per node; parallel edges add up."""
    rows = store.csr() if direction == "out" else store.csc()
    values = rows.weight.astype(np.float64) if weighted else np.ones(rows.num_entries)
    found = sp.csr_array((values, rows.indices.copy(), rows.indptr.copy()), shape=(rows.num_rows, rows.num_cols))
    found.sum_duplicates()
    return found


def contexts(store, X, hops, *, direction="out", weighted=False, normalization="symmetric", self_loops=True):
    """float64 arrays, one per hop: D2^-1/2 (A + I) D1^-1/2 applied once, twice, ..."""
    A = matrix(store, direction=direction, weighted=weighted)
    if self_loops:
        A = A + sp.eye_array(A.shape[0])
    r, c = np.asarray(A.sum(axis=1)), np.asarray(A.sum(axis=0))
    with np.errstate(divide="ignore"):
        left = {"symmetric": r**-0.5, "row": 1 / r, "none": np.ones_like(r)}[normalization]
        right = c**-0.5 if normalization == "symmetric" else np.ones_like(c)
    left[~np.isfinite(left)], right[~np.isfinite(right)] = 0, 0
    out, last = [], X.astype(np.float64)
    for _ in range(hops):
        last = left[:, None] * (A @ (right[:, None] * last))
        out.append(last)
    return out


def candidates(store, node, *, direction="out"):
    """N1 ++ N2: the columns of A's row, then those of row `node` of A·A, each ascending."""
    A = matrix(store, direction=direction)
    two = A @ A
    first = np.sort(A.indices[A.indptr[node] : A.indptr[node + 1]])
    second = np.sort(two.indices[two.indptr[node] : two.indptr[node + 1]])
    return np.concatenate([first, second]).astype(np.int64)
