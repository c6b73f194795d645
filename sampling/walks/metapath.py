"""Random walks along a metapath: a sequence of edge types, over and over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput, NotFound
from ...graphlib.given_store import check_store
from ...graphlib.store.adjacency import id_dtype
from ..arguments import check_count, check_epoch, node_positions, room_for, threads_for

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore

EdgeType = tuple[str, str, str]


def metapath_walks(
    store: GraphStore,
    starts: ArrayLike,
    *,
    metapath: Sequence[EdgeType],
    length: int | None = None,
    seed: int = 0,
    epoch: int = 0,
    threads: int | None = None,
) -> NDArray[Any]:
    """Walk from every start along the edge types of `metapath`, again from its first when it is at its end.

    Parameters
    ----------
    store : GraphStore
    starts : int array (num_walks,)
        Nodes of the type where the metapath begins. A node named several times gets as many different walks.
    metapath : sequence of edge types
        Each must begin where the one before ends. An edge type (a, r, b) is walked from a to b; write (b, "rev r", a)
        for the same edges from b to a.
    length : int >= 0, optional
        Steps per walk; by default once through the metapath. A longer walk needs a metapath that ends in the node type
        where it begins.
    seed, epoch : int
        A walk is determined by (seed, epoch, start node, how often that node came before in `starts`).
    threads : int, optional
        All cores by default; the result does not depend on it.

    Returns
    -------
    int32 or int64 array (num_walks, length + 1)
        Column i holds nodes of the type reached after i steps (`walk_node_types`); -1 after a node without a way on.

    Raises
    ------
    NotFound, InvalidInput
        An edge type that the store does not have; a metapath whose parts do not join; starts out of range.

    References
    ----------
    Y. Dong, N. Chawla, A. Swami, "metapath2vec", KDD 2017, doi:10.1145/3097983.3098036, eq. 3.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import metapath_walks
    >>> shop = nearhop.GraphStore.from_typed(
    ...     nodes={"user": 2, "item": 3}, edges={("user", "buys", "item"): (np.array([0, 1]), np.array([2, 0]))}
    ... )
    >>> there_and_back = [("user", "buys", "item"), ("item", "rev buys", "user")]
    >>> metapath_walks(shop, [0, 1], metapath=there_and_back).tolist()
    [[0, 2, 0], [1, 0, 1]]
    """
    check_store(store)
    from ...graphlib.compute.jit import threads_in_use
    from . import metapath_cpu
    from .walks_cpu import occurrences

    parts = [_rows(store, position, edge_type) for position, edge_type in enumerate(metapath)]
    types, epoch = walk_node_types(metapath), check_epoch(epoch)
    steps = len(parts) if length is None else check_count("length", length)
    if steps > len(parts) and types[0] != types[-1]:
        raise InvalidInput(
            f"length {steps} is more than the metapath's {len(parts)} steps, so it must end where it begins; "
            f"it goes from {types[0]!r} to {types[-1]!r}"
        )
    count = store.num_nodes_of(types[0])
    nodes = node_positions("starts", starts, count)
    streams = np.empty(nodes.shape[0], np.int32)
    occurrences(nodes, np.zeros(count, np.int32), streams)
    out = room_for("walks", nodes.shape[0], steps + 1, id_dtype(max(store.num_nodes_of(t) for t in types)))
    out[:, 0] = nodes
    chosen = root_of(seed, Purpose.METAPATHS, *map(list, metapath))
    counters = np.zeros(nodes.shape[0], np.int64)
    with threads_in_use(threads_for(threads, nodes.shape[0])):
        for step in range(steps):
            rows = parts[step % len(parts)]
            metapath_cpu.step_along(rows.indptr, rows.indices, streams, chosen, epoch, step, counters, out)
    return out


def walk_node_types(metapath: Sequence[EdgeType]) -> list[str]:
    """The node types a walk along `metapath` meets, the start's first.

    >>> walk_node_types([("user", "buys", "item"), ("item", "made by", "brand")])
    ['user', 'item', 'brand']
    """
    if len(metapath) == 0:
        raise InvalidInput("metapath is empty; give at least one edge type")
    for position in range(1, len(metapath)):
        if metapath[position][0] != metapath[position - 1][2]:
            raise InvalidInput(
                f"metapath[{position}] begins at {metapath[position][0]!r}, but metapath[{position - 1}] ends at "
                f"{metapath[position - 1][2]!r}"
            )
    return [metapath[0][0], *(edge_type[2] for edge_type in metapath)]


def _rows(store: GraphStore, position: int, edge_type: EdgeType) -> Any:
    known = (*store.edge_types, *store.link_types)
    if edge_type in known:
        return store.csr(edge_type)
    source, relation, target = edge_type
    original = (target, relation.removeprefix("rev "), source)
    if relation.startswith("rev ") and original in known:
        return store.csc(original)
    raise NotFound(f"metapath[{position}] is {edge_type!r}; the store has {', '.join(map(repr, known))}")
