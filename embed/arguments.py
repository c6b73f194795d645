"""Checks of numbers and choices that every model of this folder shares; messages name the model and the value."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from ..graphlib.errors import InvalidInput, InvalidType


def whole(owner: str, name: str, value: Any, low: int, high: int) -> int:
    """An integer in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InvalidType(f"{owner}: {name} must be an integer; got {value!r}")
    if not low <= int(value) <= high:
        raise InvalidInput(f"{owner}: {name} must be in [{low}, {high}]; got {value!r}")
    return int(value)


def number(owner: str, name: str, value: Any, low: float, high: float) -> float:
    """A finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidType(f"{owner}: {name} must be a number; got {value!r}")
    if not (math.isfinite(value) and low <= float(value) <= high):
        raise InvalidInput(f"{owner}: {name} must be in [{low:g}, {high:g}]; got {value!r}")
    return float(value)


def positive(owner: str, name: str, value: Any, high: float = 1e9) -> float:
    """A number in (0, high]."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidType(f"{owner}: {name} must be a number; got {value!r}")
    if not (math.isfinite(value) and 0.0 < float(value) <= high):
        raise InvalidInput(f"{owner}: {name} must be > 0 and at most {high:g}; got {value!r}")
    return float(value)


def choice(owner: str, name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """One of the texts of `allowed`."""
    if value not in allowed:
        raise InvalidInput(f"{owner}: {name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return str(value)


def flag(owner: str, name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise InvalidType(f"{owner}: {name} must be True or False; got {value!r}")
    return value


def check_walker(owner: str, model: Any, max_dim: int) -> None:
    """The parameters that all models have which train vectors on walks or edges."""
    whole(owner, "dim", model.dim, 1, max_dim)
    whole(owner, "seed", model.seed, 0, 2**63 - 1)
    choice(owner, "direction", model.direction, ("out", "both"))
    for name in ("p", "q"):
        positive(owner, name, getattr(model, name))
    number(owner, "exponent", model.exponent, -8.0, 8.0)
    for name in ("use_weights", "deterministic"):
        flag(owner, name, getattr(model, name))
