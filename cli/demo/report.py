"""The demo's report on search, prediction and communities."""

from __future__ import annotations

import datetime
import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...graphlib.disk.replacing import replacing
from . import maps, pictures
from .data import GRAPH, one_class, share_label
from .html import count, figure, image, legend, page, panel
from .machine import processor, versions
from .result import EMBEDDING, NEIGHBORS, DemoResult

_MOST_IDS = 10


@dataclass(frozen=True, eq=False)
class Drawn:
    """The pictures of the report."""

    map: maps.Map
    pies: str
    legend: str
    curve: str
    scores: str


def draw(result: DemoResult) -> Drawn:
    """Draw the panels that apply."""
    colors = maps.colors_of(result)
    drawn = maps.embedding_map(result, colors)
    pies = maps.communities(result, drawn, colors)
    scores = pictures.bars(result.scores, result.score_name) if result.scores else ""
    return Drawn(drawn, pies, legend(colors.legend), pictures.curve(result), scores)


def write_report(result: DemoResult, drawn: Drawn, path: Path) -> None:
    """Write the page, whole or not at all."""
    with replacing(path) as part:
        part.write_text(report(result, drawn), encoding="utf-8")


def report(result: DemoResult, drawn: Drawn) -> str:
    """The report as HTML."""
    layout = "The graph, laid out by its embedding"
    panels = [
        panel("Who is near?", _near_text(result), _neighbors(result), wide=True),
        panel("Recall against speed", _curve_text(result), figure(drawn.curve)),
        panel("What does nearness predict?", _score_text(result), figure(drawn.scores)) if drawn.scores else "",
        panel(layout, _map_text(result, drawn.map), image(drawn.map.address, "Map") + drawn.legend),
        panel("Communities", _community_text(result), image(drawn.pies, "Communities") + drawn.legend),
        panel("Where the time went", _time_text(result), _seconds(result), wide=True),
    ]
    title = f"nearhop on {result.dataset}"
    return page(title, result.dataset, _lead(result), _tiles(result), panels, footer(result))


def _lead(result: DemoResult) -> str:
    data = result.data
    if data.store.num_edges == 0:
        what = "Images" if data.has_images else "Vectors"
        start = f"{what} were indexed with HNSW, linked to their nearest ones, and stored as a graph"
    elif data.merged:
        start = f"Edges of {len(data.merged)} types ({html.escape(', '.join(data.merged))}) were stored as one graph"
    else:
        start = "The graph was stored"
    also = (
        "" if result.links is None else " Which links come next is on a page of its own, links.html, beside this one."
    )
    return f"{start}; FastRP embedded every node, and the vectors answer who is near and what nearness predicts.{also}"


def _tiles(result: DemoResult) -> list[tuple[str, str]]:
    best = result.best_rate
    tiles = [
        (f"{result.store.num_nodes:,}", "nodes"),
        (f"{result.store.num_edges_of(GRAPH):,}", "edges"),
        (f"{best['recall']:.3f}", f"recall@{NEIGHBORS} of HNSW, ef_search {best['ef_search']:.0f}"),
        (f"{best['rate']:,.0f}", "queries/s at that recall, one thread"),
    ]
    if result.scores:
        mean, _ = result.scores[EMBEDDING]
        tiles.append((f"{mean:.3f}", f"{result.score_name}, by the embedding"))
    compiled = sum(result.compiling.values())
    told = (
        f"all of it, {compiled:.0f} s of them compiling, once" if compiled >= 0.5 else "all of it, nothing to compile"
    )
    tiles.append((f"{sum(result.seconds.values()):.0f} s", told))
    return tiles


def _near_text(result: DemoResult) -> str:
    queries = 0 if result.queries is None else len(result.queries)
    what = result.searched
    drawn = f"{_of_labels(result, queries)}drawn at random"
    text = (
        f"{count(queries, 'node')}, {drawn}, and the {NEIGHBORS} nearest to each by their {what}, nearest first; the "
        "node itself is left out."
    )
    if result.labels is None:
        return text
    classes, word = one_class(result.labels), result.data.label_word
    unknown = "; grey: one of the two has none" if classes is not None and (classes < 0).any() else ""
    if result.labels.ndim == 2:
        return f"{text} Green: at least one {word} in common with the query; red: no {word} in common{unknown}."
    return f"{text} Green: the same {word} as the query; red: another{unknown}."


def _of_labels(result: DemoResult, queries: int) -> str:
    classes = one_class(result.labels)
    present = 0 if classes is None else len(np.unique(classes[classes >= 0]))
    if not present:
        return ""
    if present >= queries:
        return f"one of each of {queries} {result.data.label_word}s, "
    return f"one of each of the {present} {result.data.label_word}s and {queries - present} more, "


def _curve_text(result: DemoResult) -> str:
    best = result.best_rate
    factor = best["rate"] / result.exact_rate
    versus = (
        f"{factor:.1f} times as many as exact search ({result.exact_rate:,.0f})"
        if factor >= 1
        else f"fewer than exact search ({result.exact_rate:,.0f}), which is the better choice for so few rows"
    )
    everything = "each of the" if result.num_queries == result.store.num_nodes else f"{result.num_queries:,} of the"
    return (
        f"Of the true {NEIGHBORS} nearest rows, HNSW finds {best['recall']:.1%} at {best['rate']:,.0f} queries per "
        f"second with ef_search {best['ef_search']:.0f}: {versus}. Queries are {everything} "
        f"{result.store.num_nodes:,} rows themselves, so each finds itself; speeds are medians of several runs on "
        "one thread."
    )


