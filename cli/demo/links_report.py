"""The demo's second page: which links were hidden, or came later."""

from __future__ import annotations

from pathlib import Path

from ...graphlib.disk.replacing import replacing
from . import pictures
from .html import count, figure, legend, page, panel, rows
from .links import LinkResult
from .report import footer, name_of
from .result import DemoResult


def write_links_report(result: DemoResult, links: LinkResult, path: Path) -> None:
    """Write the page, whole or not at all."""
    with replacing(path) as part:
        part.write_text(links_report(result, links), encoding="utf-8")


def links_report(result: DemoResult, links: LinkResult) -> str:
    """The page as HTML."""
    panels = []
    if links.activity is not None:
        bounds, counts, cut = links.activity
        key = legend([("what scores are made from", "var(--bar)"), ("what is tested", "var(--accent)")])
        drawn = figure(pictures.activity(bounds, counts, cut, _time_label(result)))
        panels.append(panel("When things happened", _activity_text(links), drawn + key, wide=True))
    if links.scores:
        bars = {name: (found["auc"], 0.0) for name, found in links.scores.items()}
        panels.append(panel("Links against other pairs", _scores_text(links), figure(_auc(bars))))
    if links.new_scores:
        bars = {name: (found["auc"], 0.0) for name, found in links.new_scores.items()}
        panels.append(panel("New links alone", _new_text(links), figure(_auc(bars))))
    if links.best:
        word = "came later" if links.by_time else "was hidden"
        listed = [
            [name_of(result, a), name_of(result, b), f"{score:.3f}", "yes" if linked else "no"]
            for a, b, score, linked in links.best
        ]
        right = sum(linked for *_, linked in links.best)
        text = (
            f"The {len(listed)} pairs that the embedding scores highest of all that are tested, half links, half not: "
            f"{right} of the {len(listed)} are."
        )
        panels.append(panel("The surest guesses", text, rows(listed, ["node", "node", "score", f"link that {word}"])))
    title = f"nearhop on {result.dataset}: links"
    return page(title, f"{result.dataset}: links", _lead(result, links), _tiles(links), panels, footer(result))


def _auc(bars: dict[str, tuple[float, float]]) -> str:
    return pictures.bars(bars, "area under the ROC curve (0.5: chance)", least=min(0.5, *(v for v, _ in bars.values())))


def _lead(result: DemoResult, links: LinkResult) -> str:
    if links.by_time:
        start = "The last 15 % of the events were set aside, and the graph before them was embedded"
    else:
        start = "A tenth of the linked pairs were hidden, and the graph without them was embedded"
    left = ""
    if links.left_out:
        which = "later" if links.by_time else "hidden"
        pairs = count(links.left_out, f"{which} pair")
        left = f" {pairs} of a node without a link there cannot be scored, and stay out."
    return f"{start}: can the missing links be told from pairs that are never linked?{left}"


def _tiles(links: LinkResult) -> list[tuple[str, str]]:
    tiles = [(f"{links.known:,}", "linked pairs known"), (f"{links.tested:,}", "linked pairs to find")]
    if links.scores:
        best = max(links.scores, key=lambda name: links.scores[name]["auc"])
        found = links.scores["graph embedding"]
        tiles += [(f"{found['auc']:.3f}", "AUC of the embedding"), (f"{found['ap']:.3f}", "its average precision")]
        tiles.append((f"{links.scores[best]['auc']:.3f}", f"the best AUC, of {best}"))
    if links.again is not None:
        tiles.append((f"{links.again:.0%}", "of the later pairs were linked before"))
    return tiles


def _activity_text(links: LinkResult) -> str:
    return "Events over time, in the units of the data; what is right of the line is tested, each pair once."


def _scores_text(links: LinkResult) -> str:
    most = "" if links.tested <= 20_000 else " 20,000 of the linked pairs, drawn at random, are tested."
    return (
        "The probability that a link scores above a pair that is never linked, drawn at random, as many of one as of "
        "the other. The embedding's score is the cosine of two FastRP vectors (weights 0, 1, 1; beta 0); common "
        "neighbours count by Adamic and "
        f"Adar; degrees is the product of two nodes' numbers of links.{most}"
    )


def _new_text(links: LinkResult) -> str:
    return "The same, where the links are those of pairs that were not linked before: the harder question."


def _time_label(result: DemoResult) -> str:
    unit = result.data.store.attributes.get("time_unit")
    return "time" if unit is None else f"time ({unit} since 1970)"
