"""Metapath walks: types alternate as asked, steps are uniform, nothing depends on threads or order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput, NotFound
from nearhop.sampling import metapath_walks, walk_node_types
from nearhop.tests.reference.walks import dense

WROTE, IN = ("author", "wrote", "paper"), ("paper", "in", "venue")
BACK, HOLDS = ("paper", "rev wrote", "author"), ("venue", "rev in", "paper")
APVPA = [WROTE, IN, HOLDS, BACK]


def library(seed=0):
    rng = np.random.default_rng(seed)
    return GraphStore.from_typed(
        nodes={"author": 12, "paper": 20, "venue": 3},
        edges={
            WROTE: (rng.integers(0, 10, 50), rng.integers(0, 20, 50)),
            IN: (np.arange(20), rng.integers(0, 3, 20)),
        },
    )


def ends(store, edge_type):
    edges = store.edge_list(edge_type)
    return edges.src, edges.dst


def test_walks_follow_the_types():
    store = library()
    starts = np.tile(np.arange(12), 20)
    walks = metapath_walks(store, starts, metapath=APVPA, length=10)
    assert walk_node_types(APVPA) == ["author", "paper", "venue", "paper", "author"]
    written, published = dense(20, *ends(store, WROTE)) > 0, dense(20, *ends(store, IN)) > 0
    ways = [written, published, published.T, written.T]  # (from, to) by step
    for walk in walks:
        for step in range(10):
            here, there, way = int(walk[step]), int(walk[step + 1]), ways[step % 4]
            if there >= 0:
                assert way[here, there]
            else:
                assert here < 0 or not way[here].any()
    assert (walks[starts >= 10, 1:] == -1).all()
    assert (walks[starts < 10, :4] >= 0).all()


def test_steps_are_uniform_over_edges():
    store = library(seed=1)
    walks = metapath_walks(store, np.full(20_000, 4), metapath=[WROTE], seed=2)
    counts = np.bincount(walks[:, 1], minlength=20)
    written = np.bincount(store.csr(WROTE).neighbors(4), minlength=20)
    assert counts[written == 0].sum() == 0
    possible = written > 0
    assert chisquare(counts[possible], 20_000 * written[possible] / written.sum()).pvalue > 1e-5


def test_nothing_depends_on_threads_order_or_batch():
    store = library()
    starts = np.tile(np.arange(10), 30)
    options = {"metapath": APVPA, "length": 8, "seed": 3}
    whole = metapath_walks(store, starts, threads=2, **options)
    assert np.array_equal(whole, metapath_walks(store, starts, threads=1, **options))
    assert np.array_equal(whole[:10][::-1], metapath_walks(store, np.arange(10)[::-1], **options))
    assert np.array_equal(whole[:, :5], metapath_walks(store, starts, metapath=APVPA, seed=3))
    assert not np.array_equal(whole, metapath_walks(store, starts, epoch=1, **options))


def test_bad_input_is_named():
    store = library()
    with pytest.raises(InvalidInput, match=r"metapath\[1\] begins at 'venue', but metapath\[0\] ends at 'paper'"):
        metapath_walks(store, [0], metapath=[WROTE, HOLDS])
    with pytest.raises(NotFound, match=r"metapath\[0\] is \('author', 'likes', 'paper'\)"):
        metapath_walks(store, [0], metapath=[("author", "likes", "paper")])
    with pytest.raises(InvalidInput, match="must end where it begins"):
        metapath_walks(store, [0], metapath=[WROTE], length=2)
    with pytest.raises(InvalidInput, match="metapath is empty"):
        metapath_walks(store, [0], metapath=[])
    with pytest.raises(InvalidInput, match=r"starts\[0\] is 12"):
        metapath_walks(store, [12], metapath=[WROTE])
    with pytest.raises(InvalidInput, match="length must be an integer >= 0"):
        metapath_walks(store, [1], metapath=[WROTE], length=-2)
    assert metapath_walks(store, [], metapath=[WROTE]).shape == (0, 2)


def test_nodes_with_the_same_neighbours_walk_apart():
    store = GraphStore.from_typed(
        nodes={"author": 2, "paper": 1000},
        edges={WROTE: (np.repeat([0, 1], 1000), np.tile(np.arange(1000), 2))},
    )
    walks = metapath_walks(store, np.tile([0, 1], 50), metapath=[WROTE])
    assert np.mean(walks[::2, 1] == walks[1::2, 1]) < 0.1
