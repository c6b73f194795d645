"""Where results go is looked at before the work begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..graphlib.errors import InvalidInput, StoreExists, StoreMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

ARRAYS, TABLES = (".npy", ".npz"), (".parquet", ".csv")


def check_folder(option: str, path: str | Path | None) -> None:
    """The folder of what is to be written exists; nothing is written into folders that do not."""
    if path is None or str(path) == "-":
        return
    folder = Path(path).parent
    if folder.is_dir():
        return
    if folder.exists():
        raise StoreMissing(f"{option} {path}: {folder} is not a folder")
    raise StoreMissing(f"{option} {path}: there is no folder {folder}; make it first")


def check_file(option: str, path: str | Path | None, endings: tuple[str, ...]) -> None:
    """As `check_folder`, for a file of one of some endings."""
    check_folder(option, path)
    if path is None or str(path) == "-":
        return
    if not str(path).endswith(endings):
        raise InvalidInput(f"{option} must end in {' or '.join(endings)}; got {path}")
    if Path(path).is_dir():
        raise StoreExists(f"{option} {path} is a folder; choose the name of a file")


def check_apart(option: str, path: str | Path | None, inputs: Mapping[str, str | Path | None]) -> None:
    """What is to be written takes the place of nothing that the command reads, under whatever name or link."""
    if path is None or str(path) == "-":
        return
    for name, given in inputs.items():
        if given is not None and _is_same(Path(path), Path(given)):
            raise InvalidInput(f"{option} {path} is also what {name} names; choose another name, so that it is kept")


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))
