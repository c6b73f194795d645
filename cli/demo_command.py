"""nearhop demo."""

from __future__ import annotations

from pathlib import Path

import typer

from .output import Json, emit


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    dataset: str = typer.Option("digits", help="Any dataset with a graph or vectors, such as cora or blogcatalog."),
    out: Path = typer.Option(Path("nearhop-demo"), help="Folder for the report and the store."),
    root: Path | None = typer.Option(None, help="Folder with its files; default: NEARHOP_DATA, else downloaded."),
    seed: int = typer.Option(0),
    as_json: bool = Json,
) -> None:
    """The main job on real data: graph, store, embedding, index, answers, and a report with pictures.

    Example: nearhop demo --dataset cora --out cora-demo
    """
    from .demo import run

    result = run(dataset, out, root=root, seed=seed)
    emit(result.facts(), as_json=as_json, text=result.table)
