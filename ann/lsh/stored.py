"""The banded index in stores: signatures are a node column, bands are two node types of entries.

Arrays and fields in, arrays and fields out; no index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch, InvalidInput, NotFound, StoreCorrupt
from ..ids import RowIds
from ..metrics import check_count
from ..minhash.minhash import MinHash
from ..minhash.sets import read_only
from ..stored import name_of, next_id_of
from .buckets import Segment, check_segment, table_size, width_of_bands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore

_SET, _ENTRY, _START = "set", "entry", "start"


def store_of(signatures: NDArray[np.uint32], rows: RowIds, segment: Segment, fields: dict[str, Any]) -> GraphStore:
    """An index of one segment as a store in memory that shares its arrays."""
    from ...graphlib.store.store import GraphStore

    store = GraphStore()
    store.add_node_type(_SET, len(rows))
    store.nodes(_SET)["signature"] = signatures
    store.nodes(_SET)["id"] = rows.values.copy()
    store.nodes(_SET)["dead"] = rows.dead
    store.add_node_type(_ENTRY, segment.keys.size)
    store.nodes(_ENTRY)["key"] = segment.keys.reshape(-1)
    store.nodes(_ENTRY)["row"] = segment.rows.reshape(-1)
    store.add_node_type(_START, segment.starts.size)
    store.nodes(_START)["place"] = segment.starts.reshape(-1)
    store.attributes["index"] = fields
    return store


def opened(store: GraphStore) -> tuple[dict[str, Any], MinHash, NDArray[np.uint32], RowIds, Segment]:
    """Fields, signatures, ids and the segment of a store that is an index, and what made the signatures.

    `StoreCorrupt` where they do not fit one another.
    """
    given, where = store.attributes.get("index"), name_of(store)
    if not isinstance(given, dict) or given.get("kind") != "lsh":
        raise IndexMismatch(f"{where} holds no LSH index (attribute 'index' does not say so)")
    try:
        return _parts(store, given, where)
    except (InvalidInput, NotFound, KeyError, TypeError) as error:
        raise StoreCorrupt(f"{where}: {error}") from error


def _parts(
    store: GraphStore, given: dict[str, Any], where: str
) -> tuple[dict[str, Any], MinHash, NDArray[np.uint32], RowIds, Segment]:
    minhash = MinHash(**given["minhash"])
    minhash._scheme()
    check_count("max_bucket", given["max_bucket"])
    bands = given["bands"]
    width_of_bands(minhash.num_perm, bands, given["slots_per_band"])
    sets, entries, places = store.nodes(_SET), store.nodes(_ENTRY), store.nodes(_START)
    columns = sets["signature"], sets["id"], sets["dead"], entries["key"], entries["row"], places["place"]
    for column, dtype in zip(columns, ("uint32", "int64", "bool", "uint32", "int32", "int32"), strict=True):
        axes = 2 if column is columns[0] else 1
        if column.dtype != np.dtype(dtype) or column.ndim != axes:
            raise StoreCorrupt(
                f"{where}: a column of the index must be {dtype} of {axes} axes; got {column.dtype} {column.shape}"
            )
    signatures, ids, dead, keys, rows, starts = columns
    count = len(keys) // bands
    if len(keys) != count * bands or len(starts) != bands * (table_size(count) + 1) or count > len(ids):
        raise StoreCorrupt(f"{where}: {len(keys)} entries and {len(starts)} places do not fit {bands} bands")
    live = np.sort(ids[~dead])
    if (live[1:] == live[:-1]).any():
        raise StoreCorrupt(f"{where}: an id is there twice")
    segment = Segment(
        read_only(keys).reshape(bands, count),
        read_only(rows).reshape(bands, count),
        read_only(starts).reshape(bands, -1),
    )
    check_segment(segment, bands, len(ids), where)
    return (
        given, minhash, minhash.check_signatures(signatures),
        RowIds(np.array(ids), np.array(dead), next_id=next_id_of(given)), segment,
    )  # fmt: skip


__all__ = ["opened", "store_of"]
