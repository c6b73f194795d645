"""Dense local clustering from the definitions: Laplacians, optimality of a diffusion, PageRank, sweeps."""

from __future__ import annotations

import numpy as np


def dense_weights(num_nodes, src, dst, weight=None, *, labels=None, epsilon=1.0, attributes=None, gamma=0.0):
    """Symmetric weight matrix, parallel edges added; a self-loop stands on the diagonal once."""
    A = np.zeros((num_nodes, num_nodes))
    weight = np.ones(len(src)) if weight is None else weight
    for s, d, w in zip(src, dst, np.asarray(weight, np.float64), strict=True):
        if labels is not None and labels[s] >= 0 and labels[d] >= 0 and labels[s] != labels[d]:
            w = w * epsilon
        if attributes is not None:
            w = w * np.exp(-gamma * ((attributes[s] - attributes[d]) ** 2).sum())
        A[s, d] += w
        if s != d:
            A[d, s] += w
    return A


def held(A, x, source, p=2.0):
    """Mass on every node after the flow sign(gap) |gap|^(1 / (p - 1)) over every edge, gap = x_i - x_j."""
    gap = x[:, None] - x[None, :]
    return source - (A * np.sign(gap) * np.abs(gap) ** (1 / (p - 1))).sum(axis=1)


def diffusion(A, source, sink):
    """Potentials x >= 0 with L x >= source - sink, equal where x > 0, by dense solves on a growing support.

    L is a Z-matrix, so nodes that overflow never leave the support: Chandrasekaran, Opsearch 7 (1970).
    """
    L = np.diag(A.sum(axis=1)) - A
    x = np.zeros(len(A))
    support = np.zeros(len(A), bool)
    while True:
        over = (source - L @ x > sink + 1e-12 * source.sum()) & ~support
        if not over.any():
            return x
        support |= over
        x = np.zeros(len(A))
        x[support] = np.linalg.solve(L[np.ix_(support, support)], (source - sink)[support])


def pagerank(A, restart, alpha):
    """Personalised PageRank of the lazy walk: p = alpha restart + (1 - alpha) p (I + D^-1 A) / 2."""
    walk = 0.5 * (np.eye(len(A)) + A / A.sum(axis=1, keepdims=True))
    return np.linalg.solve(np.eye(len(A)) - (1 - alpha) * walk.T, alpha * restart)


def conductance(A, members, total=None):
    """cut / min(vol, total - vol), 1 where a side has no volume."""
    inside = np.zeros(len(A), bool)
    inside[list(members)] = True
    volume = A[inside].sum()
    total = A.sum() if total is None else total
    smaller = min(volume, total - volume)
    return min(1.0, A[inside][:, ~inside].sum() / smaller) if smaller > 1e-9 * total else 1.0
