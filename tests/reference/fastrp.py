"""FastRP from its definition, float64 NumPy and SciPy, given the projection R."""

from __future__ import annotations

import numpy as np
import scipy.sparse


def adjacency(num_nodes, src, dst, *, weight=None, directed=False):
    """SciPy matrix of the edges; parallel edges add up, an undirected edge is there both ways."""
    src, dst = np.asarray(src, np.int64), np.asarray(dst, np.int64)
    weight = np.ones(len(src)) if weight is None else np.asarray(weight, np.float64)
    if not directed:
        other = src != dst
        src, dst, weight = (
            np.concatenate([src, dst[other]]),
            np.concatenate([dst, src[other]]),
            np.concatenate([weight, weight[other]]),
        )
    return scipy.sparse.csr_array((weight, (src, dst)), shape=(num_nodes, num_nodes))


def powers(S, R, beta, count):
    """U_1 .. U_count: U_1 = D^-1 S diag(d^beta) R, U_i = D^-1 S U_(i-1)."""
    d = np.asarray(S.sum(axis=1)).reshape(-1)
    inverse = np.divide(1.0, d, out=np.zeros_like(d), where=d > 0)
    L = np.where(d > 0, d, 1.0) ** beta
    U, result = L[:, None] * R.astype(np.float64), []
    for _ in range(count):
        U = inverse[:, None] * (S @ U)
        result.append(U)
    return result


def unit_rows(U):
    """Rows divided by their norms; zero rows stay zero."""
    norm = np.linalg.norm(U, axis=1, keepdims=True)
    return np.divide(U, norm, out=np.zeros_like(U), where=norm > 0)


def fastrp(S, R, *, weights, beta, normalize=True, standardize=True):
    """The embedding; nodes without neighbours are zeros and outside the column statistics."""
    kept = powers(S, R, beta, 4 if weights is None else len(weights))
    kept = [unit_rows(U) for U in kept] if normalize else kept
    if weights is None:
        total = np.concatenate(kept, axis=1)
    else:
        total = sum(w * U for w, U in zip(weights, kept, strict=True))
    if not standardize:
        return total
    used = np.asarray(S.sum(axis=1)).reshape(-1) > 0
    if not used.any():
        return np.zeros_like(total)
    rows = total[used]
    deviation = rows.std(axis=0)
    total = np.zeros_like(total)
    total[used] = (rows - rows.mean(axis=0)) / np.where(deviation > 1e-12 * abs(rows.mean(axis=0)), deviation, 1.0)
    return total
