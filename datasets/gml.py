"""GML as two community graphs need it: flat `node` and `edge` blocks with an id, a label and a class `value`."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import numpy as np

from ..graphlib.errors import StoreCorrupt
from .tables import class_codes, undirected

if TYPE_CHECKING:
    from ..graphlib.store.store import GraphStore
    from .catalog import DatasetInfo
    from .folder import Files

_BLOCK = re.compile(r"\b(node|edge)\s*\[([^\[\]]*)\]")
_FIELD = re.compile(r'(\w+)\s+("[^"]*"|\S+)')


def parse_gml(text: str, *, name: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The fields of all nodes and of all edges, as text.

    >>> parse_gml('graph [ node [ id 1 label "a b" ] edge [ source 1 target 1 ] ]', name="example")
    ([{'id': '1', 'label': 'a b'}], [{'source': '1', 'target': '1'}])
    """
    found: dict[str, list[dict[str, str]]] = {"node": [], "edge": []}
    for kind, body in _BLOCK.findall(text):
        found[kind].append({key: unescape(value.strip('"')) for key, value in _FIELD.findall(body)})
    if not found["node"]:
        raise StoreCorrupt(f"{name}: no GML nodes found")
    return found["node"], found["edge"]


def read(files: Files, info: DatasetInfo) -> GraphStore:
    """An undirected graph; y is the class, and the nodes' labels are their ids."""
    path = info.files[0]
    nodes, edges = parse_gml(files.read(path).decode(), name=path)
    try:
        position = {node["id"]: i for i, node in enumerate(nodes)}
        src = np.array([position[edge["source"]] for edge in edges], np.int64)
        dst = np.array([position[edge["target"]] for edge in edges], np.int64)
        codes, classes = class_codes(np.array([node["value"] for node in nodes]).astype(np.int64))
    except (KeyError, ValueError) as error:
        raise StoreCorrupt(f"{path}: a node or an edge lacks a field, or names an unknown node ({error})") from error
    store = undirected(src, dst, len(nodes))
    store.nodes["y"] = codes
    store.attributes["classes"] = classes
    labels = [node.get("label", node["id"]) for node in nodes]
    if len(set(labels)) == len(labels):
        store.set_ids(labels)
    return store
