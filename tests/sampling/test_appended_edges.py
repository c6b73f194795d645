"""What was made from a store's edges says so when there are more of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nearhop import GraphStore, sampling
from nearhop.graphlib.errors import InvalidInput

MADE: dict[str, Callable[[GraphStore], Any]] = {
    "NeighborSampler": lambda store: sampling.NeighborSampler(store, [-1]),
    "TypedNeighborSampler": lambda store: sampling.TypedNeighborSampler(store, [-1]),
    "NegativeSampler": sampling.NegativeSampler,
    "LayerSampler": lambda store: sampling.LayerSampler(store, [2]),
    "NodeSets": lambda store: sampling.NodeSets(store, 2),
    "InducedSubgraphs": sampling.InducedSubgraphs,
    "NodeLoader": lambda store: sampling.NodeLoader(store, [2]),
    "LinkLoader": lambda store: sampling.LinkLoader(store, [2]),
}
ASKED: dict[str, Callable[[Any], Any]] = {
    "TypedNeighborSampler": lambda made: made.sample({"node": [3]}),
    "InducedSubgraphs": lambda made: made.take([0, 3]),
    "NodeLoader": list,
    "LinkLoader": list,
}


@pytest.mark.parametrize("name", MADE)
def test_edges_that_were_appended_are_not_left_out_without_a_word(name: str) -> None:
    store = GraphStore.from_edges([0, 1], [1, 2], num_nodes=4, directed=True)
    store.nodes["x"] = np.eye(4, dtype=np.float32)
    made, ask = MADE[name](store), ASKED.get(name, lambda made: made.sample([3]))
    ask(made)
    store.append_edges([0, 2], [3, 1])
    with pytest.raises(InvalidInput, match="made from 2 edges, and the store has 4 now; make it anew"):
        ask(made)
    ask(MADE[name](store))
