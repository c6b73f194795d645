"""Several graphs as one: their disjoint union, with a column that says which graph a node belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InvalidInput
from ..given_store import check_store
from ..joining import joined
from .store import GraphStore


def disjoint_union(stores: Sequence[GraphStore], *, columns: Sequence[str] = (), name: str = "graph") -> GraphStore:
    """One store of all graphs: nodes of the first, then of the second, and so on.

    Parameters
    ----------
    stores : sequence of GraphStore
        Each of one node type and one edge type; all directed, or none.
    columns : sequence of str
        Node columns to keep, which every store has.
    name : str, default "graph"
        The int32 node column that tells which store a node comes from.

    Returns
    -------
    GraphStore
        In memory; arrays are copied, user ids and edge columns are not kept.

    Raises
    ------
    InvalidInput
        No store is given, some are directed and others not, or a store has several types or lacks a column.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.graphlib.store.union import disjoint_union
    >>> both = disjoint_union([nearhop.GraphStore.from_edges([0], [1]), nearhop.GraphStore.from_edges([0, 1], [1, 2])])
    >>> both.nodes["graph"].tolist(), both.num_edges
    ([0, 0, 1, 1, 1], 3)
    """
    stores = list(stores)
    if not stores:
        raise InvalidInput("a union needs at least one graph; got none")
    for place, store in enumerate(stores):
        check_store(store, f"graphs[{place}]")
        if len(store.node_types) != 1 or len(store.edge_types) != 1:
            raise InvalidInput(
                f"graphs[{place}] has types {store.node_types}, {store.edge_types}; a union takes one each"
            )
        if store.directed != stores[0].directed:
            raise InvalidInput(f"graphs[{place}] is {'' if store.directed else 'un'}directed, unlike graphs[0]")
        for column in columns:
            if column not in store.nodes:
                raise InvalidInput(f"graphs[{place}] has no node column {column!r}; it has {sorted(store.nodes)}")
    sizes = np.array([store.num_nodes for store in stores])
    first = np.cumsum(sizes) - sizes
    lists = [store.edge_list() for store in stores]
    made = GraphStore.from_edges(
        np.concatenate([edges.src.astype(np.int64) + shift for edges, shift in zip(lists, first, strict=True)]),
        np.concatenate([edges.dst.astype(np.int64) + shift for edges, shift in zip(lists, first, strict=True)]),
        num_nodes=int(sizes.sum()),
        directed=stores[0].directed,
    )
    made.nodes[name] = np.repeat(np.arange(len(stores), dtype=np.int32), sizes)
    for column in columns:
        made.nodes[column] = joined(f"node column {column!r}", [np.asarray(store.nodes[column]) for store in stores])
    return made
