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
    sets: str | None = options.Sets,
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

    Of a cann index, the share of the k colours of highest exact score that are found, and sets per second.

    Example: nearhop index eval vectors.index.nh queries.npy -k 10 --ef-search 20,50,100 --plot curve.png

    Example: nearhop index eval sift.faiss sift-128-euclidean.hdf5 --truth sift-128-euclidean.hdf5
    """
    from ...graphlib.errors import InvalidInput
    from ..targets import check_file
    from .curves import Score, as_dicts, curve_table, draw, efforts_of, sweep, truth_of
    from .files import only_of_colors, open_index
    from .sources import read_queries, some, spread

    check_file("--plot", plot, (".png",))
    opened = open_index(index, name, metric, kinds=("cann",)).index
    if opened.KIND == "cann":
        from .colors import evaluate_colors, first_sets, read_sets

        if plot is not None or truth is not None:
            raise InvalidInput(
                "an index of colours is compared with its own exact scores, in a table: leave out --truth and --plot"
            )
        given = first_sets(read_sets(queries, column, sets), limit)
        evaluate_colors(opened, given, k, effort, threads, as_json)
        return
    only_of_colors(sets, "--sets")
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
    sets: str | None = options.Sets,
    answers: Path | None = typer.Option(
        None, help="Of a cann index: a table of two columns, sets and their right colours; several rows per set."
    ),
    leave_out_own: bool = typer.Option(
        False, "--leave-out-own", help="Of a cann index: the colour called as a set is is no answer to it."
    ),
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

    Of a cann index, the radius and shape by which the right colours of --answers come first; the index keeps them.

    Example: nearhop index tune vectors.index.nh queries.npy --recall 0.98

    Example: nearhop index tune images.nh descriptors.npy --sets image_of.npy --answers same_place.csv --leave-out-own
    """
    from ...graphlib.errors import InvalidInput
    from .curves import as_dicts, curve_table, least_effort, truth_of
    from .files import only_of_colors, open_index, vectors_of
    from .sources import read_queries, some, spread

    if not 0 < recall <= 1:
        raise InvalidInput(f"--recall must be in (0, 1]; got {recall}")
    if most < 1:
        raise InvalidInput(f"--most must be at least 1; got {most}")
    opened = open_index(index, name, metric, kinds=("cann",)).index
    if opened.KIND == "cann":
        if queries is None or answers is None:
            raise InvalidInput(
                "an index of colours is tuned by query vectors, QUERIES, and their right colours, --answers"
            )
        _tune_colors(index, queries, column, sets, answers, leave_out_own, threads, as_json)
        return
    only_of_colors(sets, "--sets")
    only_of_colors(answers, "--answers")
    only_of_colors(leave_out_own, "--leave-out-own")
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


def _tune_colors(
    index: Path, queries: str, column: str | None, sets: str | None, answers: Path, leave_out_own: bool,
    threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    from ..clock import Stopwatch
    from .changing import changing
    from .colors import carried_columns, read_sets, tune_colors
    from .files import save_changed

    watch = Stopwatch()
    given = read_sets(queries, column, sets)
    with changing(index, None, in_place=True, kinds=("cann",)) as opened:
        found = tune_colors(opened, given, str(answers), leave_out_own=leave_out_own, threads=threads)
        columns = carried_columns(opened, len(opened.index.ids), {}, None, None)
        save_changed(opened, f"tuned: radius {found['radius']:g}, shape {found['shape']:g}", *columns)
    emit({"index": str(index), "sets": len(given.names), **found, **watch.told()}, as_json=as_json)
