"""Sizes and shares that the models of this room are given."""

from __future__ import annotations

from typing import Any

from ....graphlib.scalars import integer, share


def check_sizes(**given: Any) -> None:
    """Integers of at least 1."""
    for name, value in given.items():
        integer(name, value, 1)


def check_shares(**given: Any) -> None:
    """Numbers in [0, 1), such as what dropout takes away."""
    for name, value in given.items():
        share(name, value)
