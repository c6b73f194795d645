"""Tables of vectors, as stores of nodes without edges: MNIST (IDX files), GloVe, and scikit-learn's digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..graphlib.errors import StoreCorrupt
from ..graphlib.store.store import GraphStore
from .tables import feature_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .catalog import DatasetInfo
    from .folder import Files


def _nodes(count: int) -> GraphStore:
    none = np.empty(0, np.int32)
    return GraphStore.from_edges(none, none, num_nodes=count)


def read_idx(data: bytes, *, name: str) -> NDArray[np.uint8]:
    """An IDX file of bytes: two zeros, type 8, the number of axes, their lengths (big-endian), the values."""
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise StoreCorrupt(f"{name}: not an IDX file of bytes; it begins with {data[:4]!r}")
    header = 4 + 4 * data[3]
    shape = tuple(np.frombuffer(data[4:header], ">u4").tolist())
    size = 1
    for length in shape:
        size *= length
    if len(shape) != data[3] or len(data) - header != size:
        raise StoreCorrupt(f"{name}: {len(data) - header} bytes follow a header that promises {shape}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def read_mnist(files: Files, info: DatasetInfo) -> GraphStore:
    """x uint8 (nodes, 784), y, and train_mask (the first 60,000) and test_mask (the rest)."""
    parts = [read_idx(files.read(path), name=path) for path in info.files]
    images, labels = parts[0::2], parts[1::2]
    store = _nodes(sum(map(len, labels)))
    store.nodes["x"] = np.concatenate([part.reshape(len(part), -1) for part in images])
    store.nodes["y"] = np.concatenate(labels).astype(np.int64)
    train = np.arange(store.num_nodes) < len(labels[0])
    store.nodes["train_mask"], store.nodes["test_mask"] = train, ~train
    return store


def read_glove(files: Files, info: DatasetInfo) -> GraphStore:
    """x float32 (nodes, 25); the words are the nodes' ids, so `store.lookup(["word"])` finds them."""
    path = info.files[0]
    lines = files.read(path).decode().splitlines()
    words = [line.partition(" ")[0] for line in lines]
    store = _nodes(len(words))
    try:
        store.nodes["x"] = np.array([line.split(" ")[1:] for line in lines], np.float32)
    except ValueError as error:
        raise StoreCorrupt(f"{path}: each line must hold a word and equally many numbers ({error})") from error
    store.set_ids(words)
    return store


def read_digits(files: Files, info: DatasetInfo) -> GraphStore:
    """x uint8 (1797, 64): 8 x 8 images with values 0..16, and y; they come with scikit-learn."""
    from ..graphlib.extras import require

    found = require("sklearn.datasets", "the digits dataset").load_digits()
    store = _nodes(len(found.target))
    store.nodes["x"] = found.data.astype(feature_dtype(found.data))
    store.nodes["y"] = found.target.astype(np.int64)
    return store
