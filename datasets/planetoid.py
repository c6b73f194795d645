"""The Planetoid citation graphs (Cora, Citeseer, Pubmed), NELL, and the publication years of Pubmed.

Source: Yang, Cohen, Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph Embeddings", ICML 2016,
arXiv:1603.08861. The files are pickles; they are read by `restricted_pickle`, which runs nothing in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import StoreCorrupt
from ..graphlib.guarded import read_npy
from ..graphlib.store.store import GraphStore
from .restricted_pickle import restricted_load
from .tables import empty_features, feature_dtype, fill_features, undirected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .catalog import DatasetInfo
    from .folder import Files

_VALIDATION = 500


class _Parts:
    """The pieces of one Planetoid set; absent ones are None."""

    def __init__(self, files: Files, info: DatasetInfo) -> None:
        paths = {path.removesuffix(".gz").rpartition(".")[2]: path for path in info.files if "ind." in path}
        self._files, self._paths = files, paths
        matrix = _matrix_type()
        self.x, self.tx, self.allx = (self._load(part, matrix) for part in ("x", "tx", "allx"))
        self.y, self.ty, self.ally = (self._load(part, np.ndarray) for part in ("y", "ty", "ally"))
        self.graph = self._load("graph", dict)
        self.name = paths["graph"]
        self.test = np.array(files.read(paths["index"]).split(), np.int64)

    def _load(self, part: str, wanted: type) -> Any:
        path = self._paths.get(part)
        if path is None:
            return None
        loaded = restricted_load(self._files.read(path), name=path)
        if not isinstance(loaded, wanted):
            raise StoreCorrupt(f"{path}: holds a {type(loaded).__name__}, expected a {wanted.__name__}")
        return loaded


def read(files: Files, info: DatasetInfo) -> GraphStore:
    """Columns x, y, train_mask, val_mask, test_mask: the standard split of the paper.

    Training nodes are the rows of `y` (20 per class), validation nodes the 500 after them, test nodes those of
    `test.index`. Nodes without a label have y = -1. Where features are published for some nodes only, the others' rows
    are zero and the column `has_x` tells them apart. `attributes["num_classes"]` counts the classes, seen or not.
    """
    parts = _Parts(files, info)
    src, dst, count = _arcs(parts.graph, parts.name)
    store = undirected(src, dst, count)
    y, train, val, test = _labels(parts, count)
    store.nodes["y"] = y
    store.attributes["num_classes"] = int(parts.y.shape[1])
    for name, mask in (("train_mask", train), ("val_mask", val), ("test_mask", test)):
        if mask.any():
            store.nodes[name] = mask
    store.nodes["x"], has_x = _features(parts, count)
    if not has_x.all():
        store.nodes["has_x"] = has_x
    return store


def read_temporal(files: Files, info: DatasetInfo) -> GraphStore:
    """Pubmed's citations, citing -> cited, with the time step 0..45 at which the citing paper appeared.

    Edges have `time`; nodes have `time` and y.
    """
    parts = _Parts(files, info)
    src, dst, count = _arcs(parts.graph, parts.name)
    src, dst = np.concatenate([src, dst]), np.concatenate([dst, src])
    keys = np.unique((src * count + dst)[src != dst])
    marks = {}
    for part in ("edge_time", "edge_directed", "node_time"):
        path = f"temporal/pubmed_{part}.npy"
        marks[part] = read_npy(files.read(path), name=path)
        expected = count if part == "node_time" else len(keys)
        if marks[part].shape != (expected,):
            raise StoreCorrupt(f"{path}: has shape {marks[part].shape}, expected ({expected},)")
    cites = marks["edge_directed"].astype(bool)
    src, dst = (part.astype(np.int32) for part in np.divmod(keys[cites], count))
    store = GraphStore.from_edges(src, dst, num_nodes=count, directed=True, time=marks["edge_time"][cites])
    store.nodes["time"] = marks["node_time"]
    store.nodes["y"] = _labels(parts, count)[0]
    return store


def _arcs(graph: dict[Any, Any], name: str) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """The neighbour lists as two arrays, and the number of nodes."""
    lists = list(graph.values())
    if not all(type(neighbors) is list for neighbors in lists):
        raise StoreCorrupt(f"{name}: the graph must map each node to the list of its neighbours")
    try:
        src = np.repeat(np.array(list(graph), np.int64), [len(neighbors) for neighbors in lists])
        dst = np.array([v for neighbors in lists for v in neighbors], np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise StoreCorrupt(f"{name}: the graph holds node ids that are not integers") from error
    count = len(graph)
    if count and (min(graph) < 0 or max(graph) >= count or (len(dst) and (dst.min() < 0 or dst.max() >= count))):
        raise StoreCorrupt(f"{name}: node ids must be 0..{count - 1}")
    return src, dst, count


def _labels(parts: _Parts, count: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Classes (-1 where none), and the masks of the standard split."""
    y = np.full(count, -1, np.int64)
    known = parts.y if parts.ally is None else parts.ally
    y[: len(known)] = _one_hot(known)
    y[parts.test] = _one_hot(parts.ty)
    train, val, test = (np.zeros(count, bool) for _ in range(3))
    train[: len(parts.y)] = True
    val[len(parts.y) : min(len(parts.y) + _VALIDATION, len(known))] = True
    test[parts.test] = True
    return y, train, val, test


def _one_hot(rows: NDArray[Any]) -> NDArray[np.int64]:
    return np.where(rows.any(axis=1), rows.argmax(axis=1), -1).astype(np.int64)


def _features(parts: _Parts, count: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Feature rows where they are published, and a mask of those."""
    known = parts.x if parts.allx is None else parts.allx
    dtype = np.result_type(feature_dtype(known.data), feature_dtype(parts.tx.data))
    x = empty_features((count, known.shape[1]), dtype, name=parts.name)
    has_x = np.zeros(count, bool)
    for rows, matrix in ((np.arange(known.shape[0]), known), (parts.test, parts.tx)):
        fill_features(x, rows, matrix)
        has_x[rows] = True
    return x, has_x


def _matrix_type() -> type:
    from scipy.sparse import csr_matrix

    return csr_matrix
