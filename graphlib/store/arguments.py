"""Checks of what a store is given: counts, names of edge types, directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidInput, InvalidType
from ..scalars import is_integer
from ..types import EdgeType, edge_name
from .columns import check_name

_MOST_NODES = 1 << 40


def check_edge_type(edge_type: Any) -> EdgeType:
    """A triple of names: source node type, relation, destination node type."""
    names = edge_name(edge_type)
    if isinstance(names, str) or len(names) != 3:
        raise InvalidInput(f"an edge type is (source node type, relation, destination node type); got {edge_type!r}")
    source, relation, target = names
    for name in (source, relation, target):
        check_name(name)
        if "/" in name:
            raise InvalidInput(f"the names of an edge type must not contain '/'; got {edge_type!r}")
    return source, relation, target


def check_directed(directed: Any) -> bool:
    """True or False, of Python or NumPy."""
    if not isinstance(directed, bool | np.bool_):
        raise InvalidType(f"directed must be True or False; got {directed!r}")
    return bool(directed)


def check_count(what: str, count: Any) -> int:
    if not is_integer(count) or count < 0:
        raise InvalidInput(f"{what} must be an integer >= 0; got {count!r}")
    if count >= _MOST_NODES:
        raise InvalidInput(f"{what} must be less than 2**40; got {count}")
    return int(count)
