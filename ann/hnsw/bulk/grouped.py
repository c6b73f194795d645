"""Links grouped by the node that they lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MANY = 8  # a link for so many nodes: counting the nodes' links costs less than sorting


def by_target(
    sources: NDArray[np.int64], targets: NDArray[np.int64], num_nodes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Nodes that links lead to, rising; where the sources of each begin; sources by target, else as they were.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.ann.hnsw.bulk.grouped import by_target
    >>> [part.tolist() for part in by_target(np.array([4, 5, 6]), np.array([2, 0, 2]), 7)]
    [[0, 2], [0, 1, 3], [5, 4, 6]]
    """
    if len(targets) * _MANY < num_nodes:
        order = np.argsort(targets, kind="stable")
        targets, sources = targets[order], sources[order]
        starts = np.flatnonzero(np.concatenate([[True], targets[1:] != targets[:-1]]))
        return targets[starts], np.append(starts, len(targets)), sources
    from ....graphlib.compute.sorting_cpu import order_by_count

    firsts, order = np.zeros(num_nodes + 1, np.int64), np.empty(len(targets), np.int64)
    order_by_count(targets, firsts, order)
    owners = np.flatnonzero(firsts[1:] > firsts[:-1])
    return owners, np.append(firsts[owners], len(targets)), sources[order]
