"""Indexes that a store holds beside the columns they were made from: which of its parts are theirs.

An index of name N over columns of node type T is an entry of the attribute "indexes"; its links of each level are the
edge type (T, N_link0, T) and so on, what it knows of each node are the columns N_level, N_scale, N_code of T, and the
basis of its codes is the node type N_code_basis. None of them is a part of the graph: what takes or counts "the edges"
of a store leaves them out, unless it is given their edge type.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..types import EdgeType

KEY = "indexes"
_COLUMNS = ("level", "scale", "code")


@dataclass(frozen=True)
class StoredIndex:
    """An index in a store, by its name: what it was made from, and the parts of the store that are its own.

    Attributes
    ----------
    name, kind, metric : str
    node_type, column : str
        What it was made from.
    links : tuple of edge types
        One for each level, the lowest first.
    columns : tuple of str
        Node columns of `node_type`.
    basis : str or None
        A node type, where the index keeps codes.
    """

    name: str
    kind: str
    metric: str
    node_type: str
    column: str
    links: tuple[EdgeType, ...]
    columns: tuple[str, ...]
    basis: str | None


def stored_indexes(
    attributes: Mapping[str, Any], columns: Mapping[str, Container[str]], edge_types: Iterable[EdgeType]
) -> dict[str, StoredIndex]:
    """The indexes of a store by name, from its attributes, the columns of its node types, and its edge types.

    Entries of the attributes that cannot be an index are passed over.
    """
    listed = attributes.get(KEY)
    if not isinstance(listed, Mapping) or not listed:
        return {}
    types = list(edge_types)
    found = (_stored(name, fields, columns, types) for name, fields in listed.items())
    return {index.name: index for index in found if index is not None}


def _stored(
    name: Any, fields: Any, columns: Mapping[str, Container[str]], edge_types: list[EdgeType]
) -> StoredIndex | None:
    node_type = fields.get("node_type") if isinstance(fields, Mapping) else None
    if not isinstance(name, str) or not isinstance(node_type, str) or node_type not in columns:
        return None
    levels = {}
    for edge_type in edge_types:
        source, relation, target = edge_type
        level = relation.removeprefix(f"{name}_link")
        if source == target == node_type and level != relation and level.isascii() and level.isdecimal():
            levels[int(level)] = edge_type
    basis = f"{name}_code_basis"
    return StoredIndex(
        name,
        str(fields.get("kind", "")),
        str(fields.get("metric", "")),
        node_type,
        str(fields.get("column", "")),
        links=tuple(levels[level] for level in sorted(levels)),
        columns=tuple(f"{name}_{part}" for part in _COLUMNS if f"{name}_{part}" in columns[node_type]),
        basis=basis if basis in columns else None,
    )
