"""How a learned partition lies in a store: rows and their lists, matrices of the network, parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch
from ..metrics import metric_code
from ..storage.rows import Rows, rows_of
from ..store_rows import store_ids
from ..stored import NODE, checked_fields, identified_rows, index_fields, laid_out, new_store, next_id_field, sound
from .chooser import Chooser
from .network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore
    from ..ids import RowIds

FIELDS: dict[str, type] = {
    "metric": str, "nprobe": int, "storage": str, "hidden": int, "depth": int, "neighbors": int, "rounds": int,
    "epochs": int, "imbalance": float, "partitioner": str, "seed": int,
}  # fmt: skip
_MOST_LAYERS, _MOST_LISTS = 64, 1 << 24


def to_store(kept: Rows, lists: NDArray[np.int64], ids: RowIds, chooser: Chooser, fields: dict[str, Any]) -> GraphStore:
    """A store that shares these arrays."""
    columns = kept.columns(len(lists))
    store = new_store(columns["vector"], ids)
    for name, column in columns.items():
        store.nodes(NODE)[name] = column
    store.nodes(NODE)["list"] = lists
    for name, matrix in kept.tables().items():
        store.add_node_type(name, len(matrix))
        store.nodes(name)["row"] = matrix
    for number, network in enumerate([chooser.root, *chooser.leaves]):
        for place, layer in enumerate(network.layers):
            name = _layer(number, place)
            store.add_node_type(name, len(layer))
            store.nodes(name)["row"] = layer
    counts = [chooser.root.parts, *([chooser.leaves[0].parts] if chooser.leaves else [])]
    store.attributes["index"] = {
        **fields, "imbalance": float(fields["imbalance"]), "dim": kept.dim, "lists": counts,
        "layers": len(chooser.root.layers), **kept.fields(), **next_id_field(ids),
    }  # fmt: skip
    return store


def from_store(store: GraphStore, kind: Any) -> tuple[dict[str, Any], tuple[Chooser, Rows, NDArray[np.int64], RowIds]]:
    """Options and parts of the index in a store; `StoreCorrupt` where they do not fit one another."""
    with sound(store):
        fields = checked_fields(index_fields(store), {**FIELDS, "dim": int, "lists": list, "layers": int})
        counts = fields["lists"]
        whole = all(type(count) is int and 2 <= count <= _MOST_LISTS for count in counts)
        if not whole or len(counts) not in (1, 2) or np.prod(counts) > _MOST_LISTS:
            raise IndexMismatch(f"index parameter 'lists' must be one or two counts; got {counts!r}")
        options = {name: fields[name] for name in FIELDS}
        options["nlist"] = counts[0] if len(counts) == 1 else tuple(counts)
        kind(**options)._check_parameters()
        dim, layers = fields["dim"], fields["layers"]
        if not 1 <= layers <= _MOST_LAYERS:
            raise IndexMismatch(f"index parameter 'layers' must be in [1, {_MOST_LAYERS}]; got {layers}")
        root = _network(store, 0, layers, dim, counts[0])
        leaves = [_network(store, 1 + i, layers, dim, counts[1]) for i in range(counts[0] if len(counts) == 2 else 0)]
        columns = store.nodes(NODE)
        ids = identified_rows(store, fields, store_ids(store, NODE, len(columns["vector"]), text=True))
        count = len(columns["vector"])
        kept = rows_of(fields["storage"], metric_code(fields["metric"]), dim)
        kept.open(count, columns, _Tables(store), fields)
        _check_finite(kept.kept)
        lists = laid_out("list", np.asarray(columns["list"]), np.int64, (count,))
        if count and (lists.min() < 0 or lists.max() >= np.prod(counts)):
            raise IndexMismatch(f"column 'list' must be in [0, {np.prod(counts)})")
        return options, (Chooser(root, leaves), kept, np.array(lists), ids)


def _layer(number: int, place: int) -> str:
    return f"network{number}_layer{place}"


def _network(store: GraphStore, number: int, layers: int, dim: int, parts: int) -> Network:
    """A network whose layers follow one another, from `dim` inputs to `parts` outputs."""
    found, width = [], dim
    for place in range(layers):
        name = _layer(number, place)
        if name not in store.node_types:
            raise IndexMismatch(f"the network has no layer {name!r}")
        layer = np.asarray(store.nodes(name)["row"])
        if layer.dtype != np.float32 or layer.ndim != 2 or layer.shape[1] != width + 1:
            raise IndexMismatch(f"{name} must be float32 (outputs, {width + 1}); got {layer.dtype} {layer.shape}")
        _check_finite(layer)
        found.append(np.array(layer))
        width = len(layer)
    if width != parts:
        raise IndexMismatch(f"the network gives {width} probabilities for {parts} lists")
    return Network(found)


def _check_finite(values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise IndexMismatch("the file holds numbers that are not finite")


class _Tables:
    """The matrices of a storage, by name."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._store.node_types:
            raise IndexMismatch(f"the matrix {name!r} is missing")
        return self._store.nodes(name)["row"]


__all__ = ["FIELDS", "from_store", "to_store"]
