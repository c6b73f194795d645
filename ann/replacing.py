"""A changed index as the next version of the store it lies in: what else the store holds stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.store.store import GraphStore

_NODE, _UPPER, _BASIS = "node", "upper", "code_basis"
_COLOR = "color"  # of an index of colours, whose nodes are its points


def replace_saved(
    index: Any,
    store: GraphStore,
    attributes: dict[str, NDArray[Any]] | None = None,
    of_colors: dict[str, NDArray[Any]] | None = None,
) -> None:
    """Put a changed index in place of the one that `save` laid out in a store; `commit` makes it a version.

    Parameters
    ----------
    index : Exact, HNSW, IVFFlat, NeuralLSH or CANN
        Not necessarily the one that `opening.from_saved(store)` gave, but of the same rows, changed.
    store : GraphStore
        The store that holds it. Other node types, edge types, their columns and the store's attributes are kept.
    attributes : dict of arrays, optional
        The further columns of the rows (of an index of colours: of the points), as they are now; those that the store
        has are dropped.
    of_colors : dict of arrays, optional
        The same of colours.

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
    for name, values in (of_colors or {}).items():
        made.nodes(_COLOR)[name] = values
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
    for node_type in (_NODE, _COLOR):
        if node_type not in made.node_types:
            continue
        meant = sorted(edge_type for edge_type in edge_types if node_type in (edge_type[0], edge_type[2]))
        if not meant:
            continue
        before, after = _identities(store, node_type), _identities(made, node_type)
        what = "colour" if node_type == _COLOR else "vector"
        for edge_type in meant:
            edges = store.edge_list(edge_type)
            sides = (edge_type[0], edges.src), (edge_type[2], edges.dst)
            ends = [part for name, part in sides if name == node_type]
            for row in np.unique(np.concatenate(ends)).tolist():
                gone = row >= len(after)
                if gone or (after[row] is not None and after[row] != before[row]):
                    raise InvalidInput(
                        f"edges {edge_type!r} of the store join {'colour' if node_type == _COLOR else 'row'} {row}, "
                        f"which this change would {'drop' if gone else f'give to another {what}'}; write the changed "
                        "index elsewhere with --out"
                    )


def _identities(store: GraphStore, node_type: str) -> list[Any]:
    """The id of every row, None for deleted ones; a point is known by its colour and its number there."""
    if node_type == _NODE and _COLOR in store.node_types:
        colors = np.asarray(store.nodes(_NODE)["color"])
        order = np.argsort(colors, kind="stable")
        first = np.searchsorted(colors[order], colors[order])
        number = np.empty(len(colors), np.int64)
        number[order] = np.arange(len(colors)) - first
        names = _identities(store, _COLOR)
        return [(names[c], n) for c, n in zip(colors.tolist(), number.tolist(), strict=True)]
    ids = store.ids(node_type)
    named: list[Any] = list(range(store.num_nodes_of(node_type))) if ids is None else ids.tolist()
    if "dead" in store.nodes(node_type):
        for row in np.flatnonzero(store.nodes(node_type)["dead"]).tolist():
            named[row] = None
    return named
