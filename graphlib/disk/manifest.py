"""Manifests: what each version of a store consists of. docs/format.md is the specification."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, InvalidType, StoreCorrupt, StoreMissing
from ..scalars import plain_number
from . import files
from .segments import Segment

FORMAT_VERSIONS = (1, 2)  # 2 has columns of text, and is written only where there are some
_MOST_NESTING = 200
_MAX_BYTES = 256 << 20
_NAME = re.compile(r"(\d{10})\.json")
_LOG = re.compile(r"[0-9a-f]{32}\.log")


@dataclass(frozen=True)
class TextEntry:
    """A column of text: where its bytes and offsets lie."""

    bytes: Segment
    offsets: Segment

    def to_json(self) -> dict[str, Any]:
        return {"bytes": self.bytes.to_json(), "offsets": self.offsets.to_json()}


Column = Segment | TextEntry


@dataclass(frozen=True)
class NodesEntry:
    """Nodes of one type: their number, and where their ids and columns lie."""

    count: int
    ids: dict[str, Segment] | None
    columns: dict[str, Column]


@dataclass(frozen=True)
class RowsEntry:
    """Adjacency of an edge type's first `base` edges."""

    arrays: dict[str, Segment]
    num_cols: int


@dataclass(frozen=True)
class EdgesEntry:
    """Edges of one type: `base` of them in segments, the rest in the log."""

    directed: bool
    count: int
    base: int
    arrays: dict[str, Segment]
    rows: dict[str, RowsEntry]
    columns: dict[str, Column]


@dataclass(frozen=True)
class LogEntry:
    """The prefix of a log that belongs to a version."""

    file: str
    bytes: int
    records: int


@dataclass(frozen=True)
class Manifest:
    """One version of a store."""

    uuid: str
    version: int
    parent: int
    created: int
    message: str
    nodes: dict[str, NodesEntry]
    edges: dict[tuple[str, str, str], EdgesEntry]
    log: LogEntry | None
    attributes: dict[str, Any] = field(default_factory=dict)

    def segments(self) -> list[Segment]:
        """Every segment of the version."""
        found: list[Segment] = []
        for nodes in self.nodes.values():
            found += [*(nodes.ids or {}).values(), *_segments_of(nodes.columns)]
        for edges in self.edges.values():
            found += [*edges.arrays.values(), *_segments_of(edges.columns)]
            for rows in edges.rows.values():
                found += rows.arrays.values()
        return found


def _segments_of(columns: dict[str, Column]) -> list[Segment]:
    """Segments of columns, of which those of text have two."""
    each = ((c.bytes, c.offsets) if isinstance(c, TextEntry) else (c,) for c in columns.values())
    return [segment for several in each for segment in several]


def manifest_path(folder: Path, version: int) -> Path:
    return folder / "manifests" / f"{version:010d}.json"


def list_versions(folder: Path) -> list[int]:
    """Numbers of the committed versions, rising."""
    try:
        names = [_NAME.fullmatch(name) for name in os.listdir(folder / "manifests")]
    except FileNotFoundError as error:
        raise StoreMissing(f"there is no store at {folder} any more") from error
    return sorted(int(match[1]) for match in names if match)


def manifest_bytes(manifest: Manifest) -> bytes:
    """A manifest as its file holds it, after it went through the reader: what is written can be read."""
    try:
        body = canonical_json(_to_json(manifest))
        text = b'{"sha256": "%s",\n"body": %s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)
        found = parse_manifest(text, "the new version", manifest.version)
    except (StoreCorrupt, TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"this cannot be committed, since it could not be read back: {error}") from error
    if found != manifest:
        raise InvalidInput("this cannot be committed, since it would be read back as something else")
    return text


def write_manifest(folder: Path, version: int, text: bytes) -> None:
    """Publish a version: from the moment its name exists it is the newest one."""
    final = manifest_path(folder, version)
    temporary = final.with_name(final.name + ".tmp")
    files.remove(temporary)
    descriptor = files.create(temporary)
    try:
        files.write(descriptor, text)
        files.sync(descriptor)
    finally:
        os.close(descriptor)
    files.publish(temporary, final)
    files.sync_folder(final.parent)


