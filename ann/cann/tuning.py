"""Radius and shape of the score, chosen from queries with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput
from ..filters import allowed_rows
from .arguments import query_sets
from .exact import nearest_points
from .ranking import best_colors
from .scoring import DEFAULT_SHAPE, superellipse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .index import CANN

SHAPES = (0.2, 0.3, DEFAULT_SHAPE, 0.6, 0.75)
_RADII = 16
_BINS = 2048
_NEAREST, _MIDDLE = 0.02, 0.5  # quantiles of the distances between which radii are tried


@dataclass(frozen=True)
class ColorTuning:
    """What `CANN.tune` chose, and everything that was tried.

    Attributes
    ----------
    radius, shape : float
    precision : float
        Mean average precision of the labelled queries with them, by exact scores.
    tried : tuple of (radius, shape, precision)
    """

    radius: float
    shape: float
    precision: float
    tried: tuple[tuple[float, float, float], ...]

    def __repr__(self) -> str:
        return (
            f"ColorTuning(radius={self.radius:.4g}, shape={self.shape:.3g}, mean average precision "
            f"{self.precision:.4f}, {len(self.tried)} pairs tried)"
        )


def tuned(
    index: CANN, queries: Any, answers: Sequence[Any], filter: Any, radii: Any, shapes: Any, threads: int | None
) -> ColorTuning:
    """See `CANN.tune`; called while the index is read."""
    points = index._filled("tune")
    asked = query_sets(queries, index.metric, index.dim, points.vectors.dtype)
    if not len(asked) or len(answers) != len(asked):
        raise InvalidInput(f"tune: give the right colours of every query set; got {len(answers)} for {len(asked)} sets")
    allowed = allowed_rows(filter, index._rows, len(asked), index._where)
    by_color, rule, sets = index._by_color(), index._rule(), []
    for s in range(len(asked)):
        passing = np.arange(len(index._rows)) if allowed is None else np.flatnonzero(allowed[min(s, len(allowed) - 1)])
        right = index._rows.positions(index._rows.checked("tune", answers[s]))
        if not len(right) or (right < 0).any() or not np.isin(right, passing).all():
            raise InvalidInput(
                f"tune: the right colours of set {s} must be colours that are in the index and pass the filter, one at "
                f"least; got {answers[s]!r}"
            )
        squared, _ = nearest_points(asked[s], points, by_color, passing, rule, threads)
        sets.append((rule.distances(squared), np.isin(passing, right)))
    nearest = np.concatenate([distances.min(axis=0) for distances, _ in sets])
    middle = float(np.median([np.quantile(distances, _MIDDLE) for distances, _ in sets]))
    first = max(float(np.quantile(nearest, _NEAREST)), middle / 100)
    if not middle > 0:
        raise InvalidInput("tune: all points lie on the queries; there are no distances to choose a radius from")
    radii = np.geomspace(min(first, middle / 2), middle, _RADII) if radii is None else _given_radii(radii)
    if shapes is not None and not len(shapes):
        raise InvalidInput("tune: shapes must be numbers in (0, 1), one at least; got none")
    tried = _tried(sets, radii, SHAPES if shapes is None else shapes)
    radius, shape, precision = max(tried, key=lambda one: one[2])
    return ColorTuning(radius, shape, precision, tuple(tried))


def _given_radii(radii: Any) -> NDArray[np.float64]:
    given = np.atleast_1d(np.asarray(radii, np.float64))
    if given.ndim != 1 or not given.size or not (np.isfinite(given) & (given > 0)).all():
        raise InvalidInput(f"tune: radii must be finite numbers > 0, one at least; got {radii!r:.100}")
    return given


def _tried(sets: list[tuple[Any, Any]], radii: Any, shapes: Any) -> list[tuple[float, float, float]]:
    """Mean average precision for every pair, from counts of distances in bins."""
    width = float(np.max(radii)) / _BINS
    tables = []
    for distances, right in sets:
        bins = np.minimum(distances / width, _BINS).astype(np.int64)
        places = np.arange(len(bins))[:, None] * (_BINS + 1) + bins
        counts = np.bincount(places.ravel(), minlength=len(bins) * (_BINS + 1)).reshape(len(bins), -1)[:, :_BINS]
        tables.append((counts.astype(np.float64), right))
    middles, tried = (np.arange(_BINS) + 0.5) * width, []
    for radius in np.asarray(radii, np.float64).tolist():
        for shape in shapes:
            gives = superellipse(middles, radius, shape)
            found = [average_precision(counts @ gives, right) for counts, right in tables]
            tried.append((radius, float(shape), float(np.mean(found))))
    return tried


def average_precision(sums: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The mean, over the right colours, of the share of right ones up to its place; 0 for one that is not found.

    >>> average_precision(np.array([0.5, 0.9, 0.0, 0.1]), np.array([True, False, True, False]))
    0.25
    """
    order = best_colors(sums, len(sums), np.arange(len(sums)))
    hits = right[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].sum() / right.sum())


__all__ = ["ColorTuning", "average_precision", "tuned"]
