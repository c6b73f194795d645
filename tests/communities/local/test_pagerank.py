"""Approximate personalised PageRank: error bound against a dense solve, conservation, locality, refused input."""

from __future__ import annotations

import numpy as np
import pytest

import nearhop
from nearhop.communities.local.pagerank import approximate_pagerank
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.reference import local_clustering as reference


def graph(n=60, seed=0, weighted=False):
    rng = np.random.default_rng(seed)
    src = np.r_[np.arange(n - 1), rng.integers(n, size=3 * n)]
    dst = np.r_[np.arange(1, n), rng.integers(n, size=3 * n)]
    src, dst = src[src != dst], dst[src != dst]
    weight = rng.uniform(0.5, 2, len(src)).astype(np.float32) if weighted else None
    return src, dst, weight


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rho", [1e-2, 1e-4, 1e-7])
def test_error_is_within_the_bound(weighted, rho):
    src, dst, weight = graph(weighted=weighted)
    store = nearhop.GraphStore.from_edges(src, dst, weight=weight)
    A = reference.dense_weights(60, src, dst, weight)
    degree = A.sum(axis=1)
    restart = np.zeros(60)
    restart[[3, 40]] = 0.5
    exact = reference.pagerank(A, restart, 0.2) / degree
    found = approximate_pagerank(store, [3, 40], alpha=0.2, rho=rho)
    value = np.zeros(60)
    value[found.nodes] = found.values
    # For every node 0 <= exact - value <= rho: a residual of rho times degree walks to as much.
    assert (value <= exact + 1e-12).all()
    assert (exact - value <= rho + 1e-12).all()
    assert found.excess <= rho
    assert found.converged
    assert found.visited_edges <= len(src) * 2 * found.pushes


def test_labels_reweight_the_walk():
    src, dst, _ = graph(seed=2)
    store = nearhop.GraphStore.from_edges(src, dst)
    labels = (np.arange(60) < 30).astype(int)
    A = reference.dense_weights(60, src, dst, labels=labels, epsilon=0.1)
    restart = np.eye(60)[5]
    exact = reference.pagerank(A, restart, 0.15)
    found = approximate_pagerank(store, 5, rho=1e-10, labels=labels, epsilon=0.1)
    value = np.zeros(60)
    value[found.nodes] = found.values
    assert np.allclose(value * A.sum(axis=1), exact, atol=1e-6)


def test_finds_the_clique_and_touches_no_more_on_a_larger_graph():
    counters = []
    for count in (20, 2000):
        i, j = np.triu_indices(12, 1)
        base = np.arange(count)[:, None] * 12
        src, dst = np.r_[(base + i).ravel(), base[:, 0]], np.r_[(base + j).ravel(), (base[:, 0] + 18) % (12 * count)]
        found = approximate_pagerank(nearhop.GraphStore.from_edges(src, dst), 5, rho=1e-4)
        assert sorted(found.sweep_nodes.tolist()) == list(range(12))
        assert found.visited_edges <= 1 / (0.15 * 1e-4)
        counters.append((found.touched_nodes, found.touched_edges, found.pushes))
    assert counters[0] == counters[1]


def test_same_call_same_bits():
    src, dst, _ = graph(seed=4)
    store = nearhop.GraphStore.from_edges(src, dst)
    first, second = (approximate_pagerank(store, 1, rho=1e-5) for _ in range(2))
    assert np.array_equal(first.nodes, second.nodes)
    assert np.array_equal(first.values, second.values)


def test_refused_input():
    store = nearhop.GraphStore.from_edges([0, 1], [1, 2], num_nodes=4)
    for change, message in (
        ({"seeds": 8}, "nodes are 0..3"),
        ({"attributes": [[0.0]] + [[np.inf]] * 3}, "attributes must be finite; row 1 is"),
        ({"seeds": 3}, "isolated"),
        ({"alpha": 0}, "alpha"),
        ({"alpha": 1.0}, "alpha"),
        ({"rho": 2}, "rho"),
        ({"seeds": 1, "rho": 0.6}, "too large"),
        ({"labels": [1]}, "one per node"),
        ({"labels": [1, 0, 0, 0], "epsilon": 2}, "epsilon"),
    ):
        with pytest.raises(InvalidInput, match=message):
            approximate_pagerank(store, **{"seeds": 0, **change})
