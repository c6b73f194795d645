"""nearhop embed fastrp, graphvite, skipgram, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from .clock import Stopwatch
from .output import Json, emit, note_replaced, table, training_bar
from .targets import TABLES, check_file, check_folder
from .words import Among, Unweighted, parse_edge_type

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..graphlib.store.store import GraphStore
    from ..graphlib.types import EdgeType

app = typer.Typer(help="Node embeddings: make them, judge them.", no_args_is_help=True)


@app.command(no_args_is_help=True)
def fastrp(
    path: Path = typer.Argument(help="A store."),
    column: str = typer.Option("fastrp", help="The node column that is written."),
    out: str | None = typer.Option(None, help="Write .npy, .parquet or .csv instead of a column of the store."),
    dim: int = typer.Option(512, help="Width of the vectors."),
    weights: str = typer.Option("0,0,1,6.67", help="Weight of each power of the transition matrix."),
    beta: float = typer.Option(-0.64, help="Exponent of the degree normalisation."),
    direction: str = typer.Option("out", help="Which edges of a directed graph: out, in or both."),
    edge_type: str | None = Among,
    unweighted: bool = Unweighted,
    seed: int = typer.Option(0),
    threads: int | None = typer.Option(None, help="Default: all cores."),
    as_json: bool = Json,
) -> None:
    """FastRP: vectors from sparse random projections of the graph's powers; no training.

    Example: nearhop embed fastrp shop.nh --dim 256 --column near
    """
    from ..embed import FastRP
    from ..graphlib.errors import InvalidInput
    from ..graphlib.store.store import open as open_store
    from .arrays import write_array

    try:
        powers = tuple(float(part) for part in weights.split(","))
    except ValueError as error:
        raise InvalidInput(f"--weights must be numbers separated by commas; got {weights!r}") from error
    check_file("--out", out, (".npy", *TABLES))
    store, which = open_store(path), parse_edge_type(edge_type)
    watch = Stopwatch()
    model = FastRP(dim, powers, beta=beta, direction=direction, use_weights=not unweighted, seed=seed, threads=threads)
    if out is None:
        columns = store.nodes(_embedded(store, which))
        note_replaced(columns, column)
        target = columns.create(column, (dim,))
        vectors = model.fit_transform(store, out=target, edge_type=which)
        store.commit(f"column {column}: FastRP, dim {dim}")
    else:
        vectors = model.fit_transform(store, edge_type=which)
        write_array(out, vectors, "f", store.ids(_embedded(store, which)))
    where = f"{path}, column {column}" if out is None else out
    emit({"written": where, "nodes": len(vectors), "dim": dim, **watch.told()}, as_json=as_json)


@app.command(no_args_is_help=True)
def graphvite(
    path: Path = typer.Argument(help="A store."),
    column: str = typer.Option("graphvite", help="The node column that is written."),
    out: str | None = typer.Option(None, help="Write .npy, .parquet or .csv instead of a column of the store."),
    context: str | None = typer.Option(None, help="A second column for the context vectors (link prediction)."),
    model: str = typer.Option("line", help="line, deepwalk or node2vec."),
    dim: int = typer.Option(128, help="Width of the vectors."),
    epochs: int | None = typer.Option(None, help="Samples / edges. Default: 12,000 samples per node."),
    augmentation_step: int | None = typer.Option(None, help="Largest distance of a pair. Default: by density."),
    walk_length: int = typer.Option(40, help="Edges per walk."),
    p: float = typer.Option(1.0, help="node2vec's return parameter."),
    q: float = typer.Option(1.0, help="node2vec's in-out parameter."),
    num_negatives: int = typer.Option(1, help="Negatives per sample."),
    negative_weight: float = typer.Option(5.0, help="Weight of a negative."),
    partitions: str = typer.Option("auto", help="Parts of the grid, or auto."),
    optimizer: str = typer.Option("sgd", help="sgd, momentum, adagrad or adam."),
    lr: float | None = typer.Option(None, help="Learning rate at the start."),
    weight_decay: float = typer.Option(0.005),
    device: str = typer.Option("cpu", help="cpu, cuda or auto."),
    deterministic: bool = typer.Option(False, help="The same bits at any number of threads."),
    direction: str = typer.Option("both", help="Walks along directed edges (out), or against them too (both)."),
    edge_type: str | None = Among,
    unweighted: bool = Unweighted,
    seed: int = typer.Option(0),
    threads: int | None = typer.Option(None, help="Default: all cores."),
    checkpoint: Path | None = typer.Option(None, help="An .npz file, written every ten minutes and on Ctrl-C."),
    resume: bool = typer.Option(False, help="Go on from the checkpoint."),
    tensorboard: str | None = typer.Option(None, help="A folder for TensorBoard scalars."),
    as_json: bool = Json,
) -> None:
    """GraphVite: vectors trained on pairs of walks, in a grid of blocks; LINE, DeepWalk or node2vec.

    Example: nearhop embed graphvite shop.nh --model line --dim 128 --checkpoint run.npz
    """
    from ..embed import GraphVite
    from ..graphlib.errors import InvalidInput
    from ..graphlib.store.store import open as open_store

    check_folder("--checkpoint", checkpoint)
    if partitions != "auto" and not partitions.isdecimal():
        raise InvalidInput(f"--partitions must be a whole number or auto; got {partitions!r}")
    if out is not None and context is not None:
        raise InvalidInput("--context is a column of the store and --out writes a file; give one of them")
    check_file("--out", out, (".npy", *TABLES))
    store, which = open_store(path), parse_edge_type(edge_type)
    watch = Stopwatch()
    with training_bar("GraphVite") as bar:
        # words are checked by the model
        words: dict[str, Any] = {"model": model, "optimizer": optimizer, "direction": direction}
        trained = GraphVite(
            dim=dim,
            **words,
            epochs=epochs,
            augmentation_step=augmentation_step,
            walk_length=walk_length,
            p=p,
            q=q,
            num_negatives=num_negatives,
            negative_weight=negative_weight,
            partitions="auto" if partitions == "auto" else int(partitions),
            lr=lr,
            weight_decay=weight_decay,
            device=device,
            use_weights=not unweighted,
            deterministic=deterministic,
            seed=seed,
            threads=threads,
            checkpoint=checkpoint,
            progress=bar,
            tensorboard=tensorboard,
        )
        trained = trained.resume(store, edge_type=which) if resume else trained.fit(store, edge_type=which)
    columns = {column: trained.vertex_, **({} if context is None else {context: trained.context_})}
    _write(store, which, path, columns, out, f"GraphVite {model}, dim {dim}", watch, as_json)


@app.command(no_args_is_help=True)
def skipgram(
    path: Path = typer.Argument(help="A store."),
    column: str = typer.Option("skipgram", help="The node column that is written."),
    out: str | None = typer.Option(None, help="Write .npy, .parquet or .csv instead of a column of the store."),
    dim: int = typer.Option(128, help="Width of the vectors."),
    window: int = typer.Option(10, help="Largest distance within a walk."),
    negative: int = typer.Option(5, help="Negatives per positive."),
    num_walks: int = typer.Option(80, help="Walks from every node."),
    walk_length: int = typer.Option(40, help="Nodes per walk."),
    p: float = typer.Option(1.0, help="node2vec's return parameter."),
    q: float = typer.Option(1.0, help="node2vec's in-out parameter."),
    deterministic: bool = typer.Option(False, help="The same bits at any number of threads."),
    direction: str = typer.Option("both", help="Walks along directed edges (out), or against them too (both)."),
    edge_type: str | None = Among,
    unweighted: bool = Unweighted,
    seed: int = typer.Option(0),
    threads: int | None = typer.Option(None, help="Default: all cores."),
    as_json: bool = Json,
) -> None:
    """DeepWalk and node2vec: a skip-gram model over random walks.

    Example: nearhop embed skipgram shop.nh --p 0.25 --q 0.25
    """
    from ..embed import SkipGram
    from ..graphlib.store.store import open as open_store

    check_file("--out", out, (".npy", *TABLES))
    store, which = open_store(path), parse_edge_type(edge_type)
    watch = Stopwatch()
    with training_bar("SkipGram") as bar:
        trained = SkipGram(
            dim,
            window=window,
            negative=negative,
            num_walks=num_walks,
            walk_length=walk_length,
            p=p,
            q=q,
            direction=cast("Any", direction),  # checked by the model
            use_weights=not unweighted,
            deterministic=deterministic,
            seed=seed,
            threads=threads,
            progress=bar,
        ).fit(store, edge_type=which)
    _write(store, which, path, {column: trained.vertex_}, out, f"SkipGram, dim {dim}", watch, as_json)


def _embedded(store: GraphStore, edge_type: EdgeType | None) -> str:
    """The type of the nodes that the embedded edges join."""
    from ..graphlib.given_store import one_node_type

    return one_node_type(store, "embed", edge_type)[0]


def _write(
    store: GraphStore,
    edge_type: EdgeType | None,
    path: Path,
    columns: dict[str, NDArray[np.float32]],
    out: str | None,
    what: str,
    watch: Stopwatch,
    as_json: bool,
) -> None:
    """Write vectors as columns of the store, or the first to a file, and say so."""
    from .arrays import write_array

    first = next(iter(columns))
    dim = columns[first].shape[1]
    if out is None:
        kept = store.nodes(_embedded(store, edge_type))
        note_replaced(kept, *columns)
        for name, values in columns.items():
            kept[name] = values
        store.commit(f"column {' and '.join(columns)}: {what}")
    else:
        write_array(out, columns[first], "f", store.ids(_embedded(store, edge_type)))
    where = out if out is not None else f"{path}, column {' and '.join(columns)}"
    emit({"written": where, "nodes": len(columns[first]), "dim": dim, **watch.told()}, as_json=as_json)


@app.command(no_args_is_help=True)
def evaluate(
    path: Path = typer.Argument(help="A store with labels."),
    column: str = typer.Option("fastrp", help="The node column with the vectors."),
    labels: str = typer.Option("y", help="The node column with the labels: a class, or a row of 0/1, per node."),
    ratios: str = typer.Option("0.1,0.5,0.9", help="Shares of the nodes to train on."),
    repeats: int = typer.Option(5, help="Shuffles."),
    classifier: str = typer.Option("logistic", help="logistic, or linear: the layer of GraphVite's own evaluation."),
    strength: float = typer.Option(0.1, "--C", help="Inverse L2 penalty of the logistic regressions."),
    seed: int = typer.Option(0),
    as_json: bool = Json,
) -> None:
    """Predict the labels of nodes from their vectors.

    Example: nearhop embed evaluate blogcatalog.nh --ratios 0.1 --column graphvite --classifier linear
    """
    from ..embed.evaluation import evaluate as run
    from ..graphlib.errors import InvalidInput
    from ..graphlib.store.store import open as open_store

    try:
        shares = tuple(float(part) for part in ratios.split(","))
    except ValueError as error:
        raise InvalidInput(f"--ratios must be numbers separated by commas; got {ratios!r}") from error
    store = open_store(path)
    found = run(
        *(store.nodes[column], store.nodes[labels]),
        train_ratios=shares,
        repeats=repeats,
        C=strength,
        classifier=classifier,
        seed=seed,
    )
    entries = zip(shares, found.micro_mean, found.micro_std, found.macro_mean, found.macro_std, strict=True)
    names = "train_ratio", "micro_f1", "micro_std", "macro_f1", "macro_std"
    rows = [dict(zip(names, map(float, entry), strict=True)) for entry in entries]
    emit(
        {"column": column, "labels": labels, "repeats": repeats, "scores": rows},
        as_json=as_json,
        text=lambda: table([list(row.values()) for row in rows], names),
    )
