"""Scores as the code released with the paper computes them, for comparison: radius by radius, colours in cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

C = 1.165939651397022  # approximation factor: cells are C r / sqrt(dim) wide, radii grow by (C - 1) / 4
EPSILON = 1e-6  # what the largest radius still gives
FIRST_RADIUS = 28.28296718361788 / 120  # of the radius
SEED = 1962


def radii(radius: float, shape: float) -> NDArray[np.float32]:
    """The radii at which grids are made, ascending; 36 by default.

    >>> len(radii(120.0, 0.4591763556652752))
    36
    """
    turned = (1 / EPSILON) ** (shape / (shape - 1))
    limit = -(radius * (1 - turned) ** (1 / shape)) / (turned - 1)
    found: list[np.float32] = []
    current = np.float32(min(FIRST_RADIUS * radius, limit))
    while float(current) < limit:
        found.append(current)
        current = np.float32(float(current) * (1 + (C - 1) * 0.25))
    return np.array(found, np.float32)


def grids(dim: int, num_grids: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rotations (grids, dim, dim) and shifts (grids, dim), the same for every radius.

    At most e^(dim / C) grids, and 19 where 20 are asked for, as there: exp(log(20)) is a little below 20. Rotations are
    the Q of normal matrices, with its first column negated where the dimension is even, as there; the numbers are
    NumPy's, since Abseil does not promise those of its distributions.
    """
    count = max(1, int(math.exp(min(math.log(num_grids), dim / C))))
    random = np.random.RandomState(SEED)
    rotations, shifts = np.empty((count, dim, dim), np.float32), np.empty((count, dim), np.float32)
    for grid in range(count):
        turned = np.linalg.qr(random.standard_normal((dim, dim)))[0]
        if dim % 2 == 0:
            turned[:, 0] *= -1
        rotations[grid], shifts[grid] = turned, random.random_sample(dim)
    return rotations, shifts


def released_sums(
    features: NDArray[np.float32], points: NDArray[np.float32], colors: NDArray[np.int32], num_colors: int,
    radius: float, shape: float, num_grids: int,
) -> NDArray[np.float64]:  # fmt: skip
    """What features give to every colour: s(r) for the smallest radius r at which they share a cell with it.

    O(radii * grids * (features + points) * dim^2): nothing is kept from one call to the next.
    """
    rotations, shifts = grids(points.shape[1], num_grids)
    width = np.float32(C / math.sqrt(points.shape[1]))
    seen, sums = np.zeros((len(features), num_colors), bool), np.zeros(num_colors)
    for r in radii(radius, shape):
        gives = (1 - (float(r) / radius) ** (shape / (1 - shape))) ** ((1 - shape) / shape)
        met = np.zeros_like(seen)
        for rotation, shift in zip(rotations, shifts, strict=True):
            scaled = rotation / (width * r)
            which, rows = _same(_cells(features, scaled, shift), _cells(points, scaled, shift))
            met[which, colors[rows]] = True
        new = (met & ~seen).sum(axis=0)
        for times in range(int(new.max(initial=0))):  # one by one, as they are added up there
            sums[new > times] += gives
        seen |= met
    return sums


def _cells(rows: NDArray[np.float32], rotation: NDArray[np.float32], shift: NDArray[np.float32]) -> NDArray[np.int8]:
    """A signed byte per dimension, truncated towards zero; clamped where C++ leaves the conversion undefined."""
    turned = (rows.astype(np.float64) @ rotation.astype(np.float64).T).astype(np.float32) + shift
    return np.clip(np.trunc(turned), -128, 127).astype(np.int8)


def _same(left: NDArray[np.int8], right: NDArray[np.int8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of equal rows: by a hash of each, and then by all of their bytes."""
    factors = np.random.default_rng(0).integers(1, 2**62, left.shape[1]) * 2 + 1
    hashes, wanted = (rows.astype(np.int64) @ factors for rows in (right, left))
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    first, last = np.searchsorted(ranked, wanted), np.searchsorted(ranked, wanted, side="right")
    which = np.repeat(np.arange(len(left)), last - first)
    at = np.arange(len(which)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    rows = order[first[which] + at]
    equal = (left[which] == right[rows]).all(axis=1)
    return which[equal], rows[equal]


__all__ = ["grids", "radii", "released_sums"]
