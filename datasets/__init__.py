"""Named public datasets as graph stores: found or downloaded, checked, parsed.

`load("cora")` gives a `GraphStore` with columns such as x, y and train_mask. Files come from a folder of yours or are
downloaded once; every one is checked against its SHA-256. Nothing here splits, normalises or caches parsed graphs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .catalog import DatasetInfo, info, names

if TYPE_CHECKING:
    import os

    from ..graphlib.store.store import GraphStore
    from .graphs import GraphSet

__all__ = ["DatasetInfo", "info", "load", "load_graphs", "names"]


def load(name: str, root: str | os.PathLike[str] | None = None) -> GraphStore:
    """Load a dataset into a store in memory.

    Parameters
    ----------
    name : str
        One of `names()`.
    root : path, optional
        A folder that holds the files, by the paths in `info(name).files`; packed with gzip or not. By default the
        folder that the environment variable NEARHOP_DATA names. Files that are not there are looked for in the cache
        folder (NEARHOP_CACHE, else the platform's) and downloaded to it.

    Returns
    -------
    GraphStore
        With node columns x (uint8 if that holds every value exactly, else float32), y (int64 with -1 for "no label",
        or a uint8 matrix (nodes, classes) where a node can have several), train_mask, val_mask, test_mask, and edge
        weight and time, where the set has them. `attributes["dataset"]` is the name.

    Raises
    ------
    NotFound
        No dataset has this name.
    DownloadError
        A file is missing and cannot be downloaded, or its checksum is wrong; the message names the file, its source and
        where to put it.
    MissingExtra
        "digits" without scikit-learn.

    Notes
    -----
    Every file is read and hashed once; no set takes more than a few seconds.

    Examples
    --------
    >>> store = load("karate")
    >>> store.num_nodes, store.num_edges, store.nodes["y"].sum().item()
    (34, 78, 17)
    """
    from .folder import Files

    card = info(name)
    module, _, function = card.reader.partition(":")
    read = getattr(importlib.import_module(f".{module}", __name__), function)
    store: GraphStore = read(Files(name, card.source, root), card)
    store.attributes["dataset"] = name
    return store


def load_graphs(name: str, root: str | os.PathLike[str] | None = None) -> GraphSet:
    """Load a dataset of many small graphs, such as "mutag", as a list of stores with a class each.

    Parameters
    ----------
    name : str
        One whose `info(name).kind` is "graphs".
    root : path, optional
        As in `load`.

    Returns
    -------
    GraphSet
        A sequence of stores; `graphs.labels` are their classes, `graphs.store` is all of them in one.

    Raises
    ------
    NotFound
        There is no such set, or it is not one of graphs.

    Examples
    --------
    >>> load_graphs("mutag")  # doctest: +SKIP
    GraphSet(188 graphs of 2 classes, 3,371 nodes of 7 kinds, 3,721 edges)
    """
    from ..graphlib.errors import NotFound
    from .graphs import GraphSet

    if info(name).kind != "graphs":
        sets = [known for known in names() if info(known).kind == "graphs"]
        raise NotFound(f"{name!r} is not a set of many graphs; those are {', '.join(sets)}")
    return GraphSet.of(load(name, root))
