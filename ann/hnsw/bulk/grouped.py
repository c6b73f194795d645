"""Links grouped by the node that they lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....graphlib.compute.grouping import places_of, runs_of

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
        owners, starts = runs_of(targets[order])
        return owners, starts, sources[order]
    firsts, order = places_of(targets, num_nodes)
    owners = np.flatnonzero(np.diff(firsts))
    return owners, np.append(firsts[owners], len(targets)), sources[order]
