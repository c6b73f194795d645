"""Inverted-file indexes as stores: vectors and their lists are node columns, centroids another node type's column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import IndexMismatch, InvalidInput, NotFitted, NotFound, StoreCorrupt
from ..metrics import metric_code
from ..persist import _checked_fields, _new_store, _row_ids, next_id_field
from ..store_rows import store_column, store_ids
from .index import IVFFlat

if TYPE_CHECKING:
    from ...graphlib.store.store import GraphStore

_FIELDS = {"kind": str, "metric": str, "dim": int, "nlist": int, "nprobe": int, "seed": int, "coarse": str}


def save_ivf(index: IVFFlat, path: str | Path) -> None:
    """Write an inverted-file index as a new store."""
    ivf_store(index).save(path)


def ivf_store(index: IVFFlat) -> GraphStore:
    """The index as a store in memory that shares its arrays."""
    index._check_parameters()
    if index._vectors is None:
        raise NotFitted("save: the index is empty; add vectors first")
    store = _new_store(index._vectors, index._rows)
    store.nodes("node")["list"] = index._lists
    store.add_node_type("list", index.nlist)
    store.nodes("list")["centroid"] = index.centroids
    store.attributes["index"] = {
        "kind": "ivf", "metric": index.metric, "dim": index.dim, "nlist": index.nlist, "nprobe": index.nprobe,
        "seed": index.seed, "coarse": index.coarse, **next_id_field(index._rows),
    }  # fmt: skip
    return store


def ivf_from_store(store: GraphStore) -> IVFFlat:
    """The index in a store, as `save_ivf` lays it out; `StoreCorrupt` when its parts contradict one another."""
    where = "the store" if store.path is None else store.path.name
    try:
        fields = _checked_fields(store.attributes["index"], _FIELDS)
        index = IVFFlat(fields["metric"], nlist=fields["nlist"], nprobe=fields["nprobe"], seed=fields["seed"])
        index._check_parameters()
        metric_code(fields["coarse"])
        vectors = store_column(store, "vector", "node")
        centroids = store_column(store, "centroid", "list")
        lists = np.asarray(store.nodes("node")["list"])
        if centroids.shape != (index.nlist, fields["dim"]) or vectors.shape[1] != fields["dim"]:
            raise IndexMismatch(f"dim {fields['dim']} with vectors {vectors.shape} and centroids {centroids.shape}")
        if (
            lists.dtype != np.int64
            or lists.ndim != 1
            or lists.min(initial=0) < 0
            or lists.max(initial=0) >= index.nlist
        ):
            raise IndexMismatch(f"column 'list' must be int64 in [0, {index.nlist})")
        index._learn(centroids, fields["coarse"])
        index._rows = _row_ids(store, fields, store_ids(store, "node", len(vectors), text=True))
        index._place(vectors, lists, metric_code(index.metric), lambda: None)
    except (IndexMismatch, InvalidInput, NotFound) as error:
        raise StoreCorrupt(f"{where}: {error}") from error
    return index
