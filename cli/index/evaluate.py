"""nearhop index eval, tune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ...graphlib.progress import progress_bar
from ..output import Json, emit
from . import options


def register(app: typer.Typer) -> None:
    app.command("eval", no_args_is_help=True)(evaluate)
    app.command(no_args_is_help=True)(tune)


def evaluate(
    index: Path = options.Index,
    queries: str = typer.Argument(help=options.VECTORS),
    column: str | None = options.Column,
    k: int = options.K,
    effort: str | None = options.Effort,
    truth: str | None = options.Truth,
    plot: Path | None = typer.Option(None, help="Draw the curve into this .png file."),
    limit: int = options.Limit,
    metric: str | None = options.Metric,
    name: str = options.Name,
    threads: int | None = options.Threads,
    as_json: bool = Json,
) -> None:
    """Recall against exact search, and queries per second, at several efforts.

    Example: nearhop index eval vectors.index.nh queries.npy -k 10 --ef-search 20,50,100 --plot curve.png

    Example: nearhop index eval sift.faiss sift-128-euclidean.hdf5 --truth sift-128-euclidean.hdf5
    """
    from ..targets import check_file
    from .curves import Score, as_dicts, curve_table, draw, efforts_of, sweep, truth_of
    from .files import open_index
    from .sources import read_queries, some, spread

    check_file("--plot", plot, (".png",))
    opened = open_index(index, name, metric).index
    rows = some(read_queries(queries, column), queries, "queries")
    places = spread(len(rows), limit)
    rows = rows[places]
    efforts = efforts_of(opened, effort)
    known = truth_of(opened, rows, k, file=truth, rows=places, threads=threads, clocked=True)
    knob = opened.knob
    scores = []
    if known.seconds is not None:
        scores.append(Score("exact", None, 1.0, len(rows) / known.seconds))
    with progress_bar("searching") as progress:
        if opened.KIND != "exact" or known.seconds is None:
            scores += sweep(opened, rows, k, known, efforts, threads=threads, progress=progress)
    if plot is not None:
        draw({s.search: [t for t in scores if t.search == s.search] for s in scores}, plot, k)
    emit(
        {"queries": len(rows), "k": k, "scores": as_dicts(scores, knob), "plot": None if plot is None else str(plot)},
        as_json=as_json,
        text=lambda: curve_table(scores, k, knob),
    )


def tune(
    index: Path = options.Index,
    queries: str = typer.Argument(help=options.VECTORS + " By default a sample of the index itself.", default=None),
    column: str | None = options.Column,
    k: int = options.K,
    recall: float = typer.Option(0.95, help="The recall to reach."),
    most: int = typer.Option(2000, help="The largest effort to try."),
    truth: str | None = options.Truth,
    limit: int = options.Limit,
    metric: str | None = options.Metric,
    name: str = options.Name,
    threads: int | None = options.Threads,
    as_json: bool = Json,
) -> None:
    """The smallest beam width, or number of probed lists, that reaches a recall.

    Example: nearhop index tune vectors.index.nh queries.npy --recall 0.98
    """
    from ...graphlib.errors import InvalidInput
    from .curves import as_dicts, curve_table, least_effort, truth_of
    from .files import open_index, vectors_of
    from .sources import read_queries, some, spread

    if not 0 < recall <= 1:
        raise InvalidInput(f"--recall must be in (0, 1]; got {recall}")
    if most < 1:
        raise InvalidInput(f"--most must be at least 1; got {most}")
    opened = open_index(index, name, metric).index
    knob = opened.knob
    if knob is None:
        raise InvalidInput(f"a {type(opened).__name__} index has nothing to tune")
    # a row of the index finds itself, so a sample of it asks for one more
    rows = vectors_of(opened)[0] if queries is None else read_queries(queries, column)
    rows = some(rows, queries or str(index), "queries")
    width = k + 1 if queries is None else k
    places = spread(len(rows), limit)
    known = truth_of(opened, rows[places], width, file=truth, rows=places, threads=threads)
    limit_of_kind = min(most, getattr(opened, "nlist", most))
    scores = least_effort(opened, rows[places], width, known, recall, threads=threads, most=limit_of_kind)
    best = scores[-1]
    reached = best.recall >= recall
    told: dict[str, Any] = {
        "index": str(index), "k": k, "target": recall, "reached": reached, knob: best.effort, "recall": best.recall,
        "queries_per_second": best.queries_per_second, "tried": as_dicts(scores, knob),
    }  # fmt: skip
    advice = f"{knob} = {best.effort}" if reached else f"recall {recall} is not reached up to {knob} = {best.effort}"
    emit(told, as_json=as_json, text=lambda: f"{curve_table(scores, width, knob)}\n\n{advice}")
