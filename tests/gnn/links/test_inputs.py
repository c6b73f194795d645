"""What train_links and its parts are given: refused by name, never read beyond its end or taken for something else."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from nearhop import GraphStore
from nearhop.embed.evaluation import split_edges
from nearhop.gnn.graphs import TrainOptions, stratified_folds
from nearhop.gnn.links import DotHead, Encoder, LinkTraining, PairSketches, ProductHead, train_links
from nearhop.gnn.nodes.features import as_features
from nearhop.gnn.sparse.sparse_tensor import SparseTensor, features_of
from nearhop.gnn.topology import (
    Reweighting,
    approximate_concentration,
    rank_correlation,
    topological_concentration,
    topology_report,
)
from nearhop.graphlib.errors import InvalidInput, InvalidType, NearhopError

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
QUICK = LinkTraining(epochs=1, k=5)


@pytest.fixture(scope="module")
def split():
    return split_edges(GraphStore.from_edges(np.arange(60), (np.arange(60) * 7 + 1) % 60))


@pytest.mark.parametrize(
    "given",
    [X.astype(complex), X.astype(str), X.astype(object), X[:, 0], X[:, :, None], X[:, :0], np.ma.masked_array(X, X > 1),
     np.where(X > 1, np.nan, X), np.full((60, 4), 1e300), sp.csr_array(X.astype(complex)),
     sp.csr_array(np.where(X > 1, np.inf, X)), torch.from_numpy(X).to_sparse()],
)  # fmt: skip
def test_features_are_a_matrix_of_finite_numbers(given, split):
    for call in (as_features, features_of, lambda x: train_links(split, Encoder(4, 8), DotHead(), QUICK, features=x)):
        with pytest.raises((InvalidInput, InvalidType), match="features"):
            call(given)


@pytest.mark.parametrize("given", [X.tolist(), torch.from_numpy(X).bfloat16(), X.astype(">f8"), sp.coo_matrix(X)])
def test_forms_of_features(given):
    expected = torch.from_numpy(X).bfloat16().float().numpy() if isinstance(given, torch.Tensor) else X
    assert features_of(given).values.tolist() == expected[expected != 0].tolist()


def test_shapes_that_do_not_fit_are_not_multiplied(split):
    wide = SparseTensor(features_of(np.ones((3, 8))))
    with pytest.raises(InvalidInput, match="3 rows and 8 columns cannot be multiplied with one of shape \\(4, 2\\)"):
        wide @ torch.ones(4, 2)
    for encoder, features in ((Encoder(4, 8), np.ones((60, 8))), (Encoder(0, 8, num_nodes=59), None)):
        with pytest.raises(InvalidInput, match="60"):
            train_links(split, encoder, DotHead(), QUICK, features=features)
    with pytest.raises(InvalidType, match="takes an EdgeSplit"):
        train_links(split.train, Encoder(0, 8, num_nodes=60), DotHead(), QUICK)


@pytest.mark.parametrize(
    "pairs", [([-1], [0]), ([60], [0]), ([1, 2], [0]), ([1.5], [0]), ([np.nan], [0]), (["1"], [0])]
)
def test_pairs_are_nodes(pairs, split):
    trained = train_links(split, Encoder(0, 8, num_nodes=60), DotHead(), QUICK)
    sketches = PairSketches(split.train, num_perm=8)
    for call in (trained.score, sketches.counts):
        with pytest.raises(NearhopError, match="src"):
            call(*pairs)


@pytest.mark.parametrize(
    ("parts", "k", "lacks"),
    [({"val": 0}, 5, "no validation links; give split_edges\\(val=...\\) above 0"),
     ({"val": 0, "val_negatives": 6}, 5, "no validation links"),
     ({"val_negatives": 0}, 5, "0 validation negatives.*val_negatives=...\\) of 5 or more"),
     ({}, 7, "6 validation negatives")],
)  # fmt: skip
def test_validations_that_cannot_choose_an_epoch(parts, k, lacks, split):
    """Nothing is greater than nan, nor than 1: the first epoch was kept and the others were thrown away."""
    cut = split_edges(split.full, **parts)
    with pytest.raises(InvalidInput, match=f"{lacks}.*LinkTraining\\(eval_every=3\\)"):
        train_links(cut, Encoder(0, 8, num_nodes=60), DotHead(), LinkTraining(epochs=3, k=k))
    told = []
    trained = train_links(
        cut, Encoder(0, 8, num_nodes=60), DotHead(), LinkTraining(epochs=3, k=k, eval_every=3),
        progress=lambda *given: told.append(given),
    )  # fmt: skip
    assert (trained.epoch, len(trained.losses)) == (3, 3)
    assert np.isnan([trained.val_hits, told[0][2]]).all()


@pytest.mark.parametrize("parts", [{"test": 0}, {"test_negatives": 0}, {"test_negatives": 4}])
def test_scores_of_no_test(parts, split):
    trained = train_links(split_edges(split.full, **parts), Encoder(0, 8, num_nodes=60), DotHead(), QUICK)
    assert np.isnan(trained.test_hits)
    assert 0 <= trained.val_hits <= 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("epochs", 0), ("epochs", 1.5), ("batch", -5), ("eval_every", 0), ("k", 0), ("seed", -1), ("seed", None),
     ("lr", -1), ("lr", np.nan), ("clip", np.inf), ("head_lr", "a")],
)  # fmt: skip
def test_options_of_training(option, value):
    with pytest.raises(InvalidInput, match=option):
        LinkTraining(**{option: value})


def test_features_that_an_encoder_does_not_read_are_refused(split):
    """As many columns as nodes made them look like the encoder's own; they were left out without a word."""
    with pytest.raises(InvalidInput, match="reads no features; leave features= out"):
        train_links(split, Encoder(0, 8, num_nodes=60), DotHead(), QUICK, features=np.eye(60))
    for given in ({"hide_targets": "no"}, {"reweighting": True}):
        with pytest.raises(InvalidType, match=next(iter(given))):
            LinkTraining(**given)
    with pytest.raises(InvalidType, match="training must be a LinkTraining; got dict"):
        train_links(split, Encoder(0, 8, num_nodes=60), DotHead(), {"epochs": 1})
    for head in (lambda: ProductHead(8, layers=0), lambda: ProductHead(8, dropout=1.5), lambda: ProductHead(0)):
        with pytest.raises(InvalidInput, match="must be"):
            head()


