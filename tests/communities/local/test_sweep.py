"""Sweep cuts: every prefix by definition, ties, weights, refused input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nearhop
from nearhop.communities.local.sweep import sweep_cut
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.tests.reference import local_clustering as reference
from nearhop.tests.support import examples


@examples(60)
@given(st.integers(2, 12), st.booleans(), st.data())
def test_curve_is_the_conductance_of_every_prefix(n, weighted, data):
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    edges = data.draw(st.lists(ends, min_size=1, max_size=40))
    src, dst = np.array(edges).T
    weight = (
        np.array(data.draw(st.lists(st.integers(1, 5), min_size=len(src), max_size=len(src)))) if weighted else None
    )
    store = nearhop.GraphStore.from_edges(src, dst, num_nodes=n, weight=weight)
    A = reference.dense_weights(n, src, dst, weight)
    loops = np.diff(store.csr().indptr) - (reference.dense_weights(n, src, dst) - np.diag(np.diag(A))).sum(axis=1)
    if loops.any():  # how often a row lists a self-loop is the store's choice; read it off
        rows = store.csr()
        entry = np.ones(rows.num_entries) if rows.weight is None else rows.weight
        for v in range(n):
            row = slice(rows.indptr[v], rows.indptr[v + 1])
            A[v, v] = entry[row][rows.indices[row] == v].sum()
    nodes = np.array(data.draw(st.permutations(range(n))))[: data.draw(st.integers(1, n))]
    cut = sweep_cut(store, nodes)
    assert cut.order.tolist() == nodes.tolist()
    curve = [reference.conductance(A, nodes[: i + 1]) for i in range(len(nodes))]
    assert cut.curve == pytest.approx(curve)
    assert cut.conductance == pytest.approx(min(curve))
    assert cut.nodes.tolist() == nodes[: len(cut)].tolist()


def test_equal_values_stay_together():
    store = nearhop.GraphStore.from_edges([0, 0, 1, 2, 3, 3, 4], [1, 2, 2, 3, 4, 5, 5])
    assert len(sweep_cut(store, [0, 1, 2, 3], values=[4, 3, 2, 1])) == 3
    assert len(sweep_cut(store, [0, 1, 2, 3], values=[4, 3, 1, 1])) in (2, 4)


def test_by_degree_divides():
    store = nearhop.GraphStore.from_edges([0, 0, 0, 1], [1, 2, 3, 2])
    assert sweep_cut(store, [0, 1], values=[3, 2.5]).order.tolist() == [0, 1]
    assert sweep_cut(store, [0, 1], values=[3, 2.5], by_degree=True).order.tolist() == [1, 0]


def test_a_component_costs_nothing_and_the_whole_graph_is_no_cluster():
    store = nearhop.GraphStore.from_edges([0, 1, 2, 3, 4, 5], [1, 2, 0, 4, 5, 3])
    cut = sweep_cut(store, [0, 1, 2, 3, 4, 5])
    assert cut.nodes.tolist() == [0, 1, 2]
    assert cut.conductance == 0
    assert cut.curve[-1] == 1


def test_refused_input():
    store = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    for nodes, values, message in (
        ([], None, "empty"),
        ([0, 0], None, "more than once"),
        ([7], None, "nodes are 0..2"),
        ([0, 1], [1.0], "one per node"),
        ([0, 1], [1.0, np.inf], "not finite"),
        ([[0, 1]], None, "one dimension"),
    ):
        with pytest.raises(InvalidInput, match=message):
            sweep_cut(store, nodes, values=values)
    with pytest.raises(InvalidType):
        sweep_cut(store, [0], values=["a"])
    with pytest.raises(InvalidInput, match="undirected"):
        sweep_cut(nearhop.GraphStore.from_edges([0], [1], directed=True), [0])
