"""A picture as PNG, by Matplotlib."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.extras import require
from .canvas import GROUP_COLORS, HEIGHT, OUTSIDE, RING, SEED, WIDTH, shorten

if TYPE_CHECKING:
    from .picture import Picture

_INK, _QUIET, _SEED, _RING = "#1c2b33", "#6b7a83", "#e8590c", "#c3cacd"
_LOW, _HIGH = "#cfe8e3", "#0a5a55"
_ALIGN = {"start": "left", "end": "right", "middle": "center"}


def plot(picture: Picture, *, dpi: int = 160) -> bytes:
    """The file's bytes."""
    require("matplotlib", "a picture as .png (.html needs nothing)")
    from matplotlib.collections import EllipseCollection, LineCollection
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    figure = Figure(figsize=(WIDTH / 100, (HEIGHT + 70) / 100), facecolor="white")
    axes = figure.add_axes((0, 0.035, 1, HEIGHT / (HEIGHT + 70)))
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    axes.axis("off")
    inside = picture.kind != OUTSIDE
    both = inside[picture.src] & inside[picture.dst]
    ends = np.stack([picture.at[picture.src], picture.at[picture.dst]], axis=1)
    for chosen, color in ((~both, "#b9c0c4"), (both, "#5f8f8a")):
        thick = 0.35 + 0.8 * picture.width[chosen]
        axes.add_collection(
            LineCollection(ends[chosen], colors=color, alpha=picture.edge_ink(), linewidths=thick, zorder=1)
        )
    ramp = LinearSegmentedColormap.from_list("score", [_LOW, _HIGH])

    def circles(nodes: Any, extra: float, **look: Any) -> None:
        across = 2 * (picture.radius[nodes] + extra)
        axes.add_collection(
            EllipseCollection(
                across,
                across,
                np.zeros(len(nodes)),
                units="xy",
                offsets=picture.at[nodes],
                offset_transform=axes.transData,
                zorder=2,
                **look,
            )
        )

    outside, seeds = np.flatnonzero(~inside), np.flatnonzero(picture.kind == SEED)
    plain = np.flatnonzero(inside & (picture.kind != SEED))
    fill: Any = ramp(picture.shade[plain])
    if picture.groups:
        fill = [GROUP_COLORS[g % len(GROUP_COLORS)] for g in picture.group[plain]]
    circles(outside, 0, facecolors="white", edgecolors=_RING, linewidths=1.0)
    circles(plain, 0, facecolors=fill, edgecolors="white", linewidths=0.8)
    circles(seeds, RING, facecolors="none", edgecolors=_SEED, linewidths=1.3)
    circles(seeds, 0, facecolors=_SEED, edgecolors="white", linewidths=0.8)
    for node, (x, y, anchor) in picture.labels().items():
        is_seed = picture.kind[node] == SEED
        axes.text(
            x, y, shorten(picture.names[node]), ha=_ALIGN[anchor], va="baseline", color=_INK, clip_on=True,
            fontsize=8.6 if is_seed else 7.6, fontweight="bold" if is_seed else "normal",
            path_effects=[withStroke(linewidth=2.4, foreground="white")], parse_math=False,
        )  # fmt: skip
    figure.text(0.028, 0.955, picture.title, fontsize=15, fontweight="bold", color=_INK, parse_math=False)
    told = "   ·   ".join(f"{name} {value}" for name, value in picture.facts.items())
    figure.text(0.028, 0.925, told, fontsize=9, color=_QUIET, parse_math=False)
    _legend(figure, picture, ramp)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None})
    return out.getvalue()


def _legend(figure: Any, picture: Picture, ramp: Any) -> None:
    strip = figure.add_axes((0.028, 0.008, 0.94, 0.03))
    strip.set(xlim=(0, 940), ylim=(0, 24))
    strip.axis("off")
    if picture.groups:
        step = 940 / len(picture.groups)
        for i, told in enumerate(picture.groups):
            strip.scatter([6 + i * step], [12], s=42, color=GROUP_COLORS[i % len(GROUP_COLORS)])
            strip.text(16 + i * step, 12, told, va="center", fontsize=8, color=_QUIET, parse_math=False)
        return
    strip.scatter([7], [12], s=100, facecolors="none", edgecolors=_SEED, linewidths=1.2)
    strip.scatter([7], [12], s=40, color=_SEED)
    strip.text(20, 12, "seed", va="center", fontsize=8.5, color=_QUIET)
    known = picture.range()
    if known is not None:
        strip.imshow(np.linspace(0, 1, 64)[None], extent=(130, 240, 7, 17), aspect="auto", cmap=ramp)
        strip.set(xlim=(0, 940), ylim=(0, 24))
        strip.text(124, 12, f"{known[0]:.4g}", va="center", ha="right", fontsize=8.5, color=_QUIET)
        told = f"{known[1]:.4g}   {picture.score_name}"
        strip.text(247, 12, told, va="center", fontsize=8.5, color=_QUIET, parse_math=False)
    if (picture.kind == OUTSIDE).any():
        strip.scatter([492], [12], s=30, facecolors="white", edgecolors=_RING)
        strip.text(504, 12, "outside, linked", va="center", fontsize=8.5, color=_QUIET)


__all__ = ["plot"]
