"""Subgraphs: exactly the nodes within reach, exactly the edges between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.sampling import InducedSubgraphs, ShadowSampler, cluster_batches, ego_networks
from nearhop.tests.reference.walks import dense

GRAPHS = st.tuples(
    st.integers(1, 8), st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=25), st.booleans()
)


def build(graph):
    n, edges, directed = graph
    pairs = np.array([e for e in edges if max(e) < n], np.int64).reshape(-1, 2)
    return GraphStore.from_edges(pairs[:, 0], pairs[:, 1], num_nodes=n, directed=directed), pairs


def random_store(seed=0, n=80, m=400, **options):
    rng = np.random.default_rng(seed)
    return GraphStore.from_edges(rng.integers(0, n, m), rng.integers(0, n, m), num_nodes=n, **options)


def expected_edges(store, pairs, nodes):
    """(source, destination, edge id) of every entry between `nodes`."""
    inside = set(np.asarray(nodes).tolist())
    found = []
    for edge, (a, b) in enumerate(pairs.tolist()):
        if a in inside and b in inside:
            found.append((a, b, edge))
            if not store.directed and a != b:
                found.append((b, a, edge))
    return sorted(found)


def edges_of(nodes, row, col, ids):
    return sorted(zip(nodes[row].tolist(), nodes[col].tolist(), ids.tolist(), strict=True))


@given(graph=GRAPHS, hops=st.integers(0, 4), direction=st.sampled_from(["in", "out"]))
def test_ego_networks_hold_what_is_within_reach(graph, hops, direction):
    store, pairs = build(graph)
    n = store.num_nodes
    matrix = dense(n, pairs[:, 0], pairs[:, 1], directed=store.directed) > 0
    matrix = matrix.T if direction == "in" else matrix
    egos = ego_networks(store, np.arange(n), hops=hops, direction=direction)
    distance = np.where(np.eye(n, dtype=bool), 0, -1)
    for depth in range(1, hops + 1):
        near = ((distance >= 0).astype(int) @ matrix.astype(int)) > 0
        distance[near & (distance < 0)] = depth
    for seed in range(n):
        row = slice(egos.indptr[seed], egos.indptr[seed + 1])
        nodes, hop = egos.nodes[row], egos.hop[row]
        assert nodes[0] == seed
        assert (np.diff(hop) >= 0).all()
        assert sorted(nodes.tolist()) == np.flatnonzero(distance[seed] >= 0).tolist()
        assert (hop == distance[seed][nodes]).all()
    padded, counts = egos.padded()
    for seed in range(n):
        assert padded[seed, : counts[seed]].tolist() == egos.nodes[egos.indptr[seed] : egos.indptr[seed + 1]].tolist()
        assert (padded[seed, counts[seed] :] == -1).all()


def test_ego_limit_and_padding():
    store = random_store()
    whole, few = ego_networks(store, [3, 50], hops=2), ego_networks(store, [3, 50], hops=2, limit=7)
    assert np.diff(few.indptr).tolist() == [7, 7]
    assert few.nodes[7:].tolist() == whole.nodes[whole.indptr[1] :][:7].tolist()
    padded, counts = whole.padded(5)
    assert padded.shape == (2, 5)
    assert counts.tolist() == [5, 5]
    many = GraphStore.from_edges(np.zeros(3000, int), np.arange(1, 3001))  # more than the first working memory
    assert np.diff(ego_networks(many, [0, 7], hops=2).indptr).tolist() == [3001, 3001]


def test_ego_networks_do_not_depend_on_threads():
    store = random_store()
    one, two = (ego_networks(store, np.arange(80), hops=2, threads=t) for t in (1, 2))
    assert np.array_equal(one.nodes, two.nodes)
    assert np.array_equal(one.hop, two.hop)


@given(graph=GRAPHS, data=st.data())
def test_induced_subgraphs_hold_every_edge_between_the_nodes(graph, data):
    store, pairs = build(graph)
    nodes = data.draw(st.lists(st.integers(0, store.num_nodes - 1), max_size=8))
    part = InducedSubgraphs(store).take(nodes)
    assert part.nodes.tolist() == list(dict.fromkeys(nodes))
    assert part.nodes[part.seed_index].tolist() == nodes
    assert edges_of(part.nodes, part.row, part.col, part.edge_ids) == expected_edges(store, pairs, nodes)


def test_induced_subgraphs_taken_one_after_the_other_do_not_mix():
    store = random_store()
    induced = InducedSubgraphs(store)
    rng = np.random.default_rng(1)
    for _ in range(20):
        nodes = rng.permutation(80)[:30]
        ours, fresh = induced.take(nodes), InducedSubgraphs(store).take(nodes)
        assert np.array_equal(ours.edge_ids, fresh.edge_ids)
        assert np.array_equal(ours.row, fresh.row)


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("options", [{"fanouts": [4, 3]}, {"top": 6}], ids=str)
def test_shadow_blocks_are_induced_and_apart(options, directed):
    store = random_store(directed=directed)
    edges = store.edge_list()
    pairs = np.stack([edges.src, edges.dst], axis=1)
    sampler = ShadowSampler(store, **options)
    seeds = np.array([5, 40, 5, 79])
    batch = sampler.sample(seeds, 2)
    assert batch.nodes[batch.seed_index].tolist() == seeds.tolist()
    assert (batch.tree[batch.row] == batch.tree[batch.col]).all()
    assert batch.tree is not None
    assert (np.diff(batch.tree) >= 0).all()
    for tree in range(4):
        mine = np.flatnonzero(batch.tree == tree)
        assert batch.seed_index[tree] == mine[0]
        assert len(np.unique(batch.nodes[mine])) == len(mine) > 1
        here = batch.tree[batch.row] == tree
        found = edges_of(batch.nodes, batch.row[here], batch.col[here], batch.edge_ids[here])
        assert found == expected_edges(store, pairs, batch.nodes[mine])
        alone = sampler.sample(seeds[tree : tree + 1], 2)  # what a seed gets does not depend on the others
        assert alone.nodes.tolist() == batch.nodes[mine].tolist()
    assert sampler.sample([]).num_nodes == 0


def test_shadow_draws_are_uniform_and_independent_of_the_tree():
    """Two roots with the same twelve neighbours: each is in each root's subgraph with the same probability."""
    leaves = np.arange(2, 14)
    store = GraphStore.from_edges(np.tile(leaves, 2), np.repeat([0, 1], 12), directed=True)
    sampler = ShadowSampler(store, fanouts=[4], seed=3)
    counts, both = np.zeros((2, 12)), 0
    for epoch in range(1500):
        batch = sampler.sample([0, 1], epoch=epoch)
        drawn = [batch.nodes[batch.tree == tree][1:] - 2 for tree in (0, 1)]
        for root in (0, 1):
            assert len(set(drawn[root])) == 4
            counts[root, drawn[root]] += 1
        both += len(set(drawn[0]) & set(drawn[1]))
    assert chisquare(counts[0]).pvalue > 1e-4
    assert chisquare(counts[1]).pvalue > 1e-4
    assert both / 1500 == pytest.approx(4 * 4 / 12, abs=0.12)  # more than four standard errors


