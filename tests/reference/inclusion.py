"""Exact chances of successive weighted draws without replacement, by enumeration."""

from __future__ import annotations

from itertools import permutations

import numpy as np


def inclusion(weight, picks):
    """P(i is among the picks) when each pick takes one of those left in proportion to its weight."""
    weight = np.asarray(weight, float)
    positive = np.flatnonzero(weight > 0)
    out = np.zeros(len(weight))
    for order in permutations(positive, min(picks, len(positive))):
        chance, left = 1.0, weight.sum()
        for i in order:
            chance *= weight[i] / left
            left -= weight[i]
        out[list(order)] += chance
    return out
