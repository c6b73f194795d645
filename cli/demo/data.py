"""Datasets of every kind as the demo takes them: one graph of one type of nodes, and what its nodes are known as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.store.store import GraphStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.catalog import DatasetInfo

GRAPH = ("node", "edge", "node")
_LABELS = (("y", "label"), ("tag", "tag"), ("kind", "kind of gate"), ("is_page", "side"))
_MOST_TAGS = 64


@dataclass(frozen=True, eq=False)
class DemoData:
    """A dataset, loaded.

    Attributes
    ----------
    store : GraphStore
        In memory, of one node type and one edge type; without edges where the dataset is vectors.
    vectors : float32 (n, d) or None
        The column x.
    label_column, label_word : str or None
        The column with the labels of nodes, and what they are called.
    """

    card: DatasetInfo
    store: GraphStore
    vectors: NDArray[np.float32] | None
    label_column: str | None
    label_word: str
    merged: tuple[str, ...] = ()

    @property
    def has_images(self) -> bool:
        return self.card.name in ("digits", "mnist")


def read(dataset: str, root: Path | None) -> DemoData:
    """Load a dataset by name."""
    from ...datasets import info, load

    loaded = load(dataset, root)
    store, merged = of_one_type(loaded)
    vectors = np.asarray(store.nodes["x"], np.float32) if "x" in store.nodes else None
    column, word = _labels(store)
    return DemoData(info(dataset), store, vectors, column, word, merged)


def of_one_type(loaded: GraphStore) -> tuple[GraphStore, tuple[str, ...]]:
    """The store, or where it has several types the edges among the nodes with the most edges, and their names."""
    if loaded.edge_types == (GRAPH,):
        return loaded, ()
    counts: dict[str, int] = {}
    for source, relation, target in loaded.edge_types:
        if source == target:
            counts[source] = counts.get(source, 0) + loaded.num_edges_of((source, relation, target))
    node_type = max(counts, key=lambda name: counts[name])
    types = [t for t in loaded.edge_types if t[0] == t[2] == node_type]
    lists = [loaded.edge_list(t) for t in types]
    store = GraphStore.from_edges(
        np.concatenate([edges.src for edges in lists]),
        np.concatenate([edges.dst for edges in lists]),
        num_nodes=loaded.num_nodes_of(node_type),
        directed=any(loaded.is_directed(t) for t in types),
    )
    copy_nodes(loaded, store, node_type)
    return store, tuple(t[1] for t in types)


def copy_nodes(source: GraphStore, target: GraphStore, node_type: str) -> None:
    """Columns, ids and attributes of one store's nodes for another's."""
    for name in source.nodes(node_type):
        target.nodes[name] = source.nodes(node_type)[name]
    ids = source.ids(node_type)
    if ids is not None:
        target.set_ids(ids)
    target.attributes = dict(source.attributes)


def _labels(store: GraphStore) -> tuple[str | None, str]:
    for column, word in _LABELS:
        if column not in store.nodes:
            continue
        values = store.nodes[column]
        whole = values.dtype.kind in "biu" and values.ndim <= 2
        if whole and (column == "y" or 1 < len(np.unique(values)) <= _MOST_TAGS):
            return column, word
    return None, ""


def one_class(labels: NDArray[Any] | None) -> NDArray[Any] | None:
    """A class per node: for several labels a node, the one of them that most nodes have; -1 for none."""
    if labels is None:
        return None
    if labels.ndim == 1:
        return labels.astype(np.int64)
    given = np.asarray(labels).astype(bool)
    popular = given * (given.sum(axis=0, dtype=np.int64) + 1)
    return np.where(given.any(axis=1), popular.argmax(axis=1), -1)


def share_label(labels: NDArray[Any], one: int, other: int) -> bool | None:
    """Whether two nodes have a label in common; None where one of them has none that is known."""
    if labels.ndim == 1:
        known = labels[one] >= 0 and labels[other] >= 0
        return bool(labels[one] == labels[other]) if known else None
    first, second = labels[one].astype(bool), labels[other].astype(bool)
    return bool((first & second).any()) if first.any() and second.any() else None
