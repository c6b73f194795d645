"""Edge lists as text: SNAP, ProNE (`.ungraph` with `.cmty`), LightGraphs (`.jlg`), and CSV with a target table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from ..graphlib.errors import StoreCorrupt
from ..graphlib.store.store import GraphStore
from .tables import class_codes, empty_features, read_columns, undirected

if TYPE_CHECKING:
    from .catalog import DatasetInfo
    from .folder import Files


def read_prone(files: Files, info: DatasetInfo) -> GraphStore:
    """Undirected edges; y is a uint8 matrix (nodes, classes), or one class a node where all have exactly one."""
    graph, communities = info.files
    src, dst = read_columns(files.read(graph), ("int64", "int64"), name=graph, delimiter="\t")
    try:
        members = [np.array(line.split(), np.int64) for line in files.read(communities).splitlines()]
    except ValueError as error:
        raise StoreCorrupt(f"{communities}: each line must list the nodes of one label ({error})") from error
    count = 1 + max(int(ids.max(initial=-1)) for ids in (src, dst, *members))
    store = undirected(src, dst, count)
    y = np.zeros((count, len(members)), np.uint8)
    for label, nodes in enumerate(members):
        y[nodes, label] = 1
    store.nodes["y"] = y.argmax(axis=1) if bool((y.sum(axis=1) == 1).all()) else y
    return store


def read_email(files: Files, info: DatasetInfo) -> GraphStore:
    """Directed edges from sender to receiver, self-loops kept; y is the department."""
    graph, labels = info.files
    src, dst = read_columns(files.read(graph), ("int64", "int64"), name=graph, skip_lines=1)
    nodes, departments = read_columns(files.read(labels), ("int64", "int64"), name=labels, skip_lines=1)
    store = GraphStore.from_edges(src.astype(np.int32), dst.astype(np.int32), num_nodes=len(nodes), directed=True)
    store.nodes["y"] = departments[np.argsort(nodes)]
    return store


def read_jlg(files: Files, info: DatasetInfo) -> GraphStore:
    """Undirected edges as listed; a first line `nodes,edges,u,name`, then `u,v` from 1."""
    path = info.files[0]
    data = files.read(path)
    header = data[: data.find(b"\n")].split(b",")
    if len(header) != 4 or not header[0].isdigit() or not header[1].isdigit() or header[2] != b"u":
        raise StoreCorrupt(f"{path}: the first line must be nodes,edges,u,name; it is {data[:60]!r}")
    src, dst = read_columns(data, ("int32", "int32"), name=path, delimiter=",", skip_lines=1)
    if len(src) != int(header[1]):
        raise StoreCorrupt(f"{path}: {len(src)} edges follow a first line that promises {header[1].decode()}")
    return GraphStore.from_edges(src - 1, dst - 1, num_nodes=int(header[0]))


def read_musae(files: Files, info: DatasetInfo) -> GraphStore:
    """Facebook pages: x (words), y (page type, named in `attributes["classes"]`); self-loops kept."""
    edges, targets, features = info.files
    src, dst = read_columns(files.read(edges), ("int32", "int32"), name=edges, delimiter=",", skip_lines=1)
    types = ("int64", "int64", "string", "string")
    nodes, _, _, kinds = read_columns(files.read(targets), types, name=targets, delimiter=",", skip_lines=1)
    store = undirected(src, dst, len(nodes), loops=True)
    codes, store.attributes["classes"] = class_codes(kinds[np.argsort(nodes)].astype(str))
    store.nodes["y"] = codes
    words = json.loads(files.read(features))
    owner = np.repeat(np.array(list(words), np.int64), [len(listed) for listed in words.values()])
    word = np.array([w for listed in words.values() for w in listed], np.int64)
    x = empty_features((len(nodes), int(word.max()) + 1), np.dtype(np.uint8), name=features)
    x[owner, word] = 1
    store.nodes["x"] = x
    return store


def read_karateclub(files: Files, info: DatasetInfo) -> GraphStore:
    """GitHub developers: undirected edges and y."""
    edges, targets = info.files
    src, dst = read_columns(files.read(edges), ("int32", "int32"), name=edges, delimiter=",", skip_lines=1)
    nodes, labels = read_columns(files.read(targets), ("int64", "int64"), name=targets, delimiter=",", skip_lines=1)
    store = undirected(src, dst, len(nodes))
    store.nodes["y"] = labels[np.argsort(nodes)]
    return store
