"""The graph store in memory: adjacency, columns, ids, types, errors."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound
from nearhop.graphlib.given_store import one_node_type
from nearhop.graphlib.store.store import GraphStore
from nearhop.graphlib.store.store import open as open_store

graphs = st.integers(1, 15).flatmap(
    lambda n: st.tuples(
        st.just(n),
        hnp.arrays(np.int64, st.tuples(st.integers(0, 60), st.just(2)), elements=st.integers(0, n - 1)),
    )
)


def expected_rows(num_nodes, edges, *, directed, reverse=False):
    """(neighbour, edge) pairs of every row, by the definition."""
    rows: list[list[tuple[int, int]]] = [[] for _ in range(num_nodes)]
    for edge, (a, b) in enumerate(edges.tolist()):
        if reverse:
            a, b = b, a
        rows[a].append((b, edge))
        if not directed and a != b:
            rows[b].append((a, edge))
    return [sorted(row) for row in rows]


def listed_rows(adjacency):
    return [
        list(zip(adjacency.indices[s:e].tolist(), adjacency.edge_ids[s:e].tolist(), strict=True))
        for s, e in zip(adjacency.indptr[:-1], adjacency.indptr[1:], strict=True)
    ]


@given(graphs, st.booleans())
def test_rows_list_every_edge_once_per_end(graph, directed):
    num_nodes, edges = graph
    weight = np.arange(len(edges), dtype=np.float32)
    store = GraphStore.from_edges(edges[:, 0], edges[:, 1], num_nodes=num_nodes, directed=directed, weight=weight)
    assert listed_rows(store.csr()) == expected_rows(num_nodes, edges, directed=directed)
    assert listed_rows(store.csc()) == expected_rows(num_nodes, edges, directed=directed, reverse=directed)
    for rows in (store.csr(), store.csc()):
        np.testing.assert_array_equal(rows.weight, weight[rows.edge_ids])
        assert rows.indices.dtype == np.int32
        assert rows.indptr.dtype == np.int64
    store.verify()


@given(graphs, st.booleans(), st.integers(0, 60))
def test_appending_equals_building_at_once(graph, directed, cut):
    num_nodes, edges = graph
    time = np.arange(len(edges))[::-1].copy()
    whole = GraphStore.from_edges(edges[:, 0], edges[:, 1], num_nodes=num_nodes, directed=directed, time=time)
    head, tail = edges[:cut], edges[cut:]
    store = GraphStore.from_edges(head[:, 0], head[:, 1], num_nodes=num_nodes, directed=directed, time=time[:cut])
    store.csr()
    store.append_edges(tail[:, 0], tail[:, 1], time=time[cut:])
    for side in ("csr", "csc"):
        for order in ("id", "time"):
            ours, theirs = (getattr(s, side)(order=order) for s in (store, whole))
            for part in ("indptr", "indices", "edge_ids", "time"):
                np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))


def test_given_arrays_are_shared_not_copied():
    src, dst = np.array([0, 1], np.int32), np.array([1, 2], np.int32)
    x = np.ones((3, 4), np.float32)
    store = GraphStore.from_edges(src, dst)
    store.nodes["x"] = x
    assert store.edge_list().src is src
    assert store.nodes["x"] is x
    assert store.csr() is store.csr()


def test_time_order():
    store = GraphStore.from_edges([0, 0, 0], [1, 2, 3], directed=True, time=[30, 10, 20])
    assert store.csr(order="time").neighbors(0).tolist() == [2, 3, 1]
    assert store.csr().neighbors(0).tolist() == [1, 2, 3]
    with pytest.raises(InvalidInput, match='order="time" needs edge times'):
        GraphStore.from_edges([0], [1]).csr(order="time")


def test_empty_graphs():
    store = GraphStore.from_edges([], [])
    assert (store.num_nodes, store.num_edges) == (0, 0)
    assert store.csr().indptr.tolist() == [0]
    assert GraphStore.from_edges([], [], num_nodes=3).csr().degrees().tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([0, -1], [1, 2]), {}, InvalidInput, r"src\[1\] is -1; node ids are >= 0"),
        (([0, 1], [1]), {}, InvalidInput, "equally long; got 2 and 1"),
        (([0.5], [1]), {}, InvalidType, "must hold integer node ids; got dtype float64"),
        (([0], [5]), {"num_nodes": 3}, InvalidInput, r"dst\[0\] is 5, but nodes are 0\.\.2"),
        (([[0]], [[1]]), {}, InvalidInput, "one dimension"),
        (([0, 1], [1, 2]), {"weight": [1, np.nan]}, InvalidInput, r"weight\[1\] is nan"),
        (([0], [1]), {"weight": [1e300]}, InvalidInput, "finite in float32"),
        (([0], [1]), {"time": [np.inf]}, InvalidInput, r"time\[0\] is inf"),
        (([0], [1]), {"time": ["a"]}, InvalidType, "time must hold numbers"),
        (([0], [1]), {"weight": [1, 2]}, InvalidInput, r"shape \(1,\), one per edge; got \(2,\)"),
        ((np.array([2**63], np.uint64), [1]), {}, InvalidInput, "signed 64-bit"),
        (([0], [1]), {"num_nodes": -1}, InvalidInput, "num_nodes must be an integer >= 0"),
    ],
)
def test_bad_edges_are_named(arguments, options, error, message):
    with pytest.raises(error, match=message):
        GraphStore.from_edges(*arguments, **options)


def test_columns_check_length_type_and_name():
    store = GraphStore.from_edges([0], [1])
    with pytest.raises(InvalidInput, match=r"column 'x' has shape \(3,\); its first axis must be 2, the nodes"):
        store.nodes["x"] = np.zeros(3)
    with pytest.raises(InvalidType, match="Python objects"):
        store.nodes["x"] = np.array([{}, 1], dtype=object)
    with pytest.raises(InvalidType, match="complex"):
        store.nodes["x"] = np.zeros(2, complex)
    with pytest.raises(InvalidInput, match="1 to 200 printable"):
        store.nodes[" "] = np.zeros(2)
    with pytest.raises(NotFound, match="no column 'y'; columns: none yet"):
        _ = store.nodes["y"]
    store.nodes["x"] = ["a", "bb"]
    assert store.nodes["x"].dtype == np.dtype("<U2")
    del store.nodes["x"]
    assert list(store.nodes) == []


def test_short_columns_after_appending_say_so():
    store = GraphStore.from_edges([0], [1])
    store.nodes["x"] = np.ones(2)
    store.append_edges([1], [3])
    assert store.num_nodes == 4
    with pytest.raises(InvalidInput, match=r"2 rows but there are 4 nodes .* pad\('x', fill=...\)"):
        _ = store.nodes["x"]
    store.nodes.pad("x", fill=-1)
    assert store.nodes["x"].tolist() == [1, 1, -1, -1]


@pytest.mark.parametrize("ids", [[30, 10, 20], ["c", "a", "ä"]])
def test_user_ids(ids):
    store = GraphStore.from_edges([0, 1], [1, 2])
    store.set_ids(ids)
    assert np.asarray(store.ids()).tolist() == ids
    assert store.lookup(ids[::-1]).tolist() == [2, 1, 0]
    with pytest.raises(NotFound, match="is not in the store"):
        store.lookup([99] if isinstance(ids[0], int) else ["zz"])
    with pytest.raises(InvalidInput, match="is given to two nodes"):
        store.set_ids([ids[0], ids[0], ids[1]])
    with pytest.raises(InvalidInput, match="3 nodes but 2 user ids"):
        store.set_ids(ids[:2])
    with pytest.raises(InvalidInput, match="user ids"):
        store.append_edges([0], [7], positions=True)
    store.add_nodes(ids=[77] if isinstance(ids[0], int) else ["new"])
    store.append_edges([0], [3], positions=True)
    assert store.csr().neighbors(3).tolist() == [0]


def test_positions_are_ids_without_a_map():
    store = GraphStore.from_edges([0], [1])
    assert store.ids() is None
    assert store.lookup([1, 0]).tolist() == [1, 0]
    with pytest.raises(NotFound, match=r"nodes are 0\.\.1"):
        store.lookup([2])


def test_typed_graph():
    shop = GraphStore.from_typed(
        {"user": 2, "item": 3},
        {
            ("user", "buys", "item"): ([0, 1, 1], [2, 0, 2]),
            ("user", "knows", "user"): {"src": [0], "dst": [1], "directed": False},
        },
    )
    buys = ("user", "buys", "item")
    assert shop.csr(buys).num_rows == 2
    assert shop.csc(buys).neighbors(2).tolist() == [0, 1]
    assert shop.csr(("user", "knows", "user")).neighbors(1).tolist() == [0]
    assert shop.num_nodes == 5
    shop.nodes("item")["price"] = np.ones(3)
    with pytest.raises(InvalidInput, match="2 edge types, so name one of them"):
        shop.csr()
    with pytest.raises(InvalidInput, match="2 node types, so name one"):
        _ = shop.nodes["x"]
    with pytest.raises(NotFound, match="no edge type"):
        shop.csr(("user", "sells", "item"))
    with pytest.raises(InvalidInput, match="one node type at both ends"):
        shop.add_edge_type(("user", "likes", "item"), [0], [0], directed=False)
    with pytest.raises(InvalidInput, match=r"dst\[0\] is 9, but nodes are 0\.\.2"):
        shop.add_edge_type(("user", "likes", "item"), [0], [9])


def test_describe_and_repr_are_honest():
    store = GraphStore.from_edges([0, 1], [1, 2], weight=[1, 2])
    store.nodes["x"] = np.ones((3, 4), np.float32)
    told = store.describe()
    assert told["nodes"]["node"] == {"count": 3, "ids": None, "columns": {"x": "float32[3, 4]"}}
    assert told["edges"]["node/edge/node"]["weight"] is True
    assert repr(store).splitlines()[0] == "GraphStore(3 nodes, 2 edges; in memory)"
    assert "x: float32[3, 4]" in repr(store)


def test_append_must_match_weight_and_time():
    store = GraphStore.from_edges([0], [1], weight=[1])
    with pytest.raises(InvalidInput, match="weights are missing, but the edges so far have weight"):
        store.append_edges([0], [1])
    with pytest.raises(InvalidInput, match="times were given, but the edges so far have no time"):
        store.append_edges([0], [1], weight=[1], time=[1])
    assert store.num_edges == 1


def test_edges_are_appended_by_user_id(tmp_path):
    """Where nodes have user ids, ends are user ids; positions are positions by name."""
    for ids, more in (([1, 5, 9, 2, 11], [20]), (["v", "w", "x", "y", "1"], ["zß"])):
        store = GraphStore.from_edges([0, 1], [1, 2], num_nodes=5)
        store.set_ids(ids)
        store = store.save(tmp_path / f"{ids[0]}.nh")
        store.append_edges([ids[3], ids[0]], [ids[4], ids[3]], weight=None)
        store.append_edges([1], [2], positions=True)
        with pytest.raises(NotFound, match=r"append_edges: user id .* is not in the store; node nodes have user ids"):
            store.append_edges([ids[0]], more)
        store.add_nodes(ids=more)
        store.append_edges([ids[0]], more)
        kind = "integers" if ids[0] == 1 else "text"
        with pytest.raises(InvalidType, match=f"user ids of this store are {kind}"):
            store.append_edges([ids[0]], ["v"] if kind == "integers" else [3])
        with pytest.raises(InvalidInput, match="names node 99"):
            store.append_edges([0], [99], positions=True)
        store.add_edge_type(("node", "knows", "node"), [ids[4]], [ids[3]])
        store.add_edge_type(("node", "near", "node"), [4], [3], positions=True)
        with pytest.raises(NotFound, match="add_edge_type: user id"):
            store.add_edge_type(("node", "far", "node"), [ids[4]], [77] if kind == "integers" else ["q"])
        store.commit()
        opened = open_store(store.path)
        edges = opened.edge_list(("node", "edge", "node"))
        assert list(zip(edges.src.tolist(), edges.dst.tolist(), strict=True)) == [
            (0, 1), (1, 2), (3, 4), (0, 3), (1, 2), (0, 5),
        ]  # fmt: skip
        for name in ("knows", "near"):
            edges = opened.edge_list(("node", name, "node"))
            assert (edges.src.tolist(), edges.dst.tolist()) == ([4], [3])
        assert opened.verify()


def test_ends_of_two_types_are_of_the_kind_that_each_has():
    store = GraphStore.from_typed({"user": 2, "item": 3}, {("user", "buys", "item"): ([0], [0])})
    store.set_ids(["ann", "bob"], "user")
    store.append_edges(["bob"], [2])
    edges = store.edge_list(("user", "buys", "item"))
    assert (edges.src.tolist(), edges.dst.tolist()) == ([0, 1], [0, 2])


@pytest.mark.parametrize(
    ("present", "new", "error", "message"),
    [
        ([10, 20], ["x"], InvalidType, "are integers; the new ones are text"),
        (["a", "b"], [7], InvalidType, "are text; the new ones are integers"),
        ([1, 2], [2.5], InvalidType, "must be all integers or all text"),
        ([1, 2], [True], InvalidType, "must be all integers or all text"),
        ([1, 2], [2**63], InvalidInput, "does not fit"),
        ([1, 2], [3, 3], InvalidInput, "given to two nodes"),
        ([1, 2], [1], InvalidInput, "given to two nodes"),
        (["a", "b"], ["b"], InvalidInput, "given to two nodes"),
    ],
)
def test_new_ids_are_of_the_kind_of_the_present_ones(present, new, error, message):
    store = GraphStore.from_edges([0], [1])
    store.set_ids(present)
    with pytest.raises(error, match=message):
        store.add_nodes(ids=new)
    assert store.ids().tolist() == present
    assert store.num_nodes == 2


def test_ids_of_any_integer_type_are_added():
    store = GraphStore.from_edges([0], [1])
    store.set_ids([1, 2])
    store.add_nodes(ids=np.array([2**60 + 1], np.uint64))
    store.add_nodes(ids=[])
    assert store.ids().tolist() == [1, 2, 2**60 + 1]
    store.append_edges([2**60 + 1], [1])
    assert store.edge_list().src.tolist() == [0, 2]


def test_what_a_call_means_in_a_store_of_several_types():
    edge, near = ("node", "edge", "node"), ("node", "near", "node")
    store = GraphStore.from_typed(
        {"aside": 4, "node": 3, "user": 2},
        {("user", "likes", "node"): ([0], [1]), near: ([0], [2]), edge: ([0, 1], [1, 2])},
    )
    assert one_node_type(store, "x") == edge
    assert one_node_type(store, "x", list(near)) == near
    with pytest.raises(InvalidInput, match="x needs edges within one node type; got 'user' to 'node'"):
        one_node_type(store, "x", ("user", "likes", "node"))
    several = GraphStore.from_typed({"a": 2}, {("a", "x", "a"): ([0], [1]), ("a", "y", "a"): ([0], [1])})
    with pytest.raises(InvalidInput, match="x needs a store with one edge type; this one has 2"):
        one_node_type(several, "x")
    with pytest.raises(NotFound, match="no edge type"):
        one_node_type(several, "x", ("a", "z", "a"))


def test_neighbours_are_of_one_row_that_exists():
    rows = GraphStore.from_edges([0, 1, 2], [1, 2, 0], num_nodes=4, directed=True).csr()
    assert rows.neighbors(np.int32(1)).tolist() == [2]
    for row in (-1, 4, [0, 1], 1.0, "1", True):
        with pytest.raises(InvalidInput, match=r"neighbors takes one row, an integer in 0\.\.3"):
            rows.neighbors(row)


def test_a_column_is_named_by_a_text():
    store = GraphStore.from_edges([0], [1])
    for name in (["x"], 0, None):
        with pytest.raises(NotFound, match="nodes have no column"):
            store.nodes[name]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_large_ids_are_found_in_any_dtype(dtype):
    store = GraphStore.from_edges([0, 1], [1, 2])
    ids = [2**60 + 1, 2**60 + 3, 2**60 + 2]  # which float64 does not tell apart
    store.set_ids(ids)
    assert store.lookup(np.array(ids, dtype)).tolist() == [0, 1, 2]
    store.append_edges(np.array(ids[2:], dtype), np.array(ids[:1], dtype))
    assert (store.edge_list().src[-1], store.edge_list().dst[-1]) == (2, 0)
    with pytest.raises(NotFound, match=f"user id {2**60} is not"):
        store.lookup(np.array([ids[0], 2**60], dtype))


def test_an_id_beyond_64_bits_is_in_no_store():
    store = GraphStore.from_edges([0], [1])
    store.set_ids([-(2**63), 5])
    with pytest.raises(NotFound, match=f"user id {2**63} is not"):  # the same bits
        store.lookup(np.array([5, 2**63], np.uint64))


def test_types_are_named_by_texts():
    store = GraphStore.from_typed({"u": 3, "i": 2}, {("u", "b", "i"): ([0], [1])})
    for wrong in (5, [["u"], "b", "i"], {"u": 1}.values()):
        for call in (store.csr, store.edges, store.is_directed):
            with pytest.raises(InvalidType, match=r"an edge type is .* three texts; got"):
                call(wrong)
        with pytest.raises(InvalidType, match="three texts"):
            store.add_edge_type(wrong, [0], [1])
        with pytest.raises(InvalidType, match="three texts"):
            store.append_edges([0], [1], edge_type=wrong)
    for wrong in (5, ["u"], {}):
        for call in (store.nodes, store.ids, store.num_nodes_of):
            with pytest.raises(InvalidType, match=r"a node type is a text; got .*; types: 'u', 'i'"):
                call(wrong)
