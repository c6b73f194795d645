"""Points and their colours out of any store: a column of vectors, and a column or an edge type that names colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch
from ..ids import as_ids
from ..store_rows import NodeCondition, store_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore

Colors = str | tuple[str, str, str]


def point_type(colors: Colors, node_type: str | None) -> str | None:
    """The node type of the points; edges tell it."""
    if isinstance(colors, str):
        return node_type
    if node_type not in (None, colors[0]):
        raise IndexMismatch(f"from_store: edges {colors} leave {colors[0]!r}, but the points are {node_type!r}")
    return colors[0]


def point_vectors(store: GraphStore, column: str, node_type: str | None) -> NDArray[Any]:
    """A node column of uint8 or float32 vectors, not copied; `IndexMismatch` when it is something else."""
    values = store.nodes(node_type).private(column)
    if values.dtype not in (np.uint8, np.float32) or values.ndim != 2 or not values.shape[1]:
        raise IndexMismatch(
            f"column {column!r} is {values.dtype}{list(values.shape)}, but points need a matrix of uint8 or float32; "
            "assign x.astype(np.float32) as a new column"
        )
    return values


def point_colors(
    store: GraphStore, colors: Colors, node_type: str | None, color_type: str | None, count: int
) -> tuple[NDArray[Any], NodeCondition | None]:
    """The colour id of every point, and what answers conditions on the colours where they are nodes of the store."""
    if isinstance(colors, str):
        ids = as_ids("from_store", store.nodes(node_type)[colors])
        if color_type is None:
            return ids, None
        known = store_ids(store, color_type, store.num_nodes_of(color_type), text=True)
        strange = np.flatnonzero(~np.isin(ids, known)) if ids.dtype == known.dtype else np.arange(len(ids))
        if len(strange):
            which = int(strange[0])
            given = ids[which : which + 1].tolist()[0]
            raise IndexMismatch(
                f"from_store: point {which} is of colour {given!r}, which is no id of a node of type {color_type!r}; "
                f"{len(strange):,} of {len(ids):,} points are so"
            )
    else:
        color_type = colors[2]
        links = store.csr(colors)
        degrees = np.diff(links.indptr)
        if len(degrees) != count or (degrees != 1).any():
            wrong = int(np.argmax(degrees != 1))
            raise IndexMismatch(
                f"from_store: a point belongs to one colour, but point {wrong} has {int(degrees[wrong])} edges "
                f"{colors}; give a column of colours, or leave points out that have none"
            )
        known = store_ids(store, color_type, store.num_nodes_of(color_type), text=True)
        ids = known[links.indices]
    return ids, NodeCondition(store, color_type, known, "", np.empty((0, 0), np.float32)).scattered()


__all__ = ["Colors", "point_colors", "point_type", "point_vectors"]
