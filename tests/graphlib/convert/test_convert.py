"""Conversions: nothing lost on the way there and back, and memory shared where it can be."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import nearhop
from nearhop.graphlib.convert.scipy import read_sparse_npz
from nearhop.graphlib.errors import IngestError, InvalidInput, InvalidType
from nearhop.tests.support import examples, needs

convert: Any = importlib.import_module("nearhop.graphlib.convert")
ingest: Any = nearhop.ingest


def make(directed=True):
    store = nearhop.GraphStore.from_edges(
        np.array([0, 2, 1, 3]),
        np.array([1, 3, 2, 3]),
        num_nodes=5,
        directed=directed,
        weight=np.array([1, 2, 3, 4], np.float32),
        time=np.array([10, 20, 30, 40]),
    )
    store.nodes["x"] = np.random.default_rng(0).random((5, 3), np.float32)
    store.nodes["y"] = np.arange(5)
    store.edges["kind"] = np.array([7, 8, 9, 6])
    return store


def arcs(store):
    edges = store.edge_list()
    ends = np.stack([edges.src, edges.dst])
    if not store.is_directed():
        ends = np.sort(ends, axis=0)
    return sorted(
        zip(*ends.tolist(), (edges.weight if edges.weight is not None else ends[0] * 0).tolist(), strict=True)
    )


graphs = st.tuples(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=15, unique=True), st.booleans(), st.just(8)
)


@examples(40)
@given(graphs)
def test_scipy_there_and_back(graph):
    pairs, directed, count = graph
    if not directed:
        pairs = list({tuple(sorted(pair)) for pair in pairs})
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    weight = np.arange(1, len(pairs) + 1)
    store = nearhop.GraphStore.from_edges(ends[:, 0], ends[:, 1], num_nodes=count, directed=directed, weight=weight)
    matrix = convert.to_scipy(store)
    dense = np.zeros((count, count))
    dense[ends[:, 0], ends[:, 1]] = weight
    if not directed:
        dense[ends[:, 1], ends[:, 0]] = weight
    assert np.array_equal(matrix.toarray(), dense)
    assert arcs(convert.from_scipy(matrix, directed=directed)) == arcs(store)


def test_scipy_shares_neighbours_and_weights():
    store = make()
    matrix = convert.to_scipy(store)
    assert np.shares_memory(matrix.indices, store.csr().indices)
    assert np.shares_memory(matrix.data, store.csr().weight)


def test_scipy_direction_and_errors(tmp_path):
    symmetric = sp.csr_array(np.array([[0, 1.0], [1.0, 5.0]]))
    assert not convert.from_scipy(symmetric).directed
    assert convert.from_scipy(symmetric).num_edges == 2
    assert convert.from_scipy(symmetric, directed=True).num_edges == 3
    one_way = sp.csr_array(np.array([[0, 1.0], [2.0, 0]]))
    assert convert.from_scipy(one_way).directed
    with pytest.raises(InvalidInput, match="does not hold every edge in both directions with equal values"):
        convert.from_scipy(one_way, directed=False)
    with pytest.raises(InvalidInput, match=r"square matrix; got shape \(2, 3\)"):
        convert.from_scipy(sp.csr_array((2, 3)))
    assert convert.from_scipy(sp.csr_array(np.eye(3, dtype=bool))).edge_list().weight is None
    sp.save_npz(tmp_path / "d.npz", sp.dia_array(np.eye(3)))
    with pytest.raises(IngestError, match="format 'dia' are not read"):
        read_sparse_npz(tmp_path / "d.npz")
    np.savez(tmp_path / "o.npz", other=np.arange(3))
    assert read_sparse_npz(tmp_path / "o.npz") is None


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_other_arrays_of_a_sparse_file_are_told(tmp_path, form):
    matrix = sp.coo_array(np.array([[0, 1.0], [0, 0]])).asformat(form)
    sp.save_npz(tmp_path / "m.npz", matrix)
    store = ingest(tmp_path / "m.npz")
    assert (arcs(store), store.ingest_report.left_out) == ([(0, 1, 1.0)], {})
    parts = dict(np.load(tmp_path / "m.npz"))
    named = {f"adj_{name}": values for name, values in parts.items() if name != "_is_array"}
    for content in (parts, named):
        np.savez(tmp_path / "more.npz", **content, labels=np.array([5, 6]), attr_data=np.ones(2))
        store = ingest(tmp_path / "more.npz")
        why = "it is no part of the sparse matrix"
        assert (arcs(store), store.ingest_report.left_out) == ([(0, 1, 1.0)], {"attr_data": why, "labels": why})


@pytest.mark.parametrize("form", ["coo", "csr", "csc"])
def test_repeated_entries_are_parallel_edges(form):
    for values, dtype in (([100, 100, 3], np.int8), ([1, -1, 3], np.float32)):
        data: Any = np.array(values, dtype)
        matrix: Any = sp.coo_array((data, ([0, 0, 1], [1, 1, 1])), shape=(2, 2))
        if form == "csr":
            matrix = sp.csr_array((data, [1, 1, 1], [0, 2, 3]), shape=(2, 2))
        if form == "csc":
            matrix = sp.csc_array((data, [0, 0, 1], [0, 0, 3]), shape=(2, 2))
        store = convert.from_scipy(matrix)
        assert store.directed
        assert store.edge_list().weight.tolist() == values
        assert (store.edge_list().src.tolist(), store.edge_list().dst.tolist()) == ([0, 0, 1], [1, 1, 1])
    both = sp.coo_array((np.array([1, 2, 2, 1]), ([0, 0, 1, 1], [1, 1, 0, 0])), shape=(2, 2))
    store = convert.from_scipy(both.tocsr() if form == "csr" else both, directed=False)
    assert not store.directed
    assert sorted(store.edge_list().weight.tolist()) == ([3] if form == "csr" else [1, 2])


@examples(30)
@given(st.integers(0, 2**20), st.sampled_from(["csr", "csc", "coo", "lil", "dok", "dia"]))
def test_scipy_formats_agree(seed, form):
    dense = np.random.default_rng(seed).integers(0, 3, (6, 6))
    assert arcs(convert.from_scipy(sp.coo_array(dense).asformat(form))) == arcs(convert.from_scipy(sp.csr_array(dense)))


@needs("torch")
def test_repeated_entries_of_torch_are_parallel_edges():
    import torch

    places, values = torch.tensor([[0, 1, 0], [1, 1, 1]]), torch.tensor([100, 3, 100], dtype=torch.int8)
    tensor = torch.sparse_coo_tensor(places, values, (2, 2), check_invariants=True)
    assert arcs(ingest(tensor)) == [(0, 1, 100), (0, 1, 100), (1, 1, 3)]
    assert arcs(ingest(tensor.float().coalesce())) == [(0, 1, 200), (1, 1, 3)]


def test_types_need_a_type():
    shop = nearhop.GraphStore.from_typed(
        {"user": 2, "item": 3}, {("user", "buys", "item"): (np.array([0, 1]), np.array([2, 0]))}
    )
    assert convert.to_scipy(shop, ("user", "buys", "item")).shape == (2, 3)


@needs("networkx")
@pytest.mark.parametrize("directed", [True, False])
def test_networkx_there_and_back(directed):
    import networkx as nx

    store = make(directed)
    graph = convert.to_networkx(store)
    assert type(graph) is (nx.DiGraph if directed else nx.Graph)
    assert graph.edges[2, 3] == {"kind": 8, "weight": 2.0, "time": 20}
    back = ingest(graph, time="time")
    assert arcs(back) == arcs(store)
    assert np.array_equal(back.nodes["x"].astype(np.float32), store.nodes["x"])
    assert sorted(back.edge_list().time.tolist()) == [10, 20, 30, 40]
    assert sorted(back.edges["kind"].tolist()) == [6, 7, 8, 9]
    assert back.num_nodes == 5


@needs("networkx")
def test_networkx_names_parallel_edges_and_gaps():
    import networkx as nx

    graph = nx.MultiGraph()
    graph.add_edge("b", "a", km=3)
    graph.add_edge("b", "a")
    graph.add_node("c", city="Rome")
    store = ingest(graph)
    assert store.ids().tolist() == ["a", "b", "c"]
    assert store.edge_list().src.tolist() == [1, 1]
    assert np.array_equal(store.edges["km"], [3, np.nan], equal_nan=True)
    assert store.nodes["city"].tolist() == ["", "", "Rome"]
    again = convert.to_networkx(store)
    assert isinstance(again, nx.MultiGraph)
    assert again.number_of_edges("a", "b") == 2
    numbers = nx.Graph([(30, 10), (10, -2)])
    assert ingest(numbers).ids().tolist() == [-2, 10, 30]
    with pytest.raises(InvalidInput, match="convert_node_labels_to_integers"):
        ingest(nx.grid_2d_graph(2, 2))
    with pytest.raises(InvalidInput, match="weight='tons'"):
        ingest(graph, weight="tons")
    with pytest.raises(InvalidInput, match="nodes: not for a MultiGraph"):
        ingest(graph, nodes={"id": np.arange(3)})


@needs("networkx")
@examples(20)
@given(st.integers(0, 30), st.integers(0, 2**20), st.booleans())
def test_networkx_random_graphs(nodes, seed, directed):
    import networkx as nx

    graph = nx.gnp_random_graph(nodes, 0.2, seed=seed, directed=directed)
    back = convert.to_networkx(convert.from_networkx(graph))
    assert nx.utils.graphs_equal(
        nx.create_empty_copy(back, with_data=False), nx.create_empty_copy(graph, with_data=False)
    )
    assert set(back.edges) == set(graph.edges)


@needs("torch_geometric")
def test_pyg_shares_columns_and_keeps_edges():
    store = make()
    data = convert.to_pyg(store)
    assert data.x.data_ptr() == store.nodes["x"].__array_interface__["data"][0]
    assert data.edge_kind.data_ptr() == store.edges["kind"].__array_interface__["data"][0]
    assert data.edge_weight.data_ptr() == store.edge_list().weight.__array_interface__["data"][0]
    assert data.edge_index.tolist() == [[0, 2, 1, 3], [1, 3, 2, 3]]
    assert data.num_nodes == 5
    assert data.validate()
    back = convert.from_pyg(data)
    assert arcs(back) == arcs(store)
    assert np.shares_memory(back.nodes["x"], store.nodes["x"])
    assert back.edges["kind"].tolist() == [7, 8, 9, 6]
    assert back.edge_list().time.tolist() == [10, 20, 30, 40]


@needs("torch_geometric")
def test_pyg_sees_undirected_edges_in_both_directions():
    store = make(directed=False)
    data = convert.to_pyg(store)
    assert data.is_undirected()
    assert data.num_edges == 7  # the self-loop once
    assert data.edge_index[:, 4:].tolist() == [[1, 3, 2], [0, 2, 1]]
    assert data.edge_weight.tolist() == [1, 2, 3, 4, 1, 2, 3]
    back = ingest(data)
    assert not back.directed
    assert arcs(back) == arcs(store)
    assert sorted(back.edges["kind"].tolist()) == [6, 7, 8, 9]
    assert convert.from_pyg(data, directed=True).num_edges == 7


@needs("torch_geometric")
def test_pyg_with_types(tmp_path):
    shop = nearhop.GraphStore.from_typed(
        {"user": 2, "item": 3}, {("user", "buys", "item"): {"src": [0, 1], "dst": [2, 0], "weight": [0.5, 2.0]}}
    )
    shop.nodes("item")["price"] = np.array([1.0, 2.0, 3.0])
    data = convert.to_pyg(shop)
    assert data["item"].price.tolist() == [1, 2, 3]
    assert data["user"].num_nodes == 2
    back = ingest(data, tmp_path / "shop.nh")
    assert back.node_types == ("user", "item")
    assert back.nodes("item")["price"].tolist() == [1, 2, 3]
    assert back.edge_list(("user", "buys", "item")).weight.tolist() == [0.5, 2.0]


@needs("torch_geometric")
def test_pyg_edge_features_and_stored_columns(tmp_path):
    import torch
    from torch_geometric.data import Data

    given = Data(
        x=torch.randn(3, 2),
        edge_index=torch.tensor([[0, 1], [1, 2]]),
        edge_attr=torch.randn(2, 4),
        train_mask=torch.tensor([True, False, True]),
    )
    store = ingest(given, tmp_path / "s.nh")
    assert store.edges["edge_attr"].shape == (2, 4)
    assert store.nodes["train_mask"].tolist() == [True, False, True]
    stored = convert.to_pyg(nearhop.open(tmp_path / "s.nh"))
    assert torch.equal(stored.x, given.x)
    assert torch.equal(stored.edge_attr, given.edge_attr)


@needs("dgl")
def test_dgl():
    import dgl
    import torch

    graph = dgl.graph((torch.tensor([0, 1]), torch.tensor([1, 2])))
    graph.ndata["x"] = torch.randn(3, 2)
    store = ingest(graph)
    assert store.edge_list().src.tolist() == [0, 1]
    assert store.nodes["x"].shape == (3, 2)


@pytest.mark.parametrize("name", ["from_scipy", "from_networkx", "from_pyg", "from_dgl"])
def test_other_graphs_are_named(name):
    for graph in (np.eye(3), [[0, 1]], "cora", None, make()):
        with pytest.raises(InvalidType, match=rf"{name} reads .*; got (numpy|nearhop)?('s )?\w+$"):
            getattr(convert, name)(graph)
