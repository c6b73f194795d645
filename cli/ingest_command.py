"""nearhop ingest: a table of edges into a store, with every option of the API."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import typer

from ..graphlib.errors import InvalidInput
from .clock import Stopwatch
from .output import Json, emit, note, stages

_BOOLEANS = {"yes": True, "true": True, "no": False, "false": False}


def ingest(
    source: str = typer.Argument(
        help="CSV, TSV, Parquet, Arrow, MatrixMarket, .npy or .npz file, folder or glob; GraphML, GML, GEXF, Pajek."
    ),
    path: Path = typer.Argument(help="Where the store is made; must not exist."),
    src: str | None = typer.Option(
        None, help="Column with the sources, or its number from 0; default: src, source, user, ..., else the first."
    ),
    dst: str | None = typer.Option(
        None, help="Column with the destinations; default: dst, target, item, ..., else the next."
    ),
    weight: str | None = typer.Option(None, help="Column with edge weights."),
    time: str | None = typer.Option(None, help="Column with edge times."),
    columns: str | None = typer.Option(None, help="Columns to keep on the edges, separated by commas; default: all."),
    type_: list[str] = typer.Option(
        [], "--type", help="COLUMN=KIND, one of integer, float, bool, date, text; may be given several times."
    ),
    nodes: str | None = typer.Option(None, help="A table of node columns."),
    node_id: str | None = typer.Option(None, help="Its column with the node ids."),
    node_text: list[str] = typer.Option(
        [], help="OPTION=VALUE for reading the node table, such as header=no or delimiter=';'; several times."
    ),
    directed: bool | None = typer.Option(
        None,
        "--directed/--undirected",
        help="Whether edges count in one direction only; default: what the source says, else undirected.",
    ),
    bipartite: bool | None = typer.Option(
        None, "--bipartite/--one-set", help="Whether sources and destinations are two sets (user 1 is not item 1)."
    ),
    ids: str = typer.Option("auto", help="auto, map (keep user ids), text (as written) or positions (ids are 0..n-1)."),
    num_nodes: int | None = typer.Option(None, help="Number of nodes, with --ids positions."),
    sorted_: bool = typer.Option(False, "--sorted", help="Refuse times that are not ascending."),
    header: bool | None = typer.Option(None, "--header/--no-header", help="Whether the first line names the columns."),
    header_first: bool = typer.Option(False, "--header-first", help="Only the first of several files has a header."),
    delimiter: str | None = typer.Option(None, help="One to four characters, tab, or whitespace for runs of blanks."),
    quote: str | None = typer.Option(None, help="The character around cells; '' takes quotes as text."),
    comment: str | None = typer.Option(None, help="Lines that begin with it are left out; '' for none."),
    encoding: str | None = typer.Option(None, help="Such as latin-1; default: UTF-8 or the file's byte-order mark."),
    decimal: str | None = typer.Option(None, help="The decimal mark, . or a comma."),
    memory_limit: str = typer.Option("2GiB", help="Bound of the memory used."),
    threads: int = typer.Option(2, help="Threads that parse."),
    as_json: bool = Json,
) -> None:
    """Make a store from a table of edges, and say what was taken for what.

    Example: nearhop ingest sales.parquet shop.nh --src user --dst item --time ts --bipartite
    """
    from ..graphlib.ingest.api import ingest as run

    watch = Stopwatch()
    with stages(f"reading {source}") as progress, warnings.catch_warnings(record=True) as told_off:
        warnings.simplefilter("always")
        store = run(
            source,
            path,
            src=src,
            dst=dst,
            weight=weight,
            time=time,
            columns="auto" if columns is None else [name.strip() for name in columns.split(",") if name.strip()],
            types=_pairs("--type", type_) or None,
            nodes=nodes,
            node_id=node_id,
            node_text={n: _BOOLEANS.get(v, v) for n, v in _pairs("--node-text", node_text).items()} or None,
            directed=directed,
            bipartite=bipartite,
            ids=ids,
            num_nodes=num_nodes,
            sorted=sorted_,
            header=_header(header, header_first),
            delimiter=delimiter,
            quote=quote,
            comment=comment,
            encoding=encoding,
            decimal=decimal,
            memory_limit=memory_limit,
            threads=threads,
            progress=progress,
        )
    for each in told_off:
        note(str(each.message))
    report = store.ingest_report
    told: dict[str, Any] = {"path": str(path), "nodes": store.num_nodes, "edges": store.num_edges}
    told |= watch.told()
    if report is not None:
        told["report"] = report.to_dict() if as_json else report
    emit(told, as_json=as_json)


def _header(given: bool | None, first: bool) -> bool | str:
    if first and given is not None:
        raise InvalidInput("--header-first goes without --header and --no-header")
    return "first" if first else "auto" if given is None else given


def _pairs(option: str, words: list[str]) -> dict[str, str]:
    """NAME=VALUE words as a mapping."""
    found = {}
    for word in words:
        name, mark, value = word.partition("=")
        if not mark:
            raise InvalidInput(f"{option} takes NAME=VALUE; got {word!r}")
        found[name] = value
    return found
