"""What all conversions share: arcs in, a store out, undirected where they come in pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput
from ..store.store import GraphStore

if TYPE_CHECKING:
    from numpy.typing import NDArray


def store_of_arcs(
    src: NDArray[Any],
    dst: NDArray[Any],
    num_nodes: int,
    directed: bool | None,
    columns: dict[str, NDArray[Any]],
    what: str,
) -> GraphStore:
    """A store of arcs of which both directions may be present; `columns` may hold "weight" and "time"."""
    symmetric = directed is not True and _is_symmetric(src, dst, num_nodes, columns.values())
    if directed is False and not symmetric:
        raise InvalidInput(f"directed=False, but {what} does not hold every edge in both directions with equal values")
    if symmetric:
        keep = src <= dst
        src, dst = src[keep], dst[keep]
        columns = {name: values[keep] for name, values in columns.items()}
    given = {name: columns.pop(name, None) for name in ("weight", "time")}
    store = GraphStore.from_edges(src, dst, num_nodes=num_nodes, directed=not symmetric, **given)
    for name, values in columns.items():
        store.edges[name] = values
    return store


def _is_symmetric(src: NDArray[Any], dst: NDArray[Any], num_nodes: int, columns: Iterable[NDArray[Any]]) -> bool:
    """Whether every arc has its reverse, equally often and with the same values. O(arcs log arcs)."""
    there = src.astype(np.int64) * max(num_nodes, 1) + dst
    back = dst.astype(np.int64) * max(num_nodes, 1) + src
    one, other = np.argsort(there, kind="stable"), np.argsort(back, kind="stable")
    if not np.array_equal(there[one], back[other]):
        return False
    return all(np.array_equal(values[one], values[other], equal_nan=values.dtype.kind == "f") for values in columns)


def check_one_type(store: GraphStore, what: str) -> None:
    if len(store.node_types) != 1 or len(store.edge_types) != 1:
        raise InvalidInput(f"{what} needs a store of one node type and one edge type; this has {store.edge_types}")
