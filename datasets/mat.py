"""MATLAB files: BlogCatalog, the link-prediction graphs of SEAL, and facebook100."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import StoreCorrupt
from .tables import undirected

if TYPE_CHECKING:
    from ..graphlib.store.store import GraphStore
    from .catalog import DatasetInfo
    from .folder import Files

_LOCAL_INFO = ("status", "gender", "major", "second_major", "dorm", "year", "high_school")


def _variables(files: Files, path: str, wanted: tuple[str, ...]) -> list[Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        stream: Any = io.BytesIO(files.read(path))
        found = loadmat(stream, variable_names=wanted, spmatrix=False)
    except (MatReadError, ValueError, NotImplementedError) as error:
        raise StoreCorrupt(f"{path}: not a readable MATLAB file ({error})") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise StoreCorrupt(f"{path}: has no variable {missing[0]!r}")
    return [found[name] for name in wanted]


def _graph(matrix: Any) -> GraphStore:
    entries = matrix.tocoo()
    return undirected(entries.row, entries.col, matrix.shape[0])


def read_links(files: Files, info: DatasetInfo) -> GraphStore:
    """An undirected graph without features or labels (Zhang and Chen, NeurIPS 2018, arXiv:1802.09691)."""
    (net,) = _variables(files, info.files[0], ("net",))
    return _graph(net)


def read_blogcatalog(files: Files, info: DatasetInfo) -> GraphStore:
    """Friendships of bloggers; y is a uint8 matrix (nodes, 39) of the interests each one declared."""
    network, group = _variables(files, info.files[0], ("network", "group"))
    store = _graph(network)
    store.nodes["y"] = (group.toarray() != 0).astype(np.uint8)
    return store


def read_facebook100(files: Files, info: DatasetInfo) -> GraphStore:
    """Friendships at one college; y is the declared gender, 0 or 1, and -1 where it is missing.

    The column `local_info` (nodes, 7) holds all seven declared traits, named in `attributes["local_info"]`.
    """
    network, traits = _variables(files, info.files[0], ("A", "local_info"))
    store = _graph(network)
    store.nodes["y"] = traits[:, 1].astype(np.int64) - 1
    store.nodes["local_info"] = traits.astype(np.int32)
    store.attributes["local_info"] = list(_LOCAL_INFO)
    return store
