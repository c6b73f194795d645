"""Every feature against every point, in register blocks of four features by two points, colour after colour."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ..distances.scan_cpu import l2_block
from .scoring_cpu import contribution

_FEATURES = 64  # of one task: they pass over a tile of points together
_TILE = 64


@kernel
def fill_tile(vectors, order, first, count, centre, tile):
    """Points as float32; bytes less 128."""
    for i in range(count):
        row = order[first + i]
        for j in range(tile.shape[1]):
            tile[i, j] = np.float32(vectors[row, j]) - centre


@parallel_kernel
def scan_colors(asked, points, chosen, rule, sums, near, rows):
    """Add up, per block of 64 features, what they give to each chosen colour: `sums` float64 (blocks, colours).

    With `near`, float32 (colours, features), the squared distance of the nearest point and its row are written too.
    """
    vectors, centre, order, starts = points
    halved, radius, power = rule
    slices = max(1, min(chosen.shape[0], 64))
    blocks = (asked.shape[0] + _FEATURES - 1) // _FEATURES
    for task in numba.prange(blocks * slices):
        part, begin = task % slices, task // slices * _FEATURES
        end = min(begin + _FEATURES, asked.shape[0])
        tile, block = np.empty((_TILE, asked.shape[1]), np.float32), np.empty((2, 4), np.float32)
        best, where = np.empty(_FEATURES, np.float32), np.empty(_FEATURES, np.int32)
        for which in range(chosen.shape[0] * part // slices, chosen.shape[0] * (part + 1) // slices):
            color = chosen[which]
            for q in range(_FEATURES):
                best[q], where[q] = np.float32(np.inf), -1
            for first in range(starts[color], starts[color + 1], _TILE):
                count = min(_TILE, starts[color + 1] - first)
                fill_tile(vectors, order, first, count, centre, tile)
                for q in range(begin, end, 4):
                    # The last block repeats its last feature, so that all are summed by the same machine code.
                    q0, q1 = asked[q], asked[min(q + 1, end - 1)]
                    q2, q3 = asked[min(q + 2, end - 1)], asked[min(q + 3, end - 1)]
                    for r in range(0, count, 2):
                        l2_block(q0, q1, q2, q3, tile[r], tile[min(r + 1, count - 1)], block)
                        for i in range(min(2, count - r)):
                            for j in range(min(4, end - q)):
                                if block[i, j] < best[q - begin + j]:
                                    best[q - begin + j], where[q - begin + j] = block[i, j], order[first + r + i]
            total = 0.0
            for q in range(end - begin):
                total += contribution(best[q], halved, radius, power)
            sums[task // slices, which] = total
            if near.shape[0] > 0:
                for q in range(end - begin):
                    near[which, begin + q], rows[which, begin + q] = best[q], where[q]
