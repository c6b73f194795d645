"""Lists of graphs: stores of your own and those of the catalogue, as one and one by one."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import GraphStore, datasets
from nearhop.datasets.graphs import GraphSet
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound
from nearhop.graphlib.store.union import disjoint_union
from nearhop.tests.support import data_file


def edges_of(store):
    listed = store.edge_list()
    return sorted(zip(listed.src.tolist(), listed.dst.tolist(), strict=True))


def three():
    stores = [
        GraphStore.from_edges([0, 1], [1, 2]),
        GraphStore.from_edges([], [], num_nodes=1),
        GraphStore.from_edges([0], [1], num_nodes=4),
    ]
    for store, tags in zip(stores, ([5, 5, 9], [9], [2, 5, 5, 9]), strict=True):
        store.nodes["tag"] = np.array(tags)
    return stores


def test_stores_come_back_one_by_one():
    stores = three()
    graphs = GraphSet.of(stores, [7, 3, 7])
    assert (len(graphs), graphs.num_classes, graphs.num_tags) == (3, 2, 3)
    assert graphs.labels.tolist() == [1, 0, 1]
    assert graphs.store.nodes["graph"].tolist() == [0, 0, 0, 1, 2, 2, 2, 2]
    for made, store in zip(graphs, stores, strict=True):
        assert made.num_nodes == store.num_nodes
        assert edges_of(made) == edges_of(store)
        assert np.array_equal(np.array([2, 5, 9])[made.nodes["tag"]], store.nodes["tag"])
    assert edges_of(graphs[-1]) == [(0, 1)]
    assert [s.num_nodes for s in graphs[1:]] == [1, 4]
    with pytest.raises(IndexError, match="graph 3 of 3"):
        graphs[3]
    assert graphs.by_degree().tags.tolist() == [1, 2, 1, 0, 1, 1, 0, 0]
    assert repr(graphs) == "GraphSet(3 graphs of 2 classes, 8 nodes of 3 kinds, 3 edges)"


def test_bad_sets_are_named():
    stores = three()
    with pytest.raises(InvalidInput, match="labels are missing"):
        GraphSet.of(stores)
    with pytest.raises(InvalidInput, match=r"one class for each of 3 graphs; got shape \(2,\)"):
        GraphSet.of(stores, [0, 1])
    with pytest.raises(InvalidType, match="labels must be integers"):
        GraphSet.of(stores, [0.5, 1.0, 1.0])
    with pytest.raises(InvalidInput, match="graph 1 has no nodes"):
        GraphSet.of([stores[0], GraphStore.from_edges([], [], num_nodes=0)], [0, 1])
    with pytest.raises(InvalidInput, match="at least one graph"):
        GraphSet.of([], [])
    with pytest.raises(InvalidInput, match='no node column "graph"'):
        GraphSet.of(stores[0], [0])
    stores[0].nodes["tag"] = np.array([0.5, 1, 2])
    with pytest.raises(InvalidType, match="'tag' must hold integers"):
        GraphSet.of(stores, [0, 1, 1])
    directed = GraphStore.from_edges([0], [1], directed=True)
    with pytest.raises(InvalidInput, match=r"graphs\[1\] is directed, unlike graphs\[0\]"):
        disjoint_union([three()[0], directed])
    with pytest.raises(InvalidInput, match="has no node column 'x'"):
        disjoint_union(three(), columns=["x"])
    with pytest.raises(NotFound, match="'karate' is not a set of many graphs; those are enzymes"):
        datasets.load_graphs("karate")


def test_the_catalogue_gives_lists():
    data_file("tu/MUTAG.txt.gz")
    graphs = datasets.load_graphs("mutag")
    assert (len(graphs), graphs.num_classes, graphs.num_tags) == (188, 2, 7)
    assert np.bincount(graphs.labels).tolist() == [63, 125]
    assert sum(store.num_edges for store in graphs[:5]) == int(
        (graphs.store.nodes["graph"][graphs.store.edge_list().src] < 5).sum()
    )
    assert graphs.labels.tolist() == graphs.store.attributes["graph_labels"]
