"""Folders of stores: opening, making, listing versions, removing what no version needs (docs/format.md)."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import NotFound, StoreCorrupt, StoreLocked, StoreMissing, StoreWriteFailed
from ..store.indexes import stored_indexes
from . import files
from .folder import StoreFolder
from .locking import WriterLock
from .manifest import Manifest, check_attributes, check_message, list_versions, manifest_path, read_manifest
from .marker import read_format, write_format
from .replacing import making_folder
from .temporary import remove_leftovers

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..store.store import GraphStore

_ATTEMPTS = 100


@dataclass(frozen=True)
class Version:
    """One committed version of a store; nodes and edges are the graph's, without what indexes keep beside it."""

    number: int
    created: datetime.datetime
    message: str
    num_nodes: int
    num_edges: int


def open_store(path: Path, version: int | None, empty: Callable[[], GraphStore]) -> GraphStore:
    """Fill a store that `empty` makes with the newest version, or with an older one for reading.

    A compaction that drops the version while it is being opened is met by opening the newest again.
    """
    read_format(path)  # says so in the words of the caller where there is no store
    path = Path(os.path.abspath(path))  # the process may change its folder later
    for _ in range(_ATTEMPTS):
        try:
            folder = _open_folder(path, version)
        except FileNotFoundError as error:
            if isinstance(error, StoreMissing):
                raise
            continue  # a manifest that was listed is gone
        store = empty()
        try:
            folder.fill(store)
        except StoreCorrupt:
            if not folder.was_dropped():
                raise
            continue
        store._folder = folder
        return store
    raise StoreLocked(f"{path}: a compaction dropped each of {_ATTEMPTS} versions while it was opened; try again")


def _open_folder(path: Path, version: int | None) -> StoreFolder:
    name = read_format(path)
    present = list_versions(path)
    if not present:
        raise StoreCorrupt(f"{path / 'manifests'} holds no version")
    if version is not None and version not in present:
        raise NotFound(f"{path} has no version {version}; versions: {', '.join(map(str, present))}")
    chosen = present[-1] if version is None else version
    read_only = None
    if chosen != present[-1]:
        read_only = f"{path} was opened at version {chosen}, which is not the newest, so it cannot be changed"
    try:
        manifest = read_manifest(path, chosen)
    except StoreCorrupt as error:
        others = [number for number in present if number != chosen]
        hint = f"; open(path, version={others[-1]}) opens another version" if others else ""
        raise StoreCorrupt(f"{error}{hint}") from error
    if manifest.uuid != name:
        raise StoreCorrupt(f"{manifest_path(path, chosen)} belongs to another store than {path / 'FORMAT'}")
    return StoreFolder(path, manifest, read_only)


def save_as(store: GraphStore, path: Path, message: str) -> None:
    """Write a store as a new folder: all of it appears at `path`, or nothing."""
    check_message(message)
    attributes = check_attributes(store.attributes)
    with making_folder(path) as folder:
        for part in ("manifests", "segments", "delta"):
            (folder / part).mkdir()
        empty = Manifest(write_format(folder), 0, 0, 0, "", {}, {}, None)
        StoreFolder(folder, empty).write_version(store, message, attributes, merge=True)


def versions(path: Path) -> list[Version]:
    """What `path` holds, oldest first."""
    found = []
    for number in list_versions(path):
        try:
            manifest = read_manifest(path, number)
        except FileNotFoundError:  # dropped by a compaction since it was listed
            continue
        created = datetime.datetime.fromtimestamp(manifest.created, datetime.UTC)
        columns = {name: nodes.columns for name, nodes in manifest.nodes.items()}
        indexes = stored_indexes(manifest.attributes, columns, manifest.edges).values()
        apart = {part for index in indexes for part in (*index.links, index.basis)}
        num_nodes = sum(nodes.count for name, nodes in manifest.nodes.items() if name not in apart)
        num_edges = sum(edges.count for name, edges in manifest.edges.items() if name not in apart)
        found.append(Version(number, created, manifest.message, num_nodes, num_edges))
    return found


def remove_unused(path: Path, keep: int | None) -> tuple[int, int]:
    """Drop all but the newest `keep` versions, and every file that no remaining version names.

    The caller holds the writer's lock. Returns how many files there were, and their bytes.
    """
    numbers = list_versions(path)
    dropped = [] if keep is None else numbers[: max(0, len(numbers) - keep)]
    used: set[str] = set()
    for number in numbers[len(dropped) :]:
        manifest = read_manifest(path, number)
        used.update(segment.file for segment in manifest.segments())
        if manifest.log is not None:
            used.add(manifest.log.file)
    count = freed = 0
    try:
        for number in dropped:
            files.remove(manifest_path(path, number))
        files.sync_folder(path / "manifests")
        temporary = [p for p in (path / "manifests").iterdir() if p.name.endswith(".tmp")]
        for file in [*(path / "segments").iterdir(), *(path / "delta").iterdir(), *temporary]:
            if file.name not in used:
                size = file.stat().st_size
                files.remove(file)
                count, freed = count + 1, freed + size
    except OSError as error:
        raise StoreWriteFailed(
            f"{path}: files that no version needs could not be removed ({error.strerror or error}); every version "
            "that is left is whole: compact again"
        ) from error
    return count, freed


def clean(path: Path) -> tuple[int, int]:
    """Remove what killed writers left in a folder, and inside it if it is a store; returns files and bytes.

    What a living process works on stays: it holds a lock. Raises `StoreLocked` for a store that is being changed.
    """
    if not path.is_dir():
        raise StoreMissing(f"there is no folder at {path}")
    count, freed = remove_leftovers(path, earlier=True)
    if (path / "FORMAT").is_file():
        lock = WriterLock(path / "LOCK")
        read_format(path)
        lock.acquire()
        try:
            more, bytes_more = remove_unused(path, None)
        finally:
            lock.release()
        count, freed = count + more, freed + bytes_more
    return count, freed
