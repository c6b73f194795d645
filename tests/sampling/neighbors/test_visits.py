"""Counted visits agree with the batches, and choose the rows that batches read."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import GraphStore
from nearhop.sampling import NeighborSampler, count_visits


@pytest.mark.parametrize("disjoint", [False, True])
def test_visits_are_batches_that_reach_a_node(disjoint):
    rng = np.random.default_rng(0)
    src, dst = (rng.random(20_000) ** 3 * 2000).astype(int), rng.integers(0, 2000, 20_000)
    store = GraphStore.from_edges(src, dst, num_nodes=2001, directed=True)
    sampler = NeighborSampler(store, [3, 2], disjoint=disjoint, seed=4)
    batches = np.split(rng.permutation(2000)[:400], 40)
    expected = np.zeros(2001, np.int64)
    for batch in batches:
        expected[list(set(sampler.sample(batch, epoch=-1).nodes.tolist()))] += 1
    visits = count_visits(store, sampler, batches)
    assert visits.tolist() == expected.tolist()
    assert visits[2000] == 0
    hot = np.argsort(-visits)[:200]
    read = np.concatenate([np.unique(sampler.sample(batch, epoch=0).nodes) for batch in batches])
    assert np.isin(read, hot).mean() > 3 * 200 / 2000
