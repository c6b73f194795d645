"""First layers that read several feature matrices side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ....graphlib.errors import InvalidInput
from ..features import Features, drop_features


def as_branches(x: Features | Sequence[Features], count: int) -> list[Features]:
    """The matrices that `count` branches read."""
    given = list(x) if isinstance(x, (list, tuple)) else [x]
    if len(given) != count:
        raise InvalidInput(f"this model has {count} branches; got {len(given)} feature matrices")
    return given  # type: ignore[return-value]


def dropped_branches(x: Features | Sequence[Features], count: int, share: float, training: bool) -> Iterator[Features]:
    """The same after dropout, each drawn when it is taken."""
    for part in as_branches(x, count):
        yield drop_features(part, share, training)