def _score_text(result: DemoResult) -> str:
    several = result.labels is not None and result.labels.ndim == 2
    how = "as many labels as a node has are predicted for it" if several else f"one {result.data.label_word} a node"
    others = [name for name in result.scores if name != EMBEDDING]
    beside = f", and beside it from the {others[0]}" if others else ""
    return (
        f"Logistic regression from the embedding{beside}, trained on a tenth of the labelled nodes, {how}; means and "
        "standard deviations of three shuffles."
    )


def _map_text(result: DemoResult, drawn: maps.Map) -> str:
    total = result.store.num_nodes
    nodes = (
        f"All {total:,} nodes"
        if len(drawn.nodes) == total
        else f"{len(drawn.nodes):,} of {total:,} nodes, drawn at random,"
    )
    if drawn.lines == drawn.edges:
        lines = f"lines are the {count(drawn.edges, 'pair')} of them with an edge"
    else:
        lines = (
            f"of the {drawn.edges:,} pairs of them with an edge, {drawn.lines:,} are drawn, none of them across the map"
        )
    return f"{nodes} where t-SNE puts their FastRP vectors in two dimensions; {lines}. {_color_text(result)}"


def _color_text(result: DemoResult) -> str:
    if result.labels is None:
        return "Colours are the communities of the next panel."
    if result.labels.ndim == 2:
        return "A node with several labels has the colour of that one of them which most nodes have."
    return f"Colours are the {result.data.label_word}s."


def _community_text(result: DemoResult) -> str:
    found = 0 if result.communities is None else int(result.communities.max()) + 1
    text = (
        f"{count(found, 'cluster')} of the embedding (k-means on vectors of unit length), of all "
        f"{result.store.num_nodes:,} nodes; the number is how many nodes there are in one, a line is as thick as there "
        "are edges between two."
    )
    if result.labels is None:
        return text
    told = "" if result.agreement is None else f" Clusters and labels agree to NMI {result.agreement:.2f}."
    several = " (of several, the one that most nodes have)" if result.labels.ndim == 2 else ""
    return f"{text} Pieces of a pie are the {result.data.label_word}s of its nodes{several}.{told}"


def _time_text(result: DemoResult) -> str:
    return (
        "Seconds of each step. The lighter part is compiling, which happens once on a machine: the next run has none."
        if sum(result.compiling.values()) > 0.05
        else "Seconds of each step; everything was compiled before."
    )


def _neighbors(result: DemoResult) -> str:
    if result.queries is None or result.neighbors is None:
        return ""
    rows = []
    for query, found in zip(result.queries.tolist(), result.neighbors.tolist(), strict=True):
        near = [node for node in found if node not in (query, -1)][:NEIGHBORS]
        cells = [cell(result, query, "query"), *(cell(result, node, _match(result, query, node)) for node in near)]
        rows.append(f'<div class="row">{"".join(cells)}</div>')
    return f'<div class="neighbors{" images" if result.has_images else ""}">{"".join(rows)}</div>'


def _match(result: DemoResult, query: int, node: int) -> str:
    if result.labels is None:
        return ""
    return {True: "same", False: "other", None: ""}[share_label(result.labels, query, node)]


def cell(result: DemoResult, node: int, kind: str) -> str:
    """A node by its picture or its name."""
    if result.has_images:
        pixels = np.asarray(result.store.nodes["x"][node])
        said = {"query": "query", "same": "same label", "other": "another label"}.get(kind, "label unknown")
        return f'<img class="{kind}" src="{pictures.thumbnail(pixels)}" alt="node {node}, {said}">'
    name = html.escape(name_of(result, node))
    return f'<span class="{kind}" title="{name}">{name}</span>'


def name_of(result: DemoResult, node: int) -> str:
    ids: Any = result.store.ids()
    return str(node if ids is None else ids[node])


def _seconds(result: DemoResult) -> str:
    most = max(result.seconds.values())
    rows = []
    for step, seconds in result.seconds.items():
        compiled = min(seconds, result.compiling.get(step, 0.0))
        rest, told = seconds - compiled, f"{seconds:.2f}"
        once = f'<i class="once" style="width:{100 * compiled / most:.1f}%"></i>'
        bar = f'<i style="width:{100 * rest / most:.1f}%"></i>{once}'
        rows.append(f'<tr><th>{html.escape(step)}</th><td>{told}</td><td class="bar"><span>{bar}</span></td></tr>')
    key = (
        legend([("work", "var(--accent)"), ("compiling, once", "var(--bar)")]) if any(result.compiling.values()) else ""
    )
    return f'<table class="times">{"".join(rows)}</table>{key}'


def footer(result: DemoResult) -> str:
    """Where the figures come from, and how to go on."""
    name = html.escape(result.store.path.name if result.store.path else "")
    again = f"nearhop index build {name} --column fastrp --metric cosine"
    card = result.data.card
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    notes = "".join(f"<p>Note: {html.escape(note)}</p>" for note in result.notes)
    command = f"nearhop demo --dataset {html.escape(result.dataset)} --seed {result.seed}"
    return (
        f"{notes}<p>Made {date} with <code>{command}</code>"
        f" on {html.escape(processor())}; {html.escape(versions())}.</p>"
        f"<p>Data: {html.escape(card.source)}; licence: {html.escape(card.licence)}; {html.escape(card.citation)}</p>"
        f"<p>Go on with the store beside this page: <code>nearhop info {name}</code> <code>{again}</code></p>"
    )
