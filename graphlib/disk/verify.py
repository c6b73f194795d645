"""The full check of a store: every byte, every id, every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import NotFound, StoreCorrupt
from ..store.text import TextColumn
from .marker import check_identity
from .segments import verify_segment

if TYPE_CHECKING:
    from ..store.adjacency import Adjacency
    from ..store.edges import EdgeSet
    from ..store.store import GraphStore


@dataclass(frozen=True)
class Verified:
    """What `verify` read and found sound."""

    version: int | None
    files: int
    bytes: int


def verify(store: GraphStore) -> Verified:
    """Raise `StoreCorrupt` at the first thing that is wrong."""
    files = size = 0
    if store._folder is not None:
        folder = store._folder
        for segment in folder.manifest.segments():
            try:
                verify_segment(folder.path / "segments", segment)
            except StoreCorrupt as error:
                check_identity(folder.path, folder.manifest.uuid)
                if not folder.was_dropped():
                    raise
                raise NotFound(
                    f"{folder.path} has no version {store.version} any more: a compaction dropped it while it was open "
                    "here; its arrays stay usable, but there is nothing left to verify: open the store again"
                ) from error
            files += 1
            size += segment.bytes
        log = folder.manifest.log
        files += 1 + (log is not None)
        size += 0 if log is None else log.bytes
    for nodes in store._node_types.values():
        if nodes.ids is not None:
            nodes.ids.verify()
    for columns in (*store._node_columns.values(), *store._edge_columns.values()):
        for column in map(columns.stored, columns):
            if isinstance(column, TextColumn):
                column.values()
    for edges in store._edge_sets.values():
        edges.verify()
        _verify_edges(edges)
    return Verified(store.version, files, size)


def _verify_edges(edges: EdgeSet) -> None:
    """Every row is sorted, and lists exactly the edges that begin (csr) or end (csc) there."""
    where = "/".join(edges.edge_type)
    listed = edges.list
    for side in ("csr", "csc") if edges.directed else ("csr",):
        rows = edges.rows(side)
        near, far = (listed.src, listed.dst) if side == "csr" else (listed.dst, listed.src)
        at = np.repeat(np.arange(rows.num_rows), rows.degrees())
        here, there = near[rows.edge_ids], far[rows.edge_ids]
        fits = (here == at) & (there == rows.indices)
        if not edges.directed:
            fits |= (there == at) & (here == rows.indices)
        if not fits.all():
            raise StoreCorrupt(f"{where}: the {side} entry {int(np.argmin(fits))} is not one of the edges")
        loops = 0 if edges.directed else int((listed.src == listed.dst).sum())
        if rows.num_entries != (edges.count if edges.directed else 2 * edges.count - loops):
            raise StoreCorrupt(
                f"{where}: {side} has {rows.num_entries} entries, which does not fit {edges.count} edges"
            )
        _verify_order(rows, at, f"{where}, {side}")


def _verify_order(rows: Adjacency, at: np.ndarray, where: str) -> None:
    same_row = at[1:] == at[:-1]
    step = np.diff(rows.indices)
    ordered = ~same_row | (step > 0) | ((step == 0) & (np.diff(rows.edge_ids) > 0))
    if not ordered.all():
        raise StoreCorrupt(f"{where}: row {at[int(np.argmin(ordered))]} is not sorted by neighbour and edge")
