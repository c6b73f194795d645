"""A store's parts as the entries of a manifest: what is not on disk yet is written."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..store.adjacency import id_dtype
from ..store.text import TextColumn, encode_text
from . import files
from .manifest import EdgesEntry, NodesEntry, RowsEntry, TextEntry
from .segments import Segment, adopt_segment, write_segment

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ..store.columns import Columns
    from ..store.edges import EdgeSet
    from ..store.store import GraphStore


class EntryWriter:
    """Makes entries for one version. `kept` and `created` are arrays, by id(), that lie in the folder already."""

    def __init__(
        self,
        segments: Path,
        kept: dict[int, tuple[NDArray[Any], Segment]],
        created: dict[int, tuple[NDArray[Any], Path]],
    ) -> None:
        self._segments, self._kept, self._created = segments, kept, created
        self._written: list[Path] = []

    def undo(self) -> None:
        """Remove what was written: the version was not published."""
        for path in self._written:
            with contextlib.suppress(OSError):
                files.remove(path)

    def segment(self, array: NDArray[Any], dtype: DTypeLike | None = None) -> Segment:
        """The segment that holds `array`; it is written unless it lies on disk already."""
        kept = self._kept.get(id(array))
        if kept is not None:
            return kept[1]
        created = self._created.get(id(array))
        if created is not None:
            return adopt_segment(created[1], array)
        segment = write_segment(self._segments, array, dtype)
        self._written.append(self._segments / segment.file)
        return segment

    def nodes(self, nodes: Any, columns: Columns) -> NodesEntry:
        """The entry of one node type."""
        ids = nodes.ids
        parts = None if ids is None else {name: self.segment(array) for name, array in ids.arrays.items()}
        return NodesEntry(nodes.count, parts, self._columns(columns))

    def _columns(self, columns: Columns) -> dict[str, Segment | TextEntry]:
        return {name: self._column(columns.stored(name)) for name in columns}

    def _column(self, column: NDArray[Any] | TextColumn) -> Segment | TextEntry:
        if isinstance(column, TextColumn):
            parts = column.arrays
        elif column.dtype.kind == "T":
            parts = encode_text(column.tolist())
        else:
            return self.segment(column)
        return TextEntry(self.segment(parts["bytes"]), self.segment(parts["offsets"]))

    def edges(self, store: GraphStore, edge_set: EdgeSet, stored: EdgesEntry | None) -> EdgesEntry:
        """The entry of one edge type; with `stored`, its first edges stay in the segments they lie in."""
        edge_type = edge_set.edge_type
        columns = self._columns(store._edge_columns[edge_type])
        if stored is not None:
            return replace(stored, count=edge_set.count, columns=columns)
        edges = edge_set.list
        ends = zip(("src", "dst"), (edge_type[0], edge_type[2]), strict=True)
        arrays = {
            name: self.segment(getattr(edges, name), id_dtype(store._node_types[node_type].count))
            for name, node_type in ends
        }
        arrays |= {
            name: self.segment(values) for name in ("weight", "time") if (values := getattr(edges, name)) is not None
        }
        rows = {}
        for side in ("csr", "csc") if edge_set.directed else ("csr",):
            with edge_set.rows_for_now(side) as adjacency:
                parts = {
                    name: self.segment(values)
                    for name in ("indptr", "indices", "edge_ids", "weight", "time")
                    if (values := getattr(adjacency, name)) is not None
                }
                rows[side] = RowsEntry(parts, adjacency.num_cols)
        return EdgesEntry(edge_set.directed, edge_set.count, edge_set.count, arrays, rows, columns)
