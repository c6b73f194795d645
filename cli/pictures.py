"""The option --picture, which several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..graphlib.errors import InvalidInput
from .targets import check_folder

if TYPE_CHECKING:
    from ..communities.pictures.picture import Picture

Pictures = Annotated[
    list[Path] | None,
    typer.Option(
        "--picture", help="Draw what was found: a .html file that needs no other, or a .png. May be repeated."
    ),
]


def check_pictures(paths: list[Path] | None) -> None:
    """Say what is wrong with a name before the work is done."""
    for path in paths or []:
        if path.suffix not in (".html", ".png"):
            raise InvalidInput(f"--picture takes a .html or a .png file; got {str(path)!r}")
        check_folder("--picture", path)


def save_pictures(picture: Picture, paths: list[Path]) -> list[str]:
    """Write all of them and return their names."""
    return [str(picture.save(path)) for path in paths]
