"""Links by what they lead to, sorted or counted."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearhop.ann.hnsw.bulk.grouped import by_target


@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 9))
def test_groups_are_those_of_a_stable_sort(num_nodes, num_links, seed):
    rng = np.random.default_rng(seed)
    targets, sources = rng.integers(0, num_nodes, num_links), rng.integers(0, num_nodes, num_links)
    owners, starts, found = by_target(sources, targets, num_nodes)
    wanted = {int(owner): sources[targets == owner].tolist() for owner in np.unique(targets)}
    assert list(wanted) == owners.tolist()
    assert [part.tolist() for part in np.split(found, starts[1:-1])] == list(wanted.values())
    assert (starts[0], starts[-1]) == (0, num_links)
