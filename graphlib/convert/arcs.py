"""What all conversions share: arcs in, a store out, undirected where they come in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import kind_of
from ..errors import InvalidInput, InvalidType
from ..store.store import GraphStore

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Names:
    """The names that a conversion has given out, and what each stands for; a second owner of a name is refused."""

    def __init__(self, owner: str, taken: Mapping[str, str]) -> None:
        self._owner = owner
        self._taken = dict(taken)

    def take(self, name: str, what: str) -> None:
        if name in self._taken:
            raise InvalidInput(
                f"{self._owner}: {what} would replace {self._taken[name]}, since both are {name!r} there; keep the "
                "column under another name (assign it again, then delete this one)"
            )
        self._taken[name] = what


def check_graph(owner: str, graph: Any, whose: str, *has: str) -> None:
    """Refuse what is no graph of the library whose graphs a conversion reads."""
    if not all(hasattr(graph, name) for name in has):
        raise InvalidType(f"{owner} reads {whose}; got {kind_of(graph)}")


def store_of_arcs(
    src: NDArray[Any],
    dst: NDArray[Any],
    num_nodes: int,
    directed: bool | None,
    roles: dict[str, NDArray[Any]],
    columns: dict[str, NDArray[Any]],
    what: str,
) -> GraphStore:
    """A store of arcs of which both directions may be present; `roles` may hold "weight" and "time"."""
    half = undirected_half(src, dst, num_nodes, directed, [*roles.values(), *columns.values()], what)
    if half is not None:
        src, dst = src[half], dst[half]
        roles, columns = ({name: values[half] for name, values in each.items()} for each in (roles, columns))
    store = GraphStore.from_edges(src, dst, num_nodes=num_nodes, directed=half is None, **roles)
    for name, values in columns.items():
        store.edges[name] = values
    return store


def undirected_half(
    src: NDArray[Any],
    dst: NDArray[Any],
    num_nodes: int,
    directed: bool | None,
    values: Sequence[NDArray[Any]],
    what: str,
) -> NDArray[np.bool_] | None:
    """Which arcs to keep so that each undirected edge is there once, or None where the arcs are directed."""
    if directed is True:
        return None
    if _is_symmetric(src, dst, num_nodes, values):
        half: NDArray[np.bool_] = src <= dst
        return half
    if directed is False:
        raise InvalidInput(
            f"directed=False, but {what} does not hold every edge in both directions with equal values; leave "
            "directed out, or add the missing directions first"
        )
    return None


def _is_symmetric(src: NDArray[Any], dst: NDArray[Any], num_nodes: int, columns: Iterable[NDArray[Any]]) -> bool:
    """Whether every arc has its reverse, equally often and with the same values. O(arcs log arcs)."""
    there = src.astype(np.int64) * max(num_nodes, 1) + dst
    back = dst.astype(np.int64) * max(num_nodes, 1) + src
    one, other = np.argsort(there, kind="stable"), np.argsort(back, kind="stable")
    ordered = there[one]
    if not np.array_equal(ordered, back[other]):
        return False
    if (ordered[1:] == ordered[:-1]).any():  # parallel arcs may stand in another order in the other direction
        columns = [_ranks(values) for values in columns]
        one, other = np.lexsort((*columns, there)), np.lexsort((*columns, back))
    return all(np.array_equal(values[one], values[other], equal_nan=values.dtype.kind == "f") for values in columns)


def _ranks(values: NDArray[Any]) -> NDArray[Any]:
    """A number for every row, equal for equal rows."""
    if values.ndim == 1:
        return np.unique(values, return_inverse=True)[1]
    rows = values.reshape(values.shape[0], -1)
    ranks = np.zeros(rows.shape[0], np.int64)
    for column in rows.T:
        both = np.stack([ranks, _ranks(column)], axis=1)
        ranks = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
    return ranks


def check_one_type(store: GraphStore, what: str) -> None:
    if len(store.node_types) != 1 or len(store.edge_types) != 1:
        raise InvalidInput(f"{what} needs a store of one node type and one edge type; this has {store.edge_types}")