def test_pairs_of_concentration_are_two_arrays():
    """Of an array (m, 2) the first two pairs were taken for sources and destinations."""
    store = GraphStore.from_edges([0, 1, 2, 2], [1, 2, 0, 3])
    for measure in (topological_concentration, approximate_concentration):
        with pytest.raises(InvalidInput, match=r"pairs must be \(src, dst\).*; got 3 rows"):
            measure(store, np.array([[0, 1], [1, 2], [2, 3]]))
    for call, said in (
        (lambda: topological_concentration(store, beta="a"), "beta must be a number >= 0; got 'a'"),
        (
            lambda: approximate_concentration(store, weights=3),
            "weights must hold one number per hop, 1, all finite; got 3",
        ),
        (lambda: approximate_concentration(store, weights=(np.nan,)), "one number per hop, 1, all finite"),
    ):
        with pytest.raises(InvalidInput, match=said):
            call()
    with pytest.raises(InvalidType, match="topology_report takes an EdgeSplit"):
        topology_report(store)


def test_seeds_are_whole_numbers(split):
    """None would draw otherwise in each call, and a fraction or a negative number is a raw error of NumPy's."""
    for seed in (None, -1, 1.5, True):
        for call in (
            lambda seed=seed: PairSketches(split.train, seed=seed),
            lambda seed=seed: stratified_folds([0, 1] * 4, num_folds=2, seed=seed),
            lambda seed=seed: TrainOptions(seed=seed),
            lambda seed=seed: Encoder(4, seed=seed),
        ):
            with pytest.raises(InvalidInput, match="seed must be an integer"):
                call()


def test_other_options():
    for wrong in ({"interval": 0}, {"warm_up": -1}, {"alpha": np.nan}):
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            Reweighting(**wrong)
    with pytest.raises(InvalidInput, match="decay"):
        TrainOptions(decay=(0, 0.1))
    with pytest.raises(InvalidInput, match="two arrays of numbers"):
        rank_correlation(["a", "b"], ["c", "d"])
    big = np.array([2**62, 2**62 + 1, 2**62 + 2])
    assert rank_correlation(big, [1, 2, 3]) == pytest.approx(1)
