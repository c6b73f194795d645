"""Personalised PageRank from the definition, by solving the linear system."""

from __future__ import annotations

import numpy as np


def personalised_pagerank(matrix, seed, alpha):
    """Where a walk from `seed` ends that stops with probability alpha per step, and for good where no edge leads on."""
    n = len(matrix)
    mass = matrix.sum(axis=1)
    follow = np.divide(matrix, mass[:, None], out=np.zeros_like(matrix), where=mass[:, None] > 0)
    visits = np.linalg.solve(np.eye(n) - (1 - alpha) * follow.T, np.eye(n)[seed])
    return visits * np.where(mass > 0, alpha, 1.0)
