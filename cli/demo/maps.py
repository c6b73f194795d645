"""The demo's maps: nodes where the embedding puts them, and communities as pies; colours are told in the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, generator
from .data import GRAPH, one_class
from .pictures import canvas, png
from .result import DemoResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_POINTS = 1500
_MOST_LINES = 1500
_LONGEST = 0.12  # of the map, where lines are too many for all of them
_FEW_LINES = 400  # that many are drawn however long they are
_PALETTE = (  # told apart on light and dark; grey is for the others
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf", "#5254d8",
)  # fmt: skip
_MOST_COLORS = len(_PALETTE)
_OTHER = "#9aa5b1"
_LINE = "#8492a6"


@dataclass(frozen=True, eq=False)
class Colors:
    """A colour per node, and what colours stand for.

    `group` is the place of a node's colour in `legend`, or -1 for nodes without one.
    """

    group: NDArray[np.int64]
    legend: list[tuple[str, str]]

    def of(self, nodes: NDArray[Any]) -> list[str]:
        colors = [color for _, color in self.legend] + [_OTHER]
        return [colors[place] for place in self.group[nodes]]


@dataclass(frozen=True, eq=False)
class Map:
    """A drawing, the nodes on it and where they lie, and how many linked pairs are drawn of how many among them."""

    address: str
    nodes: NDArray[np.int64]
    places: NDArray[np.float64]
    lines: int
    edges: int


def colors_of(result: DemoResult) -> Colors:
    """The ten most common classes have colours of their own, and the others one together; else communities."""
    classes = one_class(result.labels)
    shown = result.communities if classes is None else classes
    if shown is None:
        return Colors(np.full(result.store.num_nodes, -1), [])
    word = "community" if classes is None else result.data.label_word
    values, counts = np.unique(shown[shown >= 0], return_counts=True)
    most = _MOST_COLORS if len(values) <= _MOST_COLORS else _MOST_COLORS - 1
    kept = np.sort(values[np.argsort(-counts, kind="stable")[:most]])
    group = np.full(len(shown), -1)
    for place, value in enumerate(kept.tolist()):
        group[shown == value] = place
    legend = [(f"{word} {value}", color) for value, color in zip(kept.tolist(), _PALETTE, strict=False)]
    if len(values) > len(kept):
        group[(shown >= 0) & (group < 0)] = len(kept)
        legend.append((f"{len(values) - len(kept)} others", _OTHER))
    return Colors(group, legend)


def embedding_map(result: DemoResult, colors: Colors) -> Map:
    """The embedding in two dimensions: t-SNE of at most 1,500 nodes, drawn at random."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    from ...ann.metrics import unit_rows

    rng = generator(result.seed, Purpose.DEMO, "points")
    vectors = np.asarray(result.store.nodes["fastrp"])
    chosen = np.sort(rng.choice(len(vectors), min(len(vectors), _MOST_POINTS), replace=False))
    rows = unit_rows(vectors[chosen])
    perplexity = min(30, max(2, len(rows) // 4))
    # coarser than usual, which a map of this size does not show and a third of the time
    look = TSNE(2, perplexity=perplexity, init="pca", random_state=result.seed, max_iter=350, angle=0.7, n_jobs=1)
    with threadpool_limits(1):  # its threads spin while they wait for each other: on a busy machine, most of the time
        reduced = PCA(min(30, *rows.shape), random_state=result.seed).fit_transform(rows)
        places = look.fit_transform(reduced)
    figure, axes = canvas(6.4, 5.2)
    axes.axis("off")
    lines, edges = _lines(axes, result, chosen, places)
    size = 42 if len(chosen) <= 600 else 10
    axes.scatter(*places.T, c=colors.of(chosen), s=size, linewidths=0, zorder=2)
    return Map(png(figure), chosen, places, lines, edges)


def _lines(axes: Any, result: DemoResult, chosen: NDArray[Any], places: NDArray[Any]) -> tuple[int, int]:
    """Lines among the nodes on the map: all of them where there are few, else some of those that are not long."""
    from matplotlib.collections import LineCollection

    place_of = np.full(result.store.num_nodes, -1)
    place_of[chosen] = np.arange(len(chosen))
    edges = result.store.edge_list(GRAPH)
    ends = np.column_stack([place_of[edges.src], place_of[edges.dst]])
    ends = np.sort(ends[(ends >= 0).all(axis=1)], axis=1)
    pairs = np.unique(ends[ends[:, 0] < ends[:, 1]], axis=0)
    drawn = pairs
    if len(pairs) > _FEW_LINES:
        lengths = np.hypot(*(places[pairs[:, 0]] - places[pairs[:, 1]]).T)
        drawn = pairs[lengths <= _LONGEST * np.ptp(places, axis=0).max()]
        if len(drawn) > _MOST_LINES:
            drawn = generator(result.seed, Purpose.DEMO, "lines").choice(drawn, _MOST_LINES, replace=False)
    axes.add_collection(LineCollection(places[drawn], colors=_LINE, linewidths=0.5, alpha=0.6, zorder=1))
    return len(drawn), len(pairs)


def communities(result: DemoResult, drawn: Map, colors: Colors) -> str:
    """Each community as a pie of its colours; lines are as thick as there are edges between two."""
    groups = result.communities
    if groups is None:
        return ""
    sizes = np.bincount(groups)
    radius = 0.02 + 0.075 * np.sqrt(sizes / sizes.max())
    centers = _apart(_centers(groups[drawn.nodes], drawn.places, len(sizes)), radius)
    figure, axes = canvas(6.4, 5.2)
    axes.set_aspect("equal")
    _ties(axes, _edges_between(result, groups, len(sizes)), centers)
    palette = [color for _, color in colors.legend] + [_OTHER]
    for g, size in enumerate(sizes.tolist()):
        inside = colors.group[groups == g]
        shares = np.array([(inside == place).sum() for place in (*range(len(palette) - 1), -1)], float)
        style = {"linewidth": 0, "zorder": 2}
        axes.pie(shares, radius=radius[g], center=tuple(centers[g]), colors=palette, wedgeprops=style, frame=True)
        text = {"ha": "center", "va": "center", "color": "white", "fontsize": 10, "fontweight": "bold", "zorder": 3}
        axes.annotate(f"{size:,}", centers[g], **text)
    axes.set_xlim(-0.12, 1.12)
    axes.set_ylim(-0.12, 1.12)
    axes.axis("off")
    return png(figure)


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
    for a, b in zip(*np.nonzero(np.tril(between) > 0.02 * strongest), strict=True):
        style = {"linewidth": 0.4 + 7 * between[a, b] / strongest, "color": _LINE, "alpha": 0.5}
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
