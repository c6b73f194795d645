"""First layers that read several feature matrices side by side."""

from __future__ import annotations

from collections.abc import Sequence

from ....graphlib.errors import InvalidInput
from ..features import Features


def as_branches(x: Features | Sequence[Features], count: int) -> list[Features]:
    """The matrices that `count` branches read."""
    given = list(x) if isinstance(x, (list, tuple)) else [x]
    if len(given) != count:
        raise InvalidInput(f"this model has {count} branches; got {len(given)} feature matrices")
    return given  # type: ignore[return-value]
