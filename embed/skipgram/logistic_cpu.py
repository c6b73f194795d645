"""What the training kernels share: the logistic function by table."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel

BOUND = 8.0
CELLS = 4096
_SCALE = np.float32(CELLS / (2 * BOUND))
_BOUND = np.float32(BOUND)
_ZERO = np.float32(0.0)


def logistic_table() -> np.ndarray:
    """float32 (CELLS, 2): sigma(x) and -log sigma(x) at the centres of equal cells of [-BOUND, BOUND]."""
    x = (np.arange(CELLS) + 0.5) * (2 * BOUND / CELLS) - BOUND
    return np.stack([1 / (1 + np.exp(-x)), np.log1p(np.exp(-x))], axis=1).astype(np.float32)


@kernel(inline="always")
def cell(x):
    """The table's cell of `x`; scores beyond the bounds, and NaN, fall into the cells at the ends."""
    if x >= _BOUND:
        return np.int64(CELLS - 1)
    if x > -_BOUND:
        return min(np.int64((x + _BOUND) * _SCALE), np.int64(CELLS - 1))
    return np.int64(0)


@kernel(inline="always")
def loss_at(table, at, score, positive):
    """-log sigma(score), or -log sigma(-score) of a negative; not finite where the score is not, unlike its cell."""
    return table[at if positive else table.shape[0] - 1 - at, 1] + _ZERO * score
