"""Link prediction: measures equal scikit-learn's, splits hide what they say, ranks are counted as defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.embed import evaluate_links, split_links
from nearhop.embed.evaluation.links import LinkSplit, average_precision, roc_auc
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.tests.support import needs


@needs("sklearn")
@given(
    positive=st.lists(st.integers(-3, 3), min_size=1, max_size=30),
    negative=st.lists(st.integers(-3, 3), min_size=1, max_size=30),
)
def test_auc_and_ap_equal_scikit_learns(positive, negative):
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth = np.repeat([1, 0], [len(positive), len(negative)])
    scores = np.array(positive + negative, float)
    a, b = np.array(positive, float), np.array(negative, float)
    assert roc_auc(a, b) == pytest.approx(roc_auc_score(truth, scores))
    assert average_precision(a, b) == pytest.approx(average_precision_score(truth, scores))


@pytest.mark.parametrize("directed", [False, True])
def test_split(directed):
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 50, (2, 400))
    store = GraphStore.from_edges(src, dst, num_nodes=50, directed=directed, weight=np.arange(400, dtype=np.float32))
    split = split_links(store, 0.3, seed=3)
    kept = split.train.edge_list()
    pairs = list(zip(src.tolist(), dst.tolist(), strict=True))
    name = (lambda u, v: (u, v)) if directed else (lambda u, v: (min(u, v), max(u, v)))
    left = [name(int(u), int(v)) for u, v in zip(kept.src, kept.dst, strict=True)]
    hidden = [name(int(u), int(v)) for u, v in zip(split.src, split.dst, strict=True)]
    assert 80 < len(pairs) - len(left) < 160
    assert not set(hidden) & set(left)
    assert {name(*pair) for pair in pairs} == set(hidden) | set(left)
    assert all(u != v for u, v in hidden)
    assert kept.weight[0] in range(400)
    again = split_links(store, 0.3, seed=3)
    np.testing.assert_array_equal(split.src, again.src)
    assert not np.array_equal(split.src[:40], split_links(store, 0.3, seed=4).src[:40])
    assert repr(split) == f"LinkSplit({len(left)} edges kept, {len(hidden)} hidden)"


def test_ranks_are_exact_where_all_candidates_are_known():
    """A star: the centre has no negatives, and the only ones of a leaf are the other leaves."""
    store = GraphStore.from_edges(np.zeros(6, np.int64), np.arange(1, 7))
    split = split_links(store, 0.5, seed=1)
    vertex = np.ones((7, 1))
    context = np.array([[5.0], *([[1.0]] * 6)])
    scores = evaluate_links(split, vertex, context, candidates=4, ks=(1, 5), repeats=2)
    # hidden edges start at the centre, which is linked to all: no candidates, rank 1
    assert (split.src == 0).all()
    assert scores.mrr.tolist() == [1.0, 1.0]
    assert scores.hits[1].tolist() == [1.0, 1.0]
    assert scores.summary()["mrr"] == (1.0, 0.0)
    leaves = LinkSplit(split.train, split.full, split.dst, split.src)
    for other, rank in ((1.0, 1), (4.0, 5)):
        score = np.full((7, 7), other)  # score[x, u] is that of (u, x): the leaf itself would beat the hidden edge
        np.fill_diagonal(score, 9.0)
        score[0] = 3.0
        ranked = evaluate_links(leaves, np.eye(7), score, candidates=4, ks=(1, 5), repeats=2)
        np.testing.assert_allclose(ranked.mrr, 1 / rank)
        assert ranked.hits[5].tolist() == [1.0, 1.0]


def test_perfect_and_useless_scores():
    rng = np.random.default_rng(2)
    block = rng.integers(0, 20, (2, 900)) + 20 * rng.integers(0, 2, 900)
    split = split_links(GraphStore.from_edges(*block, num_nodes=40), 0.1)
    groups = np.repeat(np.eye(2), 20, axis=0)
    for rule in ("uniform", "degree"):
        good = evaluate_links(split, groups, candidates=20, rule=rule, ks=(1, 5))
        none = evaluate_links(split, np.ones((40, 2)), candidates=20, rule=rule, ks=(1, 5))
        assert good.auc.mean() > 0.85
        assert good.mrr.mean() > none.mrr.mean() + 0.1
        assert (none.auc == 0.5).all()
        np.testing.assert_allclose(none.mrr, 1 / 11)  # 1 + 20 ties, each a half
        assert (none.hits[5] == 0).all()
    repeated = evaluate_links(split, groups, candidates=20)
    np.testing.assert_array_equal(repeated.auc, evaluate_links(split, groups, candidates=20).auc)


def test_bad_input_is_named():
    split = split_links(GraphStore.from_edges(np.arange(30), (np.arange(30) + 1) % 30), 0.3)
    x = np.ones((30, 2))
    with pytest.raises(InvalidInput, match="vertex must have 30 rows"):
        evaluate_links(split, x[:4])
    with pytest.raises(InvalidType, match=r"split must be a LinkSplit, .*; got numpy's ndarray"):
        evaluate_links(np.eye(30), split)
    with pytest.raises(InvalidInput, match="they must agree"):
        evaluate_links(split, x, np.ones((30, 3)))
    with pytest.raises(InvalidType, match="vertex must be a float"):
        evaluate_links(split, x.astype(int))
    with pytest.raises(InvalidInput, match="not finite"):
        evaluate_links(split, x * np.nan)
    with pytest.raises(InvalidInput, match="rule must be one of"):
        evaluate_links(split, x, rule="hard")
    with pytest.raises(InvalidInput, match="candidates must be in"):
        evaluate_links(split, x, candidates=0)
    for share in (0.0, 1.0, 2.0):
        with pytest.raises(InvalidInput, match="share must be in"):
            split_links(split.full, share)
    with pytest.raises(InvalidInput, match="no edge was hidden of 1; use a larger share"):
        split_links(GraphStore.from_edges([0], [1]), 1e-9)


@given(
    n=st.integers(2, 8),
    edges=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40),
    directed=st.booleans(),
    share=st.sampled_from([0.2, 0.5, 0.9]),
    seed=st.integers(0, 3),
)
def test_no_hidden_pair_is_linked_in_train_either_way(n, edges, directed, share, seed):
    pairs = np.array([e for e in edges if max(e) < n], np.int64).reshape(-1, 2)
    m = len(pairs)
    store = GraphStore.from_edges(
        *(pairs[:, 0], pairs[:, 1]), num_nodes=n, directed=directed, weight=np.arange(m, dtype=np.float32),
        time=np.arange(m),
    )  # fmt: skip
    try:
        split = split_links(store, share, seed=seed)
    except InvalidInput as error:
        assert "no edge was hidden" in str(error)  # noqa: PT017
        return
    kept = split.train.edge_list()
    left = list(zip(kept.src.tolist(), kept.dst.tolist(), strict=True))
    hidden = list(zip(split.src.tolist(), split.dst.tolist(), strict=True))
    assert not {frozenset(pair) for pair in hidden} & {frozenset(pair) for pair in left}
    assert all(u != v for u, v in hidden)
    assert len(set(hidden)) == len(hidden)
    # nothing is lost, and what is kept keeps its weight and time
    assert left == [tuple(pair) for pair in pairs[kept.time].tolist()]
    np.testing.assert_array_equal(kept.weight, kept.time)
    gone = {tuple(pair) for pair in np.delete(pairs, kept.time, axis=0).tolist()}
    assert set(hidden) == (gone if directed else {(min(pair), max(pair)) for pair in gone})


def test_edges_are_hidden_by_the_share_that_was_asked_for():
    rng = np.random.default_rng(0)
    u, v = rng.integers(0, 3000, (2, 20_000))
    both = GraphStore.from_edges(np.concatenate([u, v]), np.concatenate([v, u]), directed=True)
    split = split_links(both, 0.1, seed=1)
    assert split.src.shape[0] / both.num_edges == pytest.approx(0.1, abs=0.01)
    assert (split.train.num_edges + split.src.shape[0]) / both.num_edges == pytest.approx(1, abs=0.01)
