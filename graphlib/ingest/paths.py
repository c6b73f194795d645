"""Which files a path, a folder or a pattern stands for, and what kind of file each is by its name."""

from __future__ import annotations

import glob
import stat
from collections import Counter
from pathlib import Path

from ..errors import IngestError, InvalidInput, StoreMissing
from ..names import shown

PACKED = (".gz", ".bz2", ".xz", ".zst")
_KINDS = {
    "parquet": ("parquet", "pq"),
    "Arrow": ("arrow", "feather", "ipc"),
    "NumPy": ("npy", "npz"),
    "MatrixMarket": ("mtx",),
    "text": ("csv", "tsv", "txt", "tab", "psv", "edges", "edgelist", "edge", "el", "dat", "data", "list", "tbl"),
}
_KIND_OF = {suffix: kind for kind, suffixes in _KINDS.items() for suffix in suffixes}


def suffix_of(path: Path) -> str:
    """The last suffix without its dot, in small letters, that of a compressed file left aside.

    >>> suffix_of(Path("edges.CSV.gz"))
    'csv'
    """
    name = path.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix.removeprefix(".")


def kind_of(path: Path) -> str:
    """ "parquet", "Arrow", "NumPy", "MatrixMarket" or "text", by the name; every unknown name may be text."""
    return _KIND_OF.get(suffix_of(path), "text")


def find_files(path: Path) -> tuple[list[Path], list[str]]:
    """The files of a path in the order of their names, and remarks about files that were left out.

    A name that exists is that file, whatever characters it holds; only what does not exist can be a pattern.
    """
    found, remarks = _found(path)
    for each in found:
        try:
            str(each).encode()
        except UnicodeEncodeError:
            raise IngestError(f"{shown(each)}: its name is not UTF-8, which reading needs; rename it") from None
    return found, remarks


def _found(path: Path) -> tuple[list[Path], list[str]]:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _matching(path), []
    except OSError as error:
        raise IngestError(f"{shown(path)} cannot be opened: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        return _in_folder(path)
    check_regular(path)
    return [path], []


def check_regular(path: Path) -> None:
    """Refuse pipes, devices and sockets: they cannot be read twice, and may never end."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next(
            (
                word
                for test, word in (
                    (stat.S_ISFIFO, "a pipe"),
                    (stat.S_ISCHR, "a device"),
                    (stat.S_ISBLK, "a device"),
                    (stat.S_ISSOCK, "a socket"),
                )
                if test(mode)
            ),
            "not a file",
        )
        raise IngestError(f"{shown(path)} is {kind}; ingest reads files more than once, so write it into a file first")


def _matching(path: Path) -> list[Path]:
    if not any(mark in str(path) for mark in "*?["):
        raise StoreMissing(f"there is no file {shown(path)}")
    found = sorted(Path(match) for match in glob.glob(str(path), recursive=True) if Path(match).is_file())
    if not found:
        raise StoreMissing(f"no file matches {shown(path)}")
    _check_one_kind(path, found)
    return found


def _in_folder(path: Path) -> tuple[list[Path], list[str]]:
    if (path / "manifests").is_dir():
        raise InvalidInput(f"{shown(path)} is a nearhop store already; nearhop.open reads it")
    files = [
        each
        for each in sorted(path.rglob("*"))
        if each.is_file() and not any(part[0] in "._" for part in each.relative_to(path).parts)
    ]
    found = [each for each in files if suffix_of(each) in _KIND_OF]
    if not found:
        raise StoreMissing(
            f"{shown(path)} is a folder without Parquet or text files (.parquet, .csv, .tsv, .txt, also compressed)"
        )
    _check_one_kind(path, found)
    left = [shown(each.relative_to(path)) for each in files if suffix_of(each) not in _KIND_OF]
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    return found, [f"left out of the folder: {', '.join(left[:5])}{more}"] if left else []


def _check_one_kind(path: Path, found: list[Path]) -> None:
    kinds = Counter(kind_of(each) for each in found)
    if len(kinds) > 1:
        counted = " and ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise IngestError(
            f"{shown(path)} holds {counted} files; are they the same rows twice? Name those you mean by a pattern, "
            f"such as {shown(path.parent if glob.has_magic(path.name) else path)}/*.{suffix_of(found[0])}"
        )
    if len(found) > 1 and not kinds.keys() & {"parquet", "text"}:
        kind = suffix_of(found[0])
        raise InvalidInput(
            f"{shown(path)}: give one .{kind} file at a time; folders and globs are for Parquet and text"
        )
