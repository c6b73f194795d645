"""What the training kernels share: the logistic function by table, and draws from alias tables."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ...graphlib.compute.random_cpu import high64

BOUND = 8.0
CELLS = 4096
_SCALE = np.float32(CELLS / (2 * BOUND))
_BOUND = np.float32(BOUND)
_ZERO = np.float32(0.0)
_TWO_POW_MINUS_53 = 1.0 / (1 << 53)
_S11 = np.uint64(11)


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


@kernel(inline="always")
def alias_pick(word, keep, alias, first, count):
    """A position below `count` by the alias table that starts at `first`, out of one random 64-bit word.

    The word as a fraction of 2**64, times `count`: its whole part names the cell and its fraction decides within it.
    """
    size = np.uint64(count)
    chosen = np.int64(high64(word, size))
    rest = np.float64((word * size) >> _S11) * _TWO_POW_MINUS_53
    if rest >= keep[first + chosen]:
        return np.int64(alias[first + chosen])
    return chosen
