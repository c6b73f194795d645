"""Names that meet in another library: refused by name, or both kept; the same in every process."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nearhop
from nearhop.graphlib.convert.pyg import edge_columns
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.support import needs

convert: Any = importlib.import_module("nearhop.graphlib.convert")
PAIR = [[0, 1], [1, 2]]


def path(weight=None, time=None, nodes=(), edges=()):
    store = nearhop.GraphStore.from_edges([0, 1], [1, 2], directed=True, weight=weight, time=time)
    for name in nodes:
        store.nodes[name] = np.array([5, 6, 7])
    for i, name in enumerate(edges):
        store.edges[name] = np.array([10 * i, 10 * i + 1])
    return store


def typed():
    return nearhop.GraphStore.from_typed({"a": 2, "b": 2}, {("a", "to", "b"): {"src": [0, 1], "dst": [1, 0]}})


@needs("torch_geometric")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"edges": ["index"]}, "the edge column 'index' would replace the ends of the edges.*'edge_index' there"),
        ({"weight": [1.0, 2.0], "edges": ["weight"]}, "the edge column 'weight' would replace the weights"),
        ({"weight": [1.0, 2.0], "edges": ["edge_weight"]}, "the edge column 'edge_weight' would replace the weights"),
        ({"time": [1, 2], "edges": ["time"]}, "the edge column 'time' would replace the times"),
        ({"nodes": ["num_nodes"]}, "the node column 'num_nodes' would replace the number of nodes"),
        ({"nodes": ["edge_index"]}, "the node column 'edge_index' would replace the ends of the edges"),
        ({"edges": ["x", "edge_x"]}, "the edge column 'edge_x' would replace the edge column 'x'"),
        ({"nodes": ["edge_attr"], "edges": ["attr"]}, "the edge column 'attr' would replace the node column"),
    ],
)
def test_to_pyg_refuses_names_that_meet(given, message):
    with pytest.raises(InvalidInput, match=message + ".*another name"):
        convert.to_pyg(path(**given))


@needs("torch_geometric")
def test_to_pyg_refuses_names_that_meet_among_types():
    store = typed()
    store.edges(("a", "to", "b"))["attr"] = store.edges(("a", "to", "b"))["edge_attr"] = np.arange(2)
    with pytest.raises(InvalidInput, match="'edge_attr' would replace the edge column 'attr'"):
        convert.to_pyg(store)
    store = typed()
    store.nodes("b")["num_nodes"] = np.arange(2)
    with pytest.raises(InvalidInput, match="'num_nodes' would replace the number of nodes"):
        convert.to_pyg(store)


@needs("networkx")
def test_to_networkx_refuses_names_that_meet():
    for role in ("weight", "time"):
        with pytest.raises(InvalidInput, match=f"to_networkx: the edge column '{role}' would replace the {role}s"):
            convert.to_networkx(path(**{role: [1, 2]}, edges=[role]))
    assert convert.to_networkx(path(edges=["weight"])).edges[1, 2] == {"weight": 1}


@needs("torch_geometric")
def test_from_pyg_keeps_both():
    import torch
    from torch_geometric.data import Data

    index, one, two = torch.tensor(PAIR), torch.tensor([1.0, 2.0]), torch.tensor([8.0, 9.0])
    store = nearhop.ingest(Data(edge_index=index, num_nodes=3, edge_weight=one, weight=two))
    assert store.edge_list().weight.tolist() == [1, 2]
    assert store.edges["weight"].tolist() == [8, 9]
    assert not store.ingest_report.left_out
    store = nearhop.ingest(Data(edge_index=index, num_nodes=3, edge_weight=one, w=two), weight="w")
    assert store.edge_list().weight.tolist() == [8, 9]
    assert store.edges["edge_weight"].tolist() == [1, 2]
    assert not store.ingest_report.left_out
    store = nearhop.ingest(Data(edge_index=index, num_nodes=3, weight=two))
    assert store.edge_list().weight.tolist() == [8, 9]
    assert not store.ingest_report.left_out


@needs("torch_geometric")
def test_from_heterodata_keeps_both_and_tells_what_is_left_out():
    import torch
    from torch_geometric.data import HeteroData

    data = HeteroData(about="text")
    data["a"].x, data["b"].x = torch.ones(2), torch.ones(3, 3)
    data["b"].num_nodes = 2
    chosen = ("a", "to", "b")
    data[chosen].edge_index = torch.tensor([[0, 1], [1, 0]])
    data[chosen].attr, data[chosen].edge_attr = torch.tensor([1, 2]), torch.tensor([3, 4])
    store = nearhop.ingest(data)
    assert {name: values.tolist() for name, values in store.edges(chosen).items()} == {
        "attr": [1, 2],
        "edge_attr": [3, 4],
    }
    assert list(store.ingest_report.left_out) == ["about", "b: x"]


@needs("torch")
def test_tensors_of_edges_in_any_order():
    import torch

    tensors = {name: torch.tensor([i, i]) for i, name in enumerate(("weight", "edge_weight", "edge_x", "x", "edge_y"))}
    for given in (tensors, dict(reversed(tensors.items()))):
        found = edge_columns(given, 2, None, None)
        assert {name: int(values[0]) for name, values in found.roles.items()} == {"weight": 1}
        assert {name: int(values[0]) for name, values in found.columns.items()} == {
            "weight": 0,
            "edge_x": 2,
            "x": 3,
            "y": 4,
        }
    with pytest.raises(InvalidInput, match="edges have no tensor 'z'"):
        edge_columns(tensors, 2, "z", None)
    graph: Any = SimpleNamespace(
        ntypes=["n"],
        etypes=["e"],
        edges=lambda order: torch.tensor(PAIR),
        edata=tensors,
        ndata={},
        num_nodes=lambda: 3,
    )
    store = convert.from_dgl(graph)
    assert store.edge_list().weight.tolist() == [1, 1]
    assert store.edges["weight"].tolist() == [0, 0]


@needs("torch_geometric")
def test_undirected_edges_of_heterodata_are_stored_once():
    import torch
    from torch_geometric.data import HeteroData

    chosen = ("a", "to", "a")
    data = HeteroData()
    data["a"].num_nodes = 3
    data[chosen].edge_index = torch.tensor([[0, 1, 2, 2], [1, 0, 2, 2]])
    data[chosen].edge_weight = torch.tensor([4.0, 4, 5, 6])
    data[chosen].kind = torch.tensor([1, 1, 2, 3])
    store = nearhop.ingest(data, directed=False)
    assert not store.is_directed(chosen)
    edges = store.edge_list(chosen)
    assert (edges.src.tolist(), edges.dst.tolist(), edges.weight.tolist()) == ([0, 2, 2], [1, 2, 2], [4, 5, 6])
    assert store.edges(chosen)["kind"].tolist() == [1, 2, 3]
    assert store.csr(chosen).neighbors(0).tolist() == [1]
    assert nearhop.ingest(data).is_directed(chosen)
    data[chosen].kind = torch.tensor([1, 2, 2, 3])
    with pytest.raises(InvalidInput, match=r"edge type \('a', 'to', 'a'\) does not hold every edge in both directions"):
        nearhop.ingest(data, directed=False)
    data["b"].num_nodes = 1
    data["a", "in", "b"].edge_index = torch.tensor([[0], [0]])
    data[chosen].kind = torch.tensor([1, 1, 2, 3])
    with pytest.raises(InvalidInput, match=r"\('a', 'in', 'b'\) join two types of nodes.*leave directed out"):
        nearhop.ingest(data, directed=False)


@needs("torch_geometric")
def test_parallel_edges_are_symmetric_in_any_order():
    import torch
    from torch_geometric.data import Data

    index, weight = torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0]]), torch.tensor([1.0, 2, 2, 1])
    attr = torch.tensor([[1, float("nan")], [2, 3], [2, 3], [1, float("nan")]])
    store = nearhop.ingest(Data(edge_index=index, num_nodes=2, edge_weight=weight, edge_attr=attr))
    assert not store.directed
    assert store.edge_list().weight.tolist() == [1, 2]
    assert nearhop.ingest(
        Data(edge_index=index, num_nodes=2, edge_weight=weight, edge_attr=attr[[1, 0, 2, 3]])
    ).directed
