"""nearhop community search, detect."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..graphlib.errors import InvalidInput
from .clock import Stopwatch, timed
from .output import Json, emit, note_replaced, table
from .pictures import Pictures, check_pictures, save_pictures
from .targets import TABLES, check_file, check_folder
from .words import Among, Unweighted, parse_edge_type, parse_seeds

if TYPE_CHECKING:
    from ..ann.lsh.index import LSH

app = typer.Typer(help="Communities: of a few seeds, or of a whole graph.", no_args_is_help=True)

_STORE = typer.Argument(help="A store.")


@app.command(no_args_is_help=True)
def search(
    store: Path = _STORE,
    seeds: str = typer.Argument(help="User ids (or positions) of the seeds, separated by commas."),
    size: int = typer.Option(20, "--size", "-n", help="Members to find."),
    method: str = typer.Option("average", help="average, minrank, pagerank or exact."),
    num_perm: int | None = typer.Option(None, help="Slots per signature (K); default: 128."),
    bands: int | None = typer.Option(None, help="Bands of the index; more find less similar nodes; default: 64."),
    direction: str = typer.Option(
        "in", help="Describe a node by those that point to it (in) or that it points to (out)."
    ),
    seed: int | None = typer.Option(None, help="Default: 1."),
    edge_type: str | None = Among,
    unweighted: bool = Unweighted,
    out: str = typer.Option("-", help=".csv or .parquet, or - for CSV on standard output."),
    picture: Pictures = None,
    index: Path | None = typer.Option(
        None, help="Keep the index in this folder: made by the first search, opened by later ones in no time."
    ),
    threads: int | None = typer.Option(None, help="Default: all cores."),
    as_json: bool = Json,
) -> None:
    """The nodes whose neighbourhoods are most like those of the seeds.

    Example: nearhop community search brands.nh nike,adidas --size 50

    Example: nearhop community search brands.nh nike,adidas --out found.csv --picture found.html --picture found.png

    Example: nearhop community search brands.nh nike,adidas --index brands.lsh
    """
    from ..ann.lsh.index import LSH
    from ..communities.pictures.picture import Picture
    from ..communities.quality import community_quality
    from ..communities.search import CommunitySearch
    from ..graphlib.given_store import chosen_edge_type
    from ..graphlib.store.store import open as open_store
    from .arrays import write_table

    check_pictures(picture)
    check_file("--out", out, TABLES)
    check_folder("--index", index)
    opened = open_store(store)
    watch = Stopwatch()
    known = LSH.load(index) if index is not None and index.exists() else None
    asked: dict[str, Any] = {"num_perm": num_perm, "bands": bands, "seed": seed}
    if known is not None:
        _check_as_made(str(index), known, asked)
    engine = CommunitySearch(
        opened, **{name: value for name, value in asked.items() if value is not None}, direction=direction,
        edge_type=parse_edge_type(edge_type), index=known, threads=threads,
    )  # fmt: skip
    if index is not None and known is None:
        engine.index.save(index)
    built = watch.told("seconds_to_build")
    given = parse_seeds(seeds, engine.names)
    found, timing = timed(lambda: engine.search(given, size, method))
    ids, scores = found
    told: dict[str, Any] = {
        "store": str(store), "method": method, "found": len(ids), **built,
        "seconds_to_search": round(timing.seconds, 6),
    }  # fmt: skip
    chosen = chosen_edge_type(opened, parse_edge_type(edge_type))
    if chosen[0] == chosen[2]:
        members = opened.lookup([*given, *ids.tolist()], chosen[0])
        quality = community_quality(opened, members, edge_type=chosen, use_weights=not unweighted)
        told |= {name: round(value, 6) for name, value in dataclasses.asdict(quality).items()}
    if picture:
        drawn = Picture.of_search(engine, given, found, title=f"Community of {', '.join(map(str, given[:3]))}")
        told["pictures"] = save_pictures(drawn, picture)
    if as_json:
        emit({**told, "ids": ids, "scores": scores}, as_json=True)
        return
    write_table(out, {"id": ids, "score": scores})
    if out != "-":
        emit({**told, "out": out}, as_json=False)


def _check_as_made(path: str, index: LSH, asked: dict[str, int | None]) -> None:
    """Refuse parameters that an index which is there was made without."""
    made = {"num_perm": index.minhash.num_perm, "bands": index.bands, "seed": index.minhash.seed}
    for name, value in asked.items():
        if value is not None and value != made[name]:
            option = f"--{name.replace('_', '-')}"
            raise InvalidInput(
                f"{path} was made with {option} {made[name]}, and {value} is asked for; leave {option} out, or name "
                "another folder with --index"
            )


@app.command(no_args_is_help=True)
def detect(
    store: Path = _STORE,
    method: str = typer.Option("leiden", help="leiden, louvain or label_propagation."),
    resolution: float = typer.Option(1.0, help="Larger finds smaller communities."),
    library: str | None = typer.Option(
        None, help="igraph, leidenalg or sknetwork; default: igraph where it is installed."
    ),
    labels: str | None = typer.Option(None, help="A node column with known groups to compare with (NMI, ARI)."),
    save_as: str | None = typer.Option(None, help="Keep the labels as this node column of the store, and commit."),
    show: int = typer.Option(10, help="Largest communities to list."),
    picture: Pictures = None,
    edge_type: str | None = Among,
    unweighted: bool = Unweighted,
    seed: int = typer.Option(0),
    as_json: bool = Json,
) -> None:
    """Split a whole graph into communities and measure the split.

    Example: nearhop community detect mail.nh --labels department --save-as community --picture communities.html
    """
    from ..communities.agreement import adjusted_rand_index, normalized_mutual_information
    from ..communities.detection import detect as find
    from ..communities.pictures.picture import Picture
    from ..graphlib.given_store import chosen_edge_type
    from ..graphlib.store.store import open as open_store

    check_pictures(picture)
    opened = open_store(store)
    which = parse_edge_type(edge_type)
    columns = opened.nodes(chosen_edge_type(opened, which)[0])
    known = None if labels is None else columns[labels]
    watch = Stopwatch()
    found = find(
        opened,
        method=method,
        resolution=resolution,
        seed=seed,
        library=library,
        edge_type=which,
        use_weights=not unweighted,
    )
    spent = watch.told()
    told: dict[str, Any] = {
        "store": str(store), "method": method, "library": found.library, "communities": len(found.sizes),
        "modularity": round(found.modularity, 6), **spent,
    }  # fmt: skip
    if known is not None:
        told["nmi"] = round(normalized_mutual_information(found.labels, known), 6)
        told["ari"] = round(adjusted_rand_index(found.labels, known), 6)
    if save_as is not None:
        note_replaced(columns, save_as)
        columns[save_as] = found.labels
        told["version"] = opened.commit(f"communities by {method} as {save_as}")
    if picture:
        drawn = Picture.of_partition(
            opened,
            found,
            edge_type=which,
            use_weights=not unweighted,
            title=f"Communities of {store.name} by {method.replace('_', ' ')}",
        )
        told["pictures"] = save_pictures(drawn, picture)
    sizes = found.sizes[:show].tolist()
    if as_json:
        emit({**told, "sizes": found.sizes}, as_json=True)
        return
    emit(told, as_json=False)
    typer.echo()
    typer.echo(table(list(enumerate(sizes)), ["community", "nodes"]))
