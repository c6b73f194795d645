"""Folders of stores: opening, making, listing versions, removing what no version needs (docs/format.md)."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import NotFound, StoreCorrupt, StoreExists, StoreMissing, StoreWriteFailed
from . import files
from .folder import StoreFolder
from .manifest import FORMAT_VERSION, Manifest, check_attributes, list_versions, manifest_path, read_manifest

if TYPE_CHECKING:
    from ..store.store import GraphStore


@dataclass(frozen=True)
class Version:
    """One committed version of a store."""

    number: int
    created: datetime.datetime
    message: str
    num_nodes: int
    num_edges: int


def read_format(path: Path) -> str:
    """Check that `path` is a store of a known format; returns its uuid."""
    if not path.exists():
        raise StoreMissing(f"there is no store at {path}")
    marker = path / "FORMAT"
    if not marker.is_file() or not (path / "manifests").is_dir():
        raise StoreMissing(f"{path} is not a nearhop store: it has no FORMAT file; nearhop.ingest and save make one")
    try:
        with marker.open("rb") as stream:
            content = json.loads(stream.read(1 << 16))
        form, number, name = content["format"], content["format_version"], content["uuid"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreCorrupt(f"{marker} is damaged: {error!r}") from error
    if form != "nearhop-store" or type(number) is not int or number < 1 or not isinstance(name, str):
        raise StoreCorrupt(f"{marker} does not describe a nearhop store")
    if number > FORMAT_VERSION:
        raise StoreCorrupt(f"{path} has format version {number}; this nearhop reads up to {FORMAT_VERSION}: upgrade it")
    return name


def open_folder(path: Path, version: int | None) -> StoreFolder:
    """Open the newest version, or an older one for reading."""
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


def make_folder(path: Path) -> StoreFolder:
    """An empty folder of the format, at version 0, which has no manifest."""
    for part in (path, path / "manifests", path / "segments", path / "delta"):
        part.mkdir()
    name = uuid.uuid4().hex
    content = {"format": "nearhop-store", "format_version": FORMAT_VERSION, "uuid": name}
    descriptor = files.create(path / "FORMAT")
    try:
        files.write(descriptor, (json.dumps(content) + "\n").encode())
        files.sync(descriptor)
    finally:
        os.close(descriptor)
    return StoreFolder(path, Manifest(name, 0, 0, 0, "", {}, {}, None))


def save_as(store: GraphStore, path: Path, message: str) -> None:
    """Write a store as a new folder: all of it appears at `path`, or nothing."""
    if path.exists() or path.is_symlink():
        raise StoreExists(f"{path} exists already, and nothing was written; choose another path or remove it first")
    if not path.parent.is_dir():
        raise StoreMissing(f"the folder {path.parent} does not exist; make it first")
    partial = path.parent / f".{path.name}.partial-{uuid.uuid4().hex[:8]}"
    try:
        try:
            folder = make_folder(partial)
            folder.write_version(store, message, check_attributes(store.attributes), merge=True)
            files.sync_folder(partial)
            files.rename(partial, path)
            files.sync_folder(path.parent)
        except OSError as error:
            reason = error.__cause__ if isinstance(error, StoreWriteFailed) else error
            raise StoreWriteFailed(f"{path} could not be written ({reason}); nothing is left of it") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def versions(path: Path) -> list[Version]:
    """What `path` holds, oldest first."""
    found = []
    for number in list_versions(path):
        manifest = read_manifest(path, number)
        created = datetime.datetime.fromtimestamp(manifest.created, datetime.UTC)
        num_nodes = sum(nodes.count for nodes in manifest.nodes.values())
        num_edges = sum(edges.count for edges in manifest.edges.values())
        found.append(Version(number, created, manifest.message, num_nodes, num_edges))
    return found


def remove_unused(path: Path, keep: int | None) -> int:
    """Drop all but the newest `keep` versions, and every file that no remaining version names; returns bytes freed."""
    numbers = list_versions(path)
    dropped = [] if keep is None else numbers[: max(0, len(numbers) - keep)]
    used: set[str] = set()
    for number in numbers[len(dropped) :]:
        manifest = read_manifest(path, number)
        used.update(segment.file for segment in manifest.segments())
        if manifest.log is not None:
            used.add(manifest.log.file)
    for number in dropped:
        files.remove(manifest_path(path, number))
    files.sync_folder(path / "manifests")
    freed = 0
    temporary = [p for p in (path / "manifests").iterdir() if p.name.endswith(".tmp")]
    for file in [*(path / "segments").iterdir(), *(path / "delta").iterdir(), *temporary]:
        if file.name not in used:
            freed += file.stat().st_size
            files.remove(file)
    return freed
