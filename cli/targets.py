"""Where results go is looked at before the work begins."""

from __future__ import annotations

from pathlib import Path

from ..graphlib.errors import InvalidInput, StoreExists, StoreMissing

ARRAYS, TABLES = (".npy", ".npz"), (".parquet", ".csv")


def check_folder(option: str, path: str | Path | None) -> None:
    """The folder of what is to be written exists; nothing is written into folders that do not."""
    if path is None or str(path) == "-":
        return
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist; make it first"
        raise StoreMissing(f"{option} {path}: the folder {folder} {what}")


def check_file(option: str, path: str | Path | None, endings: tuple[str, ...]) -> None:
    """As `check_folder`, for a file of one of some endings."""
    check_folder(option, path)
    if path is None or str(path) == "-":
        return
    if not str(path).endswith(endings):
        raise InvalidInput(f"{option} {path}: the name must end in {', '.join(endings[:-1])} or {endings[-1]}")
    if Path(path).is_dir():
        raise StoreExists(f"{option} {path} is a folder; choose the name of a file")
