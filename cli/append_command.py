"""nearhop append: more edges into a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .clock import Stopwatch
from .output import Json, emit, note, stages
from .words import Among, parse_edge_type


def append(
    path: Path = typer.Argument(help="A store."),
    source: str = typer.Argument(help="CSV, TSV, Parquet, Arrow or .npy file, folder or glob with the new edges."),
    src: str | None = typer.Option(None, help="Column with the sources; default: as the store was made."),
    dst: str | None = typer.Option(None, help="Column with the destinations; default: as the store was made."),
    weight: str | None = typer.Option(None, help="Column with edge weights; default: as the store was made."),
    time: str | None = typer.Option(None, help="Column with edge times; default: as the store was made."),
    columns: str | None = typer.Option(
        None, help="Edge columns that go on, separated by commas; default: all of the store. The others are filled."
    ),
    bipartite: bool | None = typer.Option(
        None, "--bipartite/--one-set", help="Whether sources and destinations are two sets; default: as the store."
    ),
    edge_type: str | None = Among,
    pad: bool = typer.Option(False, "--pad", help='Lengthen node columns for new nodes, with 0 or "".'),
    header: bool | None = typer.Option(None, "--header/--no-header", help="Whether the first line names the columns."),
    delimiter: str | None = typer.Option(None, help="One to four characters, tab, or whitespace for runs of blanks."),
    as_json: bool = Json,
) -> None:
    """Add edges behind those of a store, as a new version. New ids become new nodes.

    Example: nearhop append shop.nh june.csv
    """
    from ..graphlib.ingest.append import append as run
    from ..graphlib.store.store import open as open_store

    watch = Stopwatch()
    with open_store(path) as store, stages(f"reading {source}") as progress:
        done = run(
            store,
            source,
            src=src,
            dst=dst,
            weight=weight,
            time=time,
            columns=None if columns is None else [name.strip() for name in columns.split(",") if name.strip()],
            bipartite=bipartite,
            edge_type=parse_edge_type(edge_type),
            pad=pad,
            header="auto" if header is None else header,
            delimiter=delimiter,
            progress=progress,
        )
        version = store.commit(f"appended {done.edges:,} edges")
        indexes = list(store.indexes)
        told: dict[str, Any] = {"path": str(path), "added_edges": done.edges, "added_nodes": done.nodes}
        told |= {"nodes": store.num_nodes, "edges": store.num_edges, "version": version}
    for node_type, names in done.short.items():
        note(f"column {', '.join(names)} of {node_type} is too short for the new nodes: make it anew, or use --pad")
    if indexes:
        note(f"index {', '.join(indexes)} is as before: embed again, then nearhop index build ... --replace")
    emit(told | watch.told(), as_json=as_json)
