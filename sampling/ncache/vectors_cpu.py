"""Kernel of `NCache.overlap_vectors`: the keys of a table as random signs."""

from __future__ import annotations

import numpy as np
from numba import prange

from ...graphlib.compute.jit import parallel_kernel
from ...graphlib.compute.random_cpu import draw, stream


@parallel_kernel
def sign_codes(keys, width, root, out):
    """Slot j of a row becomes `width` columns: bits of its key's stream as +-1 / sqrt(width), zero when empty."""
    scale = np.float32(1.0 / np.sqrt(width))
    for i in prange(keys.shape[0]):
        row = out[i]
        for j in range(keys.shape[1]):
            key = keys[i, j]
            name = stream(root, max(key, 0), 0, 0)
            for b in range(width):
                if key < 0:
                    row[j * width + b] = 0.0
                else:
                    up = (draw(name, b // 64) >> np.uint64(b % 64)) & np.uint64(1)
                    row[j * width + b] = scale if up else -scale
