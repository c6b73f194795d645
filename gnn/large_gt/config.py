"""The settings of LargeGT."""

from __future__ import annotations

from dataclasses import dataclass

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, is_number, share

MODES = ("full", "local")
COMPAT = (None, "released")


@dataclass(frozen=True, kw_only=True)
class LargeGTConfig:
    """How large a LargeGT is and what it leaves out at random.

    Attributes
    ----------
    hidden : int >= 1, default 128
        H, the width of a token and of every head (256 for ogbn-products, 512 for ogbn-papers100M).
    heads : int >= 1, default 2
    mode : {"full", "local"}, default "full"
        "local" leaves out the global module and its codebook.
    num_centroids : int >= 1, default 4096
        C, rows of the codebook.
    global_dim : int, default 64
        g, the width of positional encodings, and of what features are projected to in the global module. It is that of
        the loader's `position` column.
    dropout : float in [0, 1), default 0.5
        Inside the input networks and after the layers of the head.
    attention_dropout : float in [0, 1), default 0.3
        Of what the local attention gives.
    momentum : float in (0, 1), default 0.01
        Of the codebook's moving averages: the part of each batch.
    compat : "released", optional
        As in the released code, every node is assigned to a random centroid at first, so that counts are mostly those
        of nodes that no batch ever updates. By default only assigned nodes count.
    seed : int, default 0
        Of k-means and of the random assignment.

    Examples
    --------
    >>> from nearhop.gnn.large_gt import LargeGTConfig
    >>> LargeGTConfig(hidden=64, num_centroids=256).heads
    2
    """

    hidden: int = 128
    heads: int = 2
    mode: str = "full"
    num_centroids: int = 4096
    global_dim: int = 64
    dropout: float = 0.5
    attention_dropout: float = 0.3
    momentum: float = 0.01
    compat: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "heads", "num_centroids", "global_dim"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        object.__setattr__(self, "seed", integer("seed", self.seed, -(1 << 63)))
        for name, allowed in (("mode", MODES), ("compat", COMPAT)):
            if getattr(self, name) not in allowed:
                raise InvalidInput(
                    f"{name} must be one of {', '.join(map(repr, allowed))}; got {getattr(self, name)!r}"
                )
        for name in ("dropout", "attention_dropout"):
            object.__setattr__(self, name, share(name, getattr(self, name)))
        if not is_number(self.momentum) or not 0 < self.momentum < 1:
            raise InvalidInput(f"momentum must be a number in (0, 1); got {self.momentum!r}")
