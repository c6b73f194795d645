"""Large samples, drawn by several threads and numbered by one of them at a time: the bits that one thread gives."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.graphlib.compute import relay
from nearhop.sampling import NeighborSampler, TypedNeighborSampler
from nearhop.sampling.neighbors import batch, hops, numbers, picks, wide
from nearhop.sampling.scratch import Scratch
from nearhop.tests.support import examples


@pytest.fixture
def in_parts(monkeypatch):
    """Draws and numbers shared by so many threads, however small the sample."""

    def share(threads):
        for module in (relay, numbers):
            monkeypatch.setattr(module, "threads_now", lambda: threads)
        for module in (numbers, picks, batch):
            monkeypatch.setattr(module, "AT_ONCE", 64)
        monkeypatch.setattr(wide, "_PIECE", 500)

    return share


@examples(60)
@given(data=st.data(), threads=st.integers(1, 9), size=st.integers(1, 20))
def test_numbers_are_those_of_first_visit(data, threads, size):
    total = data.draw(st.integers(1, 30))
    rounds = data.draw(st.lists(st.lists(st.integers(0, total - 1), min_size=1, max_size=60), min_size=1, max_size=4))
    with pytest.MonkeyPatch.context() as patch:
        for module in (relay, numbers):
            patch.setattr(module, "threads_now", lambda: threads)
        patch.setattr(numbers, "AT_ONCE", size)
        scratch = Scratch(total)
        for _ in range(2):  # marks of the batch before are stale
            known: dict[int, int] = {}
            entered = numbers.Numbers(scratch, total, disjoint=False)
            for targets in rounds:
                entries = np.array(targets, np.int32), np.arange(100, 100 + len(targets))
                far, edges = np.empty(len(targets), np.int32), np.empty(len(targets), np.int64)
                picked = np.arange(len(targets))[::-1].copy()
                entered.enter(*entries, picked, picked, picked, far, edges)
                assert far.tolist() == [known.setdefault(node, len(known)) for node in targets[::-1]]
                assert entered.nodes().tolist() == list(known)
                assert edges.tolist() == (100 + picked).tolist()
            entered.forget()


STORE = np.random.default_rng(5)
SRC, DST = STORE.integers(0, 3000, 12_000), STORE.integers(0, 3000, 12_000) ** 2 % 3000
WEIGHT = np.where(STORE.random(12_000) < 0.4, 0, STORE.random(12_000)).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"replace": True},
        {"weighted": True},
        {"weighted": True, "replace": True},
        {"method": "labor"},
        {"method": "labor", "weighted": True},
        {"disjoint": True},
        {"induced": True},
    ],
    ids=lambda options: "-".join(map(str, options)) or "plain",
)
@pytest.mark.parametrize("threads", [2, 3])
def test_a_large_sample_is_the_same_on_any_number_of_threads(in_parts, monkeypatch, options, threads):
    store = GraphStore.from_edges(SRC, DST, weight=WEIGHT, num_nodes=3000, directed=True)
    seeds = np.random.default_rng(0).permutation(3000)[:2500]  # more than two blocks of rows
    alone = NeighborSampler(store, [5, 4, 40], seed=3, threads=1, **options)
    shared = NeighborSampler(store, [5, 4, 40], seed=3, **options)
    for sampler in (alone, shared):
        if sampler._hops is not None:
            monkeypatch.setattr(sampler._hops, "is_wide", lambda count: True)
    expected = [alone.sample(seeds, epoch) for epoch in (0, 1)]
    in_parts(threads)
    spread, relayed = [], []
    plain = relay.relay

    def counted(count, *steps):
        relayed.append(count)
        plain(count, *steps)

    def cut(turns, total, *, few):  # parts of any size, in any order
        cuts = np.unique([0, total, *np.random.default_rng(total).integers(0, total + 1, 9)])
        spans = list(pairwise(cuts))
        spread.append(len(spans))
        for first, last in reversed(spans):
            turns(int(first), int(last), 0)

    for module in (numbers, picks, batch, wide):
        monkeypatch.setattr(module, "spread", cut)
    for module in (numbers, wide):
        monkeypatch.setattr(module, "relay", counted)
    for epoch, wanted in enumerate(expected):
        found = shared.sample(seeds, epoch)
        for name in ("nodes", "row", "col", "edge_ids", "seed_index"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        assert found.num_sampled_edges == wanted.num_sampled_edges
        assert found.num_sampled_nodes == wanted.num_sampled_nodes
    assert max(spread) > 1
    assert ("disjoint" in options) == (not relayed)
    assert max(relayed, default=3) > 2


def test_typed_samples_are_the_same_on_several_threads(in_parts):
    a, b = ("u", "a", "u"), ("u", "b", "v")
    edges = {a: (SRC, DST), b: (SRC, DST % 100)}
    store = GraphStore.from_typed({"u": 3000, "v": 100}, edges)
    given_fanouts = {a: [5, 4], b: [3, 2]}
    expected = TypedNeighborSampler(store, given_fanouts, direction="out", threads=1).sample({"u": np.arange(900)})
    in_parts(2)
    found = TypedNeighborSampler(store, given_fanouts, direction="out").sample({"u": np.arange(900)})
    for kind in ("u", "v"):
        np.testing.assert_array_equal(found.nodes[kind], expected.nodes[kind])
    for kind in (a, b):
        np.testing.assert_array_equal(found.row[kind], expected.row[kind])
        np.testing.assert_array_equal(found.col[kind], expected.col[kind])
        np.testing.assert_array_equal(found.edge_ids[kind], expected.edge_ids[kind])


def test_a_large_sample_is_shared(monkeypatch):
    monkeypatch.setattr(hops, "_LONG", 1 << 19)
    met = []
    plain = relay.relay
    monkeypatch.setattr(wide, "relay", lambda count, *steps: met.append(count) or plain(count, *steps))
    rng = np.random.default_rng(1)
    ends = rng.integers(0, 60_000, (2, 2_200_000))
    store = GraphStore.from_edges(*ends, directed=True)
    seeds = np.arange(60_000)
    samplers = [NeighborSampler(store, [12, 12], seed=1, threads=threads) for threads in (1, 2)]
    one, two = (sampler.sample(seeds) for sampler in samplers)
    assert max(met) > 4
    for name in ("nodes", "row", "col", "edge_ids", "seed_index"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_large_sample_leaves_no_large_memory_to_a_smaller_one(monkeypatch):
    monkeypatch.setattr(hops, "_LONG", -1)
    store = GraphStore.from_edges(SRC, DST, num_nodes=3000, directed=True)
    sampler = NeighborSampler(store, [5, 5], threads=1)
    large, small = sampler.sample(np.arange(3000)), sampler.sample(np.arange(20))
    assert large.num_edges > 20 * small.num_edges
    assert small.row.base.nbytes < large.row.base.nbytes / 4
    np.testing.assert_array_equal(small.row, NeighborSampler(store, [5, 5], threads=1).sample(np.arange(20)).row)
