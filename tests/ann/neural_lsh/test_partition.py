"""Balanced partitions: within their cap, near to the best cut that is known, and no worse than by `kahip`."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import nearhop
from nearhop.ann import balanced_partition
from nearhop.ann.neural_lsh.partition import Graph
from nearhop.graphlib.errors import InvalidInput
from nearhop.graphlib.sparse.csr import as_csr
from nearhop.tests.support import needs


def grid(side):
    at = np.arange(side * side).reshape(side, side)
    near = np.full((side * side, 4), -1)
    near[at[:, 1:], 0], near[at[:, :-1], 1] = at[:, :-1], at[:, 1:]
    near[at[1:], 2], near[at[:-1], 3] = at[:-1], at[1:]
    return Graph.of_neighbors(near)


def cut_of(graph, parts):
    """Half the weight of all arcs between parts, by NumPy."""
    rows = np.repeat(np.arange(len(parts)), np.diff(graph.indptr))
    return graph.weights[parts[rows] != parts[graph.indices]].sum() / 2


@pytest.mark.parametrize("parts", [2, 4, 7, 16])
def test_a_grid_is_cut_well_and_evenly(parts):
    graph = grid(40)
    found = balanced_partition(graph, parts, seed=1)
    sizes = np.bincount(found, minlength=parts)
    assert sizes.sum() == 1600
    assert sizes.max() <= np.ceil(1.03 * 1600 / parts)
    assert sizes.min() > 0
    # Squares of equal area cut 2 * 40 * (sqrt(parts) - 1) edges, of weight 2 since both ends name them.
    assert cut_of(graph, found) <= 1.35 * 2 * 2 * 40 * (np.sqrt(parts) - 1) + 40
    assert found.tolist() == balanced_partition(graph, parts, seed=1).tolist()


def test_groups_that_are_apart_stay_whole():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 50)
    near = np.stack([rng.choice(np.flatnonzero(groups == g), 6) for g in groups])
    order = rng.permutation(400)
    place = np.argsort(order)
    found = balanced_partition(Graph.of_neighbors(place[near[order]]), 8)
    assert np.bincount(found).tolist() == [50] * 8
    assert all(len(set(found[groups[order] == g])) == 1 for g in range(8))


def test_matrices_and_stores_are_graphs_too():
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 200, (2, 900))
    store = nearhop.GraphStore.from_edges(src, dst, num_nodes=200)
    graph = Graph.of_matrix(store.csr())
    dense = as_csr("a store", store.csr()).to_scipy().toarray().astype(float)
    np.fill_diagonal(dense, 0)
    rows = np.repeat(np.arange(200), np.diff(graph.indptr))
    mine = np.zeros((200, 200))
    mine[rows, graph.indices] = graph.weights
    assert np.array_equal(mine, dense + dense.T)
    assert np.array_equal(balanced_partition(store.csr(), 4), balanced_partition(graph, 4))
    with pytest.raises(InvalidInput, match="graph must be square; got 2 rows and 3 columns"):
        balanced_partition(csr_array(np.ones((2, 3))), 2)
    with pytest.raises(InvalidInput, match="weights must be finite and at least 0"):
        balanced_partition(csr_array(-np.ones((3, 3))), 2)


def test_odd_graphs():
    lonely = Graph.of_neighbors(np.full((30, 2), -1))
    assert np.bincount(balanced_partition(lonely, 5), minlength=5).max() <= 7
    assert balanced_partition(lonely, 1).tolist() == [0] * 30
    assert sorted(balanced_partition(lonely, 30, imbalance=0).tolist()) == list(range(30))
    star = Graph.of_neighbors(np.concatenate([[[1]], np.zeros((20, 1), int)]))
    assert np.bincount(balanced_partition(star, 3), minlength=3).max() <= 8
    with pytest.raises(InvalidInput, match=r"parts must be in \[1, 30\], the number of nodes; got 31"):
        balanced_partition(lonely, 31)
    with pytest.raises(InvalidInput, match="method must be one of 'multilevel', 'kahip'; got 'metis'"):
        balanced_partition(lonely, 2, method="metis")
    with pytest.raises(InvalidInput, match="imbalance must be at least 0"):
        balanced_partition(lonely, 2, imbalance=-1)


@needs("kahip")
def test_not_far_from_kahip():
    graph = grid(30)
    theirs = balanced_partition(graph, 6, method="kahip")
    assert cut_of(graph, balanced_partition(graph, 6)) <= 1.2 * cut_of(graph, theirs)
