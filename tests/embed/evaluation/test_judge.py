"""The one evaluator: equal to scikit-learn and to definitions written out, splits that do not leak, hard negatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from nearhop import GraphStore
from nearhop.embed.evaluation import (
    distances,
    hard_negatives,
    link_report,
    measure_links,
    measure_nodes,
    split_edges,
    strata,
)
from nearhop.embed.evaluation.metrics import hits, ranks, reciprocal_ranks
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.tests.support import examples


def random_store(n=60, m=300, seed=0, directed=False):
    return GraphStore.from_edges(*np.random.default_rng(seed).integers(0, n, (2, m)), num_nodes=n, directed=directed)


@examples(60)
@given(p=st.lists(st.integers(0, 5), min_size=1, max_size=20), n=st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_measures_on_a_shared_pool(p, n):
    found = measure_links(p, n, ks=(1, 3, 50), ties="pessimistic")
    truth, scores = [1] * len(p) + [0] * len(n), [*p, *n]
    assert found.auc == pytest.approx(roc_auc_score(truth, scores))
    assert found.ap == pytest.approx(average_precision_score(truth, scores))
    for k in (1, 3):  # OGB: strictly above the k-th best of the pool
        expected = np.mean(np.array(p) > np.sort(n)[-k]) if len(n) >= k else 1.0
        assert found.hits[k] == pytest.approx(expected)
    assert found.hits[50] == 1.0
    assert found.mrr == pytest.approx(np.mean([1 / (1 + sum(x >= s for x in n)) for s in p]))


@pytest.mark.parametrize(("ties", "expected"), [("mean", 3.0), ("optimistic", 2.0), ("pessimistic", 4.0)])
def test_tie_rules(ties, expected):
    assert ranks([1.0], [[2.0, 1.0, 1.0, 0.0]], ties=ties).tolist() == [expected]
    assert reciprocal_ranks([1.0], [2.0, 1.0, 1.0, 0.0], ties=ties).tolist() == [1 / expected]


def test_own_negatives_are_not_the_pool():
    positive, negative = np.array([3.0, 1.0]), np.array([[9.0, 9.0], [0.0, 0.0]])
    assert hits(positive, negative, 1).tolist() == [False, True]
    assert hits(positive, negative.ravel(), 1).tolist() == [False, False]
    assert measure_links(positive, negative).protocol == "own"


@pytest.mark.parametrize("directed", [False, True])
def test_splits_do_not_leak(directed):
    rng = np.random.default_rng(3)
    src, dst = rng.integers(0, 30, (2, 400))
    store = GraphStore.from_edges(
        np.concatenate([src, dst]), np.concatenate([dst, src]), num_nodes=30, directed=directed
    )
    store.nodes["x"] = np.arange(30)
    split = split_edges(store, seed=1)

    def keys(pairs):
        return set((np.minimum(*pairs) * 30 + np.maximum(*pairs)).tolist())

    edges = split.train.edge_list()
    parts = [keys((edges.src, edges.dst)), keys(split.val), keys(split.test)]
    negatives = [keys(split.val_negative), keys(split.test_negative)]
    whole = keys((src, dst))
    assert parts[0] | parts[1] | parts[2] == whole
    for i in range(3):
        for j in range(i):
            assert not parts[i] & parts[j] - {v * 31 for v in range(30)}
    assert not (negatives[0] | negatives[1]) & whole
    assert not negatives[0] & negatives[1]
    assert len(parts[2]) == split.test.shape[1] == len(negatives[1])
    assert split.train.nodes["x"].tolist() == list(range(30))
    linked = {(int(a), int(b)) for a, b in zip(store.edge_list().src, store.edge_list().dst, strict=True)}
    assert directed is False or all((int(a), int(b)) in linked for a, b in split.test.T)


def test_validation_links_are_input_only_when_asked():
    store = random_store()
    for ask in (False, True):
        split = split_edges(store, use_val_as_input=ask)
        more = split.val.shape[1] if ask else 0
        assert split.input_for("test").num_edges == split.train.num_edges + more
        assert split.input_for("val").num_edges == split.train.num_edges
    with pytest.raises(InvalidInput, match='"val" or "test"'):
        split.input_for("train")


def test_measures_of_nodes_by_definition():
    store = random_store(40, 200, seed=2)
    split = split_edges(store, seed=0)
    scores = np.random.default_rng(0).integers(0, 8, (40, 40)).astype(float)
    found = measure_nodes(split, lambda nodes: scores[nodes], ks=(3, 10), batch=7)
    edges = split.train.edge_list()
    for at, node in enumerate(found.nodes):
        known = {node}
        for a, b in [*zip(edges.src, edges.dst, strict=True), *split.val.T]:
            known |= {b} if a == node else set()
            known |= {a} if b == node else set()
        targets = {b for a, b in split.test.T if a == node} | {a for a, b in split.test.T if b == node}
        candidates = [v for v in range(40) if v not in known]
        order = sorted(candidates, key=lambda v: (-scores[node, v], v in targets))
        place = [order.index(v) + 1 for v in targets]
        assert found.values["mrr"][at] == pytest.approx(1 / min(place))
        for k in (3, 10):
            hit = sum(p <= k for p in place)
            assert found.values[f"hits@{k}"][at] == (hit > 0)
            assert found.values[f"recall@{k}"][at] == pytest.approx(hit / len(targets))
            assert found.values[f"precision@{k}"][at] == pytest.approx(hit / k)
            gains = [[float(v in targets) for v in order]]
            expected = ndcg_score(gains, [[-float(i) for i in range(len(order))]], k=k)
            assert found.values[f"ndcg@{k}"][at] == pytest.approx(expected)


def test_distances_are_steps_in_the_training_graph():
    networkx = pytest.importorskip("networkx")
    split = split_edges(random_store(50, 90, seed=4), seed=0)
    edges = split.train.edge_list()
    graph = networkx.Graph(list(zip(edges.src.tolist(), edges.dst.tolist(), strict=True)))
    graph.add_nodes_from(range(50))
    for (u, v), found in zip(split.test.T.tolist(), distances(split, split.test, most=3), strict=True):
        steps = networkx.shortest_path_length(graph, u, v) if networkx.has_path(graph, u, v) else 9
        assert found == min(steps, 4)


def test_hard_negatives_are_harder_and_never_links():
    from nearhop.graphlib.sparse import pair_scores

    rng = np.random.default_rng(0)
    block = rng.integers(0, 20, (2, 500)) + 20 * rng.integers(0, 4, 500)
    store = GraphStore.from_edges(*block, num_nodes=80)
    split = split_edges(store, seed=0)
    features = np.repeat(np.eye(4), 20, axis=0) + 0.01
    names = ("resource_allocation", "ppr", "features")
    src, dst = hard_negatives(split, split.test, num=10, heuristics=names, features=features)
    linked = set((store.edge_list().src * 80 + store.edge_list().dst).tolist())
    linked |= set((store.edge_list().dst * 80 + store.edge_list().src).tolist())
    assert not linked & set((src * 80 + dst).ravel().tolist())
    assert (src != dst).all()
    assert ((src == split.test[0][:, None]) | (dst == split.test[1][:, None])).all()
    easy = pair_scores(split.train, *split.test_negative).mean()
    assert pair_scores(split.train, src.ravel(), dst.ravel()).mean() > 2 * easy


def test_strata_and_report(tmp_path):
    groups = strata([1, 1, 2, 8, np.nan], [0.0, 1.0, 1.0, 0.5, 9.0], bins=[1, 2, 10])
    assert [(g.count, g.mean) for g in groups] == [(2, 0.5), (2, 0.75)]
    assert strata([np.nan], [1.0]) == []
    measured = {"a <b>": measure_links([2.0, 1.0], [1.5, 0.0]), "other": measure_links([0.0, 1.0], [1.5, 0.0])}
    path = link_report(
        tmp_path / "page.html",
        measured,
        groups={"MRR by degree": {"a <b>": groups}},
        correlations={"recall@10": {"tc_train": 0.5, "degree": float("nan")}},
        notes=["seed 0"],
    )
    page = path.read_text()
    assert "a &lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count("<svg") == 2
    assert "src=" not in page
    assert "http" not in page
    with pytest.raises(InvalidInput, match="do not go into one table"):
        link_report(tmp_path / "no.html", {**measured, "own": measure_links([1.0], [[0.0]])})
    assert not (tmp_path / "no.html").exists()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: measure_links([np.nan], [1.0]), InvalidInput, "positive holds NaN"),
        (lambda: measure_links([], [1.0]), InvalidInput, "0 positives and 1 negatives"),
        (lambda: measure_links(["a"], [1.0]), InvalidType, "must hold numbers"),
        (lambda: measure_links([1.0], [[1.0], [2.0]]), InvalidInput, "1 rows, one per positive"),
        (lambda: measure_links([1.0], [1.0], ties="best"), InvalidInput, "'mean', 'optimistic'"),
        (lambda: hits([1.0], [1.0], 0), InvalidInput, "k must be"),
        (lambda: split_edges(random_store(), val=0.5, test=0.5), InvalidInput, "must be below 1"),
        (lambda: split_edges(GraphStore.from_edges([0], [1]), val=0.1), InvalidInput, "use a larger share"),
        (lambda: split_edges(random_store(10, 300), test_negatives=40), InvalidInput, "there are only"),
        (lambda: hard_negatives(split_edges(random_store()), np.zeros((2, 1), int), num=3), InvalidInput, "even"),
        (lambda: measure_nodes(split_edges(random_store()), lambda v: np.zeros((1, 1))), InvalidInput, "score gave"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
