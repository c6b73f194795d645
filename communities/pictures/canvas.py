"""What every form of a picture shares: the canvas, the kinds of nodes, colours, and short names."""

from __future__ import annotations

WIDTH, HEIGHT, MARGIN = 1000.0, 720.0, 46.0
RING = 4.0  # between a seed's circle and its ring
OUTSIDE, MEMBER, SEED = 0, 1, 2
GROUP_COLORS = ("#0f766e", "#d97706", "#4f6bd8", "#c2410c", "#7c4dbd", "#2f8f3e", "#b8336a", "#0e7fb3", "#8a6d3b")


def shorten(name: str, most: int = 26) -> str:
    """The name, its middle left out where it is long."""
    return name if len(name) <= most else name[: most - 9] + "…" + name[-8:]
