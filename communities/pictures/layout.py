"""Places for the nodes of a small graph: forces, no overlaps, and labels that do not cover each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...graphlib.compute.streams import seeded

_ROUNDS = 350
_GRAVITY = 0.04
_LABEL_HEIGHT = 15.0
_LETTER, _BOLD_LETTER = 6.6, 8.2  # mean width of a letter of a label, in units of the canvas

Array = NDArray[Any]
Box = tuple[float, float, float, float]  # left, top, right, bottom


def place(count: int, src: Array, dst: Array, weight: Array, *, seed: int = 0) -> Array:
    """Coordinates (count, 2) by forces: nodes repel with their degrees, edges pull with their weights.

    The repulsion falls with the distance and the attraction grows with its logarithm, which sets dense groups apart
    (the LinLog model). O(count^2) per round.

    References
    ----------
    A. Noack, "Energy models for graph clustering", JGAA 11(2), 2007, doi:10.7155/jgaa.00154.
    """
    rng = seeded(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
    at = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]) * np.sqrt(count)
    if count < 2:
        return at * 0
    pull = np.zeros((count, count))
    np.add.at(pull, (src, dst), weight)
    pull = pull + pull.T
    pull /= max(float(pull.sum(axis=1).mean()), 1e-12)
    mass = 0.3 + pull.sum(axis=1)
    for turn in range(_ROUNDS):
        gap = at[:, None, :] - at[None, :, :]
        squared = np.maximum((gap**2).sum(axis=2), 1e-4)
        # Both forces lie along the gap: mass_i mass_j / distance apart, weight * distance / (1 + distance) together.
        strength = mass[:, None] * mass[None, :] / squared - count / 4 * pull / (1 + np.sqrt(squared))
        force = (strength[:, :, None] * gap).sum(axis=1) - _GRAVITY * np.sqrt(count) * mass[:, None] * at
        size = np.maximum(np.sqrt((force**2).sum(axis=1, keepdims=True)), 1e-12)
        warmth = np.sqrt(count) * 0.12 * (1 - turn / _ROUNDS) ** 1.5 + 1e-3
        at = at + force / size * np.minimum(size * 0.5, warmth)
    return at


def fit(at: Array, radius: Array, width: float, height: float, margin: float) -> Array:
    """Scale and turn places into a canvas, the longer side of the cloud across, and push circles apart."""
    centred = at - at.mean(axis=0)
    if len(at) > 1:
        _, axes = np.linalg.eigh(np.cov(centred.T))
        axes = axes[:, ::-1]
        axes *= np.where(axes.sum(axis=0) < 0, -1, 1)
        centred = centred @ axes
    room = np.array([width, height]) - 2 * margin
    low, high = centred.min(axis=0), centred.max(axis=0)
    scale = (room / np.maximum(high - low, 1e-9)).min() if len(at) > 1 else 1.0
    placed = (centred - (low + high) / 2) * scale + np.array([width, height]) / 2
    return _apart(placed, radius, np.array([margin, margin]), np.array([width, height]) - margin)


def _apart(at: Array, radius: Array, low: Array, high: Array) -> Array:
    """Move overlapping circles from each other, staying on the canvas."""
    count = len(at)
    needed = radius[:, None] + radius[None, :] + 2.0
    nudge = np.column_stack([np.cos(np.arange(count)), np.sin(np.arange(count))]) * 1e-3
    at = np.clip(at + nudge, low, high)  # circles at one spot part in different directions
    for _ in range(120):
        gap = at[:, None, :] - at[None, :, :]
        distance = np.sqrt((gap**2).sum(axis=2)) + np.eye(count) * 1e9
        over = np.maximum(needed - distance, 0)
        if not over.any():
            break
        at = np.clip(at + 0.35 * (over[:, :, None] * gap / distance[:, :, None]).sum(axis=1), low, high)
    return at


def label_places(
    at: Array,
    radius: Array,
    texts: list[str],
    order: Array,
    *,
    most: int,
    always: Array,
    limits: tuple[float, float],
) -> dict[int, tuple[float, float, str]]:
    """Where labels go, as node -> (x, y, text anchor): beside, below or above, not over other labels or circles.

    Nodes are tried in `order` until `most` labels have found a place; those marked in `always` get one in any case.
    """
    taken: list[Box] = []
    found: dict[int, tuple[float, float, str]] = {}
    for node in order.tolist():
        if len(found) >= most and not always[node]:
            continue
        x, y, r = float(at[node, 0]), float(at[node, 1]), float(radius[node])
        wide = len(texts[node]) * (_BOLD_LETTER if always[node] else _LETTER)
        places = [
            (x + r + 4, y + 4, "start"),
            (x - r - 4 - wide, y + 4, "end"),
            (x - wide / 2, y + r + 14, "middle"),
            (x - wide / 2, y - r - 5, "middle"),
        ]
        boxes = [(left, base - 11, left + wide, base - 11 + _LABEL_HEIGHT) for left, base, _ in places]
        free = [
            i for i, box in enumerate(boxes)
            if box[0] >= 2 and box[2] <= limits[0] - 2 and box[1] >= 2 and box[3] <= limits[1] - 2
            and not any(_overlap(box, other) for other in taken)
        ]  # fmt: skip
        hidden = [_covered(boxes[i], at, radius, node) for i in free]
        if not free and always[node]:
            free, hidden = [0], [0]
        if not free or (min(hidden) > 0 and not always[node]):
            continue
        chosen = free[int(np.argmin(hidden))]
        left, base, anchor = places[chosen]
        taken.append(boxes[chosen])
        found[node] = ({"start": left, "end": left + wide, "middle": x}[anchor], base, anchor)
    return found


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _covered(box: Box, at: Array, radius: Array, node: int) -> int:
    """How many other circles a label would hide a good part of."""
    near_x = np.clip(at[:, 0], box[0], box[2])
    near_y = np.clip(at[:, 1], box[1], box[3])
    touching = (near_x - at[:, 0]) ** 2 + (near_y - at[:, 1]) ** 2 < (0.75 * radius) ** 2
    touching[node] = False
    return int(touching.sum())


__all__ = ["fit", "label_places", "place"]
