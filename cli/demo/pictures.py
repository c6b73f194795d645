"""The demo's charts, drawn with Matplotlib as SVG text whose colours are the page's, in light and dark."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.extras import require
from .result import EMBEDDING, NEIGHBORS, DemoResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Colours that the page's style sheet defines for both modes take the place of these.
_INK, _QUIET, _ACCENT, _BAR = "#010203", "#040506", "#070809", "#0a0b0c"
_NAMED = {_INK: "var(--ink)", _QUIET: "var(--quiet)", _ACCENT: "var(--accent)", _BAR: "var(--bar)"}
_WIDTH = 6.4
_LEAST_GAP = 0.06  # of the axis, between two labels


def canvas(width: float, height: float) -> tuple[Any, Any]:
    """A figure and its axes, in the page's colours."""
    require("matplotlib", "the demo's report")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_QUIET)
    axes.tick_params(colors=_INK, which="both", labelsize=12)
    return figure, axes


def _svg(figure: Any, label: str) -> str:
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "nearhop"}):
        nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nobody)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    for color, name in _NAMED.items():
        text = text.replace(color, name)
    return text


def png(figure: Any) -> str:
    """A drawing without text, as an address."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=170, transparent=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def curve(result: DemoResult) -> str:
    """Recall against queries per second."""
    from matplotlib.ticker import MaxNLocator, NullFormatter

    figure, axes = canvas(_WIDTH, 4.2)
    points = result.curve
    recall = [point["recall"] for point in points]
    rate = [point["rate"] for point in points]
    axes.plot(recall, rate, color=_ACCENT, marker="o", markersize=6, linewidth=2)
    span = max(recall) - min(recall) or 1.0
    last = -np.inf
    for point in points:
        if (point["recall"] - last) / span > _LEAST_GAP * 2.5:
            place = (point["recall"], point["rate"])
            axes.annotate(
                f"ef {point['ef_search']:.0f}", place, (8, 6), textcoords="offset points", color=_INK, fontsize=12
            )
            last = point["recall"]
    axes.axhline(result.exact_rate, color=_QUIET, linestyle="--", linewidth=1.2)
    axes.annotate(
        "exact search", (min(recall), result.exact_rate), (0, 5), textcoords="offset points", color=_INK, fontsize=12
    )
    axes.set_yscale("log")
    low, high = min(*rate, result.exact_rate), max(*rate, result.exact_rate)
    axes.set_ylim(low / 1.6, high * 1.8)
    axes.set_yticks(_round_steps(low / 1.6, high * 1.8))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(f"recall@{NEIGHBORS}", color=_INK, fontsize=13)
    axes.set_ylabel("queries per second, one thread", color=_INK, fontsize=13)
    axes.grid(alpha=0.25)
    return _svg(figure, "Recall against queries per second")


def _round_steps(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each decade between two numbers, so that labels do not crowd."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    return [step * 10.0**decade for decade in decades for step in (1, 2, 5) if low <= step * 10.0**decade <= high]


def bars(values: dict[str, tuple[float, float]], label: str, *, least: float = 0.0) -> str:
    """Named bars with their spread, from `least` on; that of the embedding stands out."""
    figure, axes = canvas(_WIDTH, 0.9 + 0.7 * len(values))
    names = list(values)[::-1]
    means = [values[name][0] for name in names]
    errors = [values[name][1] for name in names]
    colors = [_ACCENT if name == EMBEDDING else _BAR for name in names]
    style = {"xerr": errors, "ecolor": _INK} if any(errors) else {}
    axes.barh(names, [max(0.0, mean - least) for mean in means], left=least, color=colors, height=0.55, **style)
    for place, (mean, error) in enumerate(zip(means, errors, strict=True)):
        at = (max(mean, least) + error, place)
        axes.annotate(f"{mean:.3f}", at, (6, -4), textcoords="offset points", color=_INK, fontsize=12)
    top = max(max(means) + max(errors), least + 1e-3)
    axes.set_xlim(least, least + (top - least) * 1.25 if top - least < 0.5 else max(1.0, top) + 0.12 * (1 - least))
    axes.tick_params(axis="y", length=0, labelsize=13)
    axes.set_xlabel(label, color=_INK, fontsize=13)
    return _svg(figure, label)


def activity(bounds: NDArray[Any], counts: NDArray[Any], cut: float, label: str) -> str:
    """Events over time; those that are tested stand out."""
    figure, axes = canvas(2 * _WIDTH, 3.2)
    middles = (bounds[1:] + bounds[:-1]) / 2
    colors = [_ACCENT if middle > cut else _BAR for middle in middles]
    axes.bar(middles, counts, width=np.diff(bounds) * 0.9, color=colors)
    axes.axvline(cut, color=_QUIET, linestyle="--", linewidth=1.2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.get_major_formatter().set_useOffset(False)
    axes.set_xlabel(label, color=_INK, fontsize=13)
    axes.set_ylabel("events", color=_INK, fontsize=13)
    return _svg(figure, "Events over time")


def thumbnail(pixels: NDArray[Any]) -> str:
    """A grey image, dark on light, as a PNG."""
    require("matplotlib", "the demo's report")
    from matplotlib import image

    side = int(np.sqrt(pixels.size))
    buffer = io.BytesIO()
    image.imsave(buffer, -pixels.reshape(side, side).astype(float), cmap="gray", format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
