"""Topological levels against repeated relaxation, and NetworkX's generations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop.graphlib.errors import CycleFound, InvalidInput, InvalidType
from nearhop.graphlib.sparse import topological_levels
from nearhop.graphlib.store import GraphStore
from nearhop.tests.reference import dag as reference
from nearhop.tests.support import needs


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40), st.randoms())
def test_levels_are_the_references(num_nodes, pairs, random):
    names = list(range(num_nodes))
    random.shuffle(names)
    edges = [(names[min(p)], names[max(p)]) for p in pairs if max(p) < num_nodes and p[0] != p[1]]
    src, dst = np.array(edges, np.int64).reshape(-1, 2).T
    levels = topological_levels(GraphStore.from_edges(src, dst, num_nodes=num_nodes, directed=True))
    longest, shortest = reference.levels(num_nodes, edges)
    assert levels.level.tolist() == longest
    assert levels.shortest.tolist() == shortest
    assert levels.order.tolist() == sorted(range(num_nodes), key=lambda v: (longest[v], v))
    assert [levels.nodes(k).tolist() for k in range(levels.num_levels)] == [
        [v for v in range(num_nodes) if longest[v] == k] for k in range(max(longest) + 1)
    ]
    assert levels.places()[levels.order].tolist() == list(range(num_nodes))


@needs("networkx")
def test_generations_are_networkx_s():
    import networkx as nx

    rng = np.random.default_rng(4)
    src = rng.integers(0, 300, 900)
    dst = src + rng.integers(1, 30, 900)
    levels = topological_levels(GraphStore.from_edges(src, dst, directed=True))
    graph = nx.DiGraph(list(zip(src.tolist(), dst.tolist(), strict=True)))
    graph.add_nodes_from(range(levels.num_nodes))
    assert [sorted(part) for part in nx.topological_generations(graph)] == [
        levels.nodes(k).tolist() for k in range(levels.num_levels)
    ]


def test_wide_levels_are_the_same_at_any_thread_count():
    rng = np.random.default_rng(1)
    src = rng.integers(0, 60_000, 300_000)
    dst = src + rng.integers(10_000, 20_000, 300_000)
    rows = GraphStore.from_edges(src, dst, directed=True).csr()
    one, two = (topological_levels(rows, threads=threads) for threads in (1, 2))
    assert two.widths().max() > 4096
    for name in ("level", "shortest", "order", "offsets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert (one.level[src] < one.level[dst]).all()


def test_a_cycle_is_named_in_order():
    edges = ([9, 0, 3, 5, 7, 7, 2], [0, 3, 5, 7, 3, 1, 8])
    with pytest.raises(CycleFound, match="3 -> 5 -> 7 -> 3; levels need") as caught:
        topological_levels(GraphStore.from_edges(*edges, directed=True))
    nodes = caught.value.nodes
    assert nodes == [3, 5, 7]
    with pytest.raises(CycleFound, match="cycle: 1 -> 1;"):
        topological_levels(GraphStore.from_edges([0, 1], [1, 1], directed=True))
    ring = np.arange(50)
    with pytest.raises(CycleFound, match=r"-> \.\.\. \(50 nodes\)") as caught:
        topological_levels(GraphStore.from_edges(ring, np.roll(ring, -1), directed=True))
    assert all((b - a) % 50 == 1 for a, b in zip(caught.value.nodes, caught.value.nodes[1:], strict=False))


def test_a_cycle_is_named_by_user_ids():
    store = GraphStore.from_edges([0, 1], [1, 0], directed=True)
    store.set_ids(["a/ZN", "b/ZN"])
    with pytest.raises(CycleFound, match="a/ZN -> b/ZN -> a/ZN;"):
        topological_levels(store)
    store.set_ids(["\x1b[31mred", "b"])
    with pytest.raises(CycleFound) as caught:
        topological_levels(store)
    assert r"\x1b[31mred -> b -> \x1b[31mred;" in str(caught.value)


def test_several_edge_types_count_together():
    nets, cells = ([0, 2], [1, 3]), ([1], [2])
    store = GraphStore.from_typed({"pin": 4, "table": 2}, {("pin", "net", "pin"): nets, ("pin", "cell", "pin"): cells})
    assert topological_levels(store).level.tolist() == [0, 1, 2, 3]
    assert topological_levels(store, edge_types=[("pin", "net", "pin")]).level.tolist() == [0, 1, 0, 1]
    store.add_edge_type(("pin", "uses", "table"), [0], [1])
    with pytest.raises(InvalidInput, match=r"nodes of one type; .* join \['pin', 'table'\]"):
        topological_levels(store)


def test_what_has_no_levels():
    with pytest.raises(InvalidInput, match="directed edges"):
        topological_levels(GraphStore.from_edges([0], [1]))
    with pytest.raises(InvalidInput, match="no edges"):
        topological_levels(GraphStore.from_typed({"a": 1}, {}))
    with pytest.raises(InvalidType, match="got list"):
        topological_levels([[0, 1]])
    store = GraphStore.from_typed({"a": 1, "b": 2}, {("a", "to", "b"): ([0], [1])})
    with pytest.raises(InvalidInput, match="as many rows as columns; got 1 x 2"):
        topological_levels(store.csr(("a", "to", "b")))
    with pytest.raises(InvalidInput, match="edge_types are those of a store"):
        topological_levels(store.csr(("a", "to", "b")), edge_types=[])


def test_no_nodes_and_no_edges():
    empty = topological_levels(GraphStore.from_edges([], [], num_nodes=0, directed=True))
    assert (empty.num_levels, empty.num_nodes, empty.offsets.tolist()) == (0, 0, [0])
    alone = topological_levels(GraphStore.from_edges([], [], num_nodes=3, directed=True))
    assert (alone.num_levels, alone.level.tolist(), alone.shortest.tolist()) == (1, [0, 0, 0], [0, 0, 0])
    assert repr(alone) == "Levels(3 nodes in 1 levels, the widest of 3)"
