"""nearhop index bench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ...graphlib.progress import progress_bar
from ..clock import Stopwatch, timed
from ..output import Json, emit, table
from . import options


def register(app: typer.Typer) -> None:
    app.command(no_args_is_help=True)(bench)


def bench(
    source: str = typer.Argument(help=options.VECTORS),
    queries: str | None = typer.Option(None, help="Query vectors; by default the source's last 1,000 rows, held out."),
    column: str | None = options.Column,
    kinds: str = typer.Option(
        "hnsw,ivf",
        help="Kinds to compare, separated by commas: hnsw, ivf, exact, or faiss:FACTORY (with ; for its commas).",
    ),
    k: int = options.K,
    effort: str | None = options.Effort,
    metric: str | None = typer.Option(None, help="l2 (default), ip or cosine; an HDF5 file may name its own."),
    m: int = typer.Option(16, "--m", "-M", help="Links per node (HNSW's M)."),
    ef_construction: int = typer.Option(200, help="Beam width while building."),
    nlist: int = typer.Option(256, help="Lists of an inverted file."),
    plot: Path | None = typer.Option(None, help="Draw the curves into this .png file."),
    limit: int = options.Limit,
    seed: int = typer.Option(0),
    threads: int | None = options.Threads,
    as_json: bool = Json,
) -> None:
    """Build several kinds of index over the same vectors and compare build time, recall and speed.

    Example: nearhop index bench vectors.npy --kinds "hnsw,ivf,faiss:HNSW16" --threads 1
    """
    from ...ann import Exact
    from ...graphlib.errors import InvalidInput
    from ..targets import check_file
    from .build import add_rows, made
    from .curves import Truth, as_dicts, curve_table, draw, efforts_of, sweep
    from .sources import metric_of, read_queries, read_rows, some, spread

    check_file("--plot", plot, (".png",))
    chosen: Any = metric_of(source, metric)
    rows = read_rows(source, column)
    if queries is None and Path(source).suffix not in (".h5", ".hdf5"):
        held = min(1000, len(rows) // 10)
        if held < 1:
            raise InvalidInput(f"{source} has {len(rows)} rows, too few to hold queries out; name some with --queries")
        rows, asked = rows[:-held], rows[-held:]
    else:
        asked = some(read_queries(queries or source, column if queries else None), queries or source, "queries")
    some(rows, source, "vectors")
    asked = asked[spread(len(asked), limit)]
    exact = Exact(chosen, threads=threads).add(rows)
    found, timing = timed(lambda: exact.search(asked, k))
    truth = Truth(found, found.ids, timing.seconds)
    options_: dict[str, Any] = {
        "metric": chosen, "M": m, "ef_construction": ef_construction, "seed": seed, "threads": threads, "nlist": nlist,
    }  # fmt: skip
    told: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for kind in kinds.replace(" ", "").split(","):
        kind = kind.replace(";", ",")
        add_rows(made(kind, options_), rows[: max(1000, 2 * nlist)], None, lambda done, total: None)  # compiles
        index = made(kind, options_)
        with progress_bar(f"building {kind}") as progress:
            watch = Stopwatch()
            add_rows(index, rows, None, progress)
            built_in = watch.told("build_seconds")
        with progress_bar(f"searching {kind}") as progress:
            curves[kind] = sweep(
                index, asked, k, truth, efforts_of(index, effort), threads=threads, progress=progress
            )  # fmt: skip
        knob = index.knob
        told[kind] = {**built_in, "knob": knob, "scores": as_dicts(curves[kind], knob)}
    if plot is not None:
        draw(curves, plot, k)

    def text() -> str:
        speed = len(asked) / timing.seconds
        built = table([[kind, entry["build_seconds"]] for kind, entry in told.items()], ["kind", "build s"])
        return "\n\n".join(
            [
                built,
                f"exact search: {speed:,.0f} queries/s",
                *(curve_table(curves[kind], k, told[kind]["knob"]) for kind in told),
            ]
        )

    emit(
        {
            "rows": len(rows),
            "queries": len(asked),
            "k": k,
            "metric": chosen,
            "kinds": told,
            "exact_queries_per_second": len(asked) / timing.seconds,
        },
        as_json=as_json,
        text=text,
    )
