"""A report on link prediction as one HTML page: measures, and charts of who is served well and who is not."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.disk.replacing import replacing
from ...graphlib.errors import InvalidInput

if TYPE_CHECKING:
    from .judge import LinkMeasures, Stratum

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#1c2b2d;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.25rem .8rem;border-bottom:1px solid #dfe6e6;text-align:right}td:first-child,
th:first-child{text-align:left}
.charts{display:flex;flex-wrap:wrap;gap:1.5rem}figure{margin:0}figcaption{font-size:.9rem;color:#4a5a5c}
svg text{font:11px system-ui,sans-serif;fill:#4a5a5c}p.note{color:#4a5a5c}
@media(prefers-color-scheme:dark){body{background:#12191a;color:#dfe9e9}td,th{border-color:#2c3a3c}
figcaption,p.note{color:#9fb0b2}svg text{fill:#9fb0b2}}
"""
_COLOURS = ("#00796b", "#b2560d", "#5a54a4", "#9c2f5b", "#52701c", "#245f91")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 420, 220, 40, 46


def link_report(
    path: str | Path,
    measures: Mapping[str, LinkMeasures],
    *,
    title: str = "Link prediction",
    groups: Mapping[str, Mapping[str, Sequence[Stratum]]] | None = None,
    correlations: Mapping[str, Mapping[str, float]] | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write the page, whole or not at all; it needs no script and no other file.

    Parameters
    ----------
    path : path
    measures : mapping from a model's name to `measure_links`' result
        All of one protocol.
    title : str
    groups : mapping from a chart's title to (model's name -> strata), optional
        From `strata`: a measure against degree, concentration, distance.
    correlations : mapping from a measure to (name -> correlation), optional
        Such as `TopologyReport.correlations`.
    notes : sequence of str
        How the figures came about: the split, what was read as input, the negatives.

    Returns
    -------
    Path

    Examples
    --------
    >>> from nearhop.embed.evaluation import link_report, measure_links
    >>> link_report("report.html", {"common neighbours": measure_links([2.0, 0.0], [1.0, 0.0])}).name
    'report.html'
    """
    if not measures:
        raise InvalidInput("link_report: measures of at least one model are needed")
    protocols = {m.protocol for m in measures.values()}
    if len(protocols) > 1:
        raise InvalidInput("link_report: measures on a shared pool and on own negatives do not go into one table")
    shared = protocols == {"shared"}
    pool = "all links are compared with one pool" if shared else "every link is ranked among its own negatives"
    charts = [_ranks_chart(measures)]
    charts += [_bars(name, series) for name, series in (groups or {}).items()]
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="note">Negatives: {pool}; ties of ranks count as {next(iter(measures.values())).ties}, ties of Hits '
        "miss.</p>",
        *(f'<p class="note">{html.escape(note)}</p>' for note in notes),
        "<h2>Measures</h2>",
        _table("model", {name: m.table() for name, m in measures.items()}),
        "<h2>Who is served well, and who is not</h2>",
        f'<div class="charts">{"".join(charts)}</div>',
    ]
    if correlations:
        body += ["<h2>What goes with it (Spearman)</h2>", _table("measure", correlations)]
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body>{''.join(body)}</body></html>\n"
    )
    target = Path(path)
    with replacing(target) as part:
        part.write_text(page, encoding="utf-8")
    return target


def _table(head: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    top = "".join(f"<th>{html.escape(name)}</th>" for name in (head, *names))
    lines = [
        f"<tr><td>{html.escape(label)}</td>"
        + "".join(f"<td>{row[name]:.4f}</td>" if name in row else "<td></td>" for name in names)
        + "</tr>"
        for label, row in rows.items()
    ]
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _ranks_chart(measures: Mapping[str, LinkMeasures]) -> str:
    """Share of links of at most each rank, ranks on a logarithmic axis."""
    most = max(float(m.ranks.max()) for m in measures.values())
    grid = np.unique(np.concatenate([np.geomspace(1, max(most, 2), 60), [1.0, most]]))
    lines = []
    for colour, (name, m) in zip(_colours(len(measures)), measures.items(), strict=True):
        share = np.searchsorted(np.sort(m.ranks), grid, "right") / m.ranks.shape[0]
        x = np.log(grid) / np.log(max(most, 2))
        points = " ".join(f"{_x(a):.1f},{_y(b):.1f}" for a, b in zip(x, share, strict=True))
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2">'
            f"<title>{html.escape(name)}</title></polyline>"
        )
    ticks = [10.0**e for e in range(int(np.log10(max(most, 2))) + 1)]
    labels = "".join(
        f'<text x="{_x(np.log(t) / np.log(max(most, 2))):.1f}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{t:g}'
        "</text>"
        for t in ticks
    )
    return _figure("Share of links within a rank", labels + "".join(lines), list(measures), 1.0)


def _bars(title: str, series: Mapping[str, Sequence[Stratum]]) -> str:
    """Bars of every group's mean, models side by side; the number of members below."""
    most = max((s.mean for groups in series.values() for s in groups), default=1.0) or 1.0
    count = max((len(groups) for groups in series.values()), default=1)
    parts = []
    for number, (colour, (name, groups)) in enumerate(zip(_colours(len(series)), series.items(), strict=True)):
        width = 0.8 / count / max(1, len(series))
        for at, group in enumerate(groups):
            left, height = at / count + 0.1 / count + number * width, group.mean / most
            what = f"{name}, {group.low:.3g} to {group.high:.3g}: {group.mean:.4f} ({group.count})"
            parts.append(
                f'<rect x="{_x(left):.1f}" y="{_y(height):.1f}" width="{width * (_WIDTH - _LEFT):.1f}" '
                f'height="{_y(0) - _y(height):.1f}" fill="{colour}"><title>{html.escape(what)}</title></rect>'
            )
            if number == 0:
                middle = _x((at + 0.5) / count)
                parts.append(
                    f'<text x="{middle:.1f}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{group.low:.3g}–'
                    f'{group.high:.3g}</text><text x="{middle:.1f}" y="{_HEIGHT - _BOTTOM + 28}" '
                    f'text-anchor="middle">n={group.count}</text>'
                )
    return _figure(title, "".join(parts), list(series), most)


def _figure(title: str, inner: str, names: list[str], most: float) -> str:
    legend = "".join(
        f'<text x="{_LEFT + 120 * i}" y="{_HEIGHT - 4}" style="fill:{colour}">{html.escape(name[:18])}</text>'
        for i, (colour, name) in enumerate(zip(_colours(len(names)), names, strict=True))
    )
    scale = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{_y(f):.1f}" y2="{_y(f):.1f}" stroke="#8aa" stroke-opacity=".35"/>'
        f'<text x="{_LEFT - 4}" y="{_y(f) + 4:.1f}" text-anchor="end">{f * most:.2g}</text>'
        for f in (0.0, 0.5, 1.0)
    )
    return (
        f'<figure><svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title, quote=True)}">{scale}{inner}{legend}</svg>'
        f"<figcaption>{html.escape(title)}</figcaption></figure>"
    )


def _colours(count: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(count)]


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT)


def _y(share: float) -> float:
    return 10 + (1 - share) * (_HEIGHT - _BOTTOM - 10)
