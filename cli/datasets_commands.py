"""nearhop datasets list, info, load."""

from __future__ import annotations

from pathlib import Path

import typer

from .output import Json, emit, table
from .targets import check_folder

app = typer.Typer(help="Named public datasets.", no_args_is_help=True)


@app.command("list")
def list_names(as_json: bool = Json) -> None:
    """All datasets that can be loaded by name.

    Example: nearhop datasets list
    """
    from ..datasets import info, names

    cards = [info(name) for name in names()]
    emit(
        {"datasets": [vars(card) for card in cards]},
        as_json=as_json,
        text=lambda: table(
            [[c.name, c.nodes, c.edges, c.features, c.classes, c.use] for c in cards],
            ["name", "nodes", "edges", "features", "classes", "for"],
        ),
    )


@app.command("info", no_args_is_help=True)
def show(name: str = typer.Argument(help="A dataset."), as_json: bool = Json) -> None:
    """Source, licence, citation and files of a dataset.

    Example: nearhop datasets info cora
    """
    from ..datasets import info

    emit(vars(info(name)), as_json=as_json)


@app.command(no_args_is_help=True)
def load(
    name: str = typer.Argument(help="A dataset."),
    path: Path = typer.Argument(help="Where the store is made; must not exist."),
    root: Path | None = typer.Option(None, help="Folder with the files; default: NEARHOP_DATA, else downloaded."),
    as_json: bool = Json,
) -> None:
    """Write a dataset as a store.

    Example: nearhop datasets load blogcatalog blogcatalog.nh
    """
    from ..datasets import load as run

    check_folder("PATH", path)
    store = run(name, root).save(path, message=f"dataset {name}")
    emit({"path": str(path), "nodes": store.num_nodes, "edges": store.num_edges}, as_json=as_json)
