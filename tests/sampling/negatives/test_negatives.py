"""Negatives: never an edge, the distribution that was asked for, and independence of threads and batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.sampling import NegativeSampler, historical_negatives, in_batch_negatives
from nearhop.tests.reference.walks import dense


def random_store(seed=0, n=30, m=200, **options):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n, m), rng.integers(0, n, m)
    store = GraphStore.from_edges(src, dst, num_nodes=n, **{"directed": True, **options})
    return store, dense(n, src, dst, directed=store.directed)


@given(
    n=st.integers(1, 6),
    edges=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40),
    corrupt=st.sampled_from(["dst", "src"]),
    directed=st.booleans(),
)
def test_no_negative_is_an_edge(n, edges, corrupt, directed):
    pairs = np.array([e for e in edges if max(e) < n], np.int64).reshape(-1, 2)
    store = GraphStore.from_edges(pairs[:, 0], pairs[:, 1], num_nodes=n, directed=directed)
    linked = dense(n, pairs[:, 0], pairs[:, 1], directed=directed) > 0
    if corrupt == "src":
        linked = linked.T
    drawn = NegativeSampler(store, corrupt=corrupt).sample(np.arange(n), 8)
    for node, row in enumerate(drawn):
        free = set(np.flatnonzero(~linked[node]).tolist()) - {node}
        assert set(row.tolist()) <= free if free else (row == -1).all()


@pytest.mark.parametrize("reject", [True, False])
def test_uniform_negatives_are_uniform(reject):
    store, linked = random_store()
    sampler = NegativeSampler(store, reject_edges=reject, reject_self=reject, seed=4)
    for node in (0, 7, 19):
        counts = np.bincount(sampler.sample([node], 30_000)[0], minlength=30)
        possible = linked[node] == 0 if reject else np.ones(30, bool)
        possible[node] &= not reject
        assert counts[~possible].sum() == 0
        assert chisquare(counts[possible]).pvalue > 1e-4


def test_negatives_by_degree():
    store, _ = random_store(m=60)
    sampler = NegativeSampler(store, power=0.75, reject_edges=False, reject_self=False, seed=1)
    counts = np.bincount(sampler.sample([0], 60_000)[0], minlength=30)
    mass = store.csc().degrees() ** 0.75
    assert counts[mass == 0].sum() == 0
    assert chisquare(counts[mass > 0], 60_000 * mass[mass > 0] / mass.sum()).pvalue > 1e-4


def test_negatives_by_mass_and_pairs_by_key():
    path = GraphStore.from_edges([0, 1, 2], [1, 2, 3])
    mass = np.array([0.0, 1.0, 2.0, 3.0])
    drawn = NegativeSampler(path, mass=mass, reject_edges=False, seed=3).sample([0], 6000)
    counts = np.bincount(drawn[0], minlength=4)
    assert counts[0] == 0
    assert chisquare(counts[1:], 6000 * mass[1:] / 6).pvalue > 1e-4
    sampler = NegativeSampler(path)
    near, far = sampler.sample_pairs(5, keys=[7, 7, 2, 3, 4])
    again = sampler.sample_pairs(2, keys=[3, 7])
    assert (near[0], far[0]) == (near[1], far[1]) == (again[0][1], again[1][1])
    assert (near[3], far[3]) == (again[0][0], again[1][0])
    with pytest.raises(InvalidInput, match="give power= or mass=, not both"):
        NegativeSampler(path, power=0.5, mass=mass)
    with pytest.raises(InvalidInput, match=r"mass\[2\] is -1.0; it must be finite and >= 0"):
        NegativeSampler(path, mass=[0, 1, -1, 0])
    with pytest.raises(InvalidInput, match=r"keys must have shape \(2,\)"):
        sampler.sample_pairs(2, keys=[1])
    with pytest.raises(InvalidType, match="dst must hold integer node positions; got dtype float64"):
        in_batch_negatives([0.5, 1.5])


def test_a_node_linked_to_nearly_all_still_gets_what_is_left():
    n = 2000
    linked = np.setdiff1d(np.arange(n), [0, 17, 901])
    store = GraphStore.from_edges(np.zeros(len(linked), int), linked, num_nodes=n, directed=True)
    drawn = NegativeSampler(store, seed=2).sample([0], 4000)[0]
    assert set(drawn.tolist()) == {17, 901}
    assert chisquare(np.bincount(drawn)[[17, 901]]).pvalue > 1e-4


def test_pairs_are_uniform_over_what_is_not_linked():
    store, linked = random_store(n=8, m=25)
    src, dst = NegativeSampler(store, seed=3).sample_pairs(40_000)
    counts = np.zeros((8, 8))
    np.add.at(counts, (src, dst), 1)
    free = (linked == 0) & ~np.eye(8, dtype=bool)
    assert counts[~free].sum() == 0
    assert chisquare(counts[free]).pvalue > 1e-4


def test_two_node_types():
    edge_type = ("user", "buys", "item")
    store = GraphStore.from_typed(nodes={"user": 2, "item": 5}, edges={edge_type: ([0, 0, 1], [0, 1, 4])})
    assert set(NegativeSampler(store, edge_type=edge_type).sample([0], 99)[0].tolist()) == {2, 3, 4}
    assert NegativeSampler(store, edge_type=edge_type, corrupt="src").sample([4, 0], 3).tolist() == [[0] * 3, [1] * 3]


def test_in_batch_negatives():
    dst, src = np.array([4, 5, 4, 6, 7]), np.array([0, 1, 2, 0, 3])
    drawn = in_batch_negatives(dst, 3000, src=src, seed=1)
    for i in range(5):
        free = np.flatnonzero((dst != dst[i]) & (src != src[i]))
        counts = np.bincount(drawn[i], minlength=5)
        assert counts.sum() == counts[free].sum()
        assert chisquare(counts[free]).pvalue > 1e-4
    assert (in_batch_negatives([3, 3], 2) == -1).all()
    assert in_batch_negatives([], 2).shape == (0, 2)


@given(
    events=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=40),
    now=st.integers(-1, 8),
    directed=st.booleans(),
)
def test_historical_negatives_come_from_the_past_and_not_from_now(events, now, directed):
    src, dst, time = np.array(events).T
    store = GraphStore.from_edges(src, dst, num_nodes=5, time=time, directed=directed)
    drawn = historical_negatives(store, np.arange(5), np.full(5, now), 6)
    for node in range(5):
        ends = [(dst[src == node], time[src == node])]
        if not directed:
            ends.append((src[dst == node], time[dst == node]))
        other, when = (np.concatenate(parts) for parts in zip(*ends, strict=True))
        free = set(other[when < now].tolist()) - set(other[when == now].tolist())
        assert set(drawn[node].tolist()) <= free if free else (drawn[node] == -1).all()


def test_historical_negatives_are_uniform_over_past_edges():
    store = GraphStore.from_edges([0] * 6, [1, 1, 2, 3, 4, 5], time=[1, 2, 3, 4, 5, 5], directed=True)
    counts = np.bincount(historical_negatives(store, [0], [5.0], 8000, seed=1)[0], minlength=6)
    assert chisquare(counts[1:4], 8000 * np.array([2, 1, 1]) / 4).pvalue > 1e-4
    assert counts[4:].sum() == 0


def test_nothing_depends_on_threads_order_or_batch():
    store, _ = random_store()
    nodes = np.tile(np.arange(30), 20)
    for options in ({}, {"power": 0.75}):
        one, two = (NegativeSampler(store, threads=threads, **options) for threads in (1, 2))
        whole = two.sample(nodes, 3)
        assert np.array_equal(whole, one.sample(nodes, 3))
        assert np.array_equal(whole[:30][::-1], one.sample(np.arange(30)[::-1], 3))
        assert not np.array_equal(whole, one.sample(nodes, 3, epoch=1))
        keys = np.arange(600) + 1000
        named = one.sample(nodes, 2, keys=keys)
        assert np.array_equal(named[200:300], one.sample(nodes[200:300], 2, keys=keys[200:300]))
        assert all(map(np.array_equal, one.sample_pairs(500), two.sample_pairs(500)))


def test_bad_input_is_named():
    store, _ = random_store()
    with pytest.raises(InvalidInput, match='corrupt must be "dst" or "src"'):
        NegativeSampler(store, corrupt="both")
    for power in (-1, float("nan"), "1"):
        with pytest.raises(InvalidInput, match="power must be a finite number >= 0"):
            NegativeSampler(store, power=power)
    with pytest.raises(InvalidInput, match=r"nodes\[1\] is 30, but nodes are 0..29"):
        NegativeSampler(store).sample([0, 30])
    with pytest.raises(InvalidInput, match="num must be an integer >= 0"):
        NegativeSampler(store).sample([0], -1)
    with pytest.raises(InvalidInput, match=r"keys must be integers of shape \(1,\)"):
        NegativeSampler(store).sample([0], keys=[1, 2])
    with pytest.raises(InvalidInput, match="need edge times"):
        historical_negatives(store, [0], [1])
    with pytest.raises(InvalidInput, match="equally long"):
        in_batch_negatives([1, 2], src=[1])
    whole = GraphStore.from_edges(*np.divmod(np.arange(9), 3), num_nodes=3, directed=True)
    with pytest.raises(InvalidInput, match="nearly all pairs are linked"):
        NegativeSampler(whole).sample_pairs(1)
    with pytest.raises(InvalidInput, match="mass zero"):
        NegativeSampler(GraphStore.from_edges([], [], num_nodes=3), power=1)
