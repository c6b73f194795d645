"""Scores of pairs: equal to NetworkX and to their formulas, weighted, directed, for pairs and for the best of a row."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.graphlib.compute import jit
from nearhop.graphlib.compute.threads import pieces
from nearhop.graphlib.errors import InvalidInput
from nearhop.graphlib.sparse import pair_scores, top_pairs, top_walks, triangles, walk_scores
from nearhop.graphlib.sparse.csr import CSR, rows_sorted
from nearhop.graphlib.sparse.pairs import as_sets
from nearhop.tests.support import examples

LOCAL = ("common_neighbors", "adamic_adar", "resource_allocation", "jaccard", "overlap", "cosine")


def random_store(n, m, seed, *, directed=False, weighted=False):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n, (2, m))
    weight = rng.integers(1, 5, m).astype(np.float32) if weighted else None
    return GraphStore.from_edges(src, dst, num_nodes=n, directed=directed, weight=weight)


def matrix(store):
    """The adjacency matrix, parallel edges added up."""
    rows = store.csr()
    A = np.zeros((store.num_nodes, store.num_nodes))
    weight = np.ones(rows.num_entries) if rows.weight is None else rows.weight
    np.add.at(A, (np.repeat(np.arange(store.num_nodes), rows.degrees()), rows.indices), weight)
    return A


def by_formula(A, u, v, method, weights, direction):
    """The score of one pair from two rows of the matrix."""
    own = A if weights else (A > 0).astype(float)
    left = own.T[u] if direction == "in" else own[u]
    right = own[v] if direction == "out" else own.T[v]
    shared_degree = own.sum(axis=0) if direction == "out" else own.sum(axis=1)
    shared = (left > 0) & (right > 0)
    terms = {None: np.ones(shared.shape), "product": left * right, "sum": left + right, "min": np.minimum(left, right)}
    term = np.where(shared, terms[weights], 0)
    squared = weights == "product"
    sizes = [float((x * x).sum() if squared else x.sum()) for x in (left, right)]
    if method == "preferential_attachment":
        return left.sum() * right.sum()
    if method == "resource_allocation":
        return float((term[shared] / shared_degree[shared]).sum())
    if method == "adamic_adar":
        log = np.log1p(shared_degree) if weights else np.log(np.maximum(shared_degree, 1))
        return float(sum(t / x for t, x in zip(term[shared], log[shared], strict=True) if x > 0))
    total = term.sum()
    whole = {
        "common_neighbors": 1.0,
        "jaccard": sizes[0] + sizes[1] - (0 if weights == "sum" else total),
        "overlap": min(sizes),
        "cosine": np.sqrt(sizes[0] * sizes[1]),
    }[method]
    return total / whole if whole > 0 else 0.0


@examples(60)
@given(
    n=st.integers(1, 25),
    m=st.integers(0, 120),
    method=st.sampled_from((*LOCAL, "preferential_attachment")),
    weights=st.sampled_from((None, "product", "sum", "min")),
    direction=st.sampled_from(("out", "in", "through")),
    directed=st.booleans(),
    seed=st.integers(0, 999),
)
def test_equals_the_formula(n, m, method, weights, direction, directed, seed):
    store = random_store(n, m, seed, directed=directed, weighted=True)
    A = matrix(store)
    u, v = np.random.default_rng(seed).integers(0, n, (2, 30))
    found = pair_scores(store, u, v, method, weights=weights, direction=direction)
    np.testing.assert_allclose(
        found, [by_formula(A, a, b, method, weights, direction) for a, b in zip(u, v, strict=True)], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("adamic_adar", nx.adamic_adar_index),
        ("resource_allocation", nx.resource_allocation_index),
        ("jaccard", nx.jaccard_coefficient),
        ("preferential_attachment", nx.preferential_attachment),
    ],
)
def test_equals_networkx(method, peer):
    graph = nx.barabasi_albert_graph(80, 4, seed=2)
    store = GraphStore.from_edges(*np.array(graph.edges).T, num_nodes=80)
    u, v = np.triu_indices(80, 1)
    expected = [score for _, _, score in peer(graph, list(zip(u.tolist(), v.tolist(), strict=True)))]
    np.testing.assert_allclose(pair_scores(store, u, v, method), expected, rtol=1e-12)


def test_hubs_are_searched_and_threads_do_not_matter():
    n = 4000
    hub = np.concatenate([np.zeros(n - 1, int), np.arange(1, n)]), np.concatenate([np.arange(1, n), np.arange(n - 1)])
    store = GraphStore.from_edges(*hub, num_nodes=n, directed=True)
    u, v = np.random.default_rng(0).integers(0, n, (2, 5000))
    v[:100] = 0
    A = matrix(store) > 0
    one = pair_scores(store, u, v, direction="through", threads=1)
    assert (one == [(A[a] & A.T[b]).sum() for a, b in zip(u, v, strict=True)]).all()
    assert one.tobytes() == pair_scores(store, u, v, direction="through", threads=2).tobytes()


@examples(40)
@given(
    n=st.integers(2, 25),
    m=st.integers(0, 100),
    k=st.integers(1, 6),
    method=st.sampled_from(LOCAL),
    weights=st.sampled_from((None, "product")),
    direction=st.sampled_from(("out", "in", "through")),
    directed=st.booleans(),
    linked=st.booleans(),
    seed=st.integers(0, 999),
)
def test_the_best_of_every_node(n, m, k, method, weights, direction, directed, linked, seed):
    store = random_store(n, m, seed, directed=directed, weighted=True)
    found = top_pairs(store, k, method, weights=weights, direction=direction, exclude_linked=not linked)
    A = matrix(store)
    allowed = np.ones((n, n), bool) if linked else ~((A.T if direction == "in" else A) > 0)
    np.fill_diagonal(allowed, False)
    for u in range(n):
        others = np.flatnonzero(allowed[u])
        scores = pair_scores(store, np.full(others.shape[0], u), others, method, weights=weights, direction=direction)
        order = np.lexsort((others, -scores))
        order = order[scores[order] > 0][:k]
        assert found.counts[u] == order.shape[0]
        np.testing.assert_allclose(found.scores[u, : order.shape[0]], scores[order], rtol=1e-6)
        assert (found.nodes[u, order.shape[0] :] == -1).all()
        at = found.nodes[u, : order.shape[0]]
        np.testing.assert_allclose(
            pair_scores(store, np.full(at.shape[0], u), at, method, weights=weights, direction=direction), scores[order]
        )


def test_edges_between_two_types_pair_either_end():
    bought = ("user", "buys", "item")
    shop = GraphStore.from_typed({"user": 3, "item": 4}, {bought: ([0, 0, 1, 1, 2], [0, 1, 1, 2, 3])})
    assert pair_scores(shop, [0, 0], [1, 2], "jaccard", edge_type=bought).tolist() == [1 / 3, 0]
    assert pair_scores(shop, [0, 0], [1, 2], direction="in", edge_type=bought).tolist() == [1, 0]
    assert top_pairs(shop, 1, edge_type=bought).nodes.ravel().tolist() == [1, 0, -1]
    assert top_pairs(shop, 1, direction="in", edge_type=bought).nodes.ravel().tolist() == [1, 0, 1, -1]
    with pytest.raises(InvalidInput, match="join two node types"):
        pair_scores(shop, [0], [0], direction="through", edge_type=bought)


@examples(30)
@given(
    n=st.integers(1, 20),
    m=st.integers(0, 60),
    length=st.integers(1, 5),
    method=st.sampled_from(("katz", "ppr")),
    directed=st.booleans(),
    weighted=st.booleans(),
    seed=st.integers(0, 999),
)
def test_walks_equal_matrix_powers(n, m, length, method, directed, weighted, seed):
    store = random_store(n, m, seed, directed=directed, weighted=True)
    A = matrix(store)
    if not weighted:
        rows = store.csr()
        A = np.zeros((n, n))
        np.add.at(A, (np.repeat(np.arange(n), rows.degrees()), rows.indices), 1.0)
    if method == "katz":
        expected = sum(0.1**step * np.linalg.matrix_power(A, step) for step in range(1, length + 1))
    else:
        T = A.copy()
        T[np.diag_indices(n)] += A.sum(axis=1) == 0
        T /= T.sum(axis=1, keepdims=True)
        expected = sum(0.2 * 0.8**step * np.linalg.matrix_power(T, step) for step in range(length))
        expected = expected + 0.8**length * np.linalg.matrix_power(T, length)
    options = {"method": method, "length": length, "beta": 0.1, "alpha": 0.2, "weighted": weighted}
    u, v = (i.ravel() for i in np.indices((n, n)))
    np.testing.assert_allclose(walk_scores(store, u, v, **options), expected.ravel(), rtol=1e-9, atol=1e-12)
    best = top_walks(store, np.arange(n), 3, **options)
    np.fill_diagonal(expected, 0)
    order = np.sort(expected, axis=1)[:, ::-1][:, :3]
    np.testing.assert_allclose(best.scores[:, : order.shape[1]], order, rtol=1e-5)
    for u in range(n):
        np.testing.assert_allclose(
            expected[u, best.nodes[u, : best.counts[u]]], best.scores[u, : best.counts[u]], rtol=1e-5
        )


@examples(30)
@given(n=st.integers(1, 40), m=st.integers(0, 250), directed=st.booleans(), seed=st.integers(0, 999))
def test_triangles_equal_networkx(n, m, directed, seed):
    store = random_store(n, m, seed, directed=directed)
    graph = nx.Graph(np.clip(matrix(store) + matrix(store).T, 0, 1))
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    assert triangles(store).tolist() == [nx.triangles(graph)[v] for v in range(n)]


STORE = GraphStore.from_edges([0, 1], [1, 2])
HUB = GraphStore.from_edges([0, 0, 0, 1, 1, 2], [1, 2, 3, 2, 3, 3])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pair_scores(STORE, [0], [3]), "pair 0 has column 3, outside 0..2"),
        (lambda: pair_scores(STORE, [0], [1], "salton"), "'common_neighbors', 'adamic_adar'"),
        (lambda: pair_scores(STORE, [0], [1], weights="product"), "have no weights"),
        (lambda: pair_scores(STORE, [0], [1], direction="both"), "'out', 'in', 'through'"),
        (lambda: top_pairs(STORE, 0), "k must be an integer >= 1"),
        (lambda: top_pairs(STORE, 3, "preferential_attachment"), "see pair_scores"),
        (lambda: walk_scores(STORE, [0], [1], "hits"), '"katz" or "ppr"'),
        (lambda: walk_scores(STORE, [0], [1], length=0), "length must be"),
        (lambda: walk_scores(STORE, [0], [1], beta=0), "beta must be a number in"),
        (lambda: walk_scores(STORE, [0], [1], weighted=True), "have no weights"),
        (lambda: top_walks(STORE, [5]), "outside 0..2"),
        (lambda: walk_scores(HUB, [0], [3], length=3000), "more walks of up to 3000 steps than a float64 counts"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InvalidInput, match=words):
        call()


def test_loops_over_pairs_have_turns_between_which_ctrl_c_is_obeyed(monkeypatch):
    """One turn per thread, as a ticket counter has it, would be deaf until all pairs are done."""
    turns = []

    def counted(total):
        turns.append(total)
        return pieces(total)

    monkeypatch.setattr(jit, "pieces", counted)
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(*rng.integers(0, 400, (2, 4000)), num_nodes=400)
    src, dst = rng.integers(0, 400, (2, 100_000))
    for score in (
        lambda: pair_scores(store, src, dst, "adamic_adar", threads=1),
        lambda: walk_scores(store, src, dst, length=2, threads=1),
        lambda: top_walks(store, np.arange(400), 3, length=2, threads=1),
    ):
        turns.clear()
        score()
        assert max(turns) >= 8


@given(
    n=st.integers(1, 12), m=st.integers(1, 12), count=st.integers(0, 60), is_sorted=st.booleans(),
    seed=st.integers(0, 2**20),
)  # fmt: skip
@examples(40)
def test_repeated_columns_are_added_up(n, m, count, is_sorted, seed):
    rng = np.random.default_rng(seed)
    rows, columns = np.sort(rng.integers(0, n, count)), rng.integers(0, m, count).astype(np.int32)
    values = rng.integers(-9, 9, count).astype(np.float32)
    if is_sorted:
        order = np.lexsort((columns, rows))
        columns, values = columns[order], values[order]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)
    dense = np.zeros((n, m))
    np.add.at(dense, (rows, columns), values)
    for weighted in (True, False):
        found = as_sets(CSR(indptr, columns, values, m), weighted)
        assert found.indices.dtype == np.int32
        assert rows_sorted(found)
        assert (found.values is None) != weighted
        owner = np.repeat(np.arange(n), np.diff(found.indptr))
        if weighted:
            kept = np.zeros((n, m))
            kept[owner, found.indices] = found.values
            np.testing.assert_array_equal(kept, dense)
        assert sorted(zip(owner, found.indices, strict=True)) == sorted(set(zip(rows, columns, strict=True)))
