"""The demo's pictures, drawn with Matplotlib as SVG and PNG text that a page can hold."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.extras import require
from .steps import GRAPH, NEIGHBORS, DemoResult, one_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INK = "#1f2933"
_QUIET = "#8492a6"
_ACCENT = "#2563eb"
_GOOD = "#0f9d75"
_BAD = "#d64545"
_NOTE = {"color": _INK, "fontsize": 12}
_MOST_POINTS = 2500
_MOST_EDGES = 6000


def palette(count: int) -> list[Any]:
    """`count` colours that are told apart easily."""
    matplotlib = require("matplotlib", "the demo's report")
    colors = matplotlib.colormaps["tab10" if count <= 10 else "tab20"]
    return [colors(i % colors.N) for i in range(count)]


def _figure(width: float, height: float) -> tuple[Any, Any]:
    require("matplotlib", "the demo's report")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_QUIET)
    axes.tick_params(colors=_INK, labelsize=12)
    return figure, axes


def _svg(figure: Any) -> str:
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "nearhop"}):
        nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nobody)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _png(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=170, transparent=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def curve(result: DemoResult) -> str:
    """Recall against queries per second."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(6.4, 4.2)
    points = result.curve
    recall = [point["recall"] for point in points]
    rate = [point["rate"] for point in points]
    axes.plot(recall, rate, color=_ACCENT, marker="o", markersize=6, linewidth=2)
    for point in points[:: max(1, len(points) // 4)]:
        note = f"ef {point['ef_search']:.0f}"
        axes.annotate(
            note, (point["recall"], point["rate"]), (8, 6), textcoords="offset points", color=_INK, fontsize=12
        )
    axes.axhline(result.exact_rate, color=_QUIET, linestyle="--", linewidth=1.2)
    axes.annotate(
        "exact search", (min(recall), result.exact_rate), (0, 5), textcoords="offset points", color=_INK, fontsize=12
    )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_thousands)
    axes.yaxis.set_minor_formatter(_thousands)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(f"recall@{NEIGHBORS}", color=_INK, fontsize=13)
    axes.set_ylabel("queries per second, one thread", color=_INK, fontsize=13)
    axes.grid(alpha=0.25)
    return _svg(figure)


def _thousands(value: float, _: int) -> str:
    """Tick labels for rates: only 1, 2 and 5 of each decade, so that they do not crowd."""
    digits = f"{value:.0f}"
    return f"{value:,.0f}" if digits[0] in "125" else ""


def scores(result: DemoResult) -> str:
    """Bars of the classification scores."""
    figure, axes = _figure(6.4, 0.9 + 0.7 * len(result.scores))
    names = list(result.scores)[::-1]
    means = [result.scores[name][0] for name in names]
    errors = [result.scores[name][1] for name in names]
    colors = [_ACCENT if name == "graph embedding" else "#b8c4d6" for name in names]
    axes.barh(names, means, xerr=errors, color=colors, height=0.55, ecolor=_INK)
    for place, (mean, error) in enumerate(zip(means, errors, strict=True)):
        axes.annotate(
            f"{mean:.3f}", (mean + error, place), (6, -4), textcoords="offset points", color=_INK, fontsize=12
        )
    axes.set_xlim(0, max(1.0, *means) * 1.12 if max(means) > 0.5 else max(means) * 1.35)
    axes.tick_params(axis="y", length=0, labelsize=13)
    axes.set_xlabel(result.score_name, color=_INK, fontsize=13)
    return _svg(figure)


def embedding_map(result: DemoResult, seed: int = 0) -> tuple[str, NDArray[Any], NDArray[Any]]:
    """The embedding in two dimensions (t-SNE of at most 2,500 nodes); returns also which nodes, and where."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rng = np.random.default_rng(seed)
    vectors = np.asarray(result.store.nodes["fastrp"])
    chosen = np.sort(rng.choice(len(vectors), min(len(vectors), _MOST_POINTS), replace=False))
    norms = np.linalg.norm(vectors[chosen], axis=1, keepdims=True)
    rows = vectors[chosen] / np.where(norms > 0, norms, 1)
    reduced = PCA(min(30, *rows.shape), random_state=seed).fit_transform(rows)
    perplexity = min(30, max(2, len(rows) // 4))
    places = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, max_iter=500).fit_transform(reduced)
    figure, axes = _figure(6.4, 5.6)
    axes.axis("off")
    _edges(axes, result, chosen, places)
    color, names = _node_colors(result, chosen)
    axes.scatter(*places.T, c=color, s=9 if len(chosen) > 600 else 42, linewidths=0.2, edgecolors="white", zorder=2)
    _legend(axes, names, "community" if result.labels is None else "label")
    return _png(figure), chosen, places


def _edges(axes: Any, result: DemoResult, chosen: NDArray[Any], places: NDArray[Any]) -> None:
    from matplotlib.collections import LineCollection

    place_of = np.full(result.store.num_nodes, -1)
    place_of[chosen] = np.arange(len(chosen))
    edges = result.store.edge_list(GRAPH)
    ends = np.column_stack([place_of[edges.src], place_of[edges.dst]])
    ends = ends[(ends >= 0).all(axis=1)]
    if len(ends) > _MOST_EDGES:
        ends = ends[np.random.default_rng(0).choice(len(ends), _MOST_EDGES, replace=False)]
    axes.add_collection(LineCollection(places[ends], colors="#52606d", linewidths=0.25, alpha=0.25, zorder=1))


def _node_colors(result: DemoResult, chosen: NDArray[Any]) -> tuple[list[Any], list[tuple[str, Any]]]:
    classes = one_class(result.labels)
    shown = result.communities if classes is None else classes
    if shown is None:
        return [_ACCENT] * len(chosen), []
    values = np.unique(shown[shown >= 0])
    colors = dict(zip(values.tolist(), palette(len(values)), strict=True))
    names = [(str(value), colors[value]) for value in values.tolist()]
    return [colors.get(int(value), "#d7dce3") for value in shown[chosen]], names if len(names) <= 12 else []


def _legend(axes: Any, names: list[tuple[str, Any]], title: str) -> None:
    from matplotlib.lines import Line2D

    if names:
        marks = [Line2D([], [], marker="o", linestyle="", color=c, label=n, markersize=6) for n, c in names]
        axes.legend(
            handles=marks,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            ncols=min(len(names), 6),
            frameon=False,
            fontsize=12,
            title=title,
        )


def communities(result: DemoResult, chosen: NDArray[Any], places: NDArray[Any]) -> str:
    """Each community as a pie of its labels; lines are as thick as there are edges between two."""
    groups = result.communities
    if groups is None:
        return ""
    classes = one_class(result.labels)
    shown = groups if classes is None else classes
    values = np.unique(shown[shown >= 0])
    sizes = np.bincount(groups)
    radius = 0.02 + 0.075 * np.sqrt(sizes / sizes.max())
    centers = _apart(_centers(groups[chosen], places, len(sizes)), radius)
    figure, axes = _figure(6.4, 5.6)
    axes.set_aspect("equal")
    _ties(axes, _edges_between(result, groups, len(sizes)), centers)
    for g, size in enumerate(sizes.tolist()):
        shares = np.array([(shown[groups == g] == value).sum() for value in values], float)
        if shares.sum():
            edge = {"linewidth": 0, "zorder": 2}
            place = tuple(centers[g])
            axes.pie(shares, radius=radius[g], center=place, colors=palette(len(values)), wedgeprops=edge, frame=True)
        text = {"ha": "center", "va": "center", "color": "white", "fontsize": 9, "fontweight": "bold", "zorder": 3}
        axes.annotate(f"{size:,}", centers[g], **text)
    axes.set_xlim(-0.12, 1.12)
    axes.set_ylim(-0.12, 1.12)
    axes.axis("off")
    return _png(figure)


def _centers(groups: NDArray[Any], places: NDArray[Any], count: int) -> NDArray[Any]:
    """The middle of every group on the map, scaled to the unit square."""
    centers = np.array(
        [np.median(places[groups == g], axis=0) if (groups == g).any() else (0, 0) for g in range(count)]
    )
    spread = np.ptp(centers, axis=0)
    return (centers - centers.min(axis=0)) / np.where(spread > 0, spread, 1)


def _edges_between(result: DemoResult, groups: NDArray[Any], count: int) -> NDArray[Any]:
    edges = result.store.edge_list(GRAPH)
    between = np.zeros((count, count))
    np.add.at(between, (groups[edges.src], groups[edges.dst]), 1)
    between += between.T
    np.fill_diagonal(between, 0)
    return between


def _ties(axes: Any, between: NDArray[Any], centers: NDArray[Any]) -> None:
    strongest = max(1.0, between.max())
    for a, b in zip(*np.nonzero(np.tril(between) > 0.01 * strongest), strict=True):
        style = {"linewidth": 0.4 + 7 * between[a, b] / strongest, "color": "#9aa5b1", "alpha": 0.55}
        axes.plot(*centers[[a, b]].T, zorder=1, solid_capstyle="round", **style)


def _apart(centers: NDArray[Any], radius: NDArray[Any]) -> NDArray[Any]:
    """Push circles apart until none overlaps much."""
    moved = centers.copy()
    for _ in range(200):
        for a in range(len(moved)):
            for b in range(a):
                gap = moved[a] - moved[b]
                distance = float(np.hypot(*gap)) or 1e-3
                overlap = radius[a] + radius[b] + 0.02 - distance
                if overlap > 0:
                    step = gap / distance * overlap / 2
                    moved[a] += step
                    moved[b] -= step
    return np.clip(moved, 0, 1)


def thumbnail(pixels: NDArray[Any]) -> str:
    """A grey image, dark on light, as a PNG."""
    require("matplotlib", "the demo's report")
    from matplotlib import image

    side = int(np.sqrt(pixels.size))
    buffer = io.BytesIO()
    image.imsave(buffer, -pixels.reshape(side, side).astype(float), cmap="gray", format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
