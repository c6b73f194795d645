"""nearhop community search, detect."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer

from .output import Json, emit, table

app = typer.Typer(help="Communities: of a few seeds, or of a whole graph.", no_args_is_help=True)

_STORE = typer.Argument(help="A store.")


@app.command(no_args_is_help=True)
def search(
    store: Path = _STORE,
    seeds: str = typer.Argument(help="User ids (or positions) of the seeds, separated by commas."),
    size: int = typer.Option(20, "--size", "-n", help="Members to find."),
    method: str = typer.Option("average", help="average, minrank, pagerank or exact."),
    num_perm: int = typer.Option(128, help="Slots per signature (K)."),
    bands: int = typer.Option(64, help="Bands of the index; more find less similar nodes."),
    direction: str = typer.Option(
        "in", help="Describe a node by those that point to it (in) or that it points to (out)."
    ),
    seed: int = typer.Option(1),
    out: str = typer.Option("-", help=".csv or .parquet, or - for CSV on standard output."),
    threads: int | None = typer.Option(None, help="Default: all cores."),
    as_json: bool = Json,
) -> None:
    """The nodes whose neighbourhoods are most like those of the seeds.

    Example: nearhop community search brands.nh nike,adidas --size 50
    """
    from ...ann.communities import CommunitySearch
    from ..store import open as open_store
    from .arrays import write_table

    opened = open_store(store)
    start = time.perf_counter()
    engine = CommunitySearch(opened, num_perm, bands=bands, seed=seed, direction=direction, threads=threads)
    built = time.perf_counter()
    ids, scores = engine.search(_seeds(seeds, engine.index.ids if opened.ids() is None else opened.ids()), size, method)
    told: dict[str, Any] = {
        "store": str(store), "method": method, "found": len(ids), "seconds_to_build": round(built - start, 3),
        "seconds_to_search": round(time.perf_counter() - built, 4),
    }  # fmt: skip
    if as_json:
        emit({**told, "ids": ids, "scores": scores}, as_json=True)
        return
    write_table(out, {"id": ids, "score": scores})
    if out != "-":
        emit({**told, "out": out}, as_json=False)


@app.command(no_args_is_help=True)
def detect(
    store: Path = _STORE,
    method: str = typer.Option("leiden", help="leiden, louvain or label_propagation."),
    resolution: float = typer.Option(1.0, help="Larger finds smaller communities."),
    library: str | None = typer.Option(None, help="igraph or sknetwork; default: igraph where it is installed."),
    labels: str | None = typer.Option(None, help="A node column with known groups to compare with (NMI, ARI)."),
    save_as: str | None = typer.Option(None, help="Keep the labels as this node column of the store, and commit."),
    show: int = typer.Option(10, help="Largest communities to list."),
    seed: int = typer.Option(0),
    as_json: bool = Json,
) -> None:
    """Split a whole graph into communities and measure the split.

    Example: nearhop community detect mail.nh --labels department --save-as community
    """
    from ...ann.communities_detect import detect as find
    from ...ann.quality import adjusted_rand_index, normalized_mutual_information
    from ..store import open as open_store

    opened = open_store(store)
    known = None if labels is None else opened.nodes[labels]
    start = time.perf_counter()
    found = find(opened, method=method, resolution=resolution, seed=seed, library=library)
    told: dict[str, Any] = {
        "store": str(store), "method": method, "library": found.library, "communities": len(found.sizes),
        "modularity": round(found.modularity, 6), "seconds": round(time.perf_counter() - start, 3),
    }  # fmt: skip
    if known is not None:
        told["nmi"] = round(normalized_mutual_information(found.labels, known), 6)
        told["ari"] = round(adjusted_rand_index(found.labels, known), 6)
    if save_as is not None:
        opened.nodes[save_as] = found.labels
        told["version"] = opened.commit(f"communities by {method} as {save_as}")
    sizes = found.sizes[:show].tolist()
    if as_json:
        emit({**told, "sizes": found.sizes}, as_json=True)
        return
    emit(told, as_json=False)
    typer.echo()
    typer.echo(table(list(enumerate(sizes)), ["community", "nodes"]))


def _seeds(text: str, ids: Any) -> list[Any]:
    """The seeds as the store's ids are: integers or texts."""
    from ..errors import InvalidInput

    words = [word.strip() for word in text.split(",") if word.strip()]
    if ids.dtype.kind == "U":
        return words
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise InvalidInput(f"the ids of this store are integers; got seeds {text!r}") from error
