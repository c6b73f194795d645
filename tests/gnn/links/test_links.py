"""Link predictors: matrices and sketches by definition, gradients, hidden targets, repeatable training, learning."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from nearhop import GraphStore
from nearhop.embed.evaluation import split_edges
from nearhop.gnn.links import (
    CommonNeighborHead,
    DotHead,
    Encoder,
    LinkTraining,
    PairSketches,
    ProductHead,
    SketchHead,
    train_links,
)
from nearhop.gnn.sparse.propagation import neighbor_sets, normalised, without_pairs
from nearhop.gnn.sparse.sparse_tensor import SparseTensor, dropped, features_of
from nearhop.gnn.topology import Reweighting
from nearhop.graphlib.errors import InvalidInput


def blocks(seed=0, groups=5, size=16, edges=700):
    """A graph of groups whose members are linked at random, and noisy features of the group."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, edges)
    src, dst = rng.integers(0, size, (2, edges)) + size * group
    store = GraphStore.from_edges(src, dst, num_nodes=groups * size)
    features = np.repeat(np.eye(groups), size, axis=0) + (rng.random((groups * size, groups)) < 0.1)
    return store, features.astype(np.float32)


def dense(m):
    return m.to_scipy().toarray()


def test_neighbors_are_sets_without_direction():
    store = GraphStore.from_edges([0, 0, 1, 2, 2], [1, 1, 0, 2, 3], num_nodes=5, directed=True)
    expected = np.zeros((5, 5))
    for a, b in ((0, 1), (2, 3)):
        expected[a, b] = expected[b, a] = 1
    assert (dense(neighbor_sets(store)) == expected).all()


def test_normalised_matrices():
    store, _ = blocks()
    A = dense(neighbor_sets(store))
    looped = A + np.eye(80)
    root = 1 / np.sqrt(looped.sum(axis=1))
    gcn = normalised(neighbor_sets(store), "gcn")
    np.testing.assert_allclose(dense(gcn.matrix), root[:, None] * looped * root, rtol=1e-6)
    sage = normalised(neighbor_sets(store), "sage")
    np.testing.assert_allclose(dense(sage.matrix), A / np.maximum(A.sum(axis=1, keepdims=True), 1), rtol=1e-6)
    for matrix in (gcn, sage):
        np.testing.assert_allclose(dense(matrix.transpose), dense(matrix.matrix).T, rtol=1e-6)


def test_pairs_are_left_out_in_both_directions():
    store, _ = blocks()
    neighbors = neighbor_sets(store)
    A = dense(neighbors)
    u, v = np.array([0, 5, 70]), np.array([np.flatnonzero(A[0])[0], np.flatnonzero(A[5])[-1], 3])
    left = dense(without_pairs(neighbors, u, v))
    A[u, v] = A[v, u] = 0
    assert (left == A).all()


def test_products_are_differentiable():
    A = sp.random(9, 7, 0.4, format="csr", dtype=np.float32, random_state=0)
    matrix = SparseTensor(features_of(A))
    X = torch.randn(7, 3, requires_grad=True)
    weight = torch.randn(9, 3)
    ((matrix @ X) * weight).sum().backward()
    np.testing.assert_allclose(X.grad, A.T @ weight.numpy(), rtol=1e-5, atol=1e-6)
    thinner = dropped(matrix, 0.5, torch.Generator().manual_seed(0))
    kept = dense(thinner.matrix)
    assert (dense(thinner.transpose) == kept.T).all()
    changed = kept[A.toarray() != 0] / A.toarray()[A.toarray() != 0]
    assert set(changed.round(5).tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("kind", ["gcn", "sage", "pure"])
def test_encoders_follow_their_formula(kind):
    store, features = blocks()
    torch.manual_seed(0)
    encoder = Encoder(5, 4, num_layers=2, kind=kind).eval()
    adjacency = normalised(neighbor_sets(store), encoder.normalisation)
    P = torch.from_numpy(dense(adjacency.matrix).astype(np.float32))
    x = torch.from_numpy(features) @ encoder.weight + encoder.bias
    for layer in range(2):
        spread = P @ x
        if kind == "gcn":
            x = encoder.mixed[layer](spread)
        elif kind == "sage":
            x = encoder.own[layer](x) + encoder.mixed[layer](spread)
        else:
            x = spread
        x = torch.relu(x) if layer == 0 else x
    found = encoder(SparseTensor(features_of(features)), adjacency)
    torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-5)


