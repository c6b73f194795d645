"""Bags of ego networks: the right members, an exact round trip, and parts that equal bags of their own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.sampling import ego_bag, ego_networks, graph_bag

SHAPES = st.tuples(st.integers(1, 7), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14))
BAGS = st.tuples(st.lists(SHAPES, min_size=1, max_size=4), st.integers(0, 3), st.booleans())


def store_of(shape, directed=False):
    n, edges = shape
    inside = np.array([e for e in edges if max(e) < n], np.int64).reshape(-1, 2)
    return GraphStore.from_edges(inside[:, 0], inside[:, 1], num_nodes=n, directed=directed)


def complete(n):
    a, b = np.triu_indices(n, 1)
    return GraphStore.from_edges(a, b, num_nodes=n)


def same(first, second):
    for name in ("indptr", "nodes", "graph", "entry_ptr", "pair", "pairs", "transposed", "node_ptr", "pair_ptr"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


@given(BAGS)
def test_members_pairs_and_round_trip(given_bag):
    shapes, hops, directed = given_bag
    stores = [store_of(shape, directed) for shape in shapes]
    bag = ego_bag(stores, hops=hops)
    assert (np.diff(bag.sizes) >= 0).all()
    seen, together = [], set()
    for e in range(bag.num_egos):
        g = bag.graph[e]
        members = bag.nodes[bag.indptr[e] : bag.indptr[e + 1]]
        local = members - bag.node_ptr[g]
        expected = ego_networks(stores[g], [local[0]], hops=hops).nodes
        assert local.tolist() == expected.tolist()
        seen.append(int(members[0]))
        block = bag.pairs[bag.pair[bag.entry_ptr[e] : bag.entry_ptr[e + 1]]].reshape(len(members), len(members), 2)
        assert (block[:, :, 0] == members[:, None]).all()
        assert (block[:, :, 1] == members[None, :]).all()
        together |= {(int(a), int(b)) for a in members for b in members}
    assert sorted(seen) == list(range(sum(s.num_nodes for s in stores)))  # every node is a centre, isolated ones too
    assert list(map(tuple, bag.pairs.tolist())) == sorted(together)
    assert np.array_equal(bag.pairs[bag.transposed], bag.pairs[:, ::-1])
    rng = np.random.default_rng(0)
    for order, rows in ((1, int(bag.node_ptr[-1])), (2, bag.pairs.shape[0])):
        x = rng.normal(size=(rows, 3)).astype(np.float32)
        values = bag.extract(x, order=order)
        assert np.allclose(bag.merge(values, order=order), x, rtol=1e-6, atol=0)
        for m, block in bag.blocks(values, order=order).items():
            assert block.shape[1:] == (*[m] * order, 3)
            assert np.shares_memory(block, values)
        ids = np.arange(rows)
        assert np.array_equal(bag.merge(bag.extract(ids, order=order), order=order), ids)


@given(BAGS, st.data())
def test_a_part_is_the_bag_of_its_graphs(given_bag, data):
    shapes, hops, directed = given_bag
    stores = [store_of(shape, directed) for shape in shapes]
    chosen = data.draw(st.lists(st.integers(0, len(stores) - 1), min_size=1, max_size=5))
    same(ego_bag(stores, hops=hops).take(chosen), ego_bag([stores[g] for g in chosen], hops=hops))


def test_one_store_with_a_column_is_a_list_of_stores():
    stores = [complete(3), store_of((4, [(0, 1)])), complete(1)]
    union = GraphStore.from_edges([0, 0, 1, 3], [1, 2, 2, 4], num_nodes=8)
    union.nodes["graph"] = np.array([0, 0, 0, 1, 1, 1, 1, 2])
    same(ego_bag(union), ego_bag(stores))
    same(ego_bag(complete(3)), ego_bag([complete(3)]))


def test_threads_and_complete_graphs():
    rng = np.random.default_rng(1)
    store = GraphStore.from_edges(rng.integers(0, 400, 900), rng.integers(0, 400, 900), num_nodes=400)
    same(ego_bag(store, hops=2, threads=1), ego_bag(store, hops=2, threads=2))
    bag = ego_bag([complete(5)])
    assert bag.pairs.shape[0] == 25
    assert bag.sizes.tolist() == [5] * 5


@given(st.lists(SHAPES, min_size=1, max_size=4))
def test_whole_graphs_are_bags_too(shapes):
    """Of a complete graph, and of a graph joined within its diameter, every ego network is the whole graph."""
    bag = graph_bag([store_of(shape) for shape in shapes])
    complete_bag = ego_bag([complete(n) for n, _ in shapes])
    assert sorted(bag.sizes) == sorted(n for n, _ in shapes)
    for name in ("pairs", "transposed", "node_ptr", "pair_ptr"):
        assert np.array_equal(getattr(bag, name), getattr(complete_bag, name)), name
    for e in range(bag.num_egos):
        members = bag.nodes[bag.indptr[e] : bag.indptr[e + 1]]
        assert members.tolist() == list(range(bag.node_ptr[bag.graph[e]], bag.node_ptr[bag.graph[e] + 1]))
        block = bag.pairs[bag.pair[bag.entry_ptr[e] : bag.entry_ptr[e + 1]]].reshape(len(members), len(members), 2)
        assert (block[:, :, 0] == members[:, None]).all()
        assert (block[:, :, 1] == members[None, :]).all()


def test_apart_keeps_copies_apart():
    bag = ego_bag([complete(3), store_of((4, [(0, 1), (1, 2)]))])
    apart = bag.apart()
    assert apart.num_graphs == bag.num_egos
    assert np.array_equal(apart.pair, np.arange(bag.pair.shape[0]))
    assert np.array_equal(apart.pairs[apart.transposed], apart.pairs[:, ::-1])
    assert np.array_equal(bag.nodes[apart.pairs], bag.pairs[bag.pair])
    part = apart.take([2, 0])
    assert part.num_graphs == 2
    assert part.nodes.shape[0] == apart.sizes[2] + apart.sizes[0]


def test_bad_bags_are_named():
    empty = GraphStore.from_edges([], [], num_nodes=0)
    with pytest.raises(InvalidInput, match="graph 1 has no nodes"):
        ego_bag([complete(2), empty])
    with pytest.raises(InvalidInput, match="no nodes"):
        ego_bag([empty])
    with pytest.raises(InvalidInput, match="at least one graph"):
        ego_bag([])
    with pytest.raises(InvalidType, match=r"graphs\[1\] must be a GraphStore; got list"):
        ego_bag([complete(2), [0]])
    star = GraphStore.from_edges([2, 2, 2], [0, 1, 3])
    with pytest.raises(InvalidInput, match="graph 1, node 2 has 4 nodes but max_size is 3"):
        ego_bag([complete(3), star], max_size=3)
    assert ego_bag([star], max_size=4).num_egos == 4
    joined = complete(2)
    joined.nodes["graph"] = np.array([0, 1])
    with pytest.raises(InvalidInput, match="nodes 0 and 1 are joined but belong to graphs 0 and 1"):
        ego_bag(joined)
    joined.nodes["graph"] = np.array([1, 0])
    with pytest.raises(InvalidInput, match="must rise from 0"):
        ego_bag(joined)
    joined.nodes["graph"] = np.array([0.0, 1.0])
    with pytest.raises(InvalidType, match="float64"):
        ego_bag(joined)
    skipping = GraphStore.from_edges([], [], num_nodes=2)
    skipping.nodes["graph"] = np.array([0, 2])
    with pytest.raises(InvalidInput, match="graph 1 has no nodes"):
        ego_bag(skipping)
    bag = ego_bag([complete(3)])
    with pytest.raises(InvalidInput, match="order must be 1"):
        bag.extract(np.zeros(3), order=3)
    with pytest.raises(InvalidInput, match="needs 27 rows, one per entry"):
        bag.merge(np.zeros(9), order=2)
    with pytest.raises(InvalidInput, match=r"graphs\[0\] is 1"):
        bag.take([1])
