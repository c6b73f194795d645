"""The trainer of node classifiers: what it keeps, when it stops, how it resumes, what it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from nearhop import GraphStore
from nearhop.embed.progress import TrainingDiverged
from nearhop.gnn.nodes import FullBatch, NodeData, NodeTrainer
from nearhop.gnn.training import Runs, TensorBoard, Training, run_seeds
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFitted, StoreCorrupt, StoreMissing


def problem(n=90, noise=1.5):
    """Labels, and features that tell them roughly."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    x = np.eye(3, dtype=np.float32)[y] + noise * rng.standard_normal((n, 3), dtype=np.float32)
    third = n // 3
    return NodeData(y, np.arange(third), np.arange(third, 2 * third), np.arange(2 * third, n)), torch.from_numpy(x)


def module(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))


def trainer_of(seed=0, **options):
    data, x = problem()
    return NodeTrainer(FullBatch(module(seed), x), data, Training(**{"epochs": 12, "seed": seed, **options}))


def weights(trainer):
    return [part.detach().clone() for part in trainer.model.state_dict().values()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_the_epoch_of_the_best_validation_is_tested():
    for monitor, best in (("loss", np.argmin), ("accuracy", np.argmax)):
        trainer = trainer_of(epochs=30, learning_rate=0.1, monitor=monitor)
        kept = []
        trainer.fit(lambda told, kept=kept: kept.append(told.epoch) if told.best else None)
        series = trainer.history[f"val_{monitor}"]
        if monitor == "loss":
            assert trainer.best_epoch == int(best(series))
        else:
            assert series[trainer.best_epoch] == max(series)
        assert kept[-1] == trainer.best_epoch < 29, "the test below says nothing where the last epoch is the best"
        found = trainer.test()
        assert found.epoch == trainer.best_epoch
        assert trainer.judged()["loss"] == trainer.history["val_loss"][trainer.best_epoch]
        assert found.rule == f"best validation {monitor}"
        assert found.accuracy == found.correct.mean()


def test_of_equal_accuracies_the_lower_loss_is_kept():
    options = Training(monitor="accuracy")
    assert options.better({"accuracy": 0.5, "loss": 0.9}, {"accuracy": 0.5, "loss": 1.0})
    assert not options.better({"accuracy": 0.5, "loss": 1.0}, {"accuracy": 0.5, "loss": 1.0})
    assert not options.better({"accuracy": 0.4, "loss": 0.1}, {"accuracy": 0.5, "loss": 1.0})


def test_the_last_epoch_can_be_asked_for():
    trainer = trainer_of(selection="last epoch", learning_rate=0.1)
    trainer.fit()
    assert trainer.test().epoch == 11
    assert trainer.test().rule == "last epoch"


def test_patience_ends_training():
    trainer = trainer_of(epochs=500, learning_rate=0.1, patience=5)
    trainer.fit()
    assert trainer.epoch == trainer.best_epoch + 6 < 500
    every = trainer_of(epochs=500, learning_rate=0.1, patience=5, eval_every=3)
    every.fit()
    assert every.epoch == every.best_epoch + 1 + 15
    assert every.history["epoch"][:3] == [2, 5, 8]


def test_patience_may_wait_for_either_loss_or_accuracy(monkeypatch):
    told = iter([(1.0, 0.5), (0.9, 0.4), (0.95, 0.5), (0.9, 0.2), (1.5, 0.4), (1.5, 0.6), (1.6, 0.5), (1.7, 0.5)])
    trainer = trainer_of(epochs=500, patience=2, patience_on="either")
    monkeypatch.setattr(trainer, "judged", lambda: dict(zip(("loss", "accuracy"), next(told), strict=True)))
    trainer.fit()
    assert (trainer.best_epoch, trainer.epoch) == (1, 8), "the lowest loss is kept, two epochs without either end it"
    for rule, epochs in (("monitor", 4), ("either", 8)):
        again = trainer_of(epochs=500, patience=2, patience_on=rule)
        again.history = {name: values[:epochs] for name, values in trainer.history.items()}
        again.epoch, again.best_epoch = epochs, 1
        assert again.finished
        again.history = {name: values[: epochs - 1] for name, values in trainer.history.items()}
        again.epoch = epochs - 1
        assert not again.finished


def test_the_test_is_read_once(monkeypatch, tmp_path):
    trainer = trainer_of()
    with pytest.raises(NotFitted, match="call fit first"):
        trainer.test()
    path = str(tmp_path / "run.npz")
    trainer.fit(lambda told: told.epoch == 3, checkpoint=path)
    found = trainer.test()
    monkeypatch.setattr(trainer, "_scored", None)
    assert trainer.test() is found
    with pytest.raises(InvalidInput, match="the test nodes were read already"):
        trainer.fit()
    with pytest.raises(InvalidInput, match="load: the test nodes were read already"):
        trainer.load(path)  # else the test would go on to tell of the state before
    with pytest.raises(InvalidInput, match="save: the test nodes were read already"):
        trainer.save(path)  # weights of the tested epoch beside moments of the last one
    other = trainer_of()
    other.fit()
    found = other.test()
    other.save(path)
    again = trainer_of()
    again.load(path)
    assert again.finished
    assert again.test().correct.tolist() == found.correct.tolist()


@pytest.mark.parametrize("options", [{}, {"batch_size": 7, "eval_batch_size": 4}, {"selection": "last epoch"}])
def test_test_labels_and_test_features_change_nothing_before_the_test(options):
    """Of a model that scores nodes one by one; a test label is never read, whatever the model."""
    data, x = problem()
    other = data.labels.copy()
    other[data.test] = (other[data.test] + 1) % 3
    changed = x.clone()
    changed[data.test] = 100.0
    made = []
    for labels, features in ((data.labels, x), (other, changed)):
        split = NodeData(labels, data.train, data.val, data.test)
        trainer = NodeTrainer(FullBatch(module(), features), split, Training(epochs=8, **options))
        trainer.fit()
        made.append(trainer)
    assert same(*made)
    assert made[0].history == made[1].history


@pytest.mark.parametrize("options", [{}, {"batch_size": 7, "workers": 2}, {"optimizer": "adamw", "weight_decay": 0.1}])
def test_stopped_anywhere_saved_and_resumed_gives_the_same_bits(tmp_path, options):
    whole = trainer_of(**options)
    whole.fit()
    path = str(tmp_path / "run.npz")
    count = whole._num_batches()
    for stop in (1, 5, 4 * count + 2, 12 * count - 1):
        calls = iter(range(1, 1000))
        stopped = trainer_of(**options)
        stopped.fit(lambda told, stop=stop, calls=calls: next(calls) == stop, checkpoint=path)
        resumed = trainer_of(seed=0, **options)
        torch.rand(17)  # what else uses torch's generator does not matter
        resumed.load(path)
        assert (resumed.epoch, resumed.batch) == (stopped.epoch, stopped.batch)
        resumed.fit()
        assert same(whole, resumed)
        assert resumed.history == whole.history
        assert resumed.test().accuracy == whole.test().accuracy


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_models_of_other_numbers_are_saved_and_go_on(tmp_path, dtype):
    """Of float64 the file could be written and not read, of bfloat16 no epoch could be kept."""
    path = str(tmp_path / "run.npz")

    def made():
        data, x = problem()
        return NodeTrainer(FullBatch(module().to(dtype), x.to(dtype)), data, Training(epochs=6))

    whole, stopped, resumed = made(), made(), made()
    whole.fit()
    stopped.fit(lambda told: told.epoch == 2, checkpoint=path)
    resumed.load(path)
    resumed.fit()
    assert resumed.history == whole.history
    assert same(whole, resumed)
    assert weights(resumed)[0].dtype == dtype


def test_order_and_bits_do_not_depend_on_threads_or_on_those_that_prepare():
    made = []
    for workers, threads in ((0, 1), (3, 2)):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        trainer = trainer_of(batch_size=8, workers=workers)
        trainer.fit()
        torch.set_num_threads(before)
        made.append(trainer)
    assert same(*made)


def test_batches_hold_every_training_node_once_in_an_order_of_the_epoch():
    data, x = problem()
    seen = []

    class Watched(FullBatch):
        def batch(self, nodes, *, epoch=0):
            seen.append((epoch, nodes))
            return super().batch(nodes, epoch=epoch)

    NodeTrainer(Watched(module(), x), data, Training(epochs=3, batch_size=8, eval_every=3)).fit()
    orders = [np.concatenate([nodes for at, nodes in seen[:-4] if at == epoch]) for epoch in range(3)]
    assert all(np.array_equal(np.sort(order), data.train) for order in orders)
    assert not np.array_equal(orders[0], orders[1])


def test_a_model_with_a_loss_of_its_own_and_groups_of_its_own():
    data, x = problem()

    class Own(FullBatch):
        def loss(self, nodes, labels):
            return 0.0 * self(nodes).sum() + 3.0

        def parameter_groups(self):
            first, *rest = self.parameters()
            return [{"params": [first], "weight_decay": 0.5}, {"params": rest}]

    trainer = NodeTrainer(Own(module(), x), data, Training(epochs=2))
    assert [group["weight_decay"] for group in trainer.optimizer.param_groups] == [0.5, 0.0]
    before = weights(trainer)
    trainer.fit()
    after = weights(trainer)
    assert trainer.history["loss"] == [3.0, 3.0]
    assert not torch.equal(before[0], after[0])
    assert all(torch.equal(a, b) for a, b in zip(before[1:], after[1:], strict=True))


def test_seeds_give_a_mean_and_are_taken_up_again(tmp_path):
    asked = []

    def build(seed):
        asked.append(torch.initial_seed())
        data, x = problem()
        made = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
        return NodeTrainer(FullBatch(made, x), data, Training(epochs=6, seed=seed))

    runs = run_seeds(build, 3, folder=tmp_path)
    assert asked == [0, 1, 2]
    assert runs.std > 0
    assert runs.mean == pytest.approx(np.mean([found.accuracy for found in runs.results]))
    steps = []
    again = run_seeds(build, 3, folder=tmp_path, progress=lambda seed, told: steps.append(seed))
    assert steps == []
    assert again.values.tolist() == runs.values.tolist()
    assert repr(again).endswith("3 seeds, best validation loss)")
    with pytest.raises(InvalidInput, match="at least one seed"):
        run_seeds(build, [])
    assert isinstance(again, Runs)


def test_curves_of_epochs_for_tensorboard(monkeypatch):
    """The package is stood in for; epochs that were not judged have a training loss alone."""
    written, closed = [], []

    class Writer:
        def __init__(self, folder):
            assert folder == "curves"

        def add_scalar(self, *row):
            written.append(row)

        def close(self):
            closed.append(True)

    monkeypatch.setattr("nearhop.gnn.training.board.require", lambda module, purpose: SimpleNamespace(Writer=Writer))
    trainer = trainer_of(epochs=2, eval_every=2, batch_size=10)
    with TensorBoard("curves", name="seed 3/") as board:
        trainer.fit(board)
    assert [row[0] for row in written] == ["seed 3/train/loss"] * 2 + ["seed 3/val/loss", "seed 3/val/accuracy"]
    assert written[-1] == ("seed 3/val/accuracy", trainer.history["val_accuracy"][0], 1)
    assert closed == [True]


def test_a_loss_that_is_not_finite_stops_training():
    data, x = problem()
    trainer = NodeTrainer(FullBatch(module(), x * float("inf")), data, Training(epochs=2))
    with pytest.raises(TrainingDiverged, match="the loss of epoch 0 became nan; use a learning_rate below"):
        trainer.fit()
    x[data.val] = float("nan")
    trainer = NodeTrainer(FullBatch(module(), x), data, Training(epochs=2))
    with pytest.raises(TrainingDiverged, match="the validation loss of epoch 0 became nan"):
        trainer.fit()


def test_seeds_that_cannot_be_and_models_without_parameters():
    for seeds in ([], [1, 1], [0.5], "12"):
        with pytest.raises(InvalidInput, match=r"at least one seed, and each once|each of seeds must be an integer"):
            run_seeds(trainer_of, seeds)
    data, x = problem()
    with pytest.raises(InvalidInput, match="FullBatch has no parameters to train"):
        NodeTrainer(FullBatch(nn.Identity(), x), data)


def test_scores_without_a_class_or_a_number_are_told():
    data, x = problem()
    with pytest.raises(InvalidInput, match="the model scores 91 nodes, but there are labels for 90"):
        NodeTrainer(FullBatch(module(), torch.cat([x, x[:1]])), data, Training(epochs=1)).fit()
    for model in (FullBatch(nn.Linear(3, 2), x), Rows(nn.Linear(3, 2), x)):
        with pytest.raises(InvalidInput, match=r"labels go up to 2, but the model gives scores of shape \(\d+, 2\)"):
            NodeTrainer(model, data, Training(epochs=1)).fit()
    x[data.test[0]] = torch.nan
    trainer = NodeTrainer(Rows(module(), x), data, Training(epochs=1))
    trainer.fit()
    with pytest.raises(TrainingDiverged, match="scores of test nodes are not numbers"):
        trainer.test()


class Rows(nn.Module):
    """Rows of features alone, without a loss of its own."""

    def __init__(self, layers, x):
        super().__init__()
        self.layers, self.x = layers, x

    def batch(self, nodes, *, epoch=0):
        return torch.from_numpy(nodes)

    def forward(self, nodes):
        return self.layers(self.x[nodes])


def test_checkpoints_are_checked_whole_before_anything_changes(tmp_path):
    path = str(tmp_path / "run.npz")
    with pytest.raises(StoreMissing, match="there is no checkpoint"):
        trainer_of().load(path)
    stopped = trainer_of()
    stopped.fit(lambda told: told.epoch == 4, checkpoint=path)
    with pytest.raises(InvalidInput, match="was trained with epochs=12, not with epochs=13; give it the options"):
        trainer_of(epochs=13).load(path)
    from nearhop.graphlib.checkpoints import load_checkpoint, save_checkpoint

    arrays, facts = load_checkpoint(path)
    earlier = str(tmp_path / "earlier.npz")
    del facts["options"]["patience_on"]  # as a file from before there was this option
    save_checkpoint(earlier, arrays, facts)
    trainer_of().load(earlier)
    with pytest.raises(InvalidInput, match="was trained with patience_on='monitor', not with patience_on='either'"):
        trainer_of(patience_on="either").load(earlier)
    first = next(name for name in arrays if name.startswith("model."))
    moment = next(name for name in arrays if name.endswith("exp_avg"))
    spoiled = [
        ({k: v for k, v in arrays.items() if k != first}, facts, "lacks array"),
        ({**arrays, first: arrays[first][:1]}, facts, "not float32"),
        ({**arrays, "else": np.ones(1)}, facts, "unknown array 'else'"),
        (arrays, {**facts, "options": ["epochs"]}, "its options are"),
        ({**arrays, moment: arrays[moment].astype(np.float64)}, facts, "float64"),
        ({**arrays, "adam.77.step": np.float32(1)}, facts, "unknown array 'adam.77.step'"),
        (arrays, {**facts, "epoch": 99}, "its epoch must be"),
        (arrays, {**facts, "best_epoch": 7}, "its best_epoch must be"),
        (arrays, {**facts, "loss_sum": "x"}, "its loss is"),
        (arrays, {**facts, "history": []}, "its history must have"),
        (arrays, {**facts, "history": {**facts["history"], "loss": [1.0]}}, "several lengths"),
        (arrays, {**facts, "history": {**facts["history"], "loss": ["a"] * 5}}, "numbers"),
        (arrays, {**facts, "history": {**facts["history"], "epoch": [4, 3, 2, 1, 0]}}, "in order"),
        (arrays, {**facts, "history": {name: [] for name in facts["history"]}}, "does not fit"),
    ]
    fresh = trainer_of()
    before = weights(fresh)
    for parts, told, match in spoiled:
        save_checkpoint(path, parts, told)
        with pytest.raises(StoreCorrupt, match=match):
            fresh.load(path)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(fresh), strict=True))
    assert fresh.epoch == 0


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"epochs": 0}, "epochs must be an integer >= 1; got 0"),
        ({"batch_size": 2.5}, "batch_size must be an integer"),
        ({"patience": 0}, "patience must be"),
        ({"patience_on": "loss"}, "patience_on must be one of 'monitor', 'either'"),
        ({"selection": "best test"}, "selection must be one of 'best validation', 'last epoch'; got 'best test'"),
        ({"monitor": "auc"}, "monitor must be one of"),
        ({"optimizer": "sgd"}, "optimizer must be one of"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number > 0"),
        ({"weight_decay": -1}, "weight_decay must be a number >= 0"),
        ({"seed": "a"}, "seed must be an integer"),
        ({"steady": "x"}, "steady must be True or False; got 'x'"),
        ({"selection": "last epoch", "patience": 3}, "leave it"),
    ],
)
def test_options_that_cannot_be(given, match):
    with pytest.raises(InvalidInput, match=match):
        Training(**given)


