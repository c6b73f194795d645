"""Kernels of GraphSAINT: independent draws for a numbered subgraph."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ...graphlib.compute.random_cpu import stream
from ..negatives.negatives_cpu import draw_node


@kernel
def draws(keep, alias, count, root, epoch, index, out):
    """Fill `out` by the alias table, or uniformly from [0, count) where there is none."""
    key = stream(root, epoch, index, 0)
    counter = np.int64(0)
    size = keep.shape[0] if keep.shape[0] > 0 else count
    for i in range(out.shape[0]):
        out[i], counter = draw_node(key, counter, size, keep, alias)


@kernel
def name_of(epoch, index):
    """One number for an epoch and an index, for streams that have one place for both."""
    return np.int64(stream(epoch, index, 0, 0) >> np.uint64(1))
