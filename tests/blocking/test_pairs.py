"""Candidate pairs as edges, and what they know of their tables."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest

import nearhop
from nearhop.blocking import (
    CandidatePairs,
    EmbeddingBlocker,
    MinHashBlocker,
    NGramBlocker,
    NLSHBlock,
    Records,
    Union,
    load,
    match_rows,
)
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound
from nearhop.tests.blocking.tables import two_tables
from nearhop.tests.support import needs

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


def twins():
    return Records.of({"id": [7, 8, 9], "name": ["sony radio", "lamp", "sony radio x"]}, key="id")


@pytest.mark.parametrize(
    "make", [NGramBlocker, MinHashBlocker, EmbeddingBlocker, lambda: Union([NGramBlocker(), MinHashBlocker()])]
)
def test_a_table_given_twice_is_two_tables(make):
    table = twins()
    twice, two = make().block(table, table, k=3), make().block(table, twins(), k=3)
    assert (twice.one_table, twice.num_possible) == (two.one_table, two.num_possible) == (False, 9)
    assert twice.to_arrow().equals(two.to_arrow())
    one = make().block(table, k=3)
    assert (one.one_table, one.num_possible) == (True, 3)
    for right in (table, twins()):
        assert make().fit(table, right, [(7, 7), (9, 9)])._ranks.tolist() == [0, 0]
    with pytest.raises(InvalidInput, match="matches: row 0 matches record 7 with itself"):
        make().fit(table, matches=[(7, 7)])
    assert match_rows([(9, 7), (7, 9), (8, 8)], table, table).tolist() == [[0, 2], [1, 1], [2, 0]]
    assert match_rows([(9, 7), (7, 9)], table).tolist() == [[0, 2]]


def test_pairs_keep_whether_they_are_of_one_table():
    table = twins()
    parts = np.array([0]), np.array([2]), np.ones(1, "f"), np.zeros(1, "i"), table.keys
    assert CandidatePairs(*parts, table.keys).one_table is True
    assert CandidatePairs(*parts, table.keys.copy()).one_table is False
    for one_table in (True, False):
        pairs = CandidatePairs(*parts, table.keys.copy() if one_table else table.keys, one_table)
        kept = (
            pairs.best(1),
            pairs.within(0),
            pairs.chosen([0]),
            copy.deepcopy(pairs),
        )
        for each in (pairs, *kept, dataclasses.replace(pairs, score=pairs.score)):
            assert (each.one_table, each.num_possible) == ((True, 3) if one_table else (False, 9))
        kind = "l" if one_table else "r"
        assert pairs.add_to(store_of(), ("l", "is", kind)).num_nodes_of(kind) == 3


def test_explanations_within_one_table(tmp_path):
    """A record is its own best candidate in a table that is given twice, and none where there is one table."""
    table = twins()
    wide = Records.of({"id": table.keys, "name": table.texts(), "junk": ["a", "b", "c"]}, key="id")
    for blocker, given in ((NGramBlocker(), table), (NGramBlocker(columns=["name"]), wide)):
        blocker.block(given, k=1)
        blocker.save(tmp_path / str(len(given.columns)))
        for each in (blocker, load(tmp_path / str(len(given.columns)))):
            assert each.explain(given, (7, 9), k=1).rank == 0
        blocker.block(given, given, k=1)
        assert blocker.explain(given, (7, 9), k=1).rank == 1
        assert blocker.explain(given, (9, 7), k=1).rank == 1
        assert blocker.fit(given, matches=[(7, 9)]).explain(given, (9, 7), k=1).rank == 0


@needs("torch")
def test_cells_know_their_tables():
    left, right, truth = two_tables(30)
    blocker = NLSHBlock(epochs=1).fit(left, right, [(left.keys[a], right.keys[b]) for a, b in truth])
    assert blocker.block_cells(left).one_table
    twice = blocker.block_cells(left, left)
    assert (twice.one_table, twice.num_possible) == (False, 900)
    assert ((twice.left == twice.right).sum(), (twice.left < twice.right).sum()) == (
        30, (twice.left > twice.right).sum(),
    )  # fmt: skip