def test_common_neighbors_are_pooled():
    store, _ = blocks()
    neighbors = neighbor_sets(store)
    head = CommonNeighborHead(4, layers=2).eval()
    states = torch.randn(80, 4)
    u, v = np.array([0, 1]), np.array([2, 40])
    states_own = states + head.own(states)
    A = torch.from_numpy(dense(neighbors).astype(np.float32))
    pooled = head.common((A[u] * A[v]) @ states_own)
    expected = head.out(pooled * head.beta + head.pair(states[u] * states[v])).squeeze(1)
    torch.testing.assert_close(head(states, u, v, neighbors), expected, rtol=1e-4, atol=1e-5)
    assert min(float(part.detach().min()) for part in (pooled, head.pair(states))) == 0  # both end in a ReLU


def test_edges_left_out_of_the_pooling_in_training_alone():
    store, _ = blocks()
    neighbors, states = neighbor_sets(store), torch.randn(80, 4)
    u, v = np.repeat(np.arange(80), 80), np.tile(np.arange(80), 80)
    head = CommonNeighborHead(4, edge_dropout=0.5)
    counts = []
    head.common.register_forward_pre_hook(lambda _, given: counts.append(float(given[0].sum())))
    head.own = torch.nn.Identity()
    ones = torch.ones_like(states) / 2
    for training in (True, True, False):
        head.train(training)(ones, u, v, neighbors)
    A = dense(neighbors)
    assert counts[2] == pytest.approx(4 * (A @ A).sum())
    off = 4 * ((A @ A).sum() - A.sum()) / 4  # a common neighbour of two nodes is kept if both entries are
    for found in counts[:2]:
        assert found == pytest.approx(off + 4 * A.sum() / 2, rel=0.1)
    assert counts[0] != counts[1]


def test_tail_dropout_falls_on_the_last_output():
    store, features = blocks()
    torch.manual_seed(0)
    encoder = Encoder(5, 64, num_layers=1, kind="pure", tail_dropout=0.5)
    given = SparseTensor(features_of(features)), normalised(neighbor_sets(store), "gcn")
    whole, part = encoder.eval()(*given), encoder.train()(*given)
    kept = part != 0
    assert 0.45 < kept.float().mean() < 0.55
    torch.testing.assert_close(part[kept], 2 * whole[kept])


def exact_counts(A, u, v, hops):
    """Nodes at every pair of distances up to `hops`, farther ones as 0, by breadth first search."""
    near = np.eye(A.shape[0], dtype=bool) | (A > 0)
    two = (near.astype(int) @ near) > 0
    distance = np.where(near, 1, np.where(two & (hops == 2), 2, 0))
    pairs = [(1, 1), (0, 1), (1, 0)] if hops == 1 else COUNTED
    return [((distance[u] == i) & (distance[v] == j)).sum() for i, j in pairs]


COUNTED = [(1, 1), (2, 1), (1, 2), (2, 2), (0, 1), (1, 0), (0, 2), (2, 0)]


@pytest.mark.parametrize("hops", [1, 2])
def test_sketches_estimate_counts_of_nodes(hops):
    store, _ = blocks(groups=4, size=60, edges=900)
    A = dense(neighbor_sets(store))
    rng = np.random.default_rng(0)
    u, v = rng.integers(0, 240, (2, 60))
    found = PairSketches(store, hops=hops, num_perm=1024).counts(u, v)
    expected = np.array([exact_counts(A, a, b, hops) for a, b in zip(u, v, strict=True)])
    if hops == 1:
        assert abs(found - expected).max() < 4
        return
    assert abs(found - expected).mean() < 4
    compat = PairSketches(store, num_perm=1024, compat=True).counts(u, v)
    np.testing.assert_allclose(compat[:, 7], np.maximum(found[:, 7] - compat[:, 0], 0), atol=1e-3)
    assert (compat[:, :7] == found[:, :7]).all()


def test_counts_within_one_hop_leave_out_what_is_within_two_hops_of_the_other_end():
    """On a sparse graph, whose sets the registers count nearly exactly: the mean over many pairs is within 3 %."""
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(*rng.integers(0, 300, (2, 900)))
    A = dense(neighbor_sets(store))
    u, v = rng.integers(0, 300, (2, 400))
    found = PairSketches(store, num_perm=1024).counts(u, v)
    expected = np.array([exact_counts(A, a, b, 2) for a, b in zip(u, v, strict=True)])
    np.testing.assert_allclose(found.mean(0)[3:], expected.mean(0)[3:], rtol=0.03)


