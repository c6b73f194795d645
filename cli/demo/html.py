"""The frame of the demo's pages: one HTML file without scripts or links to other files, in light and dark."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

_STYLE = Path(__file__).parent / "report.css"


def page(title: str, heading: str, lead: str, tiles: list[tuple[str, str]], panels: list[str], footer: str) -> str:
    """A whole page; `lead`, `panels` and `footer` are HTML."""
    shown = "".join(tile(*each) for each in tiles)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<style>{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<p class="kicker">nearhop demo</p>
<h1>{html.escape(heading)}</h1>
<p class="lead">{lead}</p>
</header>
<section class="tiles">{shown}</section>
<main>{"".join(panels)}</main>
<footer>{footer}</footer>
</body>
</html>
"""


def tile(value: str, name: str) -> str:
    return f'<div class="tile"><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>'


def panel(title: str, text: str, body: str, *, wide: bool = False) -> str:
    return f'<section class="panel{" wide" if wide else ""}"><h2>{title}</h2><p>{text}</p>{body}</section>'


def figure(svg: str) -> str:
    return f'<div class="figure">{svg}</div>'


def image(address: str, alt: str) -> str:
    return f'<div class="figure"><img src="{address}" alt="{html.escape(alt)}"></div>' if address else ""


def legend(entries: list[tuple[str, str]]) -> str:
    """Colours and what they stand for."""
    marks = (f'<li><i style="background:{color}"></i>{html.escape(name)}</li>' for name, color in entries)
    return f'<ul class="legend">{"".join(marks)}</ul>' if entries else ""


def rows(entries: list[list[Any]], header: list[str]) -> str:
    """A table of text and numbers."""
    head = "".join(f"<th>{html.escape(title)}</th>" for title in header)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in entries)
    return f'<table class="list"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def count(number: int, one: str, several: str | None = None) -> str:
    """A number with its noun: "1 edge", "2,000 edges"."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
