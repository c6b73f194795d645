"""nearhop index build, search, eval, info."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .output import Json, emit, progress_bar, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..store import GraphStore

app = typer.Typer(help="Nearest-neighbour indexes: build, search, measure.", no_args_is_help=True)

VECTORS = "Vectors: .npy, .parquet, .csv, a store with --column, or - for standard input."
_NAME = typer.Option("hnsw", "--name", help="Name of the index, for an index that lives in a store.")


@app.command(no_args_is_help=True)
def build(
    source: str = typer.Argument(help=VECTORS),
    column: str | None = typer.Option(None, help="The store's node column with the vectors."),
    out: Path | None = typer.Option(None, help="Where the index is saved; without it, it goes into the store itself."),
    name: str = _NAME,
    kind: str = typer.Option("hnsw", help="hnsw (approximate) or exact."),
    metric: str = typer.Option("l2", help="l2, ip or cosine."),
    m: int = typer.Option(16, "--m", "-M", help="Links per node (HNSW's M)."),
    ef_construction: int = typer.Option(200, help="Beam width while building."),
    seed: int = typer.Option(0),
    threads: int | None = typer.Option(None, help="Default: all cores."),
    as_json: bool = Json,
) -> None:
    """Build an index over vectors.

    Example: nearhop index build shop.nh --column fastrp --metric cosine

    Example: nearhop index build vectors.npy --out vectors.index.nh
    """
    import numpy as np

    from ...ann import HNSW, Exact
    from ..errors import InvalidInput, StoreExists
    from ..store import open as open_store
    from .arrays import read_vectors

    if kind not in ("hnsw", "exact"):
        raise InvalidInput(f"--kind must be hnsw or exact; got {kind!r}")
    in_store = out is None
    if in_store and (column is None or not Path(source).is_dir() or kind == "exact"):
        raise InvalidInput("name the new index with --out PATH (only an hnsw index of a store's --column needs none)")
    if out is not None and out.exists():
        raise StoreExists(f"{out} exists already, and nothing was written; choose another --out or remove it first")
    start = time.perf_counter()
    options: dict[str, Any] = {
        "metric": metric,
        "M": m,
        "ef_construction": ef_construction,
        "seed": seed,
        "threads": threads,
    }
    with progress_bar("building") as progress:
        if in_store:
            store = open_store(source)
            index: Any = HNSW.from_store(store, str(column), progress=progress, **options)
            index.save_into(store, name)
            store.commit(f"index {name} over {column}")
        else:
            vectors = np.asarray(read_vectors(source, column), np.float32)
            ids = _integer_ids(source)
            if kind == "exact":
                index = Exact(metric, threads=threads).add(vectors, ids)
            else:
                index = HNSW(**options).add(vectors, ids, progress=progress)
            index.save(out)
    told = {"index": str(out or f"{source}, index {name}"), "kind": kind, "metric": metric, "rows": len(index)}
    emit({**told, "dim": index.dim, "seconds": round(time.perf_counter() - start, 3)}, as_json=as_json)


@app.command(no_args_is_help=True)
def search(
    index: Path = typer.Argument(help="An index, or a store that holds one."),
    queries: str = typer.Argument(help=VECTORS),
    column: str | None = typer.Option(None, help="The column of the queries' store."),
    k: int = typer.Option(10, "-k", help="Neighbours per query."),
    ef_search: int | None = typer.Option(None, help="Beam width; larger is slower and more exact."),
    where: str | None = typer.Option(None, help='SQL condition over the store\'s node columns, such as "year > 2010".'),
    name: str = _NAME,
    out: str = typer.Option("-", help=".csv, .parquet, .npy (ids), .npz (ids, distances, counts), or - for CSV."),
    threads: int | None = typer.Option(None, help="Default: all cores."),
    as_json: bool = Json,
) -> None:
    """The nearest neighbours of every query, by user id.

    Example: nearhop index search vectors.index.nh queries.npy -k 5 --out found.parquet
    """
    import numpy as np

    from .arrays import read_vectors, write_arrays, write_table

    opened, store = _open_index(index, name)
    rows = np.atleast_2d(np.asarray(read_vectors(queries, column), np.float32))
    options: dict[str, Any] = {} if ef_search is None else {"ef_search": ef_search}
    if where is not None:
        options["filter"] = store.where(where, as_bitmap=True)
    start = time.perf_counter()
    found = opened.search(rows, k, threads=threads, **options)
    seconds = time.perf_counter() - start
    ids = _user_ids(store, found.ids)
    if out.endswith((".npy", ".npz")):
        write_arrays(out, {"ids": found.ids, "distances": found.distances, "counts": found.counts})
    elif not as_json or out != "-":
        filled = np.arange(k) < found.counts[:, None]
        places = np.nonzero(filled)
        columns = {"query": places[0], "rank": places[1], "id": ids[filled], "distance": found.distances[filled]}
        write_table(out, columns)
    told: dict[str, Any] = {"queries": len(rows), "k": k, "seconds": round(seconds, 4), "out": out}
    if as_json:
        lists = [ids[i, :n].tolist() for i, n in enumerate(found.counts)] if out == "-" else None
        near = [found.distances[i, :n].tolist() for i, n in enumerate(found.counts)] if out == "-" else None
        emit({**told, "ids": lists, "distances": near}, as_json=True)
    elif out != "-":
        emit(told, as_json=False)


@app.command("eval", no_args_is_help=True)
def evaluate(
    index: Path = typer.Argument(help="An index, or a store that holds one."),
    queries: str = typer.Argument(help=VECTORS),
    column: str | None = typer.Option(None, help="The column of the queries' store."),
    k: int = typer.Option(10, "-k", help="Neighbours per query."),
    ef_search: str = typer.Option("10,20,50,100,200", help="Beam widths to try."),
    limit: int = typer.Option(1000, help="Use at most this many queries, evenly spread."),
    name: str = _NAME,
    threads: int | None = typer.Option(None, help="Default: all cores."),
    as_json: bool = Json,
) -> None:
    """Recall against exact search, and queries per second, at several beam widths.

    Example: nearhop index eval vectors.index.nh queries.npy -k 10 --ef-search 20,50,100
    """
    import numpy as np

    from ...ann import Exact, recall
    from ..errors import InvalidInput
    from .arrays import read_vectors

    try:
        widths = [int(part) for part in ef_search.split(",")]
    except ValueError as error:
        raise InvalidInput(f"--ef-search must be integers separated by commas; got {ef_search!r}") from error
    opened, store = _open_index(index, name)
    rows = np.atleast_2d(np.asarray(read_vectors(queries, column), np.float32))
    rows = rows[np.linspace(0, len(rows) - 1, min(limit, len(rows))).astype(int)]
    vectors = _indexed_vectors(opened, store, name)
    exact = Exact(opened.metric, threads=threads).add(vectors, opened.ids)
    truth = _timed(lambda: exact.search(rows, k))
    scores: list[dict[str, Any]] = [
        {"search": "exact", "ef_search": None, "recall": 1.0, "queries_per_second": len(rows) / truth[1]}
    ]
    if not isinstance(opened, Exact):
        for width in widths:
            opened.search(rows[:1], k, ef_search=width, threads=threads)
            found, seconds = _timed(lambda w=width: opened.search(rows, k, ef_search=w, threads=threads))
            rate = len(rows) / seconds
            share = recall(found, truth[0])
            scores.append({"search": "hnsw", "ef_search": width, "recall": share, "queries_per_second": rate})
    emit(
        {"queries": len(rows), "k": k, "scores": scores},
        as_json=as_json,
        text=lambda: table(
            [[s["search"], s["ef_search"], f"{s['recall']:.4f}", round(s["queries_per_second"])] for s in scores],
            ["search", "ef_search", f"recall@{k}", "queries/s"],
        ),
    )


@app.command(no_args_is_help=True)
def info(
    index: Path = typer.Argument(help="An index, or a store that holds one."),
    name: str = _NAME,
    as_json: bool = Json,
) -> None:
    """What an index holds: kind, metric, rows, width, links, parameters.

    Example: nearhop index info vectors.index.nh
    """
    opened, _ = _open_index(index, name)
    told: dict[str, Any] = {"index": str(index), "kind": type(opened).__name__.lower(), "metric": opened.metric}
    told |= {"rows": len(opened), "dim": opened.dim}
    if hasattr(opened, "stats"):
        told |= {"M": opened.M, "ef_construction": opened.ef_construction, **vars(opened.stats())}
    emit(told, as_json=as_json)


def _open_index(path: Path, name: str) -> tuple[Any, GraphStore]:
    """The index that a folder is, or the one of a name that a store holds; and the store."""
    from ...ann.persist import attach, from_saved
    from ..store import open as open_store

    store = open_store(path)
    if "index" in store.attributes:
        return from_saved(store), store
    return attach(store, name), store


def _indexed_vectors(opened: Any, store: GraphStore, name: str) -> NDArray[Any]:
    if "index" in store.attributes:
        return store.nodes["vector"]
    fields = store.attributes["indexes"][name]
    return store.nodes(fields["node_type"])[fields["column"]]


def _integer_ids(source: str) -> NDArray[Any] | None:
    """The integer user ids of a store, if the source is one that has them."""
    from ..store import open as open_store

    ids = open_store(source).ids() if Path(source).is_dir() else None
    if ids is not None and ids.dtype.kind != "i":
        typer.echo(
            "note: the user ids are text, so this index answers with node positions; one made without --out stays in "
            "the store and answers with user ids",
            err=True,
        )
        return None
    return ids


def _user_ids(store: GraphStore, found: NDArray[Any]) -> NDArray[Any]:
    """Text ids for positions, where the store has them; integer ids come from the index itself."""
    ids = store.ids() if "index" not in store.attributes else None
    return found if ids is None or ids.dtype.kind == "i" else ids[found]


def _timed(run: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    outcome = run()
    return outcome, time.perf_counter() - start
