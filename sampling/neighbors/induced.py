"""All edges between nodes that a sampler has numbered, instead of those it followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.threads import pieces
from .numbers import AT_ONCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ..scratch import ResultMemory, Scratch


def induced_edges(
    rows: Adjacency, nodes: NDArray[np.int64], far: Scratch, work: Scratch, memory: ResultMemory
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Near ends, far ends and ids of the edges from rows of `nodes`, numbered in order, to nodes marked in `far`."""
    from . import number_cpu
    from .between_cpu import entries_between

    none = np.empty(0, np.int64)
    where = (rows.indptr, rows.indices), nodes
    total = 0
    for a, b in pieces(nodes.shape[0], first=AT_ONCE):
        total = entries_between(*where, a, b, (far.mark, far.base), 0, total, (none, none, none))
    near_ends, far_ends, edges = memory.arrays((total, np.int64), (total, np.int64), (total, rows.edge_ids.dtype))
    positions = work.array("positions", total)
    found = 0
    for a, b in pieces(nodes.shape[0] if total else 0, first=AT_ONCE):
        found = entries_between(*where, a, b, (far.mark, far.base), 0, found, (positions, far_ends, near_ends))
    number_cpu.gather(rows.edge_ids, positions, edges)
    return near_ends, far_ends, edges
