"""Random walks: transitions follow the definition, and nothing depends on threads or order."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.sampling import random_walks
from nearhop.sampling.walks import walks_cpu
from nearhop.tests.reference.walks import dense, node2vec_transition
from nearhop.tests.support import data_file


def karate_like(seed=0, n=12, m=40):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n, m), rng.integers(0, n, m)
    return src, dst, rng.integers(1, 6, m).astype(np.float32)


def fits(counts, probabilities):
    """A chi-square test that also demands that impossible outcomes never happened."""
    assert counts[probabilities == 0].sum() == 0
    possible = probabilities > 0
    if possible.sum() == 1:
        return True
    return (
        chisquare(counts[possible], counts.sum() * probabilities[possible]).pvalue > 1e-6
    )  # hundreds of rows are tested at once


@given(
    n=st.integers(1, 9),
    edges=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=25),
    directed=st.booleans(),
    p=st.sampled_from([1.0, 0.25, 4.0]),
    weighted=st.booleans(),
)
def test_walks_follow_edges_and_stop_only_at_sinks(n, edges, directed, p, weighted):
    pairs = np.array([e for e in edges if max(e) < n], np.int64).reshape(-1, 2)
    weight = np.ones(len(pairs), np.float32) if weighted else None
    store = GraphStore.from_edges(pairs[:, 0], pairs[:, 1], num_nodes=n, directed=directed, weight=weight)
    matrix = dense(n, pairs[:, 0], pairs[:, 1], directed=directed)
    walks = random_walks(store, np.arange(n), length=6, p=p)
    assert walks.shape == (n, 7)
    assert walks[:, 0].tolist() == list(range(n))
    for walk in walks:
        for here, there in pairwise(walk):
            if there >= 0:
                assert here >= 0
                assert matrix[here, there] > 0
            else:
                assert here < 0 or matrix[here].sum() == 0


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_first_step_distribution(directed, weighted):
    src, dst, weight = karate_like()
    weight = weight if weighted else None
    store = GraphStore.from_edges(src, dst, num_nodes=12, directed=directed, weight=weight)
    matrix = dense(12, src, dst, weight, directed)
    for start in range(12):
        steps = random_walks(store, np.full(20_000, start), length=1, seed=3)[:, 1]
        if matrix[start].sum() == 0:
            assert (steps == -1).all()
        else:
            assert fits(np.bincount(steps, minlength=12), matrix[start] / matrix[start].sum())


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("p", "q"), [(0.25, 4), (4, 0.25), (0.25, 0.25), (0.5, 1), (4, 2), (1, 0.5)])
def test_second_step_distribution(directed, weighted, p, q):
    src, dst, weight = karate_like(seed=1)
    weight = weight if weighted else None
    store = GraphStore.from_edges(src, dst, num_nodes=12, directed=directed, weight=weight)
    matrix = dense(12, src, dst, weight, directed)
    walks = random_walks(store, np.repeat(np.arange(12), 10_000), length=2, p=p, q=q, seed=7)
    tested = 0
    for previous, node in np.argwhere(matrix > 0):
        through = walks[(walks[:, 0] == previous) & (walks[:, 1] == node), 2]
        if matrix[node].sum() == 0:
            assert (through == -1).all()
        elif len(through) > 500:
            assert fits(np.bincount(through, minlength=12), node2vec_transition(matrix, previous, node, p, q))
            tested += 1
    assert tested > 10


def test_streams_do_not_depend_on_threads_order_or_neighbours_in_the_call():
    src, dst, weight = karate_like(n=12, m=60)
    store = GraphStore.from_edges(src, dst, num_nodes=12, weight=weight)
    starts = np.tile(np.arange(12), 30)
    for options in ({}, {"p": 0.25, "q": 4.0}, {"weighted": False}, {"weighted": False, "p": 2.0}):
        whole = random_walks(store, starts, threads=2, **options)
        assert np.array_equal(whole, random_walks(store, starts, threads=1, **options))
        assert np.array_equal(whole[:12], random_walks(store, np.arange(12), **options))
        backwards = random_walks(store, np.arange(12)[::-1], **options)
        assert np.array_equal(whole[:12], backwards[::-1])
        assert not np.array_equal(whole[:12], whole[12:24])
        assert not np.array_equal(whole, random_walks(store, starts, epoch=1, **options))
        assert not np.array_equal(whole, random_walks(store, starts, seed=1, **options))


def test_same_walks_with_four_threads():
    code = (
        "import numpy as np, zlib; from nearhop import GraphStore; from nearhop.sampling import random_walks\n"
        "rng = np.random.default_rng(0)\n"
        "s = GraphStore.from_edges(rng.integers(0, 99, 900), rng.integers(0, 99, 900))\n"
        "w = random_walks(s, np.arange(99), p=0.5, q=2.0, seed=5); print(w.dtype, zlib.crc32(w.tobytes()))"
    )
    seen = set()
    for threads in ("1", "2", "4"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1


def test_zero_weights_are_never_walked():
    store = GraphStore.from_edges(
        np.array([0, 0, 1, 2]), np.array([1, 2, 0, 0]), directed=True, weight=np.array([0.0, 3.0, 0.0, 1.0])
    )
    for options in ({}, {"p": 0.25, "q": 2.0}):
        walks = random_walks(store, np.array([0] * 50 + [1]), length=4, **options)
        assert (walks[:50] == [0, 2, 0, 2, 0]).all()
        assert walks[50].tolist() == [1, -1, -1, -1, -1]


def test_folded_return_edge_keeps_trials_low():
    """Published lead: 2.45 proposals per step on BlogCatalog at p = 1/4, q = 4 with the return edge folded out."""
    from nearhop import datasets

    data_file("embedding/blogcatalog.mat")
    rows = datasets.load("blogcatalog").csr()
    starts = np.arange(0, rows.num_rows, 8)
    out = np.empty((len(starts), 41), rows.indices.dtype)
    trials = np.empty(len(starts), np.int64)
    none = np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.float32)
    streams = np.zeros(len(starts), np.int32)
    walks_cpu.node2vec_walks(rows.indptr, rows.indices, none, (0.25, 4.0), starts, streams, 0, 0, out, trials)
    steps = (out[:, 1:] >= 0).sum()
    assert 1.0 <= trials.sum() / steps <= 2.6
    returns = (out[:, 2:] == out[:, :-2]).mean()
    assert returns == pytest.approx(0.074, abs=0.006)


def test_bad_input_is_named():
    store = GraphStore.from_edges(np.array([0, 1]), np.array([1, 2]), directed=True)
    with pytest.raises(InvalidInput, match=r"starts\[1\] is 3, but nodes are 0..2"):
        random_walks(store, [0, 3])
    with pytest.raises(InvalidInput, match=r"starts\[0\] is -1"):
        random_walks(store, [-1])
    with pytest.raises(InvalidType, match="float64"):
        random_walks(store, [0.5])
    with pytest.raises(InvalidInput, match="length must be an integer >= 0"):
        random_walks(store, [0], length=-1)
    for name in ("p", "q"):
        for value in (0.0, -1.0, float("nan"), float("inf"), "1"):
            with pytest.raises(InvalidInput, match=f"{name} must be a positive finite number"):
                random_walks(store, [0], **{name: value})
    with pytest.raises(InvalidInput, match="these edges have no weight"):
        random_walks(store, [0], weighted=True)
    bad = GraphStore.from_edges(np.array([0]), np.array([1]), weight=np.array([-1.0]))
    with pytest.raises(InvalidInput, match=r"edge 0 has weight -1\.0"):
        random_walks(bad, [0])
    assert random_walks(store, []).shape == (0, 41)
    assert random_walks(store, [2], length=0).tolist() == [[2]]


EXTREMES = [(1e6, 1.0), (1.0, 1e6), (1e9, 1e9), (1e300, 1e-300), (1e-9, 1e9), (1e9, 1e-9), (100.0, 3.0)]


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("p", "q"), EXTREMES)
def test_second_step_distribution_where_proposals_are_refused(weighted, p, q):
    """After the last trial a step is drawn from the row itself; the distribution is the definition's all the same."""
    src, dst, weight = karate_like(seed=1)
    src, dst = np.concatenate([src, np.zeros(11, int)]), np.concatenate([dst, np.arange(1, 12)])  # a hub as well
    weight = np.concatenate([weight, np.ones(11, np.float32)]) if weighted else None
    store = GraphStore.from_edges(src, dst, num_nodes=12, directed=False, weight=weight)
    matrix = dense(12, src, dst, weight, directed=False)
    walks = random_walks(store, np.repeat(np.arange(12), 5000), length=2, p=p, q=q, seed=7)
    tested = 0
    for previous, node in np.argwhere(matrix > 0):
        through = walks[(walks[:, 0] == previous) & (walks[:, 1] == node), 2]
        if len(through) > 300:
            exact = node2vec_transition(matrix, previous, node, min(p, 1e9), max(q, 1e-9))
            exact[exact < 1e-6] = 0
            assert fits(np.bincount(through, minlength=12), exact / exact.sum())
            tested += 1
    assert tested > 10


