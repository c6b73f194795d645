"""Typed sampling: edges of the right types, one type equals the untyped sampler, exact marginals, no future."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput, NotFound
from nearhop.sampling import NeighborSampler, Temporal, TypedNeighborSampler

BUYS, MADE, KNOWS = ("user", "buys", "item"), ("brand", "makes", "item"), ("user", "knows", "user")


def shop(seed=0, users=40, items=30, brands=5):
    rng = np.random.default_rng(seed)

    def edges(m, a, b, **more):
        ends = {"src": rng.integers(0, a, m), "dst": rng.integers(0, b, m)}
        return {**ends, "weight": rng.random(m), "time": rng.integers(0, 100, m), **more}

    return GraphStore.from_typed(
        nodes={"user": users, "item": items, "brand": brands},
        edges={
            BUYS: edges(300, users, items),
            MADE: edges(60, brands, items),
            KNOWS: edges(150, users, users, directed=False),
        },
    )


def edges_of(batch, edge_type):
    source, _, target = edge_type
    return set(
        zip(
            batch.nodes[source][batch.row[edge_type]].tolist(),
            batch.nodes[target][batch.col[edge_type]].tolist(),
            batch.edge_ids[edge_type].tolist(),
            strict=True,
        )
    )


OPTIONS = [
    {},
    {"replace": True},
    {"direction": "out"},
    {"weighted": True},
    {"method": "labor"},
    {"disjoint": True},
    {"temporal": Temporal()},
    {"temporal": Temporal(latest=True, window=40)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_edges_exist_and_are_found_hop_by_hop(options):
    store = shop()
    sampler = TypedNeighborSampler(store, [4, 3], seed=1, **options)
    seeds = {"item": np.array([3, 9, 3]), "user": np.array([7, 0])}
    times = {"item": np.array([50, 60, 20]), "user": np.array([99, 10])}
    batch = sampler.sample(seeds, **({"seed_time": times} if "temporal" in options else {}))
    for name, nodes in batch.nodes.items():
        assert sum(batch.num_sampled_nodes[name]) == len(nodes)
        if not sampler.disjoint:
            assert len(np.unique(nodes)) == len(nodes)
    for name, given in seeds.items():
        assert batch.nodes[name][batch.seed_index[name]].tolist() == given.tolist()
    assert batch.num_edges > 20
    for edge_type in store.edge_types:
        edges = store.edge_list(edge_type)
        assert sum(batch.num_sampled_edges[edge_type]) == len(batch.edge_ids[edge_type])
        for source, target, edge in edges_of(batch, edge_type):
            ends = int(edges.src[edge]), int(edges.dst[edge])
            assert (source, target) == ends or (edge_type == KNOWS and (target, source) == ends)
        near_type = edge_type[2] if options.get("direction", "in") == "in" else edge_type[0]
        near = (batch.col if options.get("direction", "in") == "in" else batch.row)[edge_type]
        hop_of_edge = np.repeat(np.arange(2), batch.num_sampled_edges[edge_type])
        hop_of_node = np.repeat(np.arange(3), batch.num_sampled_nodes[near_type])
        assert (hop_of_node[near] == hop_of_edge).all()
        if sampler.disjoint:
            tree = batch.tree[edge_type[0]][batch.row[edge_type]]
            assert (tree == batch.tree[edge_type[2]][batch.col[edge_type]]).all()
            if "temporal" in options:  # trees are counted in the store's order of types: users first
                now = np.concatenate([times["user"], times["item"]])[tree]
                assert (edges.time[batch.edge_ids[edge_type]] < now).all()


def test_one_type_is_the_untyped_sampler():
    rng = np.random.default_rng(2)
    store = GraphStore.from_edges(rng.integers(0, 60, 600), rng.integers(0, 60, 600))
    for options in ({}, {"replace": True}, {"disjoint": True}, {"direction": "out"}):
        plain = NeighborSampler(store, [4, 3], seed=3, **options).sample([1, 5, 1], epoch=2)
        typed = TypedNeighborSampler(store, [4, 3], seed=3, **options).sample({"node": [1, 5, 1]}, epoch=2)
        edge_type = store.edge_types[0]
        assert np.array_equal(plain.nodes, typed.nodes["node"])
        for name in ("row", "col", "edge_ids"):
            assert np.array_equal(getattr(plain, name), getattr(typed, name)[edge_type])


def test_fanouts_per_edge_type():
    store = shop()
    fanouts = {MADE: [-1, 0], BUYS: [2, 0], KNOWS: [0, 3]}
    batch = TypedNeighborSampler(store, fanouts).sample({"item": np.arange(30)})
    assert len(batch.edge_ids[MADE]) == 60
    bought = np.bincount(store.edge_list(BUYS).dst, minlength=30)
    assert len(batch.edge_ids[BUYS]) == np.minimum(bought, 2).sum()
    assert batch.num_sampled_edges[KNOWS][0] == 0 < batch.num_sampled_edges[KNOWS][1]
    only = TypedNeighborSampler(store, {MADE: [-1]}).sample({"item": [0]})
    assert set(only.edge_ids) == {MADE}
    assert only.nodes["user"].shape == (0,)


def test_draws_do_not_depend_on_order_batch_or_the_mapping():
    store = shop()
    sampler = TypedNeighborSampler(store, {BUYS: [3, 2], KNOWS: [2, 2]}, seed=5)
    swapped = TypedNeighborSampler(store, {KNOWS: [2, 2], BUYS: [3, 2]}, seed=5)
    seeds = np.arange(20)
    whole = sampler.sample({"item": seeds})
    backwards = swapped.sample({"item": seeds[::-1]})
    for edge_type in (BUYS, KNOWS):
        assert edges_of(whole, edge_type) == edges_of(backwards, edge_type)
    batches = [{"item": part} for part in np.split(seeds, 5)]
    many = [edges_of(b, BUYS) for b in sampler.sample_batches(batches)]
    assert many == [edges_of(sampler.sample(b), BUYS) for b in batches]
    alone = sampler.sample({"item": [11]})
    first = whole.edge_ids[BUYS][: whole.num_sampled_edges[BUYS][0]]
    mine = first[store.edge_list(BUYS).dst[first] == 11]
    assert sorted(mine.tolist()) == sorted(alone.edge_ids[BUYS][: alone.num_sampled_edges[BUYS][0]].tolist())


def test_every_type_is_drawn_uniformly_and_independently():
    first, second = ("a", "x", "b"), ("a", "y", "b")
    star = (np.arange(6), np.zeros(6, np.int64))
    store = GraphStore.from_typed(nodes={"a": 6, "b": 1}, edges={first: star, second: star})
    sampler = TypedNeighborSampler(store, [1], seed=9)
    joint = np.zeros((6, 6))
    for epoch in range(3600):
        batch = sampler.sample({"b": [0]}, epoch=epoch)
        joint[batch.edge_ids[first][0], batch.edge_ids[second][0]] += 1
    assert chisquare(joint.ravel()).pvalue > 1e-5


def test_bad_input_is_named():
    store = shop()
    with pytest.raises(NotFound, match=r"fanouts name the edge type \('user', 'sells', 'item'\); the store has"):
        TypedNeighborSampler(store, {("user", "sells", "item"): [2]})
    with pytest.raises(InvalidInput, match=r"fanouts\[\('user', 'buys', 'item'\)\]\[1\] must be an integer >= 0"):
        TypedNeighborSampler(store, {BUYS: [2, -3]})
    with pytest.raises(InvalidInput, match="one entry per hop for every edge type"):
        TypedNeighborSampler(store, {BUYS: [2, 2], MADE: [1]})
    sampler = TypedNeighborSampler(store, [2])
    with pytest.raises(NotFound, match="node type 'shop'"):
        sampler.sample({"shop": [0]})
    with pytest.raises(InvalidInput, match=r"seeds\['item'\]\[1\] is 30, but nodes are 0..29"):
        sampler.sample({"item": [0, 30]})
    with pytest.raises(InvalidInput, match="seeds must map a node type to positions"):
        sampler.sample([1])
    with pytest.raises(InvalidInput, match=r"needs seed_time\['item'\]"):
        TypedNeighborSampler(store, [2], temporal=Temporal()).sample({"item": [0]})
    with pytest.raises(InvalidInput, match="need a TypedNeighborSampler"):
        NeighborSampler(store, {BUYS: [2]})
    with pytest.raises(InvalidInput, match="join two node types"):
        NeighborSampler(store, [2], edge_type=BUYS)
    assert sampler.sample({}).num_nodes == 0


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("options", [{}, {"weighted": True}, {"method": "labor"}], ids=str)
def test_induced_edges_are_all_between_the_nodes(direction, options):
    store = shop()
    fanouts = {BUYS: [3, 2], MADE: [0, 0], KNOWS: [2, 2]}
    sampler = TypedNeighborSampler(store, fanouts, induced=True, direction=direction, seed=1, **options)
    followed = TypedNeighborSampler(store, fanouts, direction=direction, seed=1, **options)
    seeds = {"user": [3, 3, 9], "item": [4, 0], "brand": [1, 2, 4]}
    for epoch in range(3):
        batch, apart = sampler.sample(seeds, epoch=epoch), followed.sample(seeds, epoch=epoch)
        for name, nodes in apart.nodes.items():  # only the edges differ
            np.testing.assert_array_equal(batch.nodes[name], nodes)
            np.testing.assert_array_equal(batch.seed_index[name], apart.seed_index[name])
        for edge_type in (BUYS, MADE, KNOWS):
            source, _, target = edge_type
            listed = store.edge_list(edge_type)
            arcs = list(zip(listed.src.tolist(), listed.dst.tolist(), range(len(listed)), strict=True))
            if edge_type == KNOWS:  # undirected edges lead both ways, loops once
                arcs += [(dst, src, edge) for src, dst, edge in arcs if src != dst]
            left, right = set(batch.nodes[source].tolist()), set(batch.nodes[target].tolist())
            expected = {arc for arc in arcs if arc[0] in left and arc[1] in right}
            assert edges_of(batch, edge_type) == expected
            assert batch.row[edge_type].shape[0] == len(expected) == sum(batch.num_sampled_edges[edge_type])
            assert edges_of(apart, edge_type) <= expected
        assert sum(apart.num_sampled_edges[MADE]) == 0 < batch.num_sampled_edges[MADE][0]


def test_induced_edges_of_one_type_are_those_of_the_untyped_sampler():
    rng = np.random.default_rng(2)
    store = GraphStore.from_edges(rng.integers(0, 50, 400), rng.integers(0, 50, 400), num_nodes=50, directed=True)
    (node,), (edge,) = store.node_types, store.edge_types
    plain = NeighborSampler(store, [4, 2], induced=True, seed=5).sample([3, 8])
    typed = TypedNeighborSampler(store, [4, 2], induced=True, seed=5).sample({node: [3, 8]})
    assert set(plain.edge_ids.tolist()) == set(typed.edge_ids[edge].tolist()) != set()
    for induced in ({"disjoint": True}, {"temporal": Temporal()}):
        with pytest.raises(InvalidInput, match="trees cannot be disjoint"):
            TypedNeighborSampler(store, [2], induced=True, **induced)
