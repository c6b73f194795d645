"""The demo's report: one HTML file without scripts or links to other files."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np

from ...graphlib.disk.replacing import replacing
from . import pictures
from .steps import GRAPH, NEIGHBORS, DemoResult, one_class

_STYLE = Path(__file__).parent / "report.css"


def write_report(result: DemoResult, path: Path) -> None:
    """Draw the panels that apply and write the page, whole or not at all."""
    with replacing(path) as part:
        part.write_text(page(result), encoding="utf-8")


def page(result: DemoResult) -> str:
    """The report as HTML."""
    scatter, chosen, places = pictures.embedding_map(result)
    pies = pictures.communities(result, chosen, places)
    panels = [
        _panel("Who is near?", _near_text(result), _neighbors(result), wide=True),
        _panel("Recall against speed", _curve_text(result), _figure(pictures.curve(result))),
        _panel("What does nearness predict?", _score_text(result), _figure(pictures.scores(result)))
        if result.scores
        else "",
        _panel("The graph, laid out by its embedding", _map_text(result), _image(scatter, "Map of the embedding")),
        _panel("Communities", _community_text(result), _image(pies, "Communities and their labels")),
        _panel("Where the time went", "Seconds on this machine, first calls included.", _seconds(result), wide=True),
    ]
    title = f"nearhop on {html.escape(result.dataset)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<p class="kicker">nearhop demo</p>
<h1>{html.escape(result.dataset)}</h1>
<p class="lead">{_lead(result)}</p>
</header>
<section class="tiles">{"".join(_tile(*tile) for tile in _tiles(result))}</section>
<main>{"".join(panels)}</main>
<footer>{_footer(result)}</footer>
</body>
</html>
"""


def _lead(result: DemoResult) -> str:
    start = (
        "Images were indexed with HNSW, linked to their nearest ones, and stored as a graph"
        if result.has_images
        else "The graph was stored"
    )
    return f"{start}; FastRP embedded every node, and the vectors answer who is near and what nearness predicts."


def _tiles(result: DemoResult) -> list[tuple[str, str]]:
    best = result.best_rate
    tiles = [
        (f"{result.store.num_nodes:,}", "nodes"),
        (f"{result.store.num_edges_of(GRAPH):,}", "edges"),
        (f"{best['recall']:.3f}", f"recall@{NEIGHBORS}"),
        (f"{best['rate']:,.0f}", "queries/s, one thread"),
    ]
    if result.scores:
        mean, _ = result.scores["graph embedding"]
        tiles.append((f"{mean:.3f}", result.score_name.partition(" with")[0]))
    tiles.append((f"{sum(result.seconds.values()):.0f} s", "in all"))
    return tiles


def _tile(value: str, name: str) -> str:
    return f'<div class="tile"><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>'


def _panel(title: str, text: str, body: str, *, wide: bool = False) -> str:
    return f'<section class="panel{" wide" if wide else ""}"><h2>{title}</h2><p>{text}</p>{body}</section>'


def _figure(svg: str) -> str:
    return f'<div class="figure">{svg}</div>'


def _image(address: str, alt: str) -> str:
    return f'<div class="figure"><img src="{address}" alt="{alt}"></div>' if address else ""


def _near_text(result: DemoResult) -> str:
    what = "images" if result.has_images else "nodes by embedding"
    marks = " Green: the same label as the query; red: another." if result.labels is not None else ""
    return f"Ten queries and their {NEIGHBORS} nearest {what}, nearest first.{marks}"


def _curve_text(result: DemoResult) -> str:
    best = result.best_rate
    gain = best["rate"] / result.exact_rate
    return (
        f"HNSW finds {best['recall']:.1%} of the true neighbours at {best['rate']:,.0f} queries per second "
        f"(ef_search {best['ef_search']:.0f}); exact search over {result.store.num_nodes:,} rows manages "
        f"{result.exact_rate:,.0f}: a factor of {gain:.1f}."
    )


def _score_text(result: DemoResult) -> str:
    return "Logistic regression on a tenth of the labels, three shuffles: from the embedding, and from what was given."


def _map_text(result: DemoResult) -> str:
    by = "label" if result.labels is not None else "community"
    return f"FastRP vectors in two dimensions (t-SNE), with the graph's edges; colours are the {by}."


def _community_text(result: DemoResult) -> str:
    count = 0 if result.communities is None else int(result.communities.max()) + 1
    told = "" if result.agreement is None else f" They agree with the labels to NMI {result.agreement:.2f}."
    colored = " Pie colours are the labels inside it." if result.labels is not None else ""
    return f"{count} clusters of the embedding; a line is as thick as there are edges between two.{colored}{told}"


def _neighbors(result: DemoResult) -> str:
    if result.queries is None or result.neighbors is None:
        return ""
    classes = one_class(result.labels)
    rows = []
    for query, found in zip(result.queries.tolist(), result.neighbors.tolist(), strict=True):
        near = [node for node in found if node not in (query, -1)][:NEIGHBORS]
        cells = [_cell(result, query, "query"), *(_cell(result, node, _match(classes, query, node)) for node in near)]
        rows.append(f'<div class="row">{"".join(cells)}</div>')
    return f'<div class="neighbors{" images" if result.has_images else ""}">{"".join(rows)}</div>'


def _match(classes: Any, query: int, node: int) -> str:
    if classes is None or classes[query] < 0 or classes[node] < 0:
        return ""
    return "same" if classes[query] == classes[node] else "other"


def _cell(result: DemoResult, node: int, kind: str) -> str:
    if result.has_images:
        pixels = np.asarray(result.store.nodes["x"][node])
        return f'<img class="{kind}" src="{pictures.thumbnail(pixels)}" alt="node {node}">'
    ids = result.store.ids()
    name = str(node if ids is None else ids[node])
    return f'<span class="{kind}" title="{html.escape(name)}">{html.escape(name)}</span>'


def _seconds(result: DemoResult) -> str:
    most = max(result.seconds.values())
    rows = [
        f"<tr><th>{html.escape(step)}</th><td>{seconds:.2f}</td>"
        f'<td class="bar"><i style="width:{100 * seconds / most:.1f}%"></i></td></tr>'
        for step, seconds in result.seconds.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def _footer(result: DemoResult) -> str:
    from ... import __version__

    name = html.escape(result.store.path.name if result.store.path else "")
    again = f"nearhop index build {name} --column fastrp --metric cosine"
    return (
        f"<p>nearhop {__version__}. Data: {html.escape(result.source)}.</p>"
        f"<p>Go on with the store beside this page: <code>nearhop info {name}</code> <code>{again}</code></p>"
    )
