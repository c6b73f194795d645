"""Recall against speed: true neighbours, sweeps over the effort of a search, tables and pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.disk.replacing import replacing
from ...graphlib.errors import IndexMismatch, InvalidInput
from ...graphlib.extras import require
from ...graphlib.vector_files import HDF5, VECS, read_hdf5, read_vecs
from ..arrays import read_vectors
from ..clock import timed
from ..output import table
from .files import knob_of, vectors_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...ann.result import SearchResult

EF_SEARCH = (10, 20, 50, 100, 200)
NPROBE = (1, 2, 4, 8, 16, 32)
_BAR = 30


@dataclass(frozen=True, eq=False)
class Truth:
    """True neighbours: a result of exact search, or ids from a file."""

    result: SearchResult | None
    ids: NDArray[np.int64]
    seconds: float | None

    def recall(self, found: SearchResult) -> float:
        """The share of true neighbours found: by distance against a search, by id against a file."""
        from ...ann.result import recall

        if self.result is not None:
            return recall(found, self.result)
        k = min(found.ids.shape[1], self.ids.shape[1])
        hits = (found.ids[:, :, None] == self.ids[:, None, :k]).any(axis=1)
        return float(hits.sum() / max(1, self.ids[:, :k].size))


@dataclass(frozen=True)
class Score:
    """One point of a curve; `effort` is None for an exact search."""

    search: str
    effort: int | None
    recall: float
    queries_per_second: float


def truth_of(
    index: Any, queries: NDArray[np.float32], k: int, *, file: str | None, rows: NDArray[np.int64],
    threads: int | None, clocked: bool = False,
) -> Truth:  # fmt: skip
    """True neighbours of the queries: from a file (`rows` are the queries' places in it), or by exact search.

    `clocked` repeats the exact search to see how long it takes.
    """
    from ...ann import Exact

    if file is None:
        exact = Exact(index.metric, threads=threads).add(*vectors_of(index))
        if not clocked:
            result = exact.search(queries, k)
            return Truth(result, result.ids, None)
        result, timing = timed(lambda: exact.search(queries, k))
        return Truth(result, result.ids, timing.seconds)
    path = Path(file)
    if path.suffix in HDF5:
        ids = read_hdf5(path, "neighbors")
    else:
        ids = read_vecs(path) if path.suffix in VECS else read_vectors(file)
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or ids.shape[1] < k:
        raise IndexMismatch(
            f"{file}: true neighbours are a matrix of ids of at least k = {k} columns; got {ids.dtype} {ids.shape}"
        )
    if len(ids) <= rows.max(initial=-1):
        raise IndexMismatch(f"{file} has the neighbours of {len(ids)} queries; there are {int(rows.max()) + 1} or more")
    return Truth(None, np.asarray(ids[rows][:, :k], np.int64), None)


def efforts_of(index: Any, asked: str | None) -> list[int]:
    """The efforts to try: those asked for, else a usual range; none for exact indexes."""
    knob = knob_of(index)
    if knob is None:
        return []
    if asked is None:
        most = getattr(index, "nlist", None) or 1 << 30
        return list(EF_SEARCH) if knob == "ef_search" else [p for p in NPROBE if p <= most]
    try:
        return [int(part) for part in asked.split(",")]
    except ValueError as error:
        raise InvalidInput(f"--effort must be integers separated by commas; got {asked!r}") from error


def sweep(
    index: Any, queries: NDArray[np.float32], k: int, truth: Truth, efforts: Iterable[int], *, threads: int | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Score]:  # fmt: skip
    """A score per effort, or one where the index has none."""
    knob = knob_of(index)
    label = type(index).__name__.lower()
    tries: list[int | None] = list(efforts) if knob is not None else [None]
    scores = []
    for done, effort in enumerate(tries):
        given: dict[str, Any] = {} if knob is None else {knob: effort}
        found, timing = timed(lambda g=given: index.search(queries, k, threads=threads, **g))  # type: ignore[misc]
        scores.append(Score(label, effort, truth.recall(found), len(queries) / timing.seconds))
        progress(done + 1, len(tries))
    return scores


def least_effort(
    index: Any, queries: NDArray[np.float32], k: int, truth: Truth, target: float, *, threads: int | None, most: int
) -> list[Score]:
    """The scores tried on the way to the smallest effort whose recall reaches `target`; that one is last.

    When `most` does not reach the target the last score is that of `most`. See `ann.effort.least_effort`.
    """
    from ...ann.least_effort import least_effort as search_effort

    tried: list[Score] = []

    def reaches(effort: int) -> bool:
        tried.extend(sweep(index, queries, k, truth, [effort], threads=threads))
        return tried[-1].recall >= target

    least = search_effort(reaches, k if knob_of(index) == "ef_search" else 1, most)
    return sorted(tried, key=lambda score: score.effort == least)


def curve_table(scores: list[Score], k: int, knob: str | None) -> str:
    """Rows of recall and speed, with a bar that shows the speed."""
    fastest = max(score.queries_per_second for score in scores)
    rows = [
        [
            s.search,
            s.effort,
            f"{s.recall:.4f}",
            round(s.queries_per_second),
            "█" * max(1, round(_BAR * s.queries_per_second / fastest)),
        ]
        for s in scores
    ]
    return table(rows, ["search", knob or "effort", f"recall@{k}", "queries/s", ""])


def as_dicts(scores: list[Score], knob: str | None) -> list[dict[str, Any]]:
    return [
        {"search": s.search, knob or "effort": s.effort, "recall": s.recall, "queries_per_second": s.queries_per_second}
        for s in scores
    ]


def draw(curves: dict[str, list[Score]], path: Path, k: int) -> None:
    """The curves as a PNG: recall across, queries per second up on a logarithmic axis."""
    if path.suffix != ".png":
        raise InvalidInput(f"--plot must end in .png; got {path}")
    require("matplotlib", "drawing a curve")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for label, scores in curves.items():
        points = sorted((s.recall, s.queries_per_second, s.effort) for s in scores)
        axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", markersize=4, label=label)
        for share, rate, effort in points:
            if effort is not None:
                axes.annotate(str(effort), (share, rate), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set(xlabel=f"recall@{k}", ylabel="queries per second", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=150)
