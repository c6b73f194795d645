"""Where results go is looked at before the work begins."""

from __future__ import annotations

from pathlib import Path

from ..graphlib.errors import InvalidInput, StoreExists, StoreMissing

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
