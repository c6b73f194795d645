"""How often each node's features are read: the scores by which a table is split between GPU and host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.given_store import check_store

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from .neighbor import NeighborSampler


def count_visits(
    store: GraphStore, sampler: NeighborSampler, batches: Iterable[ArrayLike], *, epoch: int = -1
) -> NDArray[np.int64]:
    """In how many of `batches` each node is reached, without reading a feature.

    Parameters
    ----------
    store : GraphStore
    sampler : NeighborSampler
        The one that training uses.
    batches : iterable of int arrays
        Seeds of an epoch, or of a part of one.
    epoch : int, default -1
        One that training does not use, so that what is counted are not the very samples to come.

    Returns
    -------
    int64 array (num_nodes,), of the sampled type, for `UnifiedTensor(x, placement="split", hot=visits)`.

    Notes
    -----
    A sample per batch, on the sampler's threads; degrees (`store.csr().degrees()`) are the scores that cost nothing.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import NeighborSampler, count_visits
    >>> star = nearhop.GraphStore.from_edges(np.zeros(4, np.int64), np.arange(1, 5), directed=True)
    >>> count_visits(star, NeighborSampler(star, [1]), [[1, 2], [3]]).tolist()
    [2, 1, 1, 1, 0]
    """
    check_store(store)
    visits = np.zeros(store.num_nodes_of(sampler.edge_type[0]), np.int64)
    for sample in sampler.sample_batches(batches, epoch):
        nodes: Any = sample.nodes if sample.tree is None else np.unique(sample.nodes)
        visits[nodes] += 1
    return visits