def test_cluster_batches_put_all_pairs_together_equally_often():
    store = GraphStore.from_edges(np.arange(5), np.arange(1, 6))
    counts: dict[tuple[int, ...], int] = {}
    for epoch in range(900):
        for batch in cluster_batches(store, np.arange(6), per_batch=2, seed=1, epoch=epoch):
            pair = tuple(sorted(batch.nodes.tolist()))
            counts[pair] = counts.get(pair, 0) + 1
    assert len(counts) == 15
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_cluster_batches_cover_every_node_once():
    store = random_store()
    edges = store.edge_list()
    pairs = np.stack([edges.src, edges.dst], axis=1)
    parts = np.random.default_rng(2).integers(0, 9, 80) * 3  # labels need not be consecutive
    batches = list(cluster_batches(store, parts, per_batch=2, seed=4))
    assert len(batches) == 5
    assert sorted(np.concatenate([b.nodes for b in batches]).tolist()) == list(range(80))
    for batch in batches:
        assert len(np.unique(parts[batch.nodes])) <= 2
        found = edges_of(batch.nodes, batch.row, batch.col, batch.edge_ids)
        assert found == expected_edges(store, pairs, batch.nodes)
    together = {tuple(np.unique(parts[b.nodes])) for b in batches}
    again = {tuple(np.unique(parts[b.nodes])) for b in cluster_batches(store, parts, per_batch=2, seed=4)}
    other = {tuple(np.unique(parts[b.nodes])) for b in cluster_batches(store, parts, per_batch=2, seed=4, epoch=1)}
    assert together == again != other


def test_bad_input_is_named():
    store = random_store()
    with pytest.raises(InvalidInput, match="hops must be an integer >= 0"):
        ego_networks(store, [0], hops=-1)
    with pytest.raises(InvalidInput, match="limit must be an integer >= 1"):
        ego_networks(store, [0], limit=0)
    with pytest.raises(InvalidInput, match=r"seeds\[1\] is 80"):
        ego_networks(store, [0, 80])
    with pytest.raises(InvalidInput, match="direction must be"):
        ego_networks(store, [0], direction="up")
    with pytest.raises(InvalidInput, match=r"nodes\[0\] is -1"):
        InducedSubgraphs(store).take([-1])
    with pytest.raises(InvalidInput, match="and not both"):
        ShadowSampler(store)
    with pytest.raises(InvalidInput, match=r"parts must have shape \(80,\)"):
        cluster_batches(store, [0, 1])
    with pytest.raises(InvalidInput, match=r"parts\[2\] is -4"):
        cluster_batches(store, np.where(np.arange(80) == 2, -4, 0))
    with pytest.raises(InvalidType, match="float64"):
        cluster_batches(store, np.zeros(80))
    with pytest.raises(InvalidInput, match="per_batch must be an integer >= 1"):
        cluster_batches(store, np.zeros(80, int), per_batch=0)


@pytest.mark.parametrize("left", [0, 1, 7, 150, 500])
def test_marks_that_run_out_within_a_batch(left):
    """Blocks overlap, so that a batch numbers more nodes than the graph has; marks are 32-bit and end somewhere."""
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(rng.integers(0, 50, 400), rng.integers(0, 50, 400), num_nodes=50)
    sampler = ShadowSampler(store, fanouts=[5, 5], seed=0)
    seeds = np.arange(50)
    expected = sampler.sample(seeds)
    assert expected.num_nodes > 500
    scratch = sampler._induced._scratch.take()
    scratch[""].base = np.iinfo(np.int32).max - left  # what many batches bring it to
    sampler._induced._scratch.give(scratch)
    for _ in range(2):
        again = sampler.sample(seeds)
        np.testing.assert_array_equal(again.edge_ids, expected.edge_ids)
        np.testing.assert_array_equal(again.row, expected.row)
        np.testing.assert_array_equal(again.col, expected.col)
