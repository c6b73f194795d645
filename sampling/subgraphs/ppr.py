"""Personalised PageRank: the nodes that matter most to a node, by local push."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import check_store
from ...graphlib.scalars import is_number
from ...graphlib.sparse.pairs import TopPairs
from ..arguments import check_count, node_positions, threads_for
from ..neighbors.picks import checked_weight

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...graphlib.store.store import GraphStore


class PPRNeighbors(TopPairs):
    """The nodes of highest personalised PageRank from each seed, best first.

    Attributes
    ----------
    nodes : int32 or int64 (num_seeds, top)
        -1 where fewer nodes have a score above zero.
    scores : float32 (num_seeds, top)
    counts : int32 (num_seeds,)
    """

    OF = "seeds"


def ppr_topk(
    store: GraphStore,
    seeds: ArrayLike,
    *,
    top: int = 32,
    alpha: float = 0.15,
    eps: float = 1e-4,
    direction: str = "out",
    weighted: bool = False,
    edge_type: Any = None,
    threads: int | None = None,
) -> PPRNeighbors:
    """The `top` nodes where a walk from each seed that stops with probability `alpha` per step most often ends.

    Parameters
    ----------
    store : GraphStore
    seeds : int array (num_seeds,)
    top : int >= 1, default 32
        The seed itself is usually among them.
    alpha : float in (0, 1), default 0.15
    eps : float > 0, default 1e-4
        What may remain at a node, per edge: scores are too small by at most eps * degree each (undirected graphs).
        Time grows with 1 / (alpha * eps) per seed, and not with the graph.
    direction : {"out", "in"}, default "out"
    weighted : bool, default False
        Follow edges in proportion to their weight.
    edge_type : optional
    threads : int, optional
        All cores by default; the result does not depend on it.

    Notes
    -----
    Walks that reach a node without edges end there. Equal scores are ordered by node. Memory 4 bytes per node of the
    store and thread.

    References
    ----------
    R. Andersen, F. Chung, K. Lang, "Local graph partitioning using PageRank vectors", FOCS 2006,
    doi:10.1109/FOCS.2006.44, section 3 (without laziness).

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.sampling import ppr_topk
    >>> path = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3])
    >>> ppr_topk(path, [0], top=3).nodes.tolist()
    [[1, 0, 2]]
    """
    check_store(store)
    from ...graphlib.compute.jit import threads_in_use
    from . import ppr_cpu

    for name, value, most in (("alpha", alpha, 1.0), ("eps", eps, np.inf)):
        if not is_number(value) or not 0 < value < most:
            raise InvalidInput(f"{name} must be a number above 0 and below {most:g}; got {value!r}")
    if direction not in ("in", "out"):
        raise InvalidInput(f'direction must be "in" or "out"; got {direction!r}')
    rows = store.csc(edge_type) if direction == "in" else store.csr(edge_type)
    if rows.num_rows != rows.num_cols:
        raise InvalidInput(f"edges {edge_type!r} join two node types; PageRank needs one")
    weight = checked_weight(rows, edge_type) if weighted else np.empty(0, np.float32)
    nodes = node_positions("seeds", seeds, rows.num_rows)
    width = check_count("top", top, 1)
    found = np.full((nodes.shape[0], width), -1, rows.indices.dtype)
    scores = np.zeros((nodes.shape[0], width), np.float32)
    counts = np.zeros(nodes.shape[0], np.int32)
    with threads_in_use(threads_for(threads, nodes.shape[0], 4)) as parts:
        mark = np.full((parts, rows.num_rows), -1, np.int32)
        ppr_cpu.push(rows.indptr, rows.indices, weight, nodes, float(alpha), float(eps), mark, found, scores, counts)
    return PPRNeighbors(found, scores, counts)