def test_nodes_are_counted_in_the_graph_that_is_scored():
    store, _ = blocks()
    neighbors = neighbor_sets(store)
    u, v = np.zeros(3, np.int64), neighbors.indices[:3].astype(np.int64)
    hidden = without_pairs(neighbors, u, v)
    sketches = PairSketches(store, num_perm=16)
    head, seen = SketchHead(4, sketches).eval(), []
    head.counts.register_forward_pre_hook(lambda _, given: seen.append(given[0].expm1().numpy()))
    for graph in (neighbors, hidden):
        head(torch.randn(80, 4), u, v, graph)
    np.testing.assert_allclose(seen[0], sketches.counts(u, v), rtol=1e-4, atol=1e-4)
    src = np.repeat(np.arange(80), np.diff(hidden.indptr))
    fresh = PairSketches(GraphStore.from_edges(src, hidden.indices, num_nodes=80, directed=True), num_perm=16)
    np.testing.assert_allclose(seen[1], fresh.counts(u, v), rtol=1e-4, atol=1e-4)
    assert abs(seen[0] - seen[1]).max() > 0.5
    assert sketches.of(neighbors) is sketches


def heads(split, hidden):
    return {
        "dot": DotHead(),
        "product": ProductHead(hidden),
        "ncn": CommonNeighborHead(hidden),
        "buddy": SketchHead(hidden, PairSketches(split.train)),
    }


@pytest.mark.parametrize("name", ["dot", "product", "ncn", "buddy"])
def test_every_head_learns_and_repeats(name):
    store, features = blocks()
    split = split_edges(store, seed=0)
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        encoder, head = Encoder(5, 16, seed=0), heads(split, 16)[name]
        trained = train_links(
            split, encoder, head, LinkTraining(epochs=25, batch=128, lr=0.01, head_lr=0.01, k=20), features=features
        )
        runs.append(trained)
    assert runs[0].losses == runs[1].losses
    assert runs[0].losses[-1] < runs[0].losses[0]
    assert runs[0].test_hits > 0.3  # a random order gives 0.2
    both = np.concatenate([split.test, split.test_negative], axis=1)
    again = runs[0].score(*both)
    assert (again == runs[1].score(*both)).all()


def test_reweighting_changes_what_messages_weigh():
    store, features = blocks()
    split = split_edges(store, seed=0)
    torch.manual_seed(0)
    seen = []

    class Watched(Encoder):
        def forward(self, x, adjacency):
            seen.append(adjacency.matrix.values.sum())
            return super().forward(x, adjacency)

    options = LinkTraining(epochs=4, lr=0.01, k=20, hide_targets=False, reweighting=Reweighting(1.0, 1, 2))
    trained = train_links(split, Watched(5, 8), ProductHead(8), options, features=features)
    base = seen[0]
    assert seen[1] == base
    assert max(seen) == pytest.approx(2 * base, rel=1e-4)  # alpha 1 doubles every row's sum
    assert trained.matrix is None or trained.matrix.matrix.values.sum() > base


def test_a_trained_vector_per_node_needs_no_features():
    store, _ = blocks()
    split = split_edges(store, seed=0)
    torch.manual_seed(0)
    trained = train_links(split, Encoder(0, 16, num_nodes=80), DotHead(), LinkTraining(epochs=20, lr=0.01, k=20))
    assert trained.losses[-1] < trained.losses[0]
    assert trained.states().shape == (80, 16)


def test_bad_input_is_named():
    store, features = blocks()
    split = split_edges(store)
    with pytest.raises(InvalidInput, match="gcn, sage, pure"):
        Encoder(5, 8, kind="gat")
    with pytest.raises(InvalidInput, match="give num_nodes"):
        Encoder(0, 8)
    with pytest.raises(InvalidInput, match="give features="):
        train_links(split, Encoder(5, 8), DotHead())
    with pytest.raises(InvalidInput, match="80 rows"):
        train_links(split, Encoder(5, 8), DotHead(), features=features[:-1])
    with pytest.raises(InvalidInput, match="hops must be 1 or 2"):
        PairSketches(store, hops=3)
    options = LinkTraining(epochs=1, reweighting=Reweighting())
    with pytest.raises(InvalidInput, match="use another head"):
        train_links(split, Encoder(5, 8), SketchHead(8, PairSketches(store)), options, features=features)
    with pytest.raises(InvalidInput, match=r"use a lower lr|diverged"):
        train_links(split, Encoder(5, 8), DotHead(), LinkTraining(epochs=60, lr=1e12, k=20), features=features * 1e18)
