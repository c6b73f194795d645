"""Scores of colours by comparing every feature with every point: the truth for the other ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.compute.jit import plain_view, threads_in_use
from .parts_cpu import ColorOrder, Ellipse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .points import ByColor, Points
    from .scoring import Scoring

_FEATURES = 64


def color_sums(
    asked: NDArray[np.float32], points: Points, by_color: ByColor, chosen: NDArray[np.int64], rule: Scoring,
    threads: int | None,
) -> NDArray[np.float64]:  # fmt: skip
    """What a set's features give to chosen colours, in all. O(features * points of the colours * dim)."""
    sums = _scan(asked, points, by_color, chosen, rule, threads, near=False)[0]
    return np.asarray(sums.sum(axis=0))


def nearest_points(
    asked: NDArray[np.float32], points: Points, by_color: ByColor, chosen: NDArray[np.int64], rule: Scoring,
    threads: int | None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:  # fmt: skip
    """Squared distances (colours, features) of the nearest point of each chosen colour, and the points' rows."""
    return _scan(asked, points, by_color, chosen, rule, threads, near=True)[1:]


def _scan(
    asked: NDArray[np.float32], points: Points, by_color: ByColor, chosen: NDArray[np.int64], rule: Scoring,
    threads: int | None, *, near: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int32]]:  # fmt: skip
    from .exact_cpu import scan_colors

    blocks = -(-len(asked) // _FEATURES)
    sums = np.zeros((blocks, len(chosen)), np.float64)
    shape = (len(chosen) if near else 0, len(asked))
    squared, rows = np.empty(shape, np.float32), np.empty(shape, np.int32)
    centre = np.float32(128 if points.vectors.dtype == np.uint8 else 0)
    with threads_in_use(threads):
        ordered = ColorOrder(plain_view(points.vectors), centre, by_color.order, by_color.starts)
        scan_colors(asked, ordered, chosen, Ellipse(rule.halved, rule.radius, rule.power), sums, squared, rows)
    return sums, squared, rows


__all__ = ["color_sums", "nearest_points"]
