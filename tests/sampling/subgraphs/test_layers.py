"""Layer-wise samples: sizes, weights, distributions, and that estimates are unbiased."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput
from nearhop.sampling import LayerSampler

N = 40


@pytest.fixture(scope="module")
def store():
    rng = np.random.default_rng(3)
    src, dst = np.unique(rng.integers(0, N, (400, 2)), axis=0).T
    return GraphStore.from_edges(src, dst, num_nodes=N + 1, directed=True, weight=rng.random(src.shape[0]) + 0.1)


def shares(store, weighted):
    """The matrix of in-edges, rows summing to one."""
    edges = store.edge_list()
    matrix = np.zeros((N + 1, N + 1))
    np.add.at(matrix, (edges.dst, edges.src), edges.weight if weighted else 1.0)
    return matrix / np.maximum(matrix.sum(1, keepdims=True), 1e-30)


@pytest.mark.parametrize("method", ["ladies", "fastgcn"])
def test_layers_have_their_sizes_and_every_edge_between(store, method):
    sampler = LayerSampler(store, [5, 7], method=method, seed=1)
    seeds = [3, N, 17, 3]
    sample = sampler.sample(seeds)
    assert sample.num_sampled_nodes == (3, 5, 7)
    assert sample.nodes[sample.seed_index].tolist() == seeds
    assert np.unique(sample.nodes).shape[0] == 15
    edges = store.edge_list()
    assert np.array_equal(edges.src[sample.edge_ids], sample.nodes[sample.row])
    assert np.array_equal(edges.dst[sample.edge_ids], sample.nodes[sample.col])
    start = 0
    for known, reached, count in zip((3, 8), (8, 15), sample.num_sampled_edges, strict=True):
        inside = np.isin(edges.dst, sample.nodes[:known]) & np.isin(edges.src, sample.nodes[:reached])
        assert np.sort(sample.edge_ids[start : start + count]).tolist() == np.flatnonzero(inside).tolist()
        into = np.bincount(sample.col[start : start + count], sample.weight[start : start + count])
        assert into[into > 0] == pytest.approx(1.0, rel=1e-5)
        start += count


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["ladies", "fastgcn"])
def test_estimates_are_unbiased(store, method, weighted):
    matrix = shares(store, weighted)
    values = np.random.default_rng(0).random(N + 1) + 1
    seeds = np.array([1, 5, 9])
    sampler = LayerSampler(store, [6], method=method, normalize=False, weighted=weighted, seed=4)
    found = np.zeros((3000, 3))
    for epoch in range(found.shape[0]):
        sample = sampler.sample(seeds, epoch)
        found[epoch] = np.bincount(sample.col, sample.weight * values[sample.nodes[sample.row]], minlength=3)[:3]
    expected = matrix[seeds] @ values
    error = found.std(0) / np.sqrt(found.shape[0])
    assert (np.abs(found.mean(0) - expected) < 4 * error).all()
    assert (error > 0).all()


@pytest.mark.parametrize("method", ["ladies", "fastgcn"])
def test_single_draws_follow_the_squared_shares(store, method):
    matrix = shares(store, False)
    seeds = np.array([2, 8])
    mass = (matrix[seeds] if method == "ladies" else matrix).__pow__(2).sum(0)
    mass[seeds] = 0
    mass[matrix[seeds].sum(0) == 0] = 0
    counts = np.zeros(N + 1)
    sampler = LayerSampler(store, [1], method=method, seed=2)
    rounds = 4000
    for epoch in range(rounds):
        counts[sampler.sample(seeds, epoch).nodes[2:]] += 1
    assert counts[mass == 0].sum() == 0
    assert chisquare(counts[mass > 0], rounds * mass[mass > 0] / mass.sum()).pvalue > 1e-4


def test_nothing_depends_on_the_order_of_the_seeds(store):
    sampler = LayerSampler(store, [4, 4], seed=6)
    one, two = sampler.sample([1, 2, 3]), sampler.sample([3, 1, 2, 1])
    assert set(one.nodes.tolist()) == set(two.nodes.tolist())
    assert sorted(one.edge_ids.tolist()) == sorted(two.edge_ids.tolist())
    assert set(sampler.sample([1, 2, 3], epoch=1).nodes.tolist()) != set(one.nodes.tolist())


def test_few_candidates_isolated_and_no_seeds(store):
    chain = GraphStore.from_edges([1, 2], [0, 1], directed=True)
    sample = LayerSampler(chain, [9, 9]).sample([0])
    assert sample.nodes.tolist() == [0, 1, 2]
    assert sample.weight.tolist() == [1.0] * 3  # the edge from 1 to 0 is there in both layers
    assert LayerSampler(store, [3]).sample([N]).num_edges == 0
    assert LayerSampler(store, [3]).sample([]).num_sampled_nodes == (0, 0)
    assert LayerSampler(store, []).sample([4]).num_sampled_nodes == (1,)


def test_bad_input_is_named(store):
    with pytest.raises(InvalidInput, match=r"sizes\[1\] must be an integer >= 1; got 0"):
        LayerSampler(store, [3, 0])
    with pytest.raises(InvalidInput, match="method must be"):
        LayerSampler(store, [3], method="gcn")
    with pytest.raises(InvalidInput, match=r"seeds\[1\] is 41, but nodes are 0..40"):
        LayerSampler(store, [3]).sample([0, 41])
    plain = GraphStore.from_edges([0], [1])
    with pytest.raises(InvalidInput, match="have no weight"):
        LayerSampler(plain, [3], weighted=True)
    two = GraphStore.from_typed({"a": 1, "b": 2}, {("a", "r", "b"): ([0], [1])})
    with pytest.raises(InvalidInput, match="join two node types"):
        LayerSampler(two, [3])
