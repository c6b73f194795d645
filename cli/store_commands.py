"""nearhop ingest, info, verify, compact."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Any

import typer

from .output import Json, emit, stages, table


def register(app: typer.Typer) -> None:
    app.command(no_args_is_help=True)(ingest)
    app.command(no_args_is_help=True)(info)
    app.command(no_args_is_help=True)(verify)
    app.command(no_args_is_help=True)(compact)


def ingest(
    source: str = typer.Argument(help="CSV, TSV, Parquet, Arrow, MatrixMarket, .npy or .npz file, folder or glob."),
    path: Path = typer.Argument(help="Where the store is made; must not exist."),
    src: str | None = typer.Option(None, help="Column with the sources; default: src, source, ..., else the first."),
    dst: str | None = typer.Option(
        None, help="Column with the destinations; default: dst, target, ..., else the next."
    ),
    weight: str | None = typer.Option(None, help="Column with edge weights."),
    time: str | None = typer.Option(None, help="Column with edge times."),
    nodes: str | None = typer.Option(None, help="A table of node columns."),
    node_id: str | None = typer.Option(None, help="Its column with the node ids."),
    directed: bool = typer.Option(False, "--directed/--undirected", help="Whether edges count in one direction only."),
    header: bool | None = typer.Option(None, "--header/--no-header", help="Whether the first line names the columns."),
    ids: str = typer.Option("auto", help="auto, map (keep user ids) or positions (ids are 0..n-1)."),
    memory_limit: str = typer.Option("2GiB", help="Bound of the memory used."),
    as_json: bool = Json,
) -> None:
    """Make a store from a table of edges.

    Example: nearhop ingest sales.parquet shop.nh --src user --dst item --time ts --directed
    """
    from ..graphlib.ingest.api import ingest as run

    start = clock.perf_counter()
    with stages(f"reading {source}") as progress:
        store = run(
            source,
            path,
            src=src,
            dst=dst,
            weight=weight,
            time=time,
            nodes=nodes,
            node_id=node_id,
            directed=directed,
            ids=ids,
            header="auto" if header is None else header,
            memory_limit=memory_limit,
            progress=progress,
        )
    seconds = clock.perf_counter() - start
    told = {"path": str(path), "nodes": store.num_nodes, "edges": store.num_edges, "seconds": round(seconds, 3)}
    emit(told, as_json=as_json)


def info(
    path: Path = typer.Argument(help="A store."),
    version: int | None = typer.Option(None, help="An older version."),
    as_json: bool = Json,
) -> None:
    """What a store holds: nodes, edges, columns, indexes, versions, bytes.

    Example: nearhop info shop.nh
    """
    from ..graphlib.store.store import open as open_store

    store = open_store(path, version=version)
    history = [
        {"version": v.number, "created": v.created.isoformat(), "message": v.message, "edges": v.num_edges}
        for v in store.versions()
    ]
    size = store.estimate()
    told: dict[str, Any] = {**store.describe(), "versions": history, "disk_bytes": size.disk_bytes}

    def text() -> str:
        rows = [[h["version"], h["created"], h["edges"], h["message"]] for h in history]
        shown = table(rows, ["version", "created", "edges", "message"])
        return f"{store!r}\n{size.disk_bytes / 2**20:,.1f} MiB\n\n{shown}"

    emit(told, as_json=as_json, text=text)


def verify(path: Path = typer.Argument(help="A store."), as_json: bool = Json) -> None:
    """Read every byte of a store and check it: checksums, ranges, order. Exit code 4 if anything is damaged.

    Example: nearhop verify shop.nh
    """
    from ..graphlib.store.store import open as open_store

    found = open_store(path).verify()
    told = {"path": str(path), "sound": True, "version": found.version, "files": found.files, "bytes": found.bytes}
    emit(told, as_json=as_json)


def compact(
    path: Path = typer.Argument(help="A store."),
    keep: int | None = typer.Option(None, help="Drop all but the newest KEEP versions."),
    as_json: bool = Json,
) -> None:
    """Merge appended edges and free the files that no version needs.

    Example: nearhop compact shop.nh --keep 3
    """
    from ..graphlib.store.store import open as open_store

    store = open_store(path)
    freed = store.compact(keep=keep)
    emit({"path": str(path), "version": store.version, "freed_bytes": freed}, as_json=as_json)
