"""The names by which a store tells kinds of nodes and edges apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from .store.store import GraphStore

EdgeType = tuple[str, str, str]
NODE = "node"
EDGE: EdgeType = (NODE, "edge", NODE)


def choose_type(kind: str, wanted: Any, present: Mapping[Any, Any], default: Any) -> Any:
    """The type a call means: the one named, else the only one, else the default one."""
    listed = ", ".join(repr(name) for name in present) or "none"
    if wanted is not None:
        key = tuple(wanted) if kind == "edge" and not isinstance(wanted, str) else wanted
        if key not in present:
            raise NotFound(f"there is no {kind} type {wanted!r}; types: {listed}")
        return key
    if default in present:
        return default
    if len(present) != 1:
        raise InvalidInput(f"this store has {len(present)} {kind} types, so name one of them: {listed}")
    return next(iter(present))


def chosen_edge_type(store: GraphStore, edge_type: EdgeType | None = None) -> EdgeType:
    """The edge type that a call means: the one named, else ("node", "edge", "node"), else the graph's only one.

    The links of indexes that the store holds beside the graph are meant only where they are named.
    """
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
