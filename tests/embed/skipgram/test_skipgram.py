"""SkipGram: the kernel equals its reference, seeds and threads keep their promises, and the vectors are good."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import GraphStore, datasets
from nearhop.embed import SkipGram, TrainingDiverged
from nearhop.embed.evaluation import evaluate
from nearhop.embed.skipgram.logistic_cpu import logistic_table
from nearhop.embed.skipgram.rows_cpu import aligned_table, width_of
from nearhop.embed.skipgram.skipgram_cpu import Corpus, Negatives, Windows, train_walks
from nearhop.embed.skipgram.walk_source import WalkSource
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFitted
from nearhop.tests.reference import embedding as reference
from nearhop.tests.support import data_file, needs


def two_groups(n=60, seed=0):
    """Two dense groups with a few edges between them, node n - 1 isolated."""
    rng = np.random.default_rng(seed)
    half = (n - 1) // 2
    src = np.concatenate([rng.integers(0, half, 400), half + rng.integers(0, n - 1 - half, 400), [0, 1]])
    dst = np.concatenate([rng.integers(0, half, 400), half + rng.integers(0, n - 1 - half, 400), [half, half + 1]])
    return GraphStore.from_edges(src, dst, num_nodes=n), (np.arange(n) >= half).astype(int)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("shrink", [True, False])
def test_kernel_equals_reference(shared, shrink):
    rng = np.random.default_rng(3)
    n, dim = 12, 20
    vertex, context, total = aligned_table(n, dim), aligned_table(n, dim), aligned_table(1, dim)
    vertex[:, :dim] = rng.standard_normal((n, dim))
    context[:, :dim] = rng.standard_normal((n, dim))
    walks = rng.integers(0, n, (6, 7))
    walks[1, 3:] = -1
    walks[2, 1:] = -1
    rates = np.linspace(0.1, 0.02, 6).astype(np.float32)
    source = WalkSource.of(
        "x", two_groups()[0], direction="both", use_weights=True, p=1, q=1, seed=0, threads=1
    )  # only to build an alias table
    keep, alias = source.alias_of(rng.random(n), np.array([0, n]))
    options = {"window": 3, "shrink": shrink, "negatives": 4, "shared": shared, "seed": 7, "epoch": 2}
    expected = reference.skipgram(
        vertex, context, walks, keep=keep, alias=alias, table=logistic_table(), rates=rates, **options
    )
    sums = np.zeros(4)
    train_walks(
        *(width_of(dim), vertex, context, Corpus(walks, rates, 7, 2), Windows(3, shrink)),
        *(Negatives(4, shared, keep, alias), logistic_table(), total, sums),
    )
    np.testing.assert_allclose(vertex, expected[0], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(context, expected[1], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(sums, expected[2], rtol=1e-3)
    assert np.abs(expected[0]).max() > 0.5
    assert not total.any()


def test_groups_are_told_apart():
    store, groups = two_groups()
    for options in ({}, {"p": 0.25, "q": 4.0}, {"negatives": "pair"}, {"shrink_windows": False}):
        model = SkipGram(20, num_walks=20, window=5, seed=1, **options).fit(store)
        x = model.vertex_[:-1] / np.linalg.norm(model.vertex_[:-1], axis=1, keepdims=True)
        centres = np.stack([x[groups[:-1] == g].mean(axis=0) for g in (0, 1)])
        assert ((x @ centres.T).argmax(axis=1) == groups[:-1]).mean() > 0.95
        assert model.vertex_.shape == model.context_.shape == (60, 20)
        assert not model.vertex_[-1].any()
        assert not model.context_[-1].any()


def test_deterministic_at_any_number_of_threads():
    store, _ = two_groups()
    options = {"num_walks": 3, "deterministic": True}
    one = SkipGram(16, threads=1, **options).fit_transform(store)
    np.testing.assert_array_equal(one, SkipGram(16, threads=2, **options).fit_transform(store))
    np.testing.assert_array_equal(one, SkipGram(16, threads=1, num_walks=3).fit_transform(store))
    assert not np.array_equal(one, SkipGram(16, seed=1, **options).fit_transform(store))


def test_direction_and_weights():
    src, dst = np.arange(30), (np.arange(30) + 1) % 30
    ring = GraphStore.from_edges(src, dst, directed=True, weight=np.ones(30, np.float32))
    path = GraphStore.from_edges(src[:-1], dst[:-1], directed=True)
    for store, direction in ((ring, "out"), (ring, "both"), (path, "out")):
        assert np.isfinite(SkipGram(8, num_walks=4, direction=direction).fit_transform(store)).all()
    heavy = GraphStore.from_edges([0, 0, 1], [1, 2, 2], weight=np.array([1.0, 0.0, 0.0]), num_nodes=3)
    assert not SkipGram(8, num_walks=2).fit_transform(heavy)[2].any()
    assert SkipGram(8, num_walks=2, use_weights=False).fit_transform(heavy)[2].any()


def test_progress_counts_nodes_of_walks():
    store, _ = two_groups()
    seen = []
    SkipGram(16, num_walks=2, walk_length=10, progress=seen.append).fit(store)
    assert seen[-1].done == seen[-1].total == 2 * 59 * 10
    assert seen[-1].seconds_left == 0
    assert seen[-1].samples_per_second > 0
    assert 0 < seen[-1].loss < 6 * np.log(2) + 0.1


def test_bad_input_is_named():
    store, _ = two_groups()
    cases = [
        ({"dim": 0}, "dim must be in \\[1, 1024\\]; got 0"),
        ({"dim": 2000}, "dim must be in"),
        ({"window": 0}, "window must be in"),
        ({"negative": 0}, "negative must be in"),
        ({"walk_length": 1}, "walk_length must be in \\[2"),
        ({"p": 0.0}, "p must be > 0"),
        ({"q": float("nan")}, "q must be > 0"),
        ({"lr": -1.0}, "lr must be > 0"),
        ({"min_lr": 1.0}, "min_lr must be at most lr"),
        ({"negatives": "all"}, "negatives must be one of 'window', 'pair'"),
        ({"direction": "in"}, "direction must be one of"),
    ]
    for options, message in cases:
        with pytest.raises(InvalidInput, match=f"SkipGram: {message}"):
            SkipGram(**options).fit(store)
    with pytest.raises(InvalidType, match=r"dim must be an integer; got 1\.5"):
        SkipGram(1.5).fit(store)
    with pytest.raises(InvalidType, match="deterministic must be True or False"):
        SkipGram(deterministic=1).fit(store)
    with pytest.raises(NotFitted, match="call fit first"):
        SkipGram().vertex_  # noqa: B018
    with pytest.raises(InvalidInput, match="5 nodes and no edges"):
        SkipGram().fit(GraphStore.from_edges([], [], num_nodes=5))
    bad = GraphStore.from_edges([0], [1], weight=np.array([-1.0]))
    with pytest.raises(InvalidInput, match="weights must be finite and >= 0"):
        SkipGram().fit(bad)
    with pytest.raises(TrainingDiverged, match="use a smaller lr"):
        SkipGram(16, lr=1e9, min_lr=1e9).fit(store)


@pytest.mark.slow  # its short form is the DeepWalk example's, on PPI
@needs("sklearn")
def test_quality_on_blogcatalog():
    # an eighth of the walks of the published setting (docs/reproductions.md), faster steps in exchange
    data_file("embedding/blogcatalog.mat")
    store = datasets.load("blogcatalog")
    x = SkipGram(num_walks=10, lr=0.05).fit_transform(store)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    result = evaluate(x, store.nodes["y"], train_ratios=(0.2,), repeats=1, C=0.01)
    assert result.micro_mean[0] > 0.325
