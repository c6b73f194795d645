"""Every sampler draws by the epoch that is given, and refuses what is no epoch instead of cutting it down to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nearhop
from nearhop import sampling
from nearhop.graphlib.errors import InvalidInput, InvalidType

SIZE = 60
RNG = np.random.default_rng(0)
STORE = nearhop.GraphStore.from_edges(
    *RNG.integers(0, SIZE, (2, 600)), num_nodes=SIZE, time=np.arange(600), directed=True
)
EVERYONE = np.arange(SIZE)
EDGE = ("node", "edge", "node")
SAMPLERS: dict[str, Callable[[Any], Any]] = {
    "neighbors": lambda e: sampling.NeighborSampler(STORE, [2]).sample(EVERYONE, e).edge_ids,
    "batches": lambda e: next(iter(sampling.NeighborSampler(STORE, [2]).sample_batches([EVERYONE], e))).edge_ids,
    "typed": lambda e: sampling.TypedNeighborSampler(STORE, [2]).sample({"node": EVERYONE}, e).edge_ids[EDGE],
    "layers": lambda e: sampling.LayerSampler(STORE, [5]).sample(EVERYONE[:9], e).nodes,
    "node sets": lambda e: sampling.NodeSets(STORE, 5).sample(EVERYONE, epoch=e),
    "saint": lambda e: sampling.SaintSampler(STORE, "node", budget=9).sample(0, e).nodes,
    "shadow": lambda e: sampling.ShadowSampler(STORE, fanouts=[2]).sample(EVERYONE, e).nodes,
    "clusters": lambda e: next(sampling.cluster_batches(STORE, EVERYONE, per_batch=9, epoch=e)).nodes,
    "walks": lambda e: sampling.random_walks(STORE, EVERYONE, length=5, epoch=e),
    "temporal walks": lambda e: sampling.temporal_walks(STORE, EVERYONE, length=5, epoch=e).nodes,
    "metapaths": lambda e: sampling.metapath_walks(STORE, EVERYONE, metapath=[EDGE], length=5, epoch=e),
    "negatives": lambda e: sampling.NegativeSampler(STORE).sample(EVERYONE, 2, epoch=e),
    "pairs": lambda e: sampling.NegativeSampler(STORE).sample_pairs(SIZE, epoch=e)[1],
    "in batch": lambda e: sampling.in_batch_negatives(EVERYONE, 2, epoch=e),
    "history": lambda e: sampling.historical_negatives(STORE, EVERYONE, np.full(SIZE, 600), 3, epoch=e),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_epoch_is_an_integer(name: str) -> None:
    draw = SAMPLERS[name]
    for given in (1.5, "1", None, -2, True, 1 << 63):
        with pytest.raises(InvalidInput, match=r"epoch must be (an integer >= -1|at most)"):
            draw(given)


@pytest.mark.parametrize("name", SAMPLERS)
def test_epochs_draw_otherwise_and_of_one_number_alike(name: str) -> None:
    draw = SAMPLERS[name]
    one = draw(1)
    np.testing.assert_array_equal(one, draw(np.int32(1)))
    other = draw(2)
    assert one.shape != other.shape or (one != other).any()


def test_fanouts_are_a_list() -> None:
    for make in (sampling.NeighborSampler, sampling.TypedNeighborSampler):
        with pytest.raises(InvalidType, match="fanouts must be a list of one fanout per hop"):
            make(STORE, 5)


def test_a_loader_starts_at_an_epoch() -> None:
    loader = sampling.NodeLoader(STORE, sampling.NeighborSampler(STORE, [2]))
    loader.epoch = 1.5
    with pytest.raises(InvalidInput, match="epoch must be an integer"):
        next(iter(loader))
