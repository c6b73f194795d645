"""nearhop index: build, change, search, measure and convert indexes of nearhop, hnswlib and FAISS alike."""

from __future__ import annotations

import typer

from . import bench, build, change, convert, evaluate, info, search

app = typer.Typer(help="Nearest-neighbour indexes of nearhop, hnswlib and FAISS.", no_args_is_help=True)
for commands in (build, change, search, evaluate, info, convert, bench):
    commands.register(app)

__all__ = ["app"]
