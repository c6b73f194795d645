"""What a feature gives to a colour, inside kernels."""

from __future__ import annotations

import math

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel


@kernel
def contribution(squared, halved, radius, power):
    """(1 - (r / radius)^power)^(1 / power) below the radius, else 0; r is the root, or the half, of `squared`."""
    distance = np.float64(squared) * 0.5 if halved else math.sqrt(np.float64(squared))
    if not distance < radius:
        return 0.0
    return (1.0 - (distance / radius) ** power) ** (1.0 / power)


@parallel_kernel
def contributions(squared, halved, radius, power, out):
    for i in numba.prange(squared.shape[0]):
        out[i] = contribution(squared[i], halved, radius, power)
