"""Detection through other libraries."""

from __future__ import annotations

import numpy as np

from nearhop import GraphStore
from nearhop.communities import detect
from nearhop.tests.support import needs


@needs("sknetwork")
def test_one_seed_gives_one_partition():
    """scikit-network's Leiden gives another one on every call unless the C library's generator is seeded."""
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(rng.integers(0, 40, 200), rng.integers(0, 40, 200), num_nodes=40)
    found = {tuple(detect(store, library="sknetwork", seed=3).labels.tolist()) for _ in range(40)}
    assert len(found) == 1
