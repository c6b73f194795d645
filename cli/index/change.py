"""nearhop index add, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ...graphlib.progress import progress_bar
from ..clock import Stopwatch
from ..output import Json, emit
from ..targets import check_folder
from . import options

_OUT = typer.Option(None, help="Write the changed index here; by default it is the next version of the old one.")


def register(app: typer.Typer) -> None:
    app.command(no_args_is_help=True)(add)
    app.command(no_args_is_help=True)(remove)


def add(
    index: Path = options.Index,
    source: str = typer.Argument(help=options.VECTORS),
    column: str | None = options.Column,
    ids: str | None = options.Ids,
    metric: str | None = options.Metric,
    out: Path | None = _OUT,
    threads: int | None = options.Threads,
    as_json: bool = Json,
) -> None:
    """Add vectors to an index file. Ids continue behind the largest unless --ids gives them.

    Of a cann index, --ids are colours, one per vector, new or there already; without them all vectors are one new
    colour.

    Example: nearhop index add vectors.index.nh more.npy --ids more_ids.npy
    """
    import numpy as np

    from .build import add_rows
    from .changing import changing
    from .colors import carried_columns
    from .files import carried
    from .sources import read_source

    check_folder("--out", out)
    watch = Stopwatch()
    given = read_source(source, column, ids)
    with changing(index, metric, in_place=out is None, kinds=("cann",)) as opened:
        opened.index.threads = threads
        known = opened.index.ids
        if opened.index.KIND == "cann":
            with progress_bar("adding") as progress:
                add_rows(opened.index, given.vectors, given.ids, progress)
            columns = carried_columns(opened, len(known), given.attributes, None, None)
            _finish(opened, out, columns[0], watch, {"added": len(given.vectors)}, as_json, of_colors=columns[1])
            return
        with progress_bar("adding") as progress:
            add_rows(opened.index, given.vectors, given.ids, progress)
        now = opened.index.ids
        new = given.ids if given.ids is not None else now[~np.isin(now, known)]
        _finish(opened, out, carried(opened, opened.index, new, given.attributes), watch, {"added": len(new)}, as_json)


def remove(
    index: Path = options.Index,
    ids: list[str] = typer.Argument(None, help="Ids to delete."),
    ids_file: str | None = typer.Option(None, "--ids", help="A .npy file of ids to delete."),
    compact: bool = typer.Option(False, "--compact", help="Give the memory back: build anew without deleted rows."),
    metric: str | None = options.Metric,
    out: Path | None = _OUT,
    as_json: bool = Json,
) -> None:
    """Delete vectors from an index file by id, or colours from a cann index. Where the format cannot mark deleted rows,
    they are dropped.

    Example: nearhop index remove vectors.index.nh 17 23 --compact
    """
    import numpy as np

    from ...graphlib.errors import InvalidInput
    from ..arrays import read_vectors
    from .changing import changing
    from .colors import carried_columns
    from .files import as_the_index, carried

    check_folder("--out", out)
    watch = Stopwatch()
    listed = [] if ids_file is None else np.asarray(read_vectors(ids_file)).ravel().tolist()
    if not ids and not listed and not compact:
        raise InvalidInput("name the ids to delete, as arguments or as a .npy file with --ids")
    with changing(index, metric, in_place=out is None, kinds=("cann",)) as opened:
        chosen = np.asarray(as_the_index(opened.index, ids or []) + listed)
        removed = opened.index.remove(chosen) if len(chosen) else 0
        if opened.index.KIND == "cann":
            colors = points = None
            if compact:
                colors = opened.index._rows.live.copy()
                points = colors[opened.index._points.colors]
                opened.index.compact()
            columns = carried_columns(opened, len(opened.index.ids), {}, points, colors)
            _finish(opened, out, columns[0], watch, {"removed": removed}, as_json, of_colors=columns[1])
            return
        if compact or opened.index.KIND == "faiss":
            opened.index.compact()
        attributes = carried(opened, opened.index, opened.index.ids[:0], opened.attributes())
        _finish(opened, out, attributes, watch, {"removed": removed}, as_json)


def _finish(
    opened: Any, out: Path | None, attributes: dict[str, Any], watch: Stopwatch, told: dict[str, Any], as_json: bool,
    *, of_colors: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    from .files import save_changed

    done = ", ".join(f"{what} {count:,}" for what, count in told.items())
    target = save_changed(opened, done, attributes, of_colors, out=out)
    shown = {"index": str(target), **told, "rows": len(opened.index)}
    emit({**shown, **watch.told()}, as_json=as_json)
