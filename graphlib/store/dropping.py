"""Taking parts out of a store: an index, an edge type, a column."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput, NotFound
from .indexes import KEY

if TYPE_CHECKING:
    from ..types import EdgeType
    from .parts import Parts


def drop(
    parts: Parts,
    changing: Callable[[], None],
    *,
    index: str | None,
    edge_type: EdgeType | None,
    column: str | None,
    of: str | EdgeType | None,
) -> None:
    """What `GraphStore.drop` does; `changing` is called once everything is checked, before the first change."""
    if sum(given is not None for given in (index, edge_type, column)) != 1:
        raise InvalidInput("drop: name one thing: index=..., edge_type=... or column=...")
    if of is not None and column is None:
        raise InvalidInput("drop: of=... says which column is meant; it goes with column=...")
    if index is not None:
        _drop_index(parts, changing, index)
    elif edge_type is not None:
        _drop_edges(parts, changing, edge_type)
    else:
        _drop_column(parts, str(column), of)


def _drop_index(parts: Parts, changing: Callable[[], None], name: str) -> None:
    known = parts.indexes()
    if name not in known:
        raise NotFound(f"the store has no index {name!r}; indexes: {', '.join(map(repr, known)) or 'none'}")
    changing()
    found = known[name]
    for link in found.links:
        del parts.edge_sets[link], parts.edge_columns[link]
    for column in found.columns:
        del parts.node_columns[found.node_type][column]
    if found.basis is not None:
        del parts.node_types[found.basis], parts.node_columns[found.basis]
    listed = {other: fields for other, fields in parts.attributes[KEY].items() if other != name}
    parts.attributes = {key: value for key, value in parts.attributes.items() if key != KEY}
    if listed:
        parts.attributes[KEY] = listed


def _drop_edges(parts: Parts, changing: Callable[[], None], edge_type: EdgeType) -> None:
    chosen = parts.edge_type(edge_type)
    for index in parts.indexes().values():
        if chosen in index.links:
            raise InvalidInput(
                f"edges {chosen!r} are links of index {index.name!r}; drop the index: index={index.name!r}"
            )
    changing()
    del parts.edge_sets[chosen], parts.edge_columns[chosen]


def _drop_column(parts: Parts, column: str, of: Any) -> None:
    if of is not None and not isinstance(of, str):
        del parts.edge_columns[parts.edge_type(of)][column]
        return
    node_type = parts.node_type(of)
    for index in parts.indexes().values():
        if index.node_type == node_type and column in (index.column, *index.columns):
            why = "is what index {!r} was made from" if column == index.column else "belongs to index {!r}"
            raise InvalidInput(
                f"column {column!r} {why.format(index.name)}; drop the index first: index={index.name!r}"
            )
    del parts.node_columns[node_type][column]
