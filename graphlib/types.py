"""The names by which a store tells kinds of nodes and edges apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidInput, InvalidType, NotFound

EdgeType = tuple[str, str, str]
NODE = "node"
EDGE: EdgeType = (NODE, "edge", NODE)


def edge_name(given: Any) -> Any:
    """What names an edge type, as a key: a text as it is, the texts of a sequence as a tuple.

    Raises
    ------
    InvalidType
        Neither.

    Examples
    --------
    >>> edge_name(["user", "buys", "item"])
    ('user', 'buys', 'item')
    """
    if isinstance(given, str):
        return given
    try:
        names = tuple(given)
    except TypeError:
        names = (given,)
    if not all(isinstance(name, str) for name in names):
        raise InvalidType(
            f"an edge type is (source node type, relation, destination node type), three texts; got {given!r:.100}"
        )
    return names


def choose_type(kind: str, wanted: Any, present: Mapping[Any, Any], default: Any) -> Any:
    """The type a call means: the one named, else the only one, else the default one."""
    listed = ", ".join(repr(name) for name in present) or "none"
    if wanted is not None:
        if kind == "node" and not isinstance(wanted, str):
            raise InvalidType(f"a node type is a text; got {wanted!r:.100}; types: {listed}")
        key = edge_name(wanted) if kind == "edge" else wanted
        if key not in present:
            raise NotFound(f"there is no {kind} type {wanted!r}; types: {listed}")
        return key
    if default in present:
        return default
    if len(present) != 1:
        raise InvalidInput(f"this store has {len(present)} {kind} types, so name one of them: {listed}")
    return next(iter(present))
