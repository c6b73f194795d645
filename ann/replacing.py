"""A changed index as the next version of the store it lies in: what else the store holds stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.store.store import GraphStore

_NODE, _UPPER, _BASIS = "node", "upper", "code_basis"


def replace_saved(index: Any, store: GraphStore, attributes: dict[str, NDArray[Any]] | None = None) -> None:
    """Put a changed index in place of the one that `save` laid out in a store; `commit` makes it a version.

    Parameters
    ----------
    index : Exact, HNSW or IVFFlat
        Not necessarily the one that `opening.from_saved(store)` gave, but of the same rows, changed.
    store : GraphStore
        The store that holds it. Other node types, edge types, their columns and the store's attributes are kept.
    attributes : dict of arrays, optional
        The further columns of the rows, as they are now; those that the store has are dropped.

    Raises
    ------
    InvalidInput
        Edges of the store would join other rows than before, since the change moved or reused theirs.
    """
    made = index.as_store(**({"edges": True} if (_NODE, "link0", _NODE) in store.edge_types else {}))
    links = {edge_type for edge_type in store.edge_types if _is_link(edge_type)}
    _check_ends(store, made, {*store.edge_types, *store.link_types} - links)
    for name, values in (attributes or {}).items():
        made.nodes(_NODE)[name] = values
    for edge_type in links | set(made.edge_types):  # first without ends, for rows that are gone
        if edge_type in store.edge_types:
            store.add_edge_type(edge_type, [], [], exist_ok=True, positions=True)
    for node_type in {_UPPER, _BASIS} & set(store.node_types) - set(made.node_types):
        store._remove_nodes(node_type)
    for node_type in made.node_types:
        store._replace_nodes(node_type, made)
    for edge_type in made.edge_types:
        edges = made.edge_list(edge_type)
        store.add_edge_type(edge_type, edges.src, edges.dst, exist_ok=True, positions=True)
    store.attributes = {**store.attributes, **made.attributes}


def _is_link(edge_type: tuple[str, str, str]) -> bool:
    source, name, target = edge_type
    return source == target == _NODE and name.startswith("link") and name[4:].isdigit()


def _check_ends(store: GraphStore, made: GraphStore, edge_types: set[Any]) -> None:
    """Refuse a change after which an edge would join another row than before."""
    before, after = _identities(store), _identities(made)
    for edge_type in sorted(edge_types):
        edges = store.edge_list(edge_type)
        ends = [part for name, part in ((edge_type[0], edges.src), (edge_type[2], edges.dst)) if name == _NODE]
        for row in np.unique(np.concatenate(ends)).tolist() if ends else []:
            gone = row >= len(after)
            if gone or (after[row] is not None and after[row] != before[row]):
                raise InvalidInput(
                    f"edges {edge_type!r} of the store join row {row}, which this change would "
                    f"{'drop' if gone else 'give to another vector'}; write the changed index elsewhere with --out"
                )


def _identities(store: GraphStore) -> list[Any]:
    """The id of every row, None for deleted ones."""
    ids = store.ids(_NODE)
    named: list[Any] = list(range(store.num_nodes_of(_NODE))) if ids is None else ids.tolist()
    if "dead" in store.nodes(_NODE):
        for row in np.flatnonzero(store.nodes(_NODE)["dead"]).tolist():
            named[row] = None
    return named
