"""The banded index as a store: signatures are a node column, bands are two node types of entries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch, InvalidInput, NotFound, StoreCorrupt
from ..ids import RowIds
from ..minhash.minhash import MinHash
from ..minhash.sets import read_only
from ..persist import next_id_field, next_id_of
from .buckets import Segment, check_segment, table_size
from .index import LSH

if TYPE_CHECKING:
    from ...graphlib.store.store import GraphStore

_SET, _ENTRY, _START = "set", "entry", "start"


def save_lsh(index: LSH, path: str | Path) -> None:
    """Write an index of one segment as a new store."""
    from ...graphlib.store.store import GraphStore

    bands, width = index.shape
    segment = index._segments[0]
    store = GraphStore()
    store.add_node_type(_SET, len(index.ids))
    store.nodes(_SET)["signature"] = index.signatures
    store.nodes(_SET)["id"] = index.ids
    store.nodes(_SET)["dead"] = index._rows.dead
    store.add_node_type(_ENTRY, segment.keys.size)
    store.nodes(_ENTRY)["key"] = segment.keys.reshape(-1)
    store.nodes(_ENTRY)["row"] = segment.rows.reshape(-1)
    store.add_node_type(_START, segment.starts.size)
    store.nodes(_START)["place"] = segment.starts.reshape(-1)
    store.attributes["index"] = {
        "kind": "lsh", "bands": bands, "slots_per_band": width, "max_bucket": index.max_bucket,
        "minhash": index.minhash.parameters(), **next_id_field(index._rows),
    }  # fmt: skip
    store.save(path)


def load_lsh(path: str | Path) -> LSH:
    """Open an index; its arrays stay memory-mapped."""
    from ...graphlib.store.store import open as open_store  # type: ignore[attr-defined, unused-ignore]

    return lsh_from_store(open_store(path))


def lsh_from_store(store: GraphStore) -> LSH:
    """The index in a store whose folder is the index."""
    where = "the store" if store.path is None else store.path.name
    given = store.attributes.get("index")
    if not isinstance(given, dict) or given.get("kind") != "lsh":
        raise IndexMismatch(f"{where} holds no LSH index (attribute 'index' does not say so)")
    try:
        return _opened(store, given, where)
    except (InvalidInput, NotFound, KeyError, TypeError) as error:
        raise StoreCorrupt(f"{where}: {error}") from error


def _opened(store: GraphStore, given: dict[str, Any], where: str) -> LSH:
    minhash = MinHash(**given["minhash"])
    minhash._scheme()
    index = LSH(
        minhash, bands=given["bands"], slots_per_band=given["slots_per_band"], max_bucket=given["max_bucket"]
    )  # fmt: skip
    bands, _ = index.shape
    sets, entries, places = store.nodes(_SET), store.nodes(_ENTRY), store.nodes(_START)
    columns = sets["signature"], sets["id"], sets["dead"], entries["key"], entries["row"], places["place"]
    for column, dtype in zip(columns, ("uint32", "int64", "bool", "uint32", "int32", "int32"), strict=True):
        if column.dtype != np.dtype(dtype):
            raise StoreCorrupt(f"{where}: a column of the index must be {dtype}; got {column.dtype}")
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
    index._buffer = minhash.check_signatures(signatures)
    index._rows = RowIds(np.array(ids), np.array(dead), next_id=next_id_of(given))
    index._segments = [segment]
    return index


__all__ = ["load_lsh", "save_lsh"]
