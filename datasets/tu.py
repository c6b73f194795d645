"""Collections of small graphs with one label each, as one store: their disjoint union.

Source: Morris et al., "TUDataset", 2020, arXiv:2007.08663; the text form is that of Zhang et al., AAAI 2018 (DGCNN).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..graphlib.errors import StoreCorrupt
from .tables import class_codes, undirected

if TYPE_CHECKING:
    from ..graphlib.store.store import GraphStore
    from .catalog import DatasetInfo
    from .folder import Files


def read(files: Files, info: DatasetInfo) -> GraphStore:
    """Columns `graph` (which graph a node belongs to) and `tag` (its kind, such as the chemical element).

    `attributes["graph_labels"]` lists the class of each graph, 0..c-1.

    The file: the number of graphs; for each a line `nodes label`, then for each node `tag degree neighbour ...`, where
    neighbours count from 0 within the graph.
    """
    path = info.files[0]
    try:
        numbers = np.array(files.read(path).split(), np.int64)
    except ValueError as error:
        raise StoreCorrupt(f"{path}: holds something that is not an integer ({error})") from error
    try:
        sizes, labels, tags, degrees, neighbors = _walk(numbers.tolist())
    except IndexError as error:
        raise StoreCorrupt(f"{path}: ends in the middle of a graph") from error
    graph = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    first = np.cumsum(sizes) - np.array(sizes)
    src = np.repeat(np.arange(len(graph)), degrees)
    dst = np.array(neighbors, np.int64)
    size_of_src = np.repeat(np.array(sizes), sizes)[src]
    if len(dst) != len(src) or (dst < 0).any() or (dst >= size_of_src).any():
        raise StoreCorrupt(f"{path}: a neighbour lies outside its graph")
    store = undirected(src, dst + first[graph[src]], len(graph))
    store.nodes["graph"] = graph
    store.nodes["tag"] = np.array(tags, np.int32)
    store.attributes["graph_labels"] = class_codes(np.array(labels))[0].tolist()
    return store


def _walk(numbers: list[int]) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Sizes and labels of the graphs; tags, degrees and neighbours of the nodes."""
    sizes, labels, tags, degrees, neighbors = [], [], [], [], []
    at = 1
    for _ in range(numbers[0]):
        size, label = numbers[at], numbers[at + 1]
        at += 2
        sizes.append(size)
        labels.append(label)
        for _ in range(size):
            degree = numbers[at + 1]
            tags.append(numbers[at])
            degrees.append(degree)
            neighbors += numbers[at + 2 : at + 2 + degree]
            at += 2 + degree
    if at != len(numbers):
        raise IndexError
    return sizes, labels, tags, degrees, neighbors
