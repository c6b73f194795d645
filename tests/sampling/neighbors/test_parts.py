"""Large samples drawn and numbered by several threads: the bits that one thread gives."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.sampling import NeighborSampler, TypedNeighborSampler
from nearhop.sampling.neighbors import batch, numbers, parts, picks
from nearhop.sampling.scratch import Scratch


def numbered_by_hand(known, targets):
    """Numbers in order of first visit, and the list of nodes."""
    place = {node: at for at, node in enumerate(known)}
    return [place.setdefault(node, len(place)) for node in targets], list(place)


@pytest.fixture
def in_parts(monkeypatch):
    """Numbering and draws shared by so many threads, however small the sample."""

    def share(threads, piece=3):
        monkeypatch.setattr(parts, "threads_now", lambda: threads)
        monkeypatch.setattr(parts, "LEAST", 1)
        monkeypatch.setattr(parts, "_PIECE", piece)
        for module in (parts, numbers, picks, batch):
            monkeypatch.setattr(module, "AT_ONCE", 4)

    return share


@settings(deadline=None, max_examples=60)
@given(data=st.data(), threads=st.integers(2, 9), piece=st.integers(1, 20))
def test_numbers_are_those_of_first_visit(data, threads, piece):
    total = data.draw(st.integers(1, 30))
    rounds = data.draw(st.lists(st.lists(st.integers(0, total - 1), min_size=1, max_size=60), min_size=1, max_size=4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "threads_now", lambda: threads)
        patch.setattr(parts, "_PIECE", piece)
        scratch = Scratch(total)
        for _ in range(2):  # marks of the batch before are stale in every thread's
            known, count = [], 0
            nodes = np.full(total + 60, -9, np.int64)
            for targets in rounds:
                entries = np.array(targets, np.int32), np.arange(100, 100 + len(targets))
                far, edges = np.empty(len(targets), np.int32), np.empty(len(targets), np.int64)
                picked = np.arange(len(targets))[::-1].copy()
                count = parts.number_in_parts(scratch, entries, picked, nodes, count, far, edges)
                expected, known = numbered_by_hand(known, targets[::-1])
                assert far.tolist() == expected
                assert nodes[:count].tolist() == known
                assert edges.tolist() == (100 + picked).tolist()
                assert (scratch.mark[known] - scratch.base).tolist() == list(range(count))
            scratch.forget(count)


def test_marks_of_all_threads_are_cleared_before_they_overflow():
    scratch = Scratch(4)
    scratch.other_marks(2)[:] = 2**31 - 1
    scratch.base = 2**31 - 6
    scratch.forget(3)
    assert scratch.base == 1
    assert (scratch.other_marks(2) == 0).all()
    assert (scratch.mark == 0).all()


STORE = np.random.default_rng(5)
SRC, DST = STORE.integers(0, 300, 4000), STORE.integers(0, 300, 4000) ** 2 % 300
WEIGHT = np.where(STORE.random(4000) < 0.4, 0, STORE.random(4000)).astype(np.float32)


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
    store = GraphStore.from_edges(SRC, DST, weight=WEIGHT, num_nodes=300, directed=True)
    seeds = np.random.default_rng(0).permutation(300)[:120]
    alone = NeighborSampler(store, [5, 4, 40], seed=3, threads=1, **options)
    shared = NeighborSampler(store, [5, 4, 40], seed=3, **options)
    for sampler in (alone, shared):
        if sampler._hops is not None:
            monkeypatch.setattr(sampler._hops, "is_long", lambda count: True)
    expected = [alone.sample(seeds, epoch) for epoch in (0, 1)]
    in_parts(threads)
    spread = []

    def cut(turns, total, *, few):  # parts of any size, in any order
        cuts = np.unique([0, total, *np.random.default_rng(total).integers(0, total + 1, 5)])
        spans = list(pairwise(cuts))
        spread.append(len(spans))
        for first, last in reversed(spans):
            turns(int(first), int(last), 0)

    for module in (numbers, picks, batch, parts):
        monkeypatch.setattr(module, "spread", cut)
    for epoch, wanted in enumerate(expected):
        found = shared.sample(seeds, epoch)
        for name in ("nodes", "row", "col", "edge_ids", "seed_index"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        assert found.num_sampled_edges == wanted.num_sampled_edges
        assert found.num_sampled_nodes == wanted.num_sampled_nodes
    assert max(spread) > 2


def test_typed_samples_are_the_same_on_several_threads(in_parts):
    a, b = ("u", "a", "u"), ("u", "b", "v")
    edges = {a: (SRC, DST), b: (SRC, DST % 100)}
    store = GraphStore.from_typed({"u": 300, "v": 100}, edges)
    given_fanouts = {a: [5, 4], b: [3, 2]}
    expected = TypedNeighborSampler(store, given_fanouts, direction="out", threads=1).sample({"u": np.arange(90)})
    in_parts(2)
    found = TypedNeighborSampler(store, given_fanouts, direction="out").sample({"u": np.arange(90)})
    for kind in ("u", "v"):
        np.testing.assert_array_equal(found.nodes[kind], expected.nodes[kind])
    for kind in (a, b):
        np.testing.assert_array_equal(found.row[kind], expected.row[kind])
        np.testing.assert_array_equal(found.col[kind], expected.col[kind])
        np.testing.assert_array_equal(found.edge_ids[kind], expected.edge_ids[kind])


def test_a_sample_is_numbered_by_parts_where_it_is_large(monkeypatch):
    """With the real bounds: some 700,000 picks."""
    met = []
    plain = parts.number_in_parts
    monkeypatch.setattr(parts, "number_in_parts", lambda *given: met.append(given[2].shape[0]) or plain(*given))
    rng = np.random.default_rng(1)
    ends = rng.integers(0, 60_000, (2, 2_200_000))
    store = GraphStore.from_edges(*ends, directed=True)
    seeds = np.arange(60_000)
    shared = NeighborSampler(store, [12, 12], seed=1, threads=2)
    alone = NeighborSampler(store, [12, 12], seed=1, threads=1)
    one = alone.sample(seeds)
    assert not met
    two = shared.sample(seeds)
    np.testing.assert_array_equal(one.nodes, two.nodes)
    np.testing.assert_array_equal(one.row, two.row)
    np.testing.assert_array_equal(one.edge_ids, two.edge_ids)
    if parts.threads_now() > 1:
        assert met
