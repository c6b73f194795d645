"""An index of coloured points in stores: points are nodes, colours another node type, cells two node types of entries.

Arrays and fields in, arrays and fields out; no index.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch, StoreCorrupt
from ...graphlib.scalars import is_number
from ..ids import RowIds
from ..lsh.buckets import Segment, check_segment, table_size
from ..minhash.sets import read_only
from ..store_rows import NodeCondition, store_ids
from ..stored import (
    NODE,
    checked_fields,
    identified_rows,
    index_fields,
    laid_out,
    name_of,
    next_id_field,
    put_ids,
    sound,
)
from .grids import AXES, SKETCH, Grids, dimensions
from .points import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore

COLOR = "color"
PARAMETERS = (
    "metric", "radius", "shape", "method", "num_grids", "candidates", "cell_width", "verified", "compat", "seed",
)  # fmt: skip
_ENTRY, _START, _AXIS, _SIGN = "entry", "start", "axis", "sign"
Opened = tuple[dict[str, Any], Points, "Grids | None", RowIds, NodeCondition]


def store_of(points: Points, grids: Grids | None, rows: RowIds, fields: dict[str, Any]) -> GraphStore:
    """An index as a store in memory that shares its arrays; its grids hold one segment."""
    from ...graphlib.store.store import GraphStore

    store = GraphStore()
    store.add_node_type(NODE, len(points))
    store.nodes(NODE)["vector"], store.nodes(NODE)["color"] = points.vectors, points.colors
    store.add_node_type(COLOR, len(rows))
    put_ids(store, rows, COLOR)
    if grids is not None:
        segment = grids.segments[0]
        store.nodes(NODE)["sketch"] = grids.sketches
        for node_type, columns in (
            (_ENTRY, {"key": segment.keys, "row": segment.rows}), (_START, {"place": segment.starts}),
            (_AXIS, {"shift": grids.shifts}), (_SIGN, {"sign": grids.signs}),
        ):  # fmt: skip
            store.add_node_type(node_type, next(iter(columns.values())).size)
            for name, column in columns.items():
                store.nodes(node_type)[name] = column.reshape(-1)
    store.attributes["index"] = {**fields, **next_id_field(rows)}
    return store


def opened(store: GraphStore) -> Opened:
    """Fields, points, grids and colours of a store that is an index, and what answers conditions on the colours.

    `StoreCorrupt` where they do not fit one another.
    """
    given, where = index_fields(store), name_of(store)
    if given["kind"] != "cann":
        raise IndexMismatch(f"{where} holds no CANN index: its kind is {given['kind']!r}")
    with sound(store):
        fields = checked_fields(given, {
            "metric": str, "method": str, "dim": int, "num_grids": int, "candidates": int, "seed": int,
        })  # fmt: skip
        _check_numbers(fields)
        vectors = store.nodes(NODE).private("vector")
        dtype = np.uint8 if vectors.dtype == np.uint8 and fields["metric"] == "l2" else np.float32
        vectors = laid_out("vector", vectors, dtype, (len(vectors), fields["dim"]))
        colors = laid_out("color", store.nodes(NODE).private("color"), np.int32, (len(vectors),))
        ids = store_ids(store, COLOR, store.num_nodes_of(COLOR), text=True)
        rows = identified_rows(store, fields, ids, COLOR)
        if len(colors) and (colors.min() < 0 or colors.max() >= len(ids)):
            raise StoreCorrupt(f"{where}: a point names a colour outside 0..{len(ids) - 1}")
        grids = _grids(store, fields, len(vectors), where) if _has_grids(fields) else None
        condition = NodeCondition(store, COLOR, ids, "", np.empty((0, 0), np.float32))
    return fields, Points(vectors, colors), grids, rows, condition


def _has_grids(fields: dict[str, Any]) -> bool:
    return fields["method"] != "exact" and fields.get("compat") is None


def _check_numbers(fields: dict[str, Any]) -> None:
    for name in ("radius", "shape"):
        if not is_number(fields.get(name)):
            raise IndexMismatch(f"index parameter {name!r} must be a number; got {fields.get(name)!r}")
    if not isinstance(fields.get("verified"), bool):
        raise IndexMismatch(f"index parameter 'verified' must be true or false; got {fields.get('verified')!r}")
    if fields["dim"] < 1 or not 1 <= fields["num_grids"] <= 1 << 16:
        raise IndexMismatch(f"dim {fields['dim']} and {fields['num_grids']} grids")
    width = fields.get("cell_width")
    if _has_grids(fields) and not (is_number(width) and math.isfinite(width) and width > 0):
        raise IndexMismatch(f"index parameter 'cell_width' must be a number > 0; got {width!r}")


def _grids(store: GraphStore, fields: dict[str, Any], count: int, where: str) -> Grids:
    number, size = fields["num_grids"], dimensions(fields["dim"])
    num_keys = number + SKETCH
    rotations = -(-num_keys * AXES // size)
    signs = _flat(store, _SIGN, "sign", np.float32, rotations * 2 * size).reshape(rotations, 2, size)
    shifts = _flat(store, _AXIS, "shift", np.float32, num_keys * AXES).reshape(num_keys, AXES)
    if not (np.isfinite(shifts).all() and (np.abs(signs) == 1).all()):
        raise StoreCorrupt(f"{where}: shifts must be finite, and signs 1 or -1")
    keys = _flat(store, _ENTRY, "key", np.uint32, number * count).reshape(number, count)
    rows = _flat(store, _ENTRY, "row", np.int32, number * count).reshape(number, count)
    starts = _flat(store, _START, "place", np.int32, number * (table_size(count) + 1)).reshape(number, -1)
    segment = Segment(read_only(keys), read_only(rows), read_only(starts))
    check_segment(segment, number, count, where)
    sketches = _flat(store, NODE, "sketch", np.uint64, count)
    return Grids(np.array(signs), np.array(shifts), float(fields["cell_width"]), [segment], sketches)


def _flat(store: GraphStore, node_type: str, name: str, dtype: Any, size: int) -> NDArray[Any]:
    return laid_out(name, store.nodes(node_type).private(name), dtype, (size,))


__all__ = ["COLOR", "PARAMETERS", "opened", "store_of"]
