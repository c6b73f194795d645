"""Random walks: uniform, weighted, and second-order (node2vec) by rejection."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import check_store, chosen_edge_type
from ...graphlib.scalars import is_integer, is_number
from ..arguments import check_epoch, node_positions, room_for, threads_for, words_of
from ..neighbors.picks import checked_weight

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.store.store import GraphStore


_FEW_STEPS = 1 << 12  # microseconds


def random_walks(
    store: GraphStore,
    starts: ArrayLike,
    *,
    length: int = 40,
    p: float = 1.0,
    q: float = 1.0,
    seed: int = 0,
    epoch: int = 0,
    weighted: bool | None = None,
    edge_type: Any = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """Walk `length` edges from every start and return the nodes visited.

    Parameters
    ----------
    store : GraphStore
        Walks follow its out-edges (`store.csr(edge_type)`); source and destination type must be the same.
    starts : int array (num_walks,)
        Node positions in [0, num_nodes). A node named several times gets as many different walks.
    length : int >= 0, default 40
        Steps per walk.
    p, q : float > 0, default 1
        Return and in-out parameters of node2vec: from t over v, the unnormalised probability of x is its edge weight
        times 1/p when x = t, 1 when t has an edge to x, and 1/q otherwise. `p = q = 1` is a first-order walk.
    seed, epoch : int
        A walk is determined by (seed, epoch, start node, how often that node came before in `starts`).
    weighted : bool, optional
        Choose edges in proportion to their weight; by default exactly when the store has weights.
    edge_type : optional
        Which edges, in a store with several types.
    threads : int, optional
        All cores by default; the result does not depend on it.

    Returns
    -------
    int32 or int64 array (num_walks, length + 1)
        Row i starts with `starts[i]`; entries after a node without (positively weighted) out-edges are -1.

    Raises
    ------
    InvalidInput
        A start out of range, a negative length, p or q not positive, weights that are negative, or weights asked of a
        store that has none.

    Notes
    -----
    O(num_walks * length) expected time when `p = q = 1`; otherwise each step costs a few proposals and a binary search
    each, and no table per edge is built; a step that was refused 64 times (p or q far from 1) reads its row once, in
    O(degree), and draws from the exact probabilities. Weighted walks build alias tables of 12 bytes per adjacency entry
    first.

    References
    ----------
    A. Grover and J. Leskovec, "node2vec", KDD 2016, arXiv:1607.00653, section 3.2.
    K. Yang et al., "KnightKing", SOSP 2019, doi:10.1145/3341301.3359634 (rejection with the folded return edge).

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import random_walks
    >>> path = nearhop.GraphStore.from_edges(np.array([0, 1]), np.array([1, 2]), directed=True)
    >>> random_walks(path, [0, 1], length=3).tolist()
    [[0, 1, 2, -1], [1, 2, -1, -1]]
    """
    check_store(store)
    from ...graphlib.compute.jit import threads_in_use
    from . import walks_cpu

    if not is_integer(length) or length < 0:
        raise InvalidInput(f"length must be an integer >= 0 (steps per walk); got {length!r}")
    for name, value in (("p", p), ("q", q)):
        number = is_number(value)
        if not (number and math.isfinite(value) and value > 0):
            raise InvalidInput(f"{name} must be a positive finite number; got {value!r}")
    adjacency = store.csr(edge_type)
    if adjacency.num_rows != adjacency.num_cols:
        raise InvalidInput(
            f"a walk needs edges that lead back to the same node type, but {edge_type!r} goes from "
            f"{adjacency.num_rows} to {adjacency.num_cols} nodes"
        )
    nodes = node_positions("starts", starts, adjacency.num_rows)
    if weighted is None:
        weighted = adjacency.weight is not None
    if weighted:
        checked_weight(adjacency, edge_type)
    streams = np.empty(nodes.shape[0], np.int32)
    walks_cpu.occurrences(nodes, np.zeros(adjacency.num_rows, np.int32), streams)
    out = room_for("walks", nodes.shape[0], int(length) + 1, adjacency.indices.dtype)
    chosen = root_of(seed, Purpose.WALKS, *words_of(chosen_edge_type(store, edge_type)))
    with threads_in_use(threads_for(threads, nodes.shape[0])):
        tables = _alias_tables(adjacency, edge_type) if weighted else _NO_TABLES
        common = (nodes, streams, chosen, check_epoch(epoch), out)
        few = out.size <= _FEW_STEPS
        if p != 1 or q != 1:
            bias, trials = (bounded_bias(p), bounded_bias(q)), np.empty(nodes.shape[0], np.int64)
            walks_cpu.node2vec_walks(adjacency.indptr, adjacency.indices, tables, bias, *common, trials)
        elif weighted:
            (walks_cpu.weighted_walks.at_once if few else walks_cpu.weighted_walks)(
                adjacency.indptr, adjacency.indices, *tables[:2], *common
            )
        else:
            (walks_cpu.uniform_walks.at_once if few else walks_cpu.uniform_walks)(
                adjacency.indptr, adjacency.indices, *common
            )
    return out


def bounded_bias(value: float) -> float:
    """p or q within 1e-100..1e100, where products with any weights are finite; nobody can tell the walks apart."""
    return min(max(float(value), 1e-100), 1e100)


_NO_TABLES = (np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.float32))


def _alias_tables(adjacency: Adjacency, edge_type: Any) -> tuple[NDArray[Any], ...]:
    from ...graphlib.compute.alias_cpu import row_alias_tables

    weight = checked_weight(adjacency, edge_type)
    keep = np.empty(weight.shape[0], np.float32)
    alias = np.empty(weight.shape[0], np.int32)
    row_sum = np.empty(adjacency.num_rows, np.float64)
    row_alias_tables(adjacency.indptr, weight, keep, alias, row_sum)
    return keep, alias, row_sum, weight
