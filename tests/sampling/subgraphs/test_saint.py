"""GraphSAINT: draws follow their distributions, and the normalisers undo them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput
from nearhop.sampling import SaintSampler
from nearhop.tests.reference.walks import dense


def random_store(seed=0, n=30, m=100, **options):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n, m), rng.integers(0, n, m)
    return GraphStore.from_edges(src, dst, num_nodes=n, **options)


def count_single_draws(store, method, rounds=6000):
    """What subgraphs of budget 1 hold: nodes, or the one edge's ends."""
    sampler = SaintSampler(store, method, budget=1, length=0, seed=2)
    return [tuple(sampler.sample(i).nodes.tolist()) for i in range(rounds)]


def test_single_draws_follow_their_distributions():
    n, src, dst = 6, np.array([0, 0, 0, 1, 2, 4]), np.array([1, 2, 3, 2, 4, 5])
    store = GraphStore.from_edges(src, dst, num_nodes=n)
    matrix = dense(n, src, dst, directed=False)
    degree = matrix.sum(axis=1)
    by_node = ((matrix / degree[:, None]) ** 2).sum(axis=0)
    drawn = np.bincount([nodes[0] for nodes in count_single_draws(store, "node")], minlength=n)
    assert chisquare(drawn, drawn.sum() * by_node / by_node.sum()).pvalue > 1e-4
    by_edge = 1 / degree[src] + 1 / degree[dst]
    pairs = count_single_draws(store, "edge")
    drawn = np.array([pairs.count(ends) for ends in zip(src.tolist(), dst.tolist(), strict=True)])
    assert drawn.sum() == len(pairs)
    assert chisquare(drawn, drawn.sum() * by_edge / by_edge.sum()).pvalue > 1e-4
    roots = np.bincount([nodes[0] for nodes in count_single_draws(store, "walk")], minlength=n)
    assert chisquare(roots).pvalue > 1e-4


@pytest.mark.parametrize("method", ["node", "edge", "walk"])
@pytest.mark.parametrize("directed", [True, False])
def test_subgraphs_are_induced_and_numbered(method, directed):
    store = random_store(directed=directed)
    edges = store.edge_list()
    sampler = SaintSampler(store, method, budget=8, seed=1)
    part = sampler.sample(3)
    inside = np.isin(edges.src, part.nodes) & np.isin(edges.dst, part.nodes)
    assert np.unique(part.edge_ids).tolist() == np.flatnonzero(inside).tolist()
    sampler.sample(7)
    assert sampler.sample(3).nodes.tolist() == part.nodes.tolist()
    assert SaintSampler(store, method, budget=8, seed=1).sample(3).nodes.tolist() == part.nodes.tolist()
    for other in (sampler.sample(4), sampler.sample(3, epoch=1), SaintSampler(store, method, budget=8).sample(3)):
        assert other.nodes.tolist() != part.nodes.tolist()


@pytest.mark.parametrize("method", ["node", "edge", "walk"])
def test_normalisers_make_sums_unbiased(method):
    """The weighted mean over a subgraph's nodes estimates the mean over all, and so for messages at a node."""
    store = random_store(m=150, directed=True)
    sampler = SaintSampler(store, method, budget=6, seed=3)
    norms = sampler.normalizers(2000)
    value = np.random.default_rng(1).random(30)
    estimates, messages, met = [], np.zeros(30), np.zeros(30)
    for i in range(2000):
        part = sampler.sample(i)
        estimates.append((norms.node[part.nodes] * value[part.nodes]).sum())
        np.add.at(messages, part.nodes[part.col], norms.edge[part.edge_ids] * value[part.nodes[part.row]])
        met[part.nodes] += 1
    reachable = met > 0
    assert np.mean(estimates) == pytest.approx(value[reachable].sum() / 30, rel=0.05)
    edges = store.edge_list()
    exact = np.bincount(edges.dst, value[edges.src], 30)
    often = met > 200  # the rest are too noisy to compare
    assert often.sum() > 5
    assert np.median(np.abs(messages[often] / met[often] / exact[often] - 1)) < 0.15


def test_bad_input_is_named():
    store = random_store()
    with pytest.raises(InvalidInput, match='method must be "node", "edge" or "walk"'):
        SaintSampler(store, "forest", budget=3)
    with pytest.raises(InvalidInput, match="budget must be an integer >= 1"):
        SaintSampler(store, "node", budget=0)
    with pytest.raises(InvalidInput, match="index must be an integer >= 0"):
        SaintSampler(store, "node", budget=1).sample(-1)
    with pytest.raises(InvalidInput, match="samples must be an integer >= 1"):
        SaintSampler(store, "node", budget=1).normalizers(0)
    with pytest.raises(InvalidInput, match="mass zero"):
        SaintSampler(GraphStore.from_edges([], [], num_nodes=3), "node", budget=1)
