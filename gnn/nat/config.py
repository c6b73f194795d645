"""Sizes and choices of a NAT, and what the paper and its released code chose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, is_integer, plain_parameter, share

_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "readout": "attention",
        "time_encoding": "since",
        "time_dim": 4,
        "second_hop": "copy",
        "hash": "prime",
    },
    "released": {
        "readout": "sum",
        "time_encoding": "absolute",
        "time_dim": 1,
        "second_hop": "update",
        "hash": "quadratic",
    },
}
_ALLOWED = {
    "compat": ("paper", "released"),
    "readout": ("attention", "sum"),
    "time_encoding": ("since", "absolute"),
    "second_hop": ("copy", "update"),
    "hash": ("prime", "quadratic"),
    "cache_device": ("model", "host"),
}


@dataclass(frozen=True)
class NATConfig:
    """Sizes and choices of a NAT; see the parameters of `NAT`.

    >>> NATConfig(compat="released").readout
    'sum'
    """

    sizes: tuple[int, ...] = (1, 32, 16)
    value_dim: int = 4
    self_dim: int = 72
    code_dim: int = 16
    hidden_dim: int = 64
    dropout: float = 0.1
    replace_prob: float = 0.9
    compat: str = "paper"
    readout: str | None = None
    time_encoding: str | None = None
    time_dim: int | None = None
    second_hop: str | None = None
    hash: str | None = None
    cache_device: str = "model"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in _PRESETS.get(self.compat, {}).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise InvalidInput(
                    f"{name} must be one of {', '.join(map(repr, allowed))}; got {getattr(self, name)!r}"
                )
        for name, least in (("value_dim", 1), ("self_dim", 1), ("hidden_dim", 1), ("time_dim", 1), ("code_dim", 0)):
            if not is_integer(getattr(self, name)) or getattr(self, name) < least:
                raise InvalidInput(f"{name} must be an integer >= {least}; got {getattr(self, name)!r}")
        share("dropout", self.dropout)
        if not isinstance(self.sizes, Iterable):
            raise InvalidInput(f"sizes must list slots per hop, such as (1, 32, 16); got {self.sizes!r}")
        for name, value in (("sizes", tuple(self.sizes)), ("seed", integer("seed", self.seed, -(1 << 63)))):
            object.__setattr__(self, name, plain_parameter(value))
