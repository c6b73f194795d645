"""nearhop embed fastrp, evaluate."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from .output import Json, emit, table

app = typer.Typer(help="Node embeddings: make them, judge them.", no_args_is_help=True)


@app.command(no_args_is_help=True)
def fastrp(
    path: Path = typer.Argument(help="A store."),
    column: str = typer.Option("fastrp", help="The node column that is written."),
    out: str | None = typer.Option(None, help="Write .npy, .parquet or .csv instead of a column of the store."),
    dim: int = typer.Option(512, help="Width of the vectors."),
    weights: str = typer.Option("0,0,1,6.67", help="Weight of each power of the transition matrix."),
    beta: float = typer.Option(-0.64, help="Exponent of the degree normalisation."),
    seed: int = typer.Option(0),
    threads: int | None = typer.Option(None, help="Default: all cores."),
    as_json: bool = Json,
) -> None:
    """FastRP: vectors from sparse random projections of the graph's powers; no training.

    Example: nearhop embed fastrp shop.nh --dim 256 --column near
    """
    from ...embed import FastRP
    from ..errors import InvalidInput
    from ..store import open as open_store
    from .arrays import write_array

    try:
        powers = tuple(float(part) for part in weights.split(","))
    except ValueError as error:
        raise InvalidInput(f"--weights must be numbers separated by commas; got {weights!r}") from error
    store = open_store(path)
    start = time.perf_counter()
    model = FastRP(dim, powers, beta=beta, seed=seed, threads=threads)
    if out is None:
        target = store.nodes.create(column, (dim,))
        model.fit_transform(store, out=target)
        store.commit(f"column {column}: FastRP, dim {dim}")
    else:
        write_array(out, model.fit_transform(store), "f")
    seconds = time.perf_counter() - start
    where = f"{path}, column {column}" if out is None else out
    emit({"written": where, "nodes": store.num_nodes, "dim": dim, "seconds": round(seconds, 3)}, as_json=as_json)


@app.command(no_args_is_help=True)
def evaluate(
    path: Path = typer.Argument(help="A store with labels."),
    column: str = typer.Option("fastrp", help="The node column with the vectors."),
    labels: str = typer.Option("y", help="The node column with the labels: a class, or a row of 0/1, per node."),
    ratios: str = typer.Option("0.1,0.5,0.9", help="Shares of the nodes to train on."),
    repeats: int = typer.Option(5, help="Shuffles."),
    seed: int = typer.Option(0),
    as_json: bool = Json,
) -> None:
    """Predict the labels of nodes from their vectors with logistic regression.

    Example: nearhop embed evaluate blogcatalog.nh --ratios 0.1
    """
    from ...embed import evaluate as run
    from ..errors import InvalidInput
    from ..store import open as open_store

    try:
        shares = tuple(float(part) for part in ratios.split(","))
    except ValueError as error:
        raise InvalidInput(f"--ratios must be numbers separated by commas; got {ratios!r}") from error
    store = open_store(path)
    found = run(store.nodes[column], store.nodes[labels], train_ratios=shares, repeats=repeats, seed=seed)
    entries = zip(shares, found.micro_mean, found.micro_std, found.macro_mean, found.macro_std, strict=True)
    names = "train_ratio", "micro_f1", "micro_std", "macro_f1", "macro_std"
    rows = [dict(zip(names, map(float, entry), strict=True)) for entry in entries]
    emit(
        {"column": column, "labels": labels, "repeats": repeats, "scores": rows},
        as_json=as_json,
        text=lambda: table([list(row.values()) for row in rows], names),
    )
