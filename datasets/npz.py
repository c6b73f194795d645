"""NumPy archives: the gnn-benchmark graphs, the heterophilous graphs, the MNIST neighbour graph, SIFT descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.guarded import Npz
from ..graphlib.store.store import GraphStore
from .tables import dense, feature_dtype, undirected

if TYPE_CHECKING:
    from .catalog import DatasetInfo
    from .folder import Files


def _arrays(files: Files, path: str, wanted: tuple[str, ...]) -> list[Any]:
    return Npz(files.read(path), name=path).take(*wanted)


def _matrix(data: Any, indices: Any, indptr: Any, shape: Any) -> Any:
    from scipy.sparse import csr_array

    return csr_array((data, indices, indptr), shape=tuple(shape.tolist()))


def read_benchmark(files: Files, info: DatasetInfo) -> GraphStore:
    """Columns x and y. Arcs are made undirected and self-loops dropped (Shchur et al. 2018, arXiv:1811.05868)."""
    parts = ("data", "indices", "indptr", "shape")
    wanted = (*(f"adj_{part}" for part in parts), *(f"attr_{part}" for part in parts), "labels")
    *arrays, labels = _arrays(files, info.files[0], wanted)
    arcs = _matrix(*arrays[:4]).tocoo()
    store = undirected(arcs.row, arcs.col, arcs.shape[0])
    store.nodes["x"] = dense(_matrix(*arrays[4:]), name=info.files[0])
    store.nodes["y"] = labels.astype(np.int64)
    return store


def read_heterophilous(files: Files, info: DatasetInfo) -> GraphStore:
    """Columns x, y, and train_mask, val_mask, test_mask of shape (nodes, 10): ten splits.

    Source: Platonov et al., ICLR 2023, arXiv:2302.11640.
    """
    masks = ("train_masks", "val_masks", "test_masks")
    x, y, edges, *splits = _arrays(files, info.files[0], ("node_features", "node_labels", "edges", *masks))
    store = undirected(edges[:, 0], edges[:, 1], len(y))
    store.nodes["x"] = x.astype(feature_dtype(x))
    store.nodes["y"] = y.astype(np.int64)
    for name, split in zip(masks, splits, strict=True):
        store.nodes[name.removesuffix("s")] = np.ascontiguousarray(split.T)
    return store


def read_neighbor_graph(files: Files, info: DatasetInfo) -> GraphStore:
    """Undirected edges with `weight`, and y."""
    *arrays, labels = _arrays(files, info.files[0], ("data", "indices", "indptr", "shape", "labels"))
    arcs = _matrix(*arrays).tocoo()
    once = arcs.row < arcs.col  # the matrix is symmetric and has an empty diagonal
    src, dst = arcs.row[once].astype(np.int32), arcs.col[once].astype(np.int32)
    store = GraphStore.from_edges(src, dst, num_nodes=arcs.shape[0], weight=arcs.data[once])
    store.nodes["y"] = labels.astype(np.int64)
    return store


def read_descriptors(files: Files, info: DatasetInfo) -> GraphStore:
    """SIFT descriptors as nodes without edges: x uint8 (nodes, 128), and `image`, the photo each one is from."""
    desc, offsets = _arrays(files, info.files[0], ("desc", "kp_offset"))
    none = np.empty(0, np.int32)
    store = GraphStore.from_edges(none, none, num_nodes=len(desc))
    store.nodes["x"] = desc
    store.nodes["image"] = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    return store
