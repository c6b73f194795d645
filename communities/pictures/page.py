"""A picture as one HTML file: drawing, ranked table and styles inside, nothing loaded from elsewhere."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .canvas import GROUP_COLORS, HEIGHT, OUTSIDE, RING, SEED, WIDTH, shorten

if TYPE_CHECKING:
    from .picture import Picture

_FOLDER = Path(__file__).parent
_ROWS = 400


def page(picture: Picture) -> str:
    """The whole page."""
    title = html.escape(picture.title)
    style = (_FOLDER / "picture.css").read_text(encoding="utf-8")
    script = (_FOLDER / "picture.js").read_text(encoding="utf-8")
    facts = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in picture.facts.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<dl>{facts}</dl>
</header>
<main>
<figure>
{_drawing(picture)}
<figcaption>{_legend(picture)}</figcaption>
</figure>
<aside>
{_table(picture)}
</aside>
</main>
<script>
{script}</script>
</body>
</html>
"""


def _drawing(picture: Picture) -> str:
    at, lines = picture.at, []
    inside = picture.kind != OUTSIDE
    for s, d, w in zip(picture.src.tolist(), picture.dst.tolist(), picture.width.tolist(), strict=True):
        kind = "in" if inside[s] and inside[d] else "out"
        lines.append(
            f'<line class="{kind}" data-a="{s}" data-b="{d}" x1="{at[s, 0]:.1f}" y1="{at[s, 1]:.1f}" '
            f'x2="{at[d, 0]:.1f}" y2="{at[d, 1]:.1f}" stroke-width="{0.5 + 1.1 * w:.2f}"/>'
        )
    circles = "".join(_circle(picture, node) for node in np.argsort(picture.kind, kind="stable").tolist())
    labels = "".join(
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{" class=seed" if picture.kind[node] == SEED else ""}>'
        f"{html.escape(shorten(picture.names[node]))}</text>"
        for node, (x, y, anchor) in picture.labels().items()
    )
    style = f"--ink-of-edges:{picture.edge_ink():.2f}"
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" style="{style}" role="img" aria-label="{html.escape(picture.title)}">'
        f'<g id="view"><g id="edges">{"".join(lines)}</g><g id="nodes">{circles}</g>'
        f'<g id="labels">{labels}</g></g></svg>'
    )


def _circle(picture: Picture, node: int) -> str:
    x, y = picture.at[node]
    r, kind, name = picture.radius[node], int(picture.kind[node]), html.escape(picture.names[node])
    told = f"{name} · {_number(picture.scores[node])}" if np.isfinite(picture.scores[node]) else name
    if picture.group[node] >= 0:
        color = GROUP_COLORS[picture.group[node] % len(GROUP_COLORS)]
        look = f'class="group" style="fill:{color}"'
    elif kind == OUTSIDE:
        told, look = f"{name} · outside", 'class="outside"'
    else:
        look = f'class="{"seed" if kind == SEED else "member"}" style="--t:{picture.shade[node]:.3f}"'
    ring = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="{r + RING:.1f}"/>' if kind == SEED else ""
    return (
        f'<g data-node="{node}">{ring}<circle {look} cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/><title>{told}</title></g>'
    )


def _legend(picture: Picture) -> str:
    if picture.groups:
        return "".join(
            f'<span><i class="dot" style="background:{GROUP_COLORS[i % len(GROUP_COLORS)]}"></i>'
            f"{html.escape(told)}</span>"
            for i, told in enumerate(picture.groups)
        )
    parts = ['<span><i class="dot seed"></i>seed</span>']
    known = picture.range()
    if known is not None:
        low, top = map(_number, known)
        parts.append(f"<span>{html.escape(picture.score_name)} {low} <i class='scale'></i> {top}</span>")
    if (picture.kind == OUTSIDE).any():
        parts.append('<span><i class="dot outside"></i>outside, linked</span>')
    parts.append('<span class="hint">point at a node or a row; drag and scroll to look closer</span>')
    return "".join(parts)


def _table(picture: Picture) -> str:
    shown = np.flatnonzero(picture.kind != OUTSIDE)
    order = shown[np.lexsort((-picture.shade[shown], picture.group[shown], -picture.kind[shown]))][:_ROWS]
    head = "degree" if picture.groups else "score"
    highest = float(np.nanmax(picture.scores, initial=0)) or 1.0
    rows = []
    for place, node in enumerate(order.tolist(), start=1):
        mark = '<b class="tag">seed</b>' if picture.kind[node] == SEED else ""
        if picture.group[node] >= 0:
            color = GROUP_COLORS[picture.group[node] % len(GROUP_COLORS)]
            mark = f'<i class="dot" style="background:{color}"></i>'
        share = max(0.0, picture.scores[node] / highest) if np.isfinite(picture.scores[node]) else 0.0
        bar = f'<i class="bar" style="width:{100 * share:.0f}%"></i>'
        rows.append(
            f'<tr data-node="{node}"><td>{place}</td><td>{html.escape(picture.names[node])}{mark}</td>'
            f"<td>{bar}<span>{_number(picture.scores[node])}</span></td></tr>"
        )
    return (
        f"<table><thead><tr><th>#</th><th>node</th><th>{head}</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "–"


__all__ = ["page"]
