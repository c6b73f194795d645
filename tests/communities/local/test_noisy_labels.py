"""Noisy labels: flips of given accuracy, classifiers from few samples, labels from a first diffusion, the gain."""

from __future__ import annotations

import numpy as np
import pytest

import nearhop
from nearhop.communities.local.diffusion import MassSweep, flow_diffusion, flow_diffusion_path
from nearhop.communities.local.noisy_labels import AttributeClassifier, _nodes_beside, diffuse_twice, flip_labels
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.tests.support import data_file, data_folder, needs


def noisy_blocks(n=400, seed=0):
    """Four weak blocks of 100 nodes, and attributes that tell the first from the rest imperfectly."""
    rng = np.random.default_rng(seed)
    block = np.arange(n) // 100
    i, j = np.triu_indices(n, 1)
    keep = rng.random(i.shape[0]) < np.where(block[i] == block[j], 0.08, 0.02)
    store = nearhop.GraphStore.from_edges(i[keep], j[keep], num_nodes=n)
    X = rng.normal(size=(n, 5)) + 1.5 * (block == 0)[:, None]
    return store, block == 0, X.astype(np.float32)


def f1(found, target):
    return 2 * target[found].sum() / (len(found) + target.sum())


def test_flips_have_the_given_accuracy():
    inside = np.arange(20_000) < 5_000
    labels = flip_labels(inside, accuracy=(0.7, 0.9), seed=3)
    assert labels[inside].mean() == pytest.approx(0.7, abs=0.03)
    assert labels[~inside].mean() == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(labels, flip_labels(inside, accuracy=(0.7, 0.9), seed=3))
    assert not np.array_equal(labels, flip_labels(inside, accuracy=(0.7, 0.9), seed=4))
    with pytest.raises(InvalidInput, match="two numbers"):
        flip_labels(inside, accuracy=(0.7, 1.9))
    with pytest.raises(InvalidType, match="boolean"):
        flip_labels([0, 1])


def test_good_labels_help():
    store, target, _ = noisy_blocks()
    mass = MassSweep.of_volume(np.diff(store.csr().indptr)[target].sum())
    plain = [f1(flow_diffusion(store, s, mass).sweep_nodes, target) for s in range(5)]
    labels = flip_labels(target, accuracy=(0.9, 0.9))
    better = [f1(flow_diffusion(store, s, mass, labels).sweep_nodes, target) for s in range(5)]
    assert np.mean(better) > np.mean(plain) + 0.1
    assert np.mean(better) > f1(np.flatnonzero(labels), target)


@needs("sklearn")
def test_classifier_reads_only_what_it_is_asked():
    store, target, X = noisy_blocks()
    positives, negatives = np.flatnonzero(target)[:25], np.flatnonzero(~target)[::12]
    inside = AttributeClassifier(X, positives=positives, negatives=negatives)
    everyone = inside(np.arange(400))
    assert (everyone == target).mean() > 0.85
    assert np.array_equal(inside(np.array([399, 7])), everyone[[399, 7]])
    lazily = flow_diffusion(store, 3, 3000, inside)
    given_all = flow_diffusion(store, 3, 3000, everyone)
    assert np.array_equal(lazily.values, given_all.values)
    rows_read = np.full(X.shape, np.nan, np.float32)
    known = np.r_[positives, negatives, 7]
    rows_read[known] = X[known]
    assert AttributeClassifier(rows_read, positives=positives, negatives=negatives)(np.array([7])) == everyone[7]


@needs("sklearn")
def test_labels_from_a_first_diffusion_help():
    store, target, X = noisy_blocks()
    mass = MassSweep.of_volume(np.diff(store.csr().indptr)[target].sum())
    plain = [f1(flow_diffusion(store, s, mass).sweep_nodes, target) for s in range(5)]
    twice = [f1(diffuse_twice(store, s, attributes=X, mass=mass, samples=40).sweep_nodes, target) for s in range(5)]
    assert np.mean(twice) > np.mean(plain) + 0.05
    first, second = (diffuse_twice(store, 2, attributes=X, mass=3000.0, samples=40) for _ in range(2))
    assert np.array_equal(first.values, second.values)


def test_negatives_are_distinct_nodes_beside_the_cluster():
    taken = np.array([9, 0, 3, 4])
    assert sorted(_nodes_beside(taken, 10, 6, 0).tolist()) == [1, 2, 5, 6, 7, 8]
    many = _nodes_beside(taken, 1_000_000_000_000, 50, 0)
    assert len(set(many.tolist())) == 50
    assert not set(many.tolist()) & set(taken.tolist())


@needs("sklearn")
def test_refused_input():
    store, _, X = noisy_blocks()
    for positives, negatives, message in (
        ([], [1], "positives is empty"),
        ([1], [], "negatives is empty"),
        ([1], [1], "node 1 is among"),
        ([400], [1], "nodes are 0..399"),
    ):
        with pytest.raises(InvalidInput, match=message):
            AttributeClassifier(X, positives=positives, negatives=negatives)
    odd = X.copy()
    odd[[1, 5]] = np.nan
    with pytest.raises(InvalidInput, match="attributes must be finite; row 1 is"):
        AttributeClassifier(odd, positives=[0, 1], negatives=[399])
    with pytest.raises(InvalidInput, match="attributes must be finite; row 5 is"):
        AttributeClassifier(odd, positives=[0], negatives=[399])([4, 5])
    with pytest.raises(InvalidInput, match="C must be"):
        AttributeClassifier(X, positives=[0], negatives=[399], C=0)
    with pytest.raises(InvalidType, match="numeric matrix"):
        AttributeClassifier(np.array(["a"]), positives=[0], negatives=[1])
    with pytest.raises(InvalidInput, match="samples"):
        diffuse_twice(store, 0, attributes=X, mass=3000, samples=0)


def test_published_figures_in_short():
    """Amazon Photo, class 5 and class 2, labels right with probability 0.9: F1 rises over plain diffusion."""
    data_file("gnn_benchmark/amazon_electronics_photo.npz")
    store = nearhop.datasets.load("amazon-photo", data_folder())
    y = store.nodes["y"]
    degree = np.diff(store.csr().indptr)
    gains = []
    for label in (1, 4):  # F1 of plain diffusion is 0.544 and 0.463
        target = y == label
        labels = flip_labels(target, seed=label)
        masses = MassSweep.of_volume(degree[target].sum()).masses
        for seed in np.flatnonzero(target & (degree > 0))[:2]:
            scores = [
                f1(min(path, key=lambda c: c.conductance).sweep_nodes, target)
                for path in (
                    flow_diffusion_path(store, [seed], masses=masses, labels=given, warm_start=False)
                    for given in (None, labels)
                )
            ]
            gains.append(scores[1] - scores[0])
    assert np.mean(gains) > 0.1