def test_data_that_cannot_be():
    y = np.array([0, 1, -1, 1])
    assert NodeData(y, [0], [1], [3]).num_classes == 2
    assert NodeData(y, np.array([True, False, False, True]), [], [1]).train.tolist() == [0, 3]
    for arguments, error, match in (
        ((y.astype(float), [0], [1], [3]), InvalidType, "labels must be integers"),
        ((y.astype(np.uint64), [0], [1], [3]), InvalidInput, "the largest is 18446744073709551615"),
        ((y, [0], [1], [2]), InvalidInput, "test: node 2 has no label"),
        ((y, [0], [0], [3]), InvalidInput, "node 0 is in two parts"),
        ((y, [0, 0], [1], [3]), InvalidInput, "train names node 0 twice"),
        ((y, [0], np.array([0, 1, 0, 0], np.uint8), [3]), InvalidInput, r"val holds a 0 or a 1 .* astype\(bool\)"),
        ((y, [0], [1], [0, 0, 0, 0]), InvalidInput, "test holds a 0 or a 1 for each of the 4 nodes"),
        ((np.ma.array(y, mask=y < 0), [0], [1], [3]), InvalidInput, "labels is a masked array, and its row 2"),
        ((y, [0], np.ma.array([False, True, False, False], mask=[0, 1, 0, 0]), [3]), InvalidInput, "val is a masked"),
        ((y, np.ma.array([0, 1], mask=[0, 1]), [], [3]), InvalidInput, "train is a masked"),
        ((y, [4], [1], [3]), InvalidInput, r"node ids must be 0\.\.3; they are 4\.\.4"),
        ((y, [0.5], [1], [3]), InvalidType, "train must be node ids"),
        ((y, np.ones(3, bool), [1], [3]), InvalidInput, r"shape \(4,\)"),
    ):
        with pytest.raises(error, match=match):
            NodeData(*arguments)
    with pytest.raises(InvalidInput, match="labels go up to 1"):
        NodeData(y, [0], [1], [3], num_classes=1)
    with pytest.raises(InvalidInput, match="num_classes must be an integer"):
        NodeData(y, [0], [1], [3], num_classes=2.5)
    assert NodeData([0, 1], [0, 1], [], []).train.tolist() == [0, 1]
    assert NodeData(np.ma.array(y), np.ma.array([0]), [1], [3]).labels.tolist() == y.tolist()
    empty = NodeData(y, [0], [], [3])
    with pytest.raises(InvalidInput, match="val is empty"):
        NodeTrainer(nn.Linear(1, 1), empty)
    assert NodeTrainer(nn.Linear(1, 1), empty, Training(selection="last epoch")).epoch == 0


