"""What the 32 lanes of a warp tell each other; Numba's simulator has no such instructions, so there memory stands in.

Under the simulator a block must be exactly one warp, and all its lanes must make the same calls.
"""

from __future__ import annotations

import numpy as np
from numba import config

from .numba_cuda import cuda

LANES = 32
_ALL = 0xFFFFFFFF

if config.ENABLE_CUDASIM:  # type: ignore[attr-defined]
    WARPS_PER_BLOCK = 1

    @cuda.jit(device=True)
    def broadcast(value, lane, source):
        """The `value` (int64) of lane `source`, in every lane."""
        cells = cuda.shared.array(LANES, np.int64)
        cells[lane] = value
        cuda.syncthreads()
        result = cells[source]
        cuda.syncthreads()
        return result

    @cuda.jit(device=True)
    def any_lane(flag, lane):
        """Whether `flag` is true in any lane."""
        cells = cuda.shared.array(LANES, np.int64)
        cells[lane] = 1 if flag else 0
        cuda.syncthreads()
        result = 0
        for other in range(LANES):
            result += cells[other]
        cuda.syncthreads()
        return result > 0

    @cuda.jit(device=True)
    def sum_lanes(value, lane):
        """The sum of `value` (float32) over all lanes, in every lane."""
        cells = cuda.shared.array(LANES, np.float32)
        cells[lane] = value
        cuda.syncthreads()
        result = np.float32(0.0)
        for other in range(LANES):
            result += cells[other]
        cuda.syncthreads()
        return result

    @cuda.jit(device=True)
    def wait_for_lanes():
        """What the lanes have written so far is seen by all of them."""
        cuda.syncthreads()

else:
    WARPS_PER_BLOCK = 4

    @cuda.jit(device=True)
    def broadcast(value, lane, source):
        """The `value` (int64) of lane `source`, in every lane."""
        return cuda.shfl_sync(_ALL, np.int64(value), source)

    @cuda.jit(device=True)
    def any_lane(flag, lane):
        """Whether `flag` is true in any lane."""
        return cuda.any_sync(_ALL, flag)

    @cuda.jit(device=True)
    def sum_lanes(value, lane):
        """The sum of `value` (float32) over all lanes, in every lane."""
        for step in (16, 8, 4, 2, 1):
            value += cuda.shfl_xor_sync(_ALL, value, step)
        return value

    @cuda.jit(device=True)
    def wait_for_lanes():
        """What the lanes have written so far is seen by all of them."""
        cuda.syncwarp()
