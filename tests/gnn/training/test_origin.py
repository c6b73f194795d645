"""Files of a training know what it began from: another experiment's results are not given back as one's own."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from nearhop.gnn.nodes import FullBatch, NodeData, NodeTrainer
from nearhop.gnn.sparse.sparse_tensor import SparseTensor
from nearhop.gnn.training import Training, run_seeds
from nearhop.gnn.training.origin import Origin
from nearhop.graphlib.checkpoints import load_checkpoint, save_checkpoint
from nearhop.graphlib.errors import IndexMismatch, StoreCorrupt
from nearhop.graphlib.sparse import CSR

Y = np.arange(60) % 2
X = nn.functional.one_hot(torch.from_numpy(Y)).float()
PARTS = np.split(np.arange(60), 3)


class Net(nn.Module):
    """Dropout that no module tells of, and a matrix beside the features."""

    def __init__(self, rate=0.5, width=4, given=0.0):
        super().__init__()
        self.rate, self.first, self.last = rate, nn.Linear(2, width), nn.Linear(width, 2)
        self.bonus = torch.full((1,), given)

    def forward(self, x, matrix):
        return self.last(nn.functional.dropout(self.first(matrix @ x), self.rate, self.training)) + self.bonus


def matrix(value=1.0):
    return SparseTensor(CSR(np.arange(61), np.arange(60, dtype=np.int32), np.full(60, value, np.float32), 60))


def build_of(labels=Y, x=X, parts=PARTS, weight=1.0, shift=0, decay=None, **options):
    def build(seed):
        torch.manual_seed(seed + shift)
        model = FullBatch(Net(**options), x, matrix(weight))
        groups = None if decay is None else [{"params": list(model.parameters()), "weight_decay": decay}]
        return NodeTrainer(model, NodeData(labels, *parts), Training(epochs=4, seed=seed), groups=groups)

    return build


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"labels": 1 - Y}, "other labels"),
        ({"parts": [PARTS[0], PARTS[2], PARTS[1]]}, "other split"),
        ({"x": 2 * X}, "other inputs"),
        ({"weight": 2.0}, "other inputs"),
        ({"given": 1.0}, "other inputs"),
        ({"rate": 0.1}, r"the module 'module' was Net\(rate=0.5\), and is Net\(rate=0.1\)"),
        ({"width": 5}, r"the module 'module.first' was Linear\(in_features=2, out_features=4"),
        ({"decay": 0.5}, "group 0 of the parameters was .*weight_decay=0.0, and is .*weight_decay=0.5"),
    ],
)
def test_another_experiment_is_not_taken_up(tmp_path, change, what):
    first = run_seeds(build_of(), 1, folder=tmp_path)
    with pytest.raises(IndexMismatch, match=f"seed-0.npz: was trained from .*{what}.*another file or folder"):
        run_seeds(build_of(**change), 1, folder=tmp_path)
    trainer = build_of(**change)(0)
    with pytest.raises(IndexMismatch):
        trainer.load(str(tmp_path / "seed-0.npz"))
    assert (trainer.epoch, trainer.best) == (0, {})
    again = run_seeds(build_of(), 1, folder=tmp_path)
    assert [found.loss for found in again.results] == [found.loss for found in first.results]


def test_settings_in_lists_and_numbers_of_numpy_are_told_from_others():
    """They were left out, and numbers of Python beside them were another model."""

    class Model(nn.Module):
        def __init__(self, share, sizes):
            super().__init__()
            self.share, self.sizes = share, sizes

    half = np.float32(0.5)

    def told(share=half, sizes=(8, 4)):
        return Origin(Model(share, list(sizes)), []).facts()["modules"]

    assert told() == told(0.5) == told(sizes=np.array([8, 4]))
    assert told() != told(np.float32(0.25))
    assert told() != told(sizes=(4, 8))
    assert told(sizes=[torch.ones(1)]) == {"": "Model(share=0.5)"}


class Several(nn.Module):
    """A list of feature matrices, and an adjacency of any kind."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 2)

    def forward(self, parts, adjacency):
        return self.first(torch.cat(parts["x"], 1))


SPARSE = sp.coo_array((np.ones(60), (np.arange(60), np.arange(60)[::-1])))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize(
    "adjacency",
    [
        lambda weight: sp.csr_array(weight * SPARSE),
        lambda weight: torch.eye(60).mul(weight).to_sparse(),
        lambda weight: torch.eye(60).mul(weight).to_sparse_csr(),
        lambda weight: matrix(weight).matrix,
    ],
)
def test_lists_and_sparse_matrices_are_told_from_others(tmp_path, adjacency):
    """Features in a list, as models of several branches take them, were not compared; sparse tensors failed to save."""

    def build(x=X, weight=1.0):
        model = FullBatch(Several(), {"x": [X, x]}, adjacency(weight))
        return lambda seed: NodeTrainer(model, NodeData(Y, *PARTS), Training(epochs=2))

    run_seeds(build(), 1, folder=tmp_path)
    run_seeds(build(), 1, folder=tmp_path)
    for change in ({"x": 2 * X}, {"weight": 2.0}):
        with pytest.raises(IndexMismatch, match="other inputs"):
            run_seeds(build(**change), 1, folder=tmp_path)


def test_files_of_before_are_taken_up_and_damaged_ones_are_not(tmp_path):
    path = str(tmp_path / "run.npz")
    build_of()(0).fit(checkpoint=path)
    arrays, facts = load_checkpoint(path)
    for spoiled in ([], {}, {**facts["origin"], "modules": None}):
        save_checkpoint(path, arrays, {**facts, "origin": spoiled})
        with pytest.raises(StoreCorrupt, match="what it was trained from is"):
            build_of()(0).load(path)
    save_checkpoint(path, arrays, {name: fact for name, fact in facts.items() if name != "origin"})
    trainer = build_of(rate=0.1)(0)
    trainer.load(path)
    assert trainer.epoch == 4


def test_initial_weights_are_those_of_the_file(tmp_path):
    """A model that is made to go on with a file need not be drawn alike."""
    path = str(tmp_path / "run.npz")
    build_of()(0).fit(checkpoint=path)
    trainer = build_of(shift=7)(0)
    trainer.load(path)
    assert trainer.epoch == 4


def test_a_trained_trainer_goes_back_to_its_file(tmp_path):
    path = str(tmp_path / "run.npz")
    trainer = build_of()(0)
    trainer.fit(lambda told: told.epoch == 1, checkpoint=path)
    trainer.fit()
    trainer.load(path)
    assert trainer.epoch == 2
