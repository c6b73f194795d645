"""The names by which a store tells kinds of nodes and edges apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidInput, NotFound

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
