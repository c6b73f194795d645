"""What graph classifiers are given: refused by name, never read as something else; lost scores are no accuracy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nearhop import GraphStore
from nearhop.datasets.graphs import GraphSet
from nearhop.embed.progress import TrainingDiverged
from nearhop.gnn.graphs import GIN, Curves, Fold, NodeGraphs, TrainOptions, cross_validate, stratified_folds
from nearhop.gnn.spen import EgoGraphs, SizeClasses
from nearhop.graphlib.errors import InvalidInput, InvalidType

LABELS = np.arange(12) % 2
QUICK = TrainOptions(epochs=1, batch_size=4)
FOLD = stratified_folds(LABELS, num_folds=3)[0]
EVERY, NONE = np.arange(12), np.empty(0, np.int64)


def graphs():
    path = GraphStore.from_edges([0, 1], [1, 2])
    return GraphSet.of([path] * 12, LABELS)


def trained(labels=LABELS, fold=FOLD, **options):
    data = NodeGraphs(graphs())
    return cross_validate(lambda _: GIN(1, 2, hidden=4, layers=1), data, labels, [fold], options.get("options", QUICK))


@pytest.mark.parametrize(
    ("ids", "error", "said"),
    [
        (EVERY == 3, InvalidType, "must hold integer graph positions; got dtype bool"),
        ([1.7], InvalidType, "got dtype float64"),
        ([0, -1], InvalidInput, r"ids\[1\] is -1, but graphs are 0..11"),
        ([12], InvalidInput, r"ids\[0\] is 12, but graphs are 0..11"),
        ([[1]], InvalidInput, "one dimension"),
    ],
)
def test_graphs_are_chosen_by_their_numbers(ids, error, said):
    """A mask named graphs 0 and 1, a float the graph below."""
    egos, classes = EgoGraphs(graphs()), SizeClasses((1,))
    for choose in (NodeGraphs(graphs()).batch, egos.sizes_of, lambda ids: egos.batch(ids, classes)):
        with pytest.raises(error, match=said):
            choose(ids)


@pytest.mark.parametrize(
    ("labels", "error", "said"),
    [
        (LABELS + 0.7, InvalidType, "labels must be integers, one per graph; got float64"),
        (LABELS - 1, InvalidInput, "labels must be classes from 0; the least is -1"),
        (np.where(LABELS, 1, -100), InvalidInput, "the least is -100"),  # which torch's cross entropy leaves out
        (LABELS + 1, InvalidInput, "labels go up to 2, but the model scores 2 classes"),
        (LABELS[:6], InvalidInput, "but graphs are 0..5"),
    ],
)
def test_labels_are_classes(labels, error, said):
    with pytest.raises(error, match=said):
        trained(labels)


@pytest.mark.parametrize("fold", [Fold(EVERY, NONE), Fold(NONE, EVERY), Fold(EVERY, EVERY[:1])])
def test_folds_have_graphs_in_both_parts_and_none_in_both(fold):
    with pytest.raises(InvalidInput, match="there must be graphs to train and to test, and none in both parts"):
        trained(fold=fold)


def test_a_training_that_diverged_has_no_accuracy(monkeypatch):
    """It had that of the first class."""
    with pytest.raises(TrainingDiverged, match="the loss of epoch 0 became nan; use a learning_rate below 1e\\+30"):
        trained(options=TrainOptions(epochs=2, batch_size=4, learning_rate=1e30))
    forward = GIN.forward
    monkeypatch.setattr(GIN, "forward", lambda self, x: forward(self, x) + (0 if self.training else torch.nan))
    with pytest.raises(TrainingDiverged, match="scores are not numbers any more"):
        trained()


def test_curves_are_finite_numbers():
    for test, val in (([[0.5, np.nan]], None), ([[0.5, 0.9]], [[0.5, np.nan]]), ([["a"]], None)):
        with pytest.raises(InvalidInput, match="must hold finite numbers by fold and epoch"):
            Curves(test, val)
