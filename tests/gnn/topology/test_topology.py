"""Topological concentration: equal to its definition, approximated by projections, and what follows from it."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore, datasets
from nearhop.embed.evaluation import split_edges
from nearhop.gnn.topology import (
    approximate_concentration,
    rank_correlation,
    topological_concentration,
    topology_report,
)
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.reference.concentration import concentration
from nearhop.tests.support import data_file, data_folder, examples


@examples(50)
@given(
    n=st.integers(2, 14),
    m=st.integers(0, 40),
    hops=st.sampled_from((1, 2, 3)),
    beta=st.sampled_from((0.0, 0.3, 1.0)),
    compat=st.booleans(),
    own=st.booleans(),
    seed=st.integers(0, 999),
)
def test_equals_the_definition(n, m, hops, beta, compat, own, seed):
    rng = np.random.default_rng(seed)
    edges, pairs = rng.integers(0, n, (2, m)), rng.integers(0, n, (2, 12))
    store = GraphStore.from_edges(*edges, num_nodes=n)
    found = topological_concentration(store, None if own else tuple(pairs), hops=hops, beta=beta, compat=compat)
    expected = concentration(n, edges.T.tolist(), None if own else pairs.T.tolist(), hops, beta, compat)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_one_hop_is_the_clustering_coefficient():
    graph = nx.barabasi_albert_graph(100, 4, seed=1)
    store = GraphStore.from_edges(*np.array(graph.edges).T, num_nodes=100)
    np.testing.assert_allclose(topological_concentration(store), [nx.clustering(graph)[v] for v in range(100)])


def test_threads_do_not_matter():
    store = GraphStore.from_edges(*np.random.default_rng(0).integers(0, 500, (2, 5000)))
    one, two = (topological_concentration(store, hops=2, threads=t) for t in (1, 2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_projection_keeps_inner_products(similarity):
    store = GraphStore.from_edges(*np.random.default_rng(0).integers(0, 30, (2, 150)), num_nodes=30)
    A = nx.to_numpy_array(nx.Graph(np.array(store.edge_list().src).tolist() and [
        (int(a), int(b)) for a, b in zip(store.edge_list().src, store.edge_list().dst, strict=True) if a != b
    ]), nodelist=range(30))  # fmt: skip
    P = A / np.maximum(A.sum(axis=1, keepdims=True), 1)
    M = 2.0 * P + P @ P
    inner = M @ M.T
    if similarity == "cosine":
        inner /= np.sqrt(np.outer(np.diag(inner), np.diag(inner)))
    expected = [inner[i][A[i] > 0].mean() for i in range(30)]
    found = approximate_concentration(store, hops=2, dim=20_000, weights=(2.0, 1.0), similarity=similarity)
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_report_and_correlations():
    rng = np.random.default_rng(0)
    block = rng.integers(0, 15, (2, 400)) + 15 * rng.integers(0, 4, 400)
    split = split_edges(GraphStore.from_edges(*block, num_nodes=60))
    report = topology_report(split)
    assert report.train.shape == (60,)
    assert 0 <= report.falling <= 1
    assert report.gap == pytest.approx(report.means["train"] - report.means["test"])
    found = report.correlations({"same": report.test})["same"]
    assert found["tc_test"] == pytest.approx(1.0)
    assert set(found) == {"tc_train", "tc_val", "tc_test", "degree"}


def test_rank_correlation_equals_scipy():
    a, b = np.random.default_rng(0).integers(0, 9, (2, 50)).astype(float)
    assert rank_correlation(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    assert np.isnan(rank_correlation([1, 1], [1, 2]))
    with pytest.raises(InvalidInput, match="one length"):
        rank_correlation([1], [1, 2])


def test_approximation_ranks_nodes_of_cora():
    data_file("planetoid/ind.cora.graph")
    split = split_edges(datasets.load("cora", data_folder()), seed=0)
    links = tuple(split.test)
    exact = topological_concentration(split.train, links)
    assert rank_correlation(exact, approximate_concentration(split.train, links)) > 0.8


STORE = GraphStore.from_edges([0, 1], [1, 2])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: topological_concentration(STORE, hops=4), "hops must be 1, 2 or 3"),
        (lambda: topological_concentration(STORE, beta=-1), "beta must be a number >= 0"),
        (lambda: topological_concentration(STORE, ([0], [5])), "outside 0..2"),
        (lambda: approximate_concentration(STORE, similarity="l2"), '"cosine" or "dot"'),
        (lambda: approximate_concentration(STORE, hops=2, weights=(1.0,)), "one number per hop, 2"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InvalidInput, match=words):
        call()
