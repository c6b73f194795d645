"""nearhop index search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..clock import Stopwatch
from ..output import Json, emit
from . import options

if TYPE_CHECKING:
    from .files import Opened


def register(app: typer.Typer) -> None:
    app.command(no_args_is_help=True)(search)


def search(
    index: Path = options.Index,
    queries: str = typer.Argument(help=options.VECTORS),
    column: str | None = options.Column,
    sets: str | None = options.Sets,
    k: int = options.K,
    effort: int | None = typer.Option(
        None,
        "--ef-search",
        "--nprobe",
        "--effort",
        help="Beam width, or lists probed; larger is slower and more exact.",
    ),
    where: str | None = typer.Option(None, help='SQL condition over the store\'s node columns, such as "year > 2010".'),
    show: str | None = typer.Option(None, help="Attributes to print beside every result, separated by commas."),
    metric: str | None = options.Metric,
    name: str = options.Name,
    out: str = typer.Option("-", help=".csv, .parquet, .npy (ids), .npz (ids, distances, counts), or - for CSV."),
    threads: int | None = options.Threads,
    as_json: bool = Json,
) -> None:
    """The nearest neighbours of every query, by user id; of a cann index the colours near most of each set of queries.

    Example: nearhop index search vectors.index.nh queries.npy -k 5 --out found.parquet
    """
    import numpy as np

    from ...graphlib.errors import InvalidInput
    from ..arrays import write_arrays, write_table
    from ..targets import ARRAYS, TABLES, check_apart, check_file
    from .files import only_of_colors, open_index
    from .sources import read_queries

    check_file("--out", out, (*ARRAYS, *TABLES))
    check_apart("--out", out, {"INDEX": index, "QUERIES": queries, "--sets": sets})
    opened = open_index(index, name, metric, kinds=("cann",))
    if opened.index.KIND == "cann":
        from .colors import read_sets, search_colors

        search_colors(opened.index, read_sets(queries, column, sets), k, effort, where, out, threads, as_json=as_json)
        return
    only_of_colors(sets, "--sets")
    rows = read_queries(queries, column)
    given: dict[str, Any] = {}
    if effort is not None:
        knob = opened.index.knob
        if knob is None:
            raise InvalidInput(f"a search of a {type(opened.index).__name__} index has no effort to set")
        given[knob] = effort
    if where is not None:
        if opened.store is None:
            raise InvalidInput(
                f"--where needs attributes, and a {opened.form} file has none; convert it to nearhop first"
            )
        given["filter"] = opened.store.where(where, node_type=None if opened.inside else "node", as_bitmap=True)
    watch = Stopwatch()
    found = opened.index.search(rows, k, threads=threads, **given)
    spent = watch.told()
    ids, distances = opened.user_ids(found.ids), _distances(found.distances, opened.index.metric)
    shown = _attributes(opened, show, found.ids)
    if out.endswith((".npy", ".npz")):
        write_arrays(out, {"ids": ids, "distances": distances, "counts": found.counts})
    elif not as_json or out != "-":
        filled = np.arange(k) < found.counts[:, None]
        places = np.nonzero(filled)
        columns = {"query": places[0], "rank": places[1], "id": ids[filled], "distance": distances[filled]}
        write_table(out, {**columns, **{title: values[filled] for title, values in shown.items()}})
    told: dict[str, Any] = {"queries": len(rows), "k": k, **spent, "out": out}
    if as_json:
        tables = {"ids": ids, "distances": distances, **shown}
        emit(
            {**told, **{title: _rows(t, found.counts) if out == "-" else None for title, t in tables.items()}},
            as_json=True,
        )
    elif out != "-":
        emit(told, as_json=False)


def _distances(found: Any, metric: str) -> Any:
    """Distances that rounding has put below zero are zero, and there is one zero, without a sign."""
    import numpy as np

    return (found if metric == "ip" else np.maximum(found, 0)) + found.dtype.type(0)


def _rows(table: Any, counts: Any) -> list[Any]:
    return [table[i, :n].tolist() for i, n in enumerate(counts)]


def _attributes(opened: Opened, show: str | None, found: Any) -> dict[str, Any]:
    """The values of node columns at the rows that were found (of padding: the first row's)."""
    import numpy as np

    from ...graphlib.errors import InvalidInput
    from .files import places

    if show is None:
        return {}
    if opened.store is None:
        raise InvalidInput(f"--show needs attributes, and a {opened.form} file has none")
    at = places(opened.index.ids.tolist(), found)
    columns = opened.store.nodes if opened.inside else opened.store.nodes("node")
    return {name: np.asarray(columns[name])[at] for name in show.split(",")}
