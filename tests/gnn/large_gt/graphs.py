"""A graph whose classes show in features, ready for LargeGT."""

from __future__ import annotations

import numpy as np

import nearhop
from nearhop.gnn.nodes import NodeData
from nearhop.graphlib.sparse import hop_contexts
from nearhop.sampling import NodeSets


def graph(nodes=120, *, width=10, size=8, seed=0, order=None, position=6):
    """Blocks of three classes; node i of one graph is node order[i] of the other."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, nodes)
    src = rng.integers(0, nodes, 5 * nodes)
    dst = np.array([rng.choice(np.flatnonzero(y == y[s])) if rng.random() < 0.8 else rng.integers(nodes) for s in src])
    x = rng.normal(size=(nodes, width)).astype(np.float32)
    x[np.arange(nodes), y] += 2
    encoding = rng.normal(size=(nodes, position)).astype(np.float32)
    order = np.arange(nodes) if order is None else order
    store = nearhop.GraphStore.from_edges(order[src], order[dst], num_nodes=nodes)
    for name, values in (("x", x), ("y", y), ("pe", encoding)):
        placed = np.empty_like(values)
        placed[order] = values
        store.nodes[name] = placed
    hop_contexts(store)
    NodeSets(store, size).write()
    return store


def data(store, seed=0):
    return NodeData.random(store.nodes["y"], seed=seed)