def test_random_splits_are_whole_and_named():
    y = np.where(np.arange(101) % 10 == 0, -1, np.arange(101) % 3)
    data = NodeData.random(y, shares=(0.6, 0.2, 0.2), seed=3)
    together = np.sort(np.concatenate([data.train, data.val, data.test]))
    assert np.array_equal(together, np.flatnonzero(y >= 0))
    assert data.split == "random 0.6/0.2/0.2, seed 3"
    assert not np.array_equal(data.train, NodeData.random(y, shares=(0.6, 0.2, 0.2), seed=4).train)
    for shares in ((0.9, 0.2, 0.2), (np.nan, 0.2, 0.2), ("a", 0.2, 0.2), (0.5, 0.5), 0.5, None):
        with pytest.raises(InvalidInput, match="at most 1"):
            NodeData.random(y, shares=shares)
    for labels in (["a", "b"], [0.5, 1.0], [[0, 1]]):
        with pytest.raises(InvalidType, match="labels must be integers"):
            NodeData.random(labels)
    with pytest.raises(InvalidInput, match="masked array"):
        NodeData.random(np.ma.array(y, mask=y == 0))


def test_columns_of_a_split_are_three_names():
    store = GraphStore.from_edges([0, 1], [1, 2])
    store.nodes["y"] = np.array([0, 1, 1])
    for masks in (("y", "y"), "y_y", None, ("y",) * 4):
        with pytest.raises(InvalidInput, match="masks must name three node columns"):
            NodeData.from_store(store, masks=masks)
    with pytest.raises(InvalidType, match="names of node columns; got numpy's ndarray"):
        NodeData.from_store(store, np.array([0, 1, 1]))


def test_nodes_to_score_are_nodes():
    trainer = trainer_of()
    for nodes in ([90], [-1], [0.5], np.ma.array([0, 1], mask=[0, 1])):
        with pytest.raises((InvalidInput, InvalidType), match="nodes"):
            trainer.predict(nodes)
