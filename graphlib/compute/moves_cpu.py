"""Moves of array elements for kernels, as loops: NumPy's assignment of arrays takes Numba two seconds to compile."""

from __future__ import annotations

import numpy as np

from .jit import kernel


@kernel
def copy_to(target, source):
    """`target[: len(source)] = source`."""
    for i in range(source.shape[0]):
        target[i] = source[i]


@kernel
def reorder(values, order):
    """`values[:] = values[order]`."""
    kept = np.empty(order.shape[0], values.dtype)
    for i in range(order.shape[0]):
        kept[i] = values[order[i]]
    copy_to(values, kept)
