"""All hops in one call give what the hops one by one give, however much memory earlier batches left."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import GraphStore
from nearhop.sampling import NeighborSampler
from nearhop.sampling.neighbors import batch, hops, induced, numbers, picks, wide

FIELDS = ("nodes", "row", "col", "edge_ids", "seed_index")
BATCHES = ([], [7], [7, 7, 0], range(0, 900, 3), [899], range(500), [3, 1], [], range(100))


def uneven_store():
    """900 nodes; a few hubs, many nodes without edges."""
    rng = np.random.default_rng(5)
    ends = (rng.random((2, 9000)) ** 3 * 900).astype(np.int64)
    return GraphStore.from_edges(*ends, num_nodes=900, directed=True)


def assert_same(got, expected):
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(got, field), getattr(expected, field), err_msg=field)
        assert getattr(got, field).dtype == getattr(expected, field).dtype
    assert got.num_sampled_nodes == expected.num_sampled_nodes
    assert got.num_sampled_edges == expected.num_sampled_edges


@pytest.mark.parametrize("fanouts", [[15, 10, 5], [-1, 3], [2, -1], [0, 4], [], [40]], ids=str)
@pytest.mark.parametrize(
    "options", [{}, {"replace": True}, {"direction": "out"}, {"induced": True}], ids=lambda o: "".join(o) or "plain"
)
def test_one_call_equals_hops_one_by_one(fanouts, options):
    store = uneven_store()
    together, apart = (NeighborSampler(store, fanouts, seed=4, **options) for _ in range(2))
    apart._hops = None
    for epoch in range(2):
        for seeds in BATCHES:
            given = np.array(seeds, np.int64)
            assert_same(together.sample(given, epoch=epoch), apart.sample(given, epoch=epoch))


@pytest.mark.parametrize("fanouts", [[10, 10], [-1, 4], [3, 3, 3]], ids=str)
def test_batches_of_any_size_in_any_order(fanouts):
    store, rng = uneven_store(), np.random.default_rng(1)
    together, apart = (NeighborSampler(store, fanouts, seed=4) for _ in range(2))
    apart._hops = None
    for _ in range(300):
        seeds = rng.integers(0, 900, rng.integers(0, 60))
        assert_same(together.sample(seeds), apart.sample(seeds))


def test_a_hop_may_be_one_node_wider_than_any_before():
    """Hub k has k in-neighbours with two of their own; `tall` has one, with so many that edges always find room."""
    hubs = np.repeat(np.arange(60), np.arange(60))
    rim = np.arange(60, 60 + hubs.shape[0])
    far = np.arange(2 * rim.shape[0]) + rim[-1] + 1
    tall = far[-1] + 1
    sources = np.concatenate([rim, far, [tall + 1], far[:1000]])
    targets = np.concatenate([hubs, np.repeat(rim, 2), [tall], np.full(1000, tall + 1)])
    sampler = NeighborSampler(GraphStore.from_edges(sources, targets, directed=True), [-1, -1])
    for hub in range(60):
        assert sampler.sample([tall]).num_sampled_edges == (1, 1000)
        sample = sampler.sample([hub])
        assert sample.num_sampled_nodes == (1, hub, 2 * hub)
        ends = np.concatenate([np.zeros(hub), np.repeat(np.arange(1, hub + 1), 2)])
        np.testing.assert_array_equal(sample.col, ends)


def test_results_that_are_held_keep_their_values_while_memory_grows():
    sampler = NeighborSampler(uneven_store(), [15, 10, 5], seed=4)
    fresh = NeighborSampler(uneven_store(), [15, 10, 5], seed=4)
    held = [sampler.sample(np.arange(size)) for size in (2, 3, 40, 60, 500, 3, 63)]
    for sample in held:
        assert_same(sample, fresh.sample(np.arange(sample.seed_index.shape[0])))


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_batches_do_not_depend_on_threads(threads):
    sampler = NeighborSampler(uneven_store(), [10, 10], seed=4, threads=threads)
    batches = np.random.default_rng(0).integers(0, 900, (24, 50))
    for seeds, sample in zip(batches, sampler.sample_batches(batches, epoch=3), strict=True):
        assert_same(sample, NeighborSampler(uneven_store(), [10, 10], seed=4).sample(seeds, epoch=3))


def test_one_large_batch_does_not_burden_later_ones_for_ever():
    """A hub's neighbourhood is large; what is set aside for batches of one seed shrinks again."""
    star = GraphStore.from_edges(np.arange(1, 40_001), np.zeros(40_000, np.int64), directed=True)
    sampler = NeighborSampler(star, [-1])
    assert sampler.sample([0]).num_edges == 40_000
    sizes = []
    for _ in range(80):
        sample = sampler.sample([5])
        sizes.append(sample.row.base.nbytes)
    assert sample.num_edges == 0
    assert sizes[0] > 320_000
    assert sizes[-1] < 100_000


@pytest.mark.parametrize("options", [{}, {"replace": True}, {"direction": "out"}, {"induced": True}])
def test_large_samples_are_drawn_in_pieces_and_are_the_same(options, monkeypatch):
    """So that Ctrl-C is obeyed between the pieces of a sample that takes seconds."""
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(rng.integers(0, 3000, 40_000), rng.integers(0, 3000, 40_000), num_nodes=3000)
    sampler = NeighborSampler(store, [12, 40, -1], seed=3, **options)
    seeds = rng.integers(0, 3000, 700)
    whole = sampler.sample(seeds, epoch=2)
    for module in (batch, induced, numbers, picks):
        monkeypatch.setattr(module, "AT_ONCE", 37)
    monkeypatch.setattr(wide, "_PIECE", 500)
    monkeypatch.setattr(hops, "_LONG", -1)
    for _ in range(2):  # into memory of its own, and into what that left
        assert_same(sampler.sample(seeds, epoch=2), whole)


@pytest.mark.parametrize("options", [{"weighted": True}, {"weighted": True, "replace": True}, {"method": "labor"}])
def test_pieces_do_not_change_other_draws(options, monkeypatch):
    rng = np.random.default_rng(1)
    weight = rng.random(40_000, np.float32) * (rng.random(40_000) < 0.9)
    ends = rng.integers(0, 3000, (2, 40_000))
    store = GraphStore.from_edges(*ends, num_nodes=3000, weight=weight.astype(np.float32))
    seeds = rng.integers(0, 3000, 700)
    for disjoint in (False, True):
        sampler = NeighborSampler(store, [3, 5], seed=3, disjoint=disjoint, **options)
        whole = sampler.sample(seeds)
        with monkeypatch.context() as patch:
            for module in (batch, induced, numbers, picks):
                patch.setattr(module, "AT_ONCE", 37)
            again = sampler.sample(seeds)
        for name in ("nodes", "row", "col", "edge_ids"):
            np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


def test_which_samples_are_large():
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(*rng.integers(0, 3000, (2, 400_000)), num_nodes=3000)
    assert not NeighborSampler(store, [10, 10])._hops.is_wide(1 << 40)  # the graph has no more edges
    drawn_again = NeighborSampler(store, [10, 10], replace=True)._hops
    assert drawn_again.is_wide(1 + hops._LONG // 110)
    assert not drawn_again.is_wide(hops._LONG // 110)
    assert hops._most_picks(store.csc(), (1000, -1)) == 1000 + 1000 * (store.csc().num_entries // 3000 + 1)
