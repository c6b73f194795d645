"""Commands on an index of colours: queries are sets of vectors, ids are those of colours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, NotFound
from ..arrays import write_arrays, write_table
from ..clock import Stopwatch, timed
from ..output import emit, table
from .attributes import check_added, joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .files import Opened

CANDIDATES = (4, 8, 16, 32, 64)


@dataclass(frozen=True, eq=False)
class Sets:
    """Query vectors by set: what sets are called, and a matrix each."""

    names: list[Any]
    rows: list[NDArray[Any]]


def read_sets(queries: str, column: str | None, sets: str | None) -> Sets:
    """Query vectors; those that `sets` gives one name are one set, and without it all are."""
    from .sources import read_named, some

    if sets is None:
        from .sources import read_queries

        return Sets([0], [some(read_queries(queries, column), queries, "query vectors")])
    vectors, names = read_named(queries, column, sets, option="--sets")
    some(vectors, queries, "query vectors")
    place: dict[Any, list[int]] = {}
    for row, name in enumerate(names.tolist()):
        place.setdefault(name, []).append(row)
    return Sets(list(place), [vectors[rows] for rows in place.values()])


def first_sets(queries: Sets, limit: int) -> Sets:
    """At most `limit` sets, evenly spread."""
    from .sources import spread

    chosen = spread(len(queries.names), limit).tolist()
    return Sets([queries.names[i] for i in chosen], [queries.rows[i] for i in chosen])


def search_colors(
    index: Any, queries: Sets, k: int, effort: int | None, where: str | None, out: str, threads: int | None,
    *, as_json: bool,
) -> None:  # fmt: skip
    """Write the colours of highest score for every set of vectors."""
    watch = Stopwatch()
    found = index.search(queries.rows, k, candidates=effort, filter=where, matches=False, threads=threads)
    spent = watch.told()
    filled = np.arange(found.colors.shape[1]) < found.counts[:, None]
    at, rank = np.nonzero(filled)
    if out.endswith((".npy", ".npz")):
        write_arrays(out, {"ids": found.colors, "scores": found.scores, "counts": found.counts})
    elif not as_json or out != "-":
        named = {} if len(queries.names) == 1 else {"set": np.array(queries.names)[at]}
        write_table(out, {**named, "rank": rank, "color": found.colors[filled], "score": found.scores[filled]})
    vectors = sum(map(len, queries.rows))
    told: dict[str, Any] = {"sets": len(queries.names), "vectors": vectors, "k": k, **spent, "out": out}
    if as_json:
        listed = [(found.colors[s, :n].tolist(), found.scores[s, :n].tolist()) for s, n in enumerate(found.counts)]
        colors, scores = ([part[which] for part in listed] for which in (0, 1))
        one = len(listed) == 1
        tables = {"colors": colors[0] if one else colors, "scores": scores[0] if one else scores}
        emit({**told, **(tables if out == "-" else {})}, as_json=True)
    elif out != "-":
        emit(told, as_json=False)


def evaluate_colors(index: Any, queries: Sets, k: int, effort: str | None, threads: int | None, as_json: bool) -> None:
    """The share of the k colours of highest exact score that a search finds, and sets per second."""
    knob = "candidates" if index.method == "grids" and index.compat is None else None
    if effort is not None and knob is None:
        raise InvalidInput(f"a search of a CANN index by {index.method!r} has no effort to set")
    try:
        efforts = list(CANDIDATES) if effort is None else [int(part) for part in effort.split(",")]
    except ValueError as error:
        raise InvalidInput(f"--effort must be integers separated by commas; got {effort!r}") from error
    truth, timing = timed(lambda: index.search(queries.rows, k, exact=True, matches=False, threads=threads))
    scores: list[dict[str, Any]] = [_score("exact", None, 1.0, len(queries.rows) / timing.seconds)]
    for most in efforts if knob else [None] if index.method == "range" else []:
        found, timing = timed(
            lambda most=most: index.search(queries.rows, k, candidates=most, matches=False, threads=threads)  # type: ignore[misc]
        )
        scores.append(_score(index.method, most, _agreement(found, truth), len(queries.rows) / timing.seconds))
    told = {"sets": len(queries.rows), "vectors": sum(map(len, queries.rows)), "k": k, "scores": scores}
    heads = ["search", "candidates", f"of the {k} best", "sets/s"]
    shown = [[s["search"], s["candidates"], f"{s['agreement']:.4f}", f"{s['sets_per_second']:.4g}"] for s in scores]
    emit(told, as_json=as_json, text=lambda: table(shown, heads))


def _score(search: str, candidates: int | None, agreement: float, rate: float) -> dict[str, Any]:
    return {"search": search, "candidates": candidates, "agreement": agreement, "sets_per_second": rate}


def _agreement(found: Any, truth: Any) -> float:
    """The share of the true colours that were found."""
    pairs = zip(found.colors, found.counts, truth.colors, truth.counts, strict=True)
    hits = sum(len(set(a[:n].tolist()) & set(b[:m].tolist())) for a, n, b, m in pairs)
    return hits / max(1, int(truth.counts.sum()))


def tune_colors(
    opened: Opened, queries: Sets, answers: str, *, leave_out_own: bool, threads: int | None
) -> dict[str, Any]:
    """Choose radius and shape from sets whose right colours are known; the index keeps them."""
    right = _answers(answers, queries.names, opened.index)
    allowed = None
    if leave_out_own:
        known = opened.index.ids.tolist()
        allowed = np.array([[str(color) != str(name) for color in known] for name in queries.names])
    found = opened.index.tune(queries.rows, right, filter=allowed, threads=threads)
    return {"radius": found.radius, "shape": found.shape, "precision": found.precision, "tried": len(found.tried)}


def _answers(path: str, names: list[Any], index: Any) -> list[list[Any]]:
    """The right colours of every set, of a table whose columns are sets and colours."""
    from ...graphlib.ingest.whole import read_columns
    from .files import as_the_index

    if not Path(path).is_file():
        raise NotFound(f"--answers: there is no file {path}")
    columns = list(read_columns(Path(path)).items())
    if len(columns) != 2:
        raise InvalidInput(f"{path}: answers are two columns, of sets and of colours; got {[n for n, _ in columns]}")
    right: dict[str, list[str]] = {str(name): [] for name in names}
    for row, (name, color) in enumerate(zip(columns[0][1], columns[1][1], strict=True)):
        if name is None or color is None:
            raise InvalidInput(f"{path}: row {row} has no {'set' if name is None else 'colour'}")
        if str(name) not in right:
            raise NotFound(f"{path}: row {row} names set {name!r}, which --sets does not have")
        right[str(name)].append(str(color))
    for name, colors in right.items():
        if not colors:
            raise InvalidInput(f"{path}: set {name!r} has no right colour; leave its vectors out, or add a row")
    return [as_the_index(index, colors) for colors in right.values()]


def carried_columns(
    opened: Opened,
    before: int,
    new: dict[str, NDArray[Any]],
    points: NDArray[np.bool_] | None,
    colors: NDArray[np.bool_] | None,
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Columns of points and of colours that are none of the index's own, as they are after a change.

    `before` is how many colours there were and `new` the columns of added points; `points` and `colors` say which are
    kept, where some are not. A change that would lose a value is refused.
    """
    if opened.store is None:
        return {}, {}
    of_points, of_colors = opened.attributes(), opened.attributes("color")
    added = opened.index.num_points - (0 if opened.store is None else opened.store.num_nodes_of("node"))
    if points is None and added > 0:
        check_added(opened.path, "points", of_points, new)
    if colors is None and len(opened.index.ids) > before and of_colors:
        raise InvalidInput(
            f"the colours of {opened.path} have columns {', '.join(sorted(of_colors))}, which new colours would lack; "
            "add points to colours that are there, or build the index anew and give all its colours their columns"
        )
    if points is not None:
        of_points = {name: values[points] for name, values in of_points.items()}
    elif added > 0:
        of_points = joined(opened.path, of_points, new)
    if colors is not None:
        of_colors = {name: values[colors] for name, values in of_colors.items()}
    return of_points, of_colors
