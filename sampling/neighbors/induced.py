"""All edges between nodes that a sampler has numbered, instead of those it followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ..scratch import ResultMemory, Scratch


def induced_edges(
    rows: Adjacency, nodes: NDArray[np.int64], far: Scratch, work: Scratch, memory: ResultMemory
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Near ends, far ends and ids of the edges from rows of `nodes`, numbered in order, to nodes marked in `far`."""
    from . import neighbor_cpu

    none = np.empty(0, np.int64)
    where = (rows.indptr, rows.indices, nodes, far.mark, far.base)
    total = neighbor_cpu.induced_edges(*where, True, none, none, none)
    near_ends, far_ends, edges = memory.arrays((total, np.int64), (total, np.int64), (total, rows.edge_ids.dtype))
    positions = work.array("positions", total)
    neighbor_cpu.induced_edges(*where, False, positions, far_ends, near_ends)
    neighbor_cpu.gather(rows.edge_ids, positions, edges)
    return near_ends, far_ends, edges
