"""The folder behind a stored graph: which file holds what, and how a new version is committed.

This module alone looks inside `GraphStore` from outside: it turns its parts into manifest entries and back.
"""

from __future__ import annotations

import contextlib
import json
import time as clock
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_ends, check_id_map, check_rows
from ..errors import InvalidInput, NearhopError, NotFound, StoreCorrupt, StoreLocked, StoreReadOnly, StoreWriteFailed
from ..store.adjacency import Adjacency
from ..store.edges import EdgeList, EdgeSet, check_edges
from ..store.idmap import IdMap
from ..store.text import TextColumn
from ..types import EdgeType
from . import files
from .entries import EntryWriter
from .locking import WriterLock
from .log import LogWriter, read_log
from .manifest import (
    Column,
    EdgesEntry,
    Manifest,
    TextEntry,
    check_attributes,
    check_message,
    list_versions,
    manifest_bytes,
    manifest_path,
    read_manifest,
    write_manifest,
)
from .mapping import make_private
from .marker import check_identity
from .segments import DATA_START, Segment, create_segment, map_segment

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ..store.columns import Columns
    from ..store.store import GraphStore

_RECORDS_AT_ONCE = 1 << 24


class StoreFolder:
    """The folder behind a stored graph: which version is open, what of it lies in which file, and the writer's lock."""

    def __init__(self, path: Path, manifest: Manifest, read_only: str | None = None) -> None:
        self.path = path
        self.manifest = manifest
        self._read_only = read_only
        self._lock = WriterLock(path / "LOCK")
        self._log: LogWriter | None = None
        self._changed = False
        self._kept: dict[int, tuple[NDArray[Any], Segment]] = {}  # by id(): arrays that lie on disk already
        self._maps: dict[str, NDArray[Any]] = {}
        self._edge_sets: dict[EdgeType, EdgeSet] = {}
        self._created: dict[int, tuple[NDArray[Any], Path]] = {}
        self._store: weakref.ref[GraphStore] | None = None
        self._publishing: tuple[Manifest, bytes] | None = None  # a version that may have been published
        self._unsynced = False

    @property
    def version(self) -> int:
        return self.manifest.version

    def was_dropped(self) -> bool:
        """Whether `compact(keep=...)` of another object dropped the version that is open here."""
        return not manifest_path(self.path, self.version).exists()

    # reading

    def map(self, segment: Segment) -> NDArray[Any]:
        """Map a segment, once, and remember which one it is, so that committing it again writes nothing."""
        if segment.file in self._maps:
            return self._maps[segment.file]
        try:
            array = map_segment(self.path / "segments", segment)
        except FileNotFoundError as error:
            raise StoreCorrupt(f"{self.path / 'segments' / segment.file} is missing") from error
        self._kept[id(array)] = (array, segment)
        self._maps[segment.file] = array
        return array

    def fill(self, store: GraphStore) -> None:
        """Put the open version's nodes, edges and columns into an empty store."""
        self._store = weakref.ref(store)
        for name, nodes in self.manifest.nodes.items():
            ids = None
            if nodes.ids is not None:
                arrays = {part: self.map(segment) for part, segment in nodes.ids.items()}
                ids = IdMap(arrays, check=lambda a=arrays: check_id_map(a, str(self.path)))  # type: ignore[misc]
            store._add_nodes(name, nodes.count, ids)
            self._fill_columns(store._node_columns[name], nodes.columns, nodes.count)
        for edge_type, entry in self.manifest.edges.items():
            arrays = {name: self.map(segment) for name, segment in entry.arrays.items()}
            edge_set = store._add_edges(edge_type, EdgeList(**arrays), entry.directed)
            edge_set.check_later("list", self._ends_check(edge_type, arrays["src"], arrays["dst"]))
            self._adopt_rows(edge_set, entry)
            self._fill_columns(store._edge_columns[edge_type], entry.columns, entry.count)
        self._replay(store)
        store.attributes = json.loads(json.dumps(self.manifest.attributes))

    def _fill_columns(self, columns: Columns, entries: dict[str, Column], count: int) -> None:
        for name, entry in entries.items():
            column: NDArray[Any] | TextColumn
            if isinstance(entry, TextEntry):
                where = f"{self.path}, column {name!r}"
                column = TextColumn({"bytes": self.map(entry.bytes), "offsets": self.map(entry.offsets)}, where)
            else:
                column = self.map(entry)
            if not column.shape or column.shape[0] > count:
                raise StoreCorrupt(f"{self.path}: column {name!r} has shape {list(column.shape)} for {count} rows")
            columns.restore(name, column)

    def _adopt_rows(self, edge_set: EdgeSet, entry: EdgesEntry) -> None:
        self._edge_sets[edge_set.edge_type] = edge_set
        for side, rows in entry.rows.items():
            arrays: dict[str, Any] = {"weight": None, "time": None}
            arrays |= {name: self.map(segment) for name, segment in rows.arrays.items()}
            adjacency = Adjacency(**arrays, num_cols=rows.num_cols)
            edge_set.adopt_rows(side, adjacency, entry.base)
            where = f"{self.path}, {side} of {'/'.join(edge_set.edge_type)}"
            edge_set.check_later(side, lambda a=adjacency, w=where, n=entry.base: check_rows(a, n, w))  # type: ignore[misc]

    def _ends_check(self, edge_type: EdgeType, src: NDArray[Any], dst: NDArray[Any]) -> Any:
        limits = self.manifest.nodes[edge_type[0]].count, self.manifest.nodes[edge_type[2]].count
        where = f"{self.path}, edges {'/'.join(edge_type)}"
        return lambda: check_ends(src, dst, limits, where)

    def _replay(self, store: GraphStore) -> None:
        try:
            records = [] if self.manifest.log is None else list(read_log(self.path, self.manifest.log))
        except FileNotFoundError as error:
            raise StoreCorrupt(f"{error.filename} is missing") from error
        for edge_type, edges in records:
            if edge_type not in self.manifest.edges:
                raise StoreCorrupt(f"{self.path}: the log has edges of {edge_type!r}, which the manifest does not list")
            limits = self.manifest.nodes[edge_type[0]].count, self.manifest.nodes[edge_type[2]].count
            try:
                checked = check_edges(edges.src, edges.dst, edges.weight, edges.time, limits=limits)
                store._edge_sets[edge_type].append(checked)
            except InvalidInput as error:
                raise StoreCorrupt(f"{self.path}: the log does not fit the edges {edge_type!r}: {error}") from error
        for edge_type, entry in self.manifest.edges.items():
            if store._edge_sets[edge_type].count != entry.count:
                raise StoreCorrupt(f"{self.path}: the log and the manifest disagree on the edges of {edge_type!r}")

    # changing

    @property
    def changed(self) -> bool:
        """Whether changes wait for a commit."""
        return self._changed

    def begin_writing(self) -> None:
        """Take the writer's lock for a change that waits for a commit."""
        self.lock()
        self._settle()
        self._changed = True

    def lock(self) -> None:
        """Take the writer's lock, unless it is held; the open version must be the newest."""
        if self._read_only is not None:
            raise StoreReadOnly(self._read_only)
        if self._lock.lost:
            raise StoreLocked(
                f"{self.path}: this object was changing the store when its process forked, and the changes are the "
                "parent's; open the store again in this process, once the parent has committed or closed"
            )
        if self._lock.held:
            return
        check_identity(self.path, self.manifest.uuid)
        try:
            self._lock.acquire()
            newest = list_versions(self.path)[-1]
            if newest != self.version:
                raise StoreLocked(
                    f"{self.path} is at version {newest} by now, and this object holds version {self.version}; "
                    "open the store again and repeat the change"
                )
        except BaseException:
            self._lock.release()
            raise

    def log(self, edge_set: EdgeSet, edges: EdgeList) -> None:
        """Append edges to the log; edges of a type that was never committed wait in memory instead."""
        if self._edge_sets.get(edge_set.edge_type) is not edge_set or not len(edges):
            return
        with self.writing("append_edges"):
            if self._log is None:
                self._log = LogWriter(self.path, self.manifest.log)
            self._log.append(edge_set.edge_type, edges, _RECORDS_AT_ONCE)

    def create(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A writable array of zeros that lies in the folder already and becomes a segment at the next commit."""
        self.begin_writing()
        with self.writing("create"):
            return self.own(*create_segment(self.path / "segments", shape, np.dtype(dtype)))

    def own(self, path: Path, array: NDArray[Any]) -> NDArray[Any]:
        """Take a file that lies in the folder as the segment of an array of the next version."""
        self._created[id(array)] = (array, path)
        return array

    def commit(self, store: GraphStore, message: str, *, merge: bool = False) -> int:
        """Write what changed and publish the next version; with `merge`, the log goes into the segments."""
        check_message(message)
        attributes = check_attributes(store.attributes)
        self._settle()
        merge = merge and self._has_log()
        if not self._changed and not merge and attributes == self.manifest.attributes:
            self.release()
            self._sync_again()
            return self.version
        self.begin_writing()
        try:
            manifest = self.write_version(store, message, attributes, merge=merge)
        except StoreWriteFailed as error:
            if not self._is_published():
                raise
            self._unsynced = True  # the version is there: only its name may not be on the device yet
            self._settle()
            raise self._not_durable(error.__cause__ or error) from error
        self._unsynced = False
        self._adopt(store, manifest)
        return self.version

    def _sync_again(self) -> None:
        if self._unsynced:
            try:
                files.sync_folder(self.path / "manifests")
            except OSError as error:
                raise self._not_durable(error) from error
            self._unsynced = False

    def _not_durable(self, error: BaseException) -> StoreWriteFailed:
        return StoreWriteFailed(
            f"commit: version {self.version} of {self.path} is committed and everybody sees it, but the device failed "
            f"to confirm it ({getattr(error, 'strerror', None) or error}), so that a power cut could undo it; "
            "commit again"
        )

    def _has_log(self) -> bool:
        return self.manifest.log is not None or (self._log is not None and self._log.entry.records > 0)

    def _log_differs(self, store: GraphStore) -> bool:
        """Whether an interrupt fell between the log and the edges in memory, which are what counts."""
        added = {} if self._log is None else self._log.added
        known = (t for t, edge_set in self._edge_sets.items() if store._edge_sets.get(t) is edge_set)
        return any(self.manifest.edges[t].count + added.get(t, 0) != self._edge_sets[t].count for t in known)

    def write_version(self, store: GraphStore, message: str, attributes: dict[str, Any], *, merge: bool) -> Manifest:
        # Records of the log name an edge type, so a type that was replaced must not find records of its predecessor.
        replaced = any(store._edge_sets.get(t) is not s for t, s in self._edge_sets.items())
        merge = merge or (replaced and self._has_log()) or self._log_differs(store)
        writer = EntryWriter(self.path / "segments", self._kept, self._created)
        number = self.version + 1
        try:
            with self.writing("commit"):
                nodes = {name: writer.nodes(n, store._node_columns[name]) for name, n in store._node_types.items()}
                edges = {t: writer.edges(store, s, self._stored(s, merge)) for t, s in store._edge_sets.items()}
                files.sync_folder(self.path / "segments")
                log = self.manifest.log
                if self._log is not None and not merge:
                    self._log.sync()
                    log = self._log.entry
                made = Manifest(
                    *(self.manifest.uuid, number, self.version, int(clock.time()), message, nodes, edges),
                    log=None if merge else log,
                    attributes=attributes,
                )
                text = manifest_bytes(made)
                check_identity(self.path, self.manifest.uuid)
                self._publishing = made, text
                write_manifest(self.path, number, text)
        except BaseException:
            if not manifest_path(self.path, number).exists():
                writer.undo()
            raise
        return made

    def _stored(self, edge_set: EdgeSet, merge: bool) -> EdgesEntry | None:
        """The entry whose segments hold a type's first edges, unless they are to be written anew."""
        stored = self.manifest.edges.get(edge_set.edge_type)
        if stored is None or self._edge_sets.get(edge_set.edge_type) is not edge_set:
            return None
        return None if merge and edge_set.count != stored.base else stored

    def _is_published(self) -> bool:
        """Whether the version that was being published is there: from the link of its manifest on it is committed."""
        if self._publishing is None:
            return False
        manifest, text = self._publishing
        try:
            return manifest_path(self.path, manifest.version).read_bytes() == text
        except FileNotFoundError:
            return False

    def _settle(self) -> None:
        """Finish a commit that was interrupted behind the moment at which its version was published."""
        store = None if self._store is None else self._store()
        if self._publishing is not None and store is not None and self._lock.held:
            if self._is_published():
                self._adopt(store, self._publishing[0])
            self._publishing = None

    def _adopt(self, store: GraphStore, manifest: Manifest) -> None:
        """Continue with the committed version: memory of what was written is given back, maps take its place.

        An interrupt in the middle leaves a state in which this can run again.
        """
        used = {segment.file for segment in manifest.segments()}
        for array, path in list(self._created.values()):
            with contextlib.suppress(OSError):
                make_private(array, path, DATA_START) if path.name in used else files.remove(path)
        try:
            self._take_maps(store, manifest)
        except OSError as error:
            raise StoreWriteFailed(
                f"version {manifest.version} of {self.path} is committed, but could not be mapped here "
                f"({error.strerror or error}); the next call tries again"
            ) from error
        self._kept = {key: kept for key, kept in self._kept.items() if kept[1].file in used}
        self._maps = {file: array for file, array in self._maps.items() if file in used}
        self._created.clear()
        self.manifest, self._publishing, self._changed = manifest, None, False
        self.release()

    def _take_maps(self, store: GraphStore, manifest: Manifest) -> None:
        before = self.manifest
        for name, nodes in manifest.nodes.items():
            if nodes.ids is not None and (name not in before.nodes or before.nodes[name].ids != nodes.ids):
                store._node_types[name].ids = IdMap({part: self.map(segment) for part, segment in nodes.ids.items()})
            self._fill_columns(store._node_columns[name], nodes.columns, nodes.count)
        for edge_type, entry in manifest.edges.items():
            self._fill_columns(store._edge_columns[edge_type], entry.columns, entry.count)
            edge_set = store._edge_sets[edge_type]
            if edge_type not in before.edges or before.edges[edge_type].arrays != entry.arrays:
                edge_set.rebase(EdgeList(**{part: self.map(segment) for part, segment in entry.arrays.items()}))
                self._adopt_rows(edge_set, entry)
        self._edge_sets = {name: edges for name, edges in self._edge_sets.items() if name in manifest.edges}

    def release(self) -> None:
        """Let others write. The log is opened again at the next change, when others may have extended it."""
        log, self._log = self._log, None
        if log is not None:
            log.close()
        self._lock.release()

    def discard(self) -> None:
        """Forget what was not committed and let others write."""
        self._read_only = f"{self.path} was closed; open it again to change it"
        if self._lock.held:
            with contextlib.suppress(OSError, StoreCorrupt, NotFound):
                self._remove_uncommitted(self._newest())
        self._created.clear()
        self._changed = False
        self.release()

    def _newest(self) -> Manifest:
        """The newest version on disk: an interrupted commit may have published one that was not adopted."""
        check_identity(self.path, self.manifest.uuid)
        number = list_versions(self.path)[-1]
        return self.manifest if number == self.version else read_manifest(self.path, number)

    def _remove_uncommitted(self, newest: Manifest) -> None:
        used = {segment.file for segment in newest.segments()}
        for _, path in self._created.values():
            if path.name not in used:
                files.remove(path)
        if self._log is not None:
            path = self.path / "delta" / self._log.entry.file
            if newest.log is not None and newest.log.file == path.name:
                if path.stat().st_size > newest.log.bytes:
                    files.truncate(path, newest.log.bytes)
            elif self.manifest.log is None or self.manifest.log.file != path.name:
                files.remove(path)

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, NearhopError):
                raise
            raise StoreWriteFailed(
                f"{what}: {self.path} could not be written ({error.strerror or error}); version {self.version} "
                "is whole, and what was assigned since is still here: make room and commit again"
            ) from error