def test_the_exact_step_alone_follows_the_definition():
    src, dst, weight = karate_like(seed=2, m=60)
    rows = GraphStore.from_edges(src, dst, num_nodes=12, weight=weight).csr()
    u = (np.arange(2000) + 0.5) / 2000
    for values in (rows.weight, np.empty(0, np.float32)):
        matrix = dense(12, src, dst, weight if values.size else None, directed=False)
        for previous, node in np.argwhere(matrix > 0)[:20]:
            for p, q in ((4.0, 0.25), (0.5, 3.0)):
                steps = [
                    walks_cpu._exact_step(rows.indptr, rows.indices, values, node, previous, 1 / p, 1 / q, x) for x in u
                ]
                exact = node2vec_transition(matrix, previous, node, p, q)
                np.testing.assert_allclose(np.bincount(steps, minlength=12) / 2000, exact, atol=1.1 / 2000)


def test_no_walk_is_endless():
    star = GraphStore.from_edges(np.zeros(50, int), np.arange(1, 51))
    rows = star.csr()
    none = np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.float32)
    out, trials = np.empty((51, 11), rows.indices.dtype), np.empty(51, np.int64)
    streams = np.zeros(51, np.int32)
    walks_cpu.node2vec_walks(rows.indptr, rows.indices, none, (1e9, 1.0), np.arange(51), streams, 0, 0, out, trials)
    assert (out >= 0).all()
    assert trials.max() <= 10 * (walks_cpu.MOST_TRIALS + 1)
    back = out[:, 2:] == out[:, :-2]
    assert back[out[:, 1:-1] == 0].mean() == 0  # from the hub never back to the leaf
    assert back[out[:, 1:-1] > 0].all()  # from a leaf there is no other way