def canonical_json(value: Any) -> bytes:
    """JSON in one form; numbers of NumPy are numbers."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=plain_number)
    return text.encode("ascii")


def check_attributes(attributes: Any) -> Any:
    """A copy of the attributes as they will be read back, or an error that says why they cannot be kept."""
    if not isinstance(attributes, dict):
        raise InvalidType(f"attributes must be a dict with text keys; got {type(attributes).__name__}")
    _check_nesting(attributes)
    try:
        plain = json.loads(canonical_json(attributes))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"attributes must be plain JSON values with text keys: {error}") from error
    if plain != attributes:
        raise InvalidInput("attributes must be plain JSON values with text keys; lists, not tuples")
    return plain


def _check_nesting(value: Any) -> None:
    """Refuse values that a reader with less of its stack left could not take in."""
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > _MOST_NESTING:
            raise InvalidInput(f"attributes must be plain JSON values, nested at most {_MOST_NESTING} deep")
        inside = (v.values() if isinstance(v, dict) else v for v in layer if isinstance(v, dict | list | tuple))
        layer = list({id(v): v for values in inside for v in values}.values())


def check_message(message: Any) -> str:
    """What a commit says about itself."""
    if not isinstance(message, str):
        raise InvalidType(f"a commit's message must be text; got {type(message).__name__} {message!r:.50}")
    return message


def read_manifest(folder: Path, version: int) -> Manifest:
    """Read and check one manifest; anything wrong is a `StoreCorrupt` that names the file."""
    path = manifest_path(folder, version)
    if path.stat().st_size > _MAX_BYTES:
        raise StoreCorrupt(f"{path} has {path.stat().st_size:,} bytes, more than a manifest can have")
    return parse_manifest(path.read_bytes(), str(path), version)


def parse_manifest(text: bytes, where: str, version: int) -> Manifest:
    """A manifest from its bytes, checked."""
    if len(text) > _MAX_BYTES:
        raise StoreCorrupt(f"{where} has {len(text):,} bytes, more than a manifest can have")
    try:
        outer = json.loads(text)
        body = outer["body"]
        digest = hashlib.sha256(canonical_json(body)).hexdigest()
        if digest != outer["sha256"]:
            raise StoreCorrupt(f"{where} is damaged: its checksum does not match its content")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, StoreCorrupt):
            raise
        raise StoreCorrupt(f"{where} is not a manifest ({error})") from error
    try:
        manifest = _from_json(body, where)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, StoreCorrupt):
            raise
        raise StoreCorrupt(f"{where}: an entry is missing or of the wrong kind ({error!r})") from error
    if manifest.version != version:
        raise StoreCorrupt(f"{where} says that it is version {manifest.version}")
    return manifest


def _to_json(manifest: Manifest) -> dict[str, Any]:
    return {
        "format_version": _version_of([*manifest.nodes.values(), *manifest.edges.values()]),
        "uuid": manifest.uuid,
        "version": manifest.version,
        "parent": manifest.parent,
        "created": manifest.created,
        "message": manifest.message,
        "nodes": [
            {
                "type": name,
                "count": nodes.count,
                "ids": None if nodes.ids is None else _each(nodes.ids),
                "columns": _each(nodes.columns),
            }
            for name, nodes in manifest.nodes.items()
        ],
        "edges": [
            {
                "type": list(edge_type),
                "directed": edges.directed,
                "count": edges.count,
                "base": edges.base,
                **{name: _one(edges.arrays, name) for name in ("src", "dst", "weight", "time")},
                "columns": _each(edges.columns),
                **{side: _rows(edges.rows.get(side)) for side in ("csr", "csc")},
            }
            for edge_type, edges in manifest.edges.items()
        ],
        "log": None
        if manifest.log is None
        else {"file": manifest.log.file, "bytes": manifest.log.bytes, "records": manifest.log.records},
        "attributes": manifest.attributes,
    }


def _version_of(entries: list[Any]) -> int:
    """The oldest format that holds the columns of these entries."""
    return 2 if any(isinstance(column, TextEntry) for entry in entries for column in entry.columns.values()) else 1


def _each(segments: Mapping[str, Column]) -> dict[str, Any]:
    return {name: segment.to_json() for name, segment in segments.items()}


def _one(segments: dict[str, Segment], name: str) -> dict[str, Any] | None:
    return segments[name].to_json() if name in segments else None


def _rows(rows: RowsEntry | None) -> dict[str, Any] | None:
    if rows is None:
        return None
    arrays = {name: _one(rows.arrays, name) for name in ("indptr", "indices", "edge_ids", "weight", "time")}
    return {**arrays, "num_cols": rows.num_cols}


def _from_json(body: Any, where: str) -> Manifest:
    reader = _Reader(where)
    if body["format_version"] not in FORMAT_VERSIONS:
        known = " and ".join(map(str, FORMAT_VERSIONS))
        raise StoreCorrupt(f"{where} has format version {body['format_version']!r}; known are {known}: upgrade nearhop")
    nodes = {}
    for entry in body["nodes"]:
        columns, count = reader.columns(entry["columns"]), reader.count(entry["count"])
        nodes[reader.text(entry["type"])] = NodesEntry(count, reader.ids(entry["ids"], count), columns)
    edges = {}
    for entry in body["edges"]:
        source, relation, target = (reader.text(name) for name in entry["type"])
        if source not in nodes or target not in nodes:
            raise StoreCorrupt(f"{where}: edges {source}/{relation}/{target} join node types that do not exist")
        edges[source, relation, target] = reader.edges(entry, nodes[source].count, nodes[target].count)
    if _version_of([*nodes.values(), *edges.values()]) != body["format_version"]:
        raise StoreCorrupt(f"{where} has format version {body['format_version']}, which does not fit its columns")
    if len(nodes) != len(body["nodes"]) or len(edges) != len(body["edges"]):
        raise StoreCorrupt(f"{where}: a node or edge type is listed twice")
    log = body["log"]
    if log is not None:
        if not _LOG.fullmatch(log["file"]):
            raise StoreCorrupt(f"{where}: {log['file']!r} cannot be the name of a log")
        log = LogEntry(log["file"], reader.count(log["bytes"]), reader.count(log["records"]))
    attributes = body["attributes"]
    if not isinstance(attributes, dict):
        raise StoreCorrupt(f"{where}: attributes must be an object")
    return Manifest(
        uuid=reader.text(body["uuid"]),
        version=reader.count(body["version"]),
        parent=reader.count(body["parent"]),
        created=reader.count(body["created"]),
        message=reader.text(body["message"]),
        nodes=nodes,
        edges=edges,
        log=log,
        attributes=attributes,
    )


class _Reader:
    """Checks the entries of one manifest against each other."""

    def __init__(self, where: str) -> None:
        self._where = where

    def _refuse(self, why: str) -> StoreCorrupt:
        return StoreCorrupt(f"{self._where}: {why}")

    def count(self, value: Any) -> int:
        if type(value) is not int or not 0 <= value < 1 << 62:
            raise self._refuse(f"{value!r} is not a count")
        return value

    def text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self._refuse(f"{value!r} is not a name")
        return value

    def columns(self, entries: dict[str, Any]) -> dict[str, Column]:
        return {self.text(name): self._column(entry) for name, entry in entries.items()}

    def _column(self, entry: Any) -> Column:
        if "offsets" not in entry:
            return self._segment(entry)
        data, offsets = self._segment(entry["bytes"], None, "|u1"), self._segment(entry["offsets"], None, "<i8")
        if len(data.shape) != 1 or len(offsets.shape) != 1 or not offsets.shape[0]:
            raise self._refuse(f"text in {data.file} has shape {list(data.shape)}, {list(offsets.shape)}")
        return TextEntry(data, offsets)

    def _segment(self, entry: Any, length: int | None = None, kinds: str | None = None) -> Segment:
        segment = Segment.from_json(entry, self._where)
        if length is not None and segment.shape != (length,):
            raise self._refuse(f"segment {segment.file} must have shape [{length}], not {list(segment.shape)}")
        if kinds is not None and segment.dtype not in kinds.split():
            raise self._refuse(f"segment {segment.file} must hold {kinds.replace(' ', ' or ')}, not {segment.dtype}")
        return segment

    def ids(self, entry: Any, count: int) -> dict[str, Segment] | None:
        if entry is None:
            return None
        order = self._segment(entry["order"], count, "<i8")
        if "values" in entry:
            return {"values": self._segment(entry["values"], count, "<i8"), "order": order}
        offsets = self._segment(entry["offsets"], count + 1, "<i8")
        return {"bytes": self._segment(entry["bytes"], None, "|u1"), "offsets": offsets, "order": order}

    def edges(self, entry: Any, sources: int, targets: int) -> EdgesEntry:
        directed, count, base = entry["directed"], self.count(entry["count"]), self.count(entry["base"])
        if not isinstance(directed, bool) or base > count:
            raise self._refuse("an edge entry is not consistent")
        arrays = {name: self._segment(entry[name], base, "<i4 <i8") for name in ("src", "dst")}
        arrays |= self._values(entry, base)
        rows = {}
        for side, near in (("csr", sources), ("csc", targets)):
            if entry[side] is not None:
                rows[side] = self._rows(entry[side], near, base, directed)
        return EdgesEntry(directed, count, base, arrays, rows, self.columns(entry["columns"]))

    def _values(self, entry: Any, length: int) -> dict[str, Segment]:
        kinds = {"weight": "<f4", "time": "<i8 <f8"}
        return {n: self._segment(entry[n], length, k) for n, k in kinds.items() if entry[n] is not None}

    def _rows(self, entry: Any, near: int, base: int, directed: bool) -> RowsEntry:
        indptr = self._segment(entry["indptr"], None, "<i8")
        indices = self._segment(entry["indices"], None, "<i4 <i8")
        entries = indices.shape[0] if len(indices.shape) == 1 else -1
        fits = entries == base if directed else base <= entries <= 2 * base
        if len(indptr.shape) != 1 or not 1 <= indptr.shape[0] <= near + 1 or not fits:
            raise self._refuse(f"adjacency {indptr.file} does not fit its {base} edges and {near} nodes")
        edge_ids = self._segment(entry["edge_ids"], entries, "<i4 <i8")
        arrays = {"indptr": indptr, "indices": indices, "edge_ids": edge_ids, **self._values(entry, entries)}
        return RowsEntry(arrays, self.count(entry["num_cols"]))
