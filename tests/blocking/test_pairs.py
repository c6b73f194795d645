"""Candidate pairs as edges, and what they know of their tables."""

from __future__ import annotations

import numpy as np
import pytest

import nearhop
from nearhop.blocking import NGramBlocker, Records
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound

NAMES = ["sony radio", "desk lamp", "garden hose"]
EDGES = "l", "may_be", "r"


def table(keys, names=NAMES):
    return Records.of({"id": keys, "name": names[: len(keys)]}, key="id")


def store_of(**ids):
    store = nearhop.GraphStore()
    for kind, given in ids.items():
        store.add_node_type(kind, given if isinstance(given, int) else len(given))
        if not isinstance(given, int):
            store.set_ids(given, kind)
    return store


def keys_of(store, edge_type=EDGES):
    edges = store.edge_list(edge_type)
    return set(
        zip(store.ids(edge_type[0])[edges.src].tolist(), store.ids(edge_type[2])[edges.dst].tolist(), strict=True)
    )


def test_nodes_are_found_by_their_ids():
    pairs = NGramBlocker().block(table([1, 2, 3]), table(["c", "a", "b"]), k=1)
    wanted = {(1, "c"), (2, "a"), (3, "b")}
    for ids in (
        {"l": [3, 1, 2], "r": ["a", "b", "c"]},  # another order
        {"l": [9, 3, 2, 8, 1], "r": ["x", "c", "b", "y", "a"]},  # and other nodes
        {"l": [2, 3, 1]},
        {},
    ):
        store = pairs.add_to(store_of(**ids), EDGES)
        assert keys_of(store) == wanted
        assert store.edges(EDGES)["rank"].tolist() == [0, 0, 0]
    assert keys_of(pairs.chosen(pairs.left < 2).add_to(store_of(l=[2, 1], r=["a", "c"]), EDGES)) == {(1, "c"), (2, "a")}
    rows = pairs.add_to(store_of(l=3, r=["b", "a", "c"]), EDGES).edge_list(EDGES)
    assert (rows.src.tolist(), rows.dst.tolist()) == ([0, 1, 2], [2, 1, 0])
    one = NGramBlocker().block(Records.of({"id": [5, 6], "name": ["sony radio", "sony radios"]}, key="id"), k=1)
    assert keys_of(one.add_to(store_of(l=[6, 7, 5]), ("l", "is", "l")), ("l", "is", "l")) in ({(5, 6)}, {(6, 5)})


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ({"l": [1, 2, 4]}, NotFound, "node type 'l': user id 3 is not in the store; records' keys are looked up"),
        ({"r": ["a", "c", "q"]}, NotFound, "node type 'r': .*b"),
        ({"r": [1, 2, 3]}, InvalidType, "node type 'r': user ids of this store are integers"),
        ({"l": 4}, InvalidInput, "node type 'l' has 4 nodes for 3 records, and no user ids"),
    ],
)
def test_nodes_that_are_not_there(ids, error, message):
    pairs = NGramBlocker().block(table([1, 2, 3]), table(["c", "a", "b"]), k=1)
    store = store_of(**ids)
    with pytest.raises(error, match=message):
        pairs.add_to(store, EDGES)
    assert set(store.node_types) == set(ids)  # as it was


def test_edge_types_that_will_not_do():
    pairs = NGramBlocker().block(table([1, 2, 3]), table(["c", "a", "b"]), k=1)
    store = store_of()
    with pytest.raises(ValueError, match="edge type"):
        pairs.add_to(store, "may_be")
    pairs.add_to(store, EDGES)
    with pytest.raises(InvalidInput, match="exists already"):
        pairs.add_to(store, EDGES)
    assert np.array_equal(store.ids("l"), [1, 2, 3])
