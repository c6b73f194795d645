"""The score of a colour: a quarter of a superellipse over the distance of each feature's nearest point."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

DEFAULT_SHAPE = 0.4591763556652752


_LEAST = 1e-30


class Scoring(NamedTuple):
    """How distances become scores.

    `radius` is in the metric's distance: Euclidean, or 1 - cos where `halved` (half of the squared distance of unit
    vectors). `power` is shape / (1 - shape).
    """

    radius: float
    power: float
    halved: bool

    @property
    def reach(self) -> np.float32:
        """The squared Euclidean distance from which on nothing counts."""
        return np.float32(2 * self.radius if self.halved else self.radius * self.radius)

    @property
    def euclidean(self) -> float:
        """The radius as a Euclidean distance."""
        return math.sqrt(2 * self.radius) if self.halved else self.radius

    def of(self, squared: NDArray[np.float32]) -> NDArray[np.float64]:
        """Contributions of points at squared Euclidean distances."""
        from .scoring_cpu import contributions

        out = np.empty(len(squared), np.float64)
        contributions(squared, self.halved, self.radius, self.power, out)
        return out

    def distances(self, squared: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances as users read them."""
        return (squared / 2 if self.halved else np.sqrt(squared)).astype(np.float32)


def scoring(metric: str, radius: Any, shape: Any) -> Scoring:
    """Checked parameters of the score."""
    if not is_number(radius) or not math.isfinite(radius) or radius <= 0:
        raise InvalidInput(
            f"radius must be a finite number > 0, the distance from which on a point counts for nothing; got {radius!r}"
        )
    if metric == "cosine" and radius > 2:
        raise InvalidInput(f"radius must be at most 2 for 'cosine', the largest 1 - cos; got {radius!r}")
    if not _LEAST <= radius <= 1 / _LEAST:
        raise InvalidInput(
            f"radius must be between {_LEAST:g} and {1 / _LEAST:g}, as vectors are float32; got {radius!r}"
        )
    if not is_number(shape) or not 0 < shape < 1:
        raise InvalidInput(f"shape must be a number in (0, 1), where 0.5 falls off on a line; got {shape!r}")
    return Scoring(float(radius), float(shape) / (1 - float(shape)), metric == "cosine")


def superellipse(distances: ArrayLike, radius: float, shape: float = DEFAULT_SHAPE) -> NDArray[np.float64]:
    """What a feature gives to a colour whose nearest point lies at a distance: 1 at 0, falling to 0 at the radius.

    Parameters
    ----------
    distances : float array of any shape, >= 0
    radius : float > 0
        p0, the distance from which on points count for nothing.
    shape : float in (0, 1), default 0.459
        p1; with q = p1 / (1 - p1) the curve is s = (1 - (r / p0)^q)^(1 / q). At 0.5 it is a line, below it falls at
        once and flattens out (near points count most), above it stays near 1 and falls at the end (nearly a count).

    Returns
    -------
    float64 array of the same shape

    Raises
    ------
    InvalidInput
        A radius or shape out of range.

    References
    ----------
    D. Aiger, A. Araujo and S. Lynen, "Yes, we CANN: constrained approximate nearest neighbors for local feature-based
    visual localization", ICCV 2023, arXiv:2306.09012.

    Examples
    --------
    >>> from nearhop.ann.cann import superellipse
    >>> superellipse([0, 50, 100], radius=100, shape=0.5).tolist()
    [1.0, 0.5, 0.0]
    """
    rule = scoring("l2", radius, shape)
    share = np.minimum(np.asarray(distances, np.float64) / rule.radius, 1)
    return np.asarray((1 - share**rule.power) ** (1 / rule.power))


__all__ = ["DEFAULT_SHAPE", "Scoring", "scoring", "superellipse"]
