"""The store that a call is given, and the edges of it that it means."""

from __future__ import annotations

from os import PathLike
from typing import Any

from .checks import kind_of
from .errors import InvalidInput, InvalidType
from .store.store import GraphStore
from .types import EdgeType

_MAKES_A_STORE = {
    "scipy": "nearhop.graphlib.convert.from_scipy(...)",
    "networkx": "nearhop.graphlib.convert.from_networkx(...)",
    "torch_geometric": "nearhop.graphlib.convert.from_pyg(...)",
    "dgl": "nearhop.graphlib.convert.from_dgl(...)",
    "pandas": "nearhop.ingest(...)",
    "polars": "nearhop.ingest(...)",
    "pyarrow": "nearhop.ingest(...)",
    "numpy": "nearhop.GraphStore.from_edges(src, dst)",
    "torch": "nearhop.GraphStore.from_edges(src, dst)",
    "builtins": "nearhop.GraphStore.from_edges(src, dst)",
}


def check_store(store: Any, what: str = "store") -> None:
    """Refuse another kind of graph than a `GraphStore`, and say what makes a store of it.

    Raises
    ------
    InvalidType

    Examples
    --------
    >>> check_store("cora")
    Traceback (most recent call last):
    nearhop.graphlib.errors.InvalidType: store must be a GraphStore; got 'cora'. nearhop.open(path) opens a stored one
    """
    if isinstance(store, GraphStore):
        return
    if isinstance(store, str | PathLike):
        raise InvalidType(f"{what} must be a GraphStore; got {store!r}. nearhop.open(path) opens a stored one")
    package = type(store).__module__.partition(".")[0]
    hint = f". {_MAKES_A_STORE[package]} makes one" if package in _MAKES_A_STORE and store is not None else ""
    raise InvalidType(f"{what} must be a GraphStore; got {kind_of(store)}{hint}")


def chosen_edge_type(store: GraphStore, edge_type: EdgeType | None = None) -> EdgeType:
    """The edge type that a call means: the one named, else ("node", "edge", "node"), else the graph's only one.

    The links of indexes that the store holds beside the graph are meant only where they are named.
    """
    check_store(store)
    return store._parts.edge_type(edge_type)


def one_node_type(store: GraphStore, owner: str, edge_type: EdgeType | None = None) -> EdgeType:
    """As `chosen_edge_type`, for what needs edges among nodes of one type.

    Raises
    ------
    InvalidInput
        The store has several edge types of which none is meant, or the edges join two types of nodes.
    """
    try:
        chosen = chosen_edge_type(store, edge_type)
    except InvalidInput as error:
        raise InvalidInput(
            f"{owner} needs a store with one edge type; this one has {len(store.edge_types)}: "
            f"{list(store.edge_types)}; name the one that is meant with edge_type=... (--edge-type on the command line)"
        ) from error
    if chosen[0] != chosen[2]:
        raise InvalidInput(
            f"{owner} needs edges within one node type; got {chosen[0]!r} to {chosen[2]!r}. Number both kinds of nodes "
            "in one range and build the store with GraphStore.from_edges"
        )
    return chosen
