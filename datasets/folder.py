"""Finding a dataset's files: a folder that was named, else a cache that downloads fill; and checking what they hold."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..graphlib.cache_folder import cache_folder
from ..graphlib.errors import DownloadError, StoreMissing
from .files import table

if TYPE_CHECKING:
    from .files import DataFile

_SLACK = 1 << 16  # a packed file may be a little larger than what it holds


class Files:
    """The files of one dataset, by their paths in a data folder.

    Looked for in this order: the folder `root`; else the one that the environment variable NEARHOP_DATA names; else a
    data folder beside the checkout; then the cache folder, where missing files are downloaded to.
    """

    def __init__(self, dataset: str, source: str, root: str | os.PathLike[str] | None = None) -> None:
        self._dataset = dataset
        self._source = source
        self.folders = [*_local(root), cache_folder()]

    def read(self, path: str) -> bytes:
        """The checked, unpacked content of one file; `DownloadError` if it cannot be had or is not the known one."""
        file = table()[path]
        for folder in self.folders:
            for candidate in _spellings(folder / path):
                if candidate.is_file():
                    return _read(candidate, file)
        return self._download(file)

    def _download(self, file: DataFile) -> bytes:
        target = self.folders[-1] / file.path
        looked = ", ".join(str(folder) for folder in self.folders)
        place = f"put it at {target}, or set NEARHOP_DATA to a folder that holds {file.path}"
        needs = f"dataset {self._dataset!r} needs the file {file.path}, which is not in {looked}"
        if file.url is None:
            raise DownloadError(
                f"{needs}. It has no address to download it from: take it from {self._source} and {place} "
                f"(unpacked content: {file.size:,} bytes, sha256 {file.sha256})"
            )
        from .download import fetch

        def check(path: Path) -> None:
            _read(path, file)

        try:
            fetch(file.url, target, size_cap=file.size + _SLACK, check=check)
        except DownloadError as error:
            raise DownloadError(f"{needs}. {error} To use a copy of your own, {place}.") from error
        return _read(target, file)


def _local(root: str | os.PathLike[str] | None) -> list[Path]:
    named = os.environ.get("NEARHOP_DATA")
    for what, given in (("root", root), ("NEARHOP_DATA", named or None)):
        if given is not None:
            folder = Path(given).expanduser()
            if not folder.is_dir():
                raise StoreMissing(
                    f"{what} is {os.fspath(given)!r}, which is not a folder; name one that holds datasets"
                )
            return [folder]
    beside = Path(__file__).resolve().parents[2].joinpath("shared", "data")
    return [beside] if beside.is_dir() else []


def _spellings(path: Path) -> tuple[Path, ...]:
    return (path, path.with_suffix("")) if path.suffix == ".gz" else (path, path.with_name(path.name + ".gz"))


def _read(path: Path, file: DataFile) -> bytes:
    size = path.stat().st_size
    if size > file.size + _SLACK:
        raise DownloadError(f"{path} has {size:,} bytes but at most {file.size:,} are expected; {_advice(path)}")
    packed = path.read_bytes()
    content = _unpack(packed, file.size, path)
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise DownloadError(
            f"{path} is not the expected file: its content has {len(content):,} bytes and sha256 {digest}, expected "
            f"{file.size:,} bytes and {file.sha256}; {_kind(packed)}{_advice(path)}"
        )
    return content


def _unpack(packed: bytes, size: int, path: Path) -> bytes:
    """Content of a gzip file, never more than one byte above `size`; anything else as it is."""
    if packed[:2] != b"\x1f\x8b":
        return packed
    content, rest = bytearray(), packed
    try:
        while rest and len(content) <= size:
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            content += member.decompress(rest, size + 1 - len(content))
            rest = member.unused_data
            if not member.eof:
                break
    except zlib.error as error:
        raise DownloadError(f"{path} is a damaged gzip file ({error}); {_advice(path)}") from error
    return bytes(content)


def _kind(content: bytes) -> str:
    if content.startswith(b"version https://git-lfs"):
        return "it is a git-lfs pointer, not the file itself; "
    if content.lstrip()[:1].lower() == b"<" and b"<html" in content[:1000].lower():
        return "it is a web page; "
    return ""


def _advice(path: Path) -> str:
    return f"delete {path.name} and load again, or replace it by the published file"
