"""The folder behind a stored graph: which file holds what, and how a new version is committed.

This module alone looks inside `GraphStore` from outside: it turns its parts into manifest entries and back.
"""

from __future__ import annotations

import contextlib
import json
import time as clock
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_ends, check_id_map, check_rows
from ..errors import InvalidInput, StoreCorrupt, StoreLocked, StoreReadOnly, StoreWriteFailed
from ..store.adjacency import Adjacency, id_dtype
from ..store.edges import EdgeList, EdgeSet, check_edges
from ..store.idmap import IdMap
from ..types import EdgeType
from . import files
from .locking import WriterLock
from .log import LogWriter, read_log
from .manifest import (
    EdgesEntry,
    Manifest,
    NodesEntry,
    RowsEntry,
    check_attributes,
    list_versions,
    manifest_path,
    write_manifest,
)
from .segments import Segment, adopt_segment, create_segment, map_segment, write_segment

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

    @property
    def version(self) -> int:
        return self.manifest.version

    @property
    def changed(self) -> bool:
        """Whether something waits for a commit."""
        return self._changed

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

    def _fill_columns(self, columns: Columns, entries: dict[str, Segment], count: int) -> None:
        for name, segment in entries.items():
            if not segment.shape or segment.shape[0] > count:
                raise StoreCorrupt(f"{self.path}: column {name!r} has shape {list(segment.shape)} for {count} rows")
            columns.restore(name, self.map(segment))

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
        return lambda: check_ends(src, dst, limits, f"{self.path}, edges {'/'.join(edge_type)}")

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

    def begin_writing(self) -> None:
        """Take the writer's lock for a change that waits for a commit."""
        self.lock()
        self._changed = True

    def lock(self) -> None:
        """Take the writer's lock, unless it is held; the open version must be the newest."""
        if self._read_only is not None:
            raise StoreReadOnly(self._read_only)
        if not self._lock.held:
            self._lock.acquire()
            newest = list_versions(self.path)[-1]
            if newest != self.version:
                self._lock.release()
                raise StoreLocked(
                    f"{self.path} is at version {newest} by now, and this object holds version {self.version}; "
                    "open the store again and repeat the change"
                )

    def log(self, edge_set: EdgeSet, edges: EdgeList) -> None:
        """Append edges to the log; edges of a type that was never committed wait in memory instead."""
        if self._edge_sets.get(edge_set.edge_type) is not edge_set or not len(edges):
            return
        with self._writing("append_edges"):
            if self._log is None:
                self._log = LogWriter(self.path, self.manifest.log)
            for start in range(0, len(edges), _RECORDS_AT_ONCE):
                self._log.append(edge_set.edge_type, edges.slice(start, start + _RECORDS_AT_ONCE))

    def create(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A writable array of zeros that lies in the folder already and becomes a segment at the next commit."""
        self.begin_writing()
        with self._writing("create"):
            path, array = create_segment(self.path / "segments", shape, np.dtype(dtype))
        self._created[id(array)] = (array, path)
        return array

    def commit(self, store: GraphStore, message: str, *, merge: bool = False) -> int:
        """Write what changed and publish the next version; with `merge`, the log goes into the segments."""
        attributes = check_attributes(store.attributes)
        merge = merge and self._has_log()
        if not self._changed and not merge and attributes == self.manifest.attributes:
            return self.version
        self.begin_writing()
        manifest = self.write_version(store, message, attributes, merge=merge)
        self._adopt(store, manifest)
        return self.version

    def _has_log(self) -> bool:
        return self.manifest.log is not None or (self._log is not None and self._log.entry.records > 0)

    def write_version(self, store: GraphStore, message: str, attributes: dict[str, Any], *, merge: bool) -> Manifest:
        # Records of the log name an edge type, so a type that was replaced must not find records of its predecessor.
        replaced = any(store._edge_sets.get(t) is not s for t, s in self._edge_sets.items())
        merge = merge or (replaced and self._has_log())
        written: list[Path] = []
        number = self.version + 1
        try:
            with self._writing("commit"):
                nodes = {name: self._nodes_entry(nodes, written) for name, nodes in store._node_types.items()}
                edges = {t: self._edges_entry(store, s, written, merge=merge) for t, s in store._edge_sets.items()}
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
                write_manifest(self.path, made)
        except BaseException:
            if not manifest_path(self.path, number).exists():
                for path in written:
                    with contextlib.suppress(OSError):
                        files.remove(path)
            raise
        return made

    def _adopt(self, store: GraphStore, manifest: Manifest) -> None:
        """Continue with the committed version: memory of what was written is given back, maps take its place."""
        before, self.manifest = self.manifest, manifest
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
        used = {segment.file for segment in manifest.segments()}
        self._kept = {key: kept for key, kept in self._kept.items() if kept[1].file in used}
        self._maps = {file: array for file, array in self._maps.items() if file in used}
        self._created.clear()
        if self._log is not None and manifest.log is None:
            self._log.close()
            self._log = None
        self._changed = False
        self.release()

    def release(self) -> None:
        """Let others write. The log is opened again at the next change, when others may have extended it."""
        if self._log is not None:
            self._log.close()
            self._log = None
        self._lock.release()

    def discard(self) -> None:
        """Forget what was not committed and let others write."""
        if self._lock.held:
            with contextlib.suppress(OSError):
                for _, path in self._created.values():
                    files.remove(path)
                if self._log is not None:
                    committed = self.manifest.log
                    path = self.path / "delta" / self._log.entry.file
                    if committed is not None and committed.file == path.name:
                        files.truncate(path, committed.bytes)
                    else:
                        files.remove(path)
        self._created.clear()
        self._changed = False
        self.release()
        self._read_only = f"{self.path} was closed; open it again to change it"

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreWriteFailed(
                f"{what}: {self.path} could not be written ({error.strerror or error}); version {self.version} "
                "is whole, and what was assigned since is still here: make room and commit again"
            ) from error

    def _segment(self, array: NDArray[Any], written: list[Path], dtype: DTypeLike | None = None) -> Segment:
        """The segment that holds `array`; it is written unless it lies on disk already."""
        kept = self._kept.get(id(array))
        if kept is not None:
            return kept[1]
        created = self._created.get(id(array))
        if created is not None:
            return adopt_segment(created[1], array)
        segment = write_segment(self.path / "segments", array, dtype)
        written.append(self.path / "segments" / segment.file)
        return segment

    def _nodes_entry(self, nodes: Any, written: list[Path]) -> NodesEntry:
        ids = nodes.ids
        parts = None if ids is None else {name: self._segment(a, written) for name, a in ids.arrays.items()}
        return NodesEntry(nodes.count, parts, self._columns_entry(nodes.columns, written))

    def _columns_entry(self, columns: Columns, written: list[Path]) -> dict[str, Segment]:
        return {name: self._segment(columns.stored(name), written) for name in columns}

    def _edges_entry(self, store: GraphStore, edge_set: EdgeSet, written: list[Path], *, merge: bool) -> EdgesEntry:
        edge_type = edge_set.edge_type
        columns = self._columns_entry(store._edge_columns[edge_type], written)
        stored = self.manifest.edges.get(edge_type)
        known = stored is not None and self._edge_sets.get(edge_type) is edge_set
        if stored is not None and known and (not merge or edge_set.count == stored.base):
            return replace(stored, count=edge_set.count, columns=columns)
        edges = edge_set.list
        ends = zip(("src", "dst"), (edge_type[0], edge_type[2]), strict=True)
        arrays = {
            name: self._segment(getattr(edges, name), written, id_dtype(store._node_types[node_type].count))
            for name, node_type in ends
        }
        arrays |= {
            name: self._segment(values, written)
            for name in ("weight", "time")
            if (values := getattr(edges, name)) is not None
        }
        rows = {}
        for side in ("csr", "csc") if edge_set.directed else ("csr",):
            with edge_set.rows_for_now(side) as adjacency:
                parts = {
                    name: self._segment(values, written)
                    for name in ("indptr", "indices", "edge_ids", "weight", "time")
                    if (values := getattr(adjacency, name)) is not None
                }
                rows[side] = RowsEntry(parts, adjacency.num_cols)
        return EdgesEntry(edge_set.directed, edge_set.count, edge_set.count, arrays, rows, columns)
