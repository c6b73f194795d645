"""What the parameters of a search for colours may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_number
from ..metrics import check_count

if TYPE_CHECKING:
    from .index import CANN

METRICS, METHODS = ("l2", "cosine"), ("grids", "range", "exact")


def check_parameters(index: CANN) -> None:
    """`InvalidInput` for a parameter out of range; those of the score are checked with it."""
    for name, value, known in (("metric", index.metric, METRICS), ("method", index.method, METHODS)):
        if not isinstance(value, str) or value not in known:
            raise InvalidInput(f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}")
    for name in ("num_grids", "candidates"):
        check_count(name, getattr(index, name), high=1 << 16)
    width = index.cell_width
    if width is not None and (not is_number(width) or not math.isfinite(width) or width <= 0):
        raise InvalidInput(f"cell_width must be a finite number > 0, or None; got {width!r}")
    if index.compat not in (None, "released"):
        raise InvalidInput(f"compat must be 'released' or None; got {index.compat!r}")
    if index.compat and (index.metric, index.method, width) != ("l2", "grids", None):
        raise InvalidInput("compat='released' is for metric 'l2' and method 'grids', without cell_width")
    check_count("seed", index.seed, low=0)


__all__ = ["METHODS", "METRICS", "check_parameters"]
