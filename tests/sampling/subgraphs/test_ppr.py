"""Personalised PageRank by push: agrees with the solved linear system within its bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput
from nearhop.sampling import ppr_topk
from nearhop.tests.reference.pagerank import personalised_pagerank
from nearhop.tests.reference.walks import dense


@given(
    n=st.integers(1, 9),
    edges=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 4)), max_size=30),
    directed=st.booleans(),
    weighted=st.booleans(),
    alpha=st.sampled_from([0.1, 0.5, 0.85]),
)
def test_scores_agree_with_the_linear_system(n, edges, directed, weighted, alpha):
    rows = np.array([e for e in edges if max(e[:2]) < n], np.int64).reshape(-1, 3)
    weight = rows[:, 2].astype(np.float32)
    store = GraphStore.from_edges(rows[:, 0], rows[:, 1], num_nodes=n, directed=directed, weight=weight)
    matrix = dense(n, rows[:, 0], rows[:, 1], weight if weighted else None, directed)
    found = ppr_topk(store, np.arange(n), top=n, alpha=alpha, eps=1e-9, weighted=weighted)
    for seed in range(n):
        exact = personalised_pagerank(matrix, seed, alpha)
        scores = np.zeros(n)
        count = found.counts[seed]
        scores[found.nodes[seed, :count]] = found.scores[seed, :count]
        assert np.allclose(scores, exact, atol=1e-6)
        assert (found.nodes[seed, count:] == -1).all()
        assert (np.diff(found.scores[seed]) <= 0).all()


def test_what_is_missing_keeps_within_the_bound():
    rng = np.random.default_rng(3)
    n, eps = 300, 1e-3
    src, dst = rng.integers(0, n, 1500), rng.integers(0, n, 1500)
    store = GraphStore.from_edges(src, dst, num_nodes=n)
    matrix = dense(n, src, dst, directed=False)
    found = ppr_topk(store, [0, 9], top=n, eps=eps)
    for row, seed in enumerate((0, 9)):
        exact = personalised_pagerank(matrix, seed, 0.15)
        scores = np.zeros(n)
        scores[found.nodes[row, : found.counts[row]]] = found.scores[row, : found.counts[row]]
        missing = exact - scores
        assert (missing > -1e-6).all()
        assert (missing <= eps * matrix.sum(axis=1) + 1e-6).all()
        assert missing.max() > 1e-5  # the bound is at work
        assert found.counts[row] > 20


def test_working_memory_grows_and_threads_do_not_matter():
    rng = np.random.default_rng(0)
    n = 4000
    store = GraphStore.from_edges(rng.integers(0, n, 12_000), rng.integers(0, n, 12_000), num_nodes=n)
    seeds = np.arange(0, n, 400)
    one, two = (ppr_topk(store, seeds, top=3000, eps=1e-6, threads=t) for t in (1, 2))
    assert one.counts.min() > 2048  # more nodes than the first working memory holds
    assert np.array_equal(one.nodes, two.nodes)
    assert np.array_equal(one.scores, two.scores)
    assert np.allclose(one.scores.sum(axis=1), 1, atol=0.1)
    assert np.array_equal(one.nodes[3:4], ppr_topk(store, seeds[3:4], top=3000, eps=1e-6).nodes)
    best = ppr_topk(store, seeds, top=10, eps=1e-6)
    assert np.array_equal(best.nodes, one.nodes[:, :10])


def test_bad_input_is_named():
    store = GraphStore.from_edges([0], [1])
    for name, value in (("alpha", 0.0), ("alpha", 1.0), ("alpha", float("nan")), ("eps", 0), ("eps", "1")):
        with pytest.raises(InvalidInput, match=f"{name} must be a number above 0"):
            ppr_topk(store, [0], **{name: value})
    with pytest.raises(InvalidInput, match="top must be an integer >= 1"):
        ppr_topk(store, [0], top=0)
    with pytest.raises(InvalidInput, match=r"seeds\[0\] is 2"):
        ppr_topk(store, [2])
    with pytest.raises(InvalidInput, match="have no weight"):
        ppr_topk(store, [0], weighted=True)
    assert ppr_topk(store, []).nodes.shape == (0, 32)
