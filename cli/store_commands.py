"""nearhop info, drop, verify, compact, clean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .output import Json, emit, table
from .words import find_column, parse_edge_type


def register(app: typer.Typer) -> None:
    app.command(no_args_is_help=True)(info)
    app.command(no_args_is_help=True)(drop)
    app.command(no_args_is_help=True)(verify)
    app.command(no_args_is_help=True)(compact)
    app.command(no_args_is_help=True)(clean)


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
        report = store.ingest_report
        made = "" if report is None else f"made from {report}\n"
        return f"{store!r}\n{made}{size.disk_bytes / 2**20:,.1f} MiB\n\n{shown}"

    emit(told, as_json=as_json, text=text)


def drop(
    path: Path = typer.Argument(help="A store."),
    index: list[str] = typer.Option([], help="An index; the column it was made from stays. May be repeated."),
    edge_type: list[str] = typer.Option([], help="Edges, as source,name,destination. May be repeated."),
    column: list[str] = typer.Option([], help="A node column, as NAME or TYPE/NAME. May be repeated."),
    edge_column: list[str] = typer.Option([], help="A column of the edges of --of. May be repeated."),
    of: str | None = typer.Option(None, help="The edges of --edge-column, as source,name,destination."),
    as_json: bool = Json,
) -> None:
    """Take indexes, edge types and columns out of a store, as a new version.

    Older versions keep them until nearhop compact --keep drops those.

    Example: nearhop drop shop.nh --index hnsw --column fastrp
    """
    from ..graphlib.errors import InvalidInput
    from ..graphlib.given_store import chosen_edge_type
    from ..graphlib.store.store import open as open_store

    named = [*index, *edge_type, *column, *edge_column]
    if not named:
        raise InvalidInput("name what to drop, with --index, --edge-type, --column or --edge-column")
    with open_store(path) as store:
        for name in index:
            store.drop(index=name)
        for name in column:
            node_type, found = find_column(store, name)
            store.drop(column=found, of=node_type)
        for name in edge_column:
            store.drop(column=name, of=chosen_edge_type(store, parse_edge_type(of)))
        for name in edge_type:
            store.drop(edge_type=parse_edge_type(name))
        version = store.commit(f"dropped {', '.join(named)}")
    emit({"path": str(path), "dropped": named, "version": version}, as_json=as_json)


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


def clean(path: Path = typer.Argument(help="A folder, or a store."), as_json: bool = Json) -> None:
    """Remove what killed writers left in a folder, and files that no version needs if it is a store.

    What a living process works on stays, and so do all versions.

    Example: nearhop clean .
    """
    from ..graphlib.disk.folders import clean as run

    removed, freed = run(path)
    emit({"path": str(path), "removed": removed, "freed_bytes": freed}, as_json=as_json)
