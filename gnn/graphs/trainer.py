"""Training of graph classifiers, fold by fold, with accuracy after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...embed.progress import TrainingDiverged, check_finite
from ...graphlib.checks import unmasked
from ...graphlib.compute.streams import Purpose, generator, root_of
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.scalars import integer, is_finite, is_integer
from ...sampling.arguments import node_positions
from ..threads import steady
from .folds import Fold, stratified_folds
from .rules import Curves

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class GraphModel(Protocol):
    """A torch module that says how to batch graphs."""

    def batch(self, data: Any, ids: NDArray[np.int64]) -> Any:
        """What `model(...)` takes, for the graphs `ids`."""

    def __call__(self, batch: Any) -> Tensor:
        """Scores (len(ids), num_classes)."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How a fold is trained.

    Attributes
    ----------
    epochs : int >= 1, default 50
    batch_size : int >= 1, default 32
        Graphs per step.
    batches : int >= 1, optional
        Steps per epoch, each of graphs drawn anew, as in GIN's protocol; by default an epoch is every graph once.
    learning_rate : float > 0, default 1e-3
        Of AdamW.
    decay : (int, float), default (30, 0.1)
        The learning rate is multiplied by the second every so many epochs.
    weight_decay : float >= 0, default 0
    reduction : {"sum", "mean"}, default "sum"
        Of the cross entropy over a batch.
    validation : bool, default False
        Hold a ninth of the training graphs out, stratified, for the rule "nested"; more where a class has fewer than
        nine.
    seed : int, default 0
        Of initial weights, order and dropout; fold f uses seed + f.
    """

    epochs: int = 50
    batch_size: int = 32
    batches: int | None = None
    learning_rate: float = 1e-3
    decay: tuple[int, float] = (30, 0.1)
    weight_decay: float = 0.0
    reduction: str = "sum"
    validation: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "batches"):
            value = getattr(self, name)
            if not (value is None and name == "batches") and not (is_integer(value) and value >= 1):
                raise InvalidInput(f"{name} must be an integer >= 1; got {value!r}")
        integer("seed", self.seed, 0, 2**62)
        steps = self.decay if isinstance(self.decay, tuple) and len(self.decay) == 2 else (0, 0.0)
        if not is_integer(steps[0]) or steps[0] < 1 or not is_finite(steps[1]) or steps[1] <= 0:
            raise InvalidInput(f"decay must be (epochs >= 1, factor > 0); got {self.decay!r}")
        numbers = is_finite(self.learning_rate) and is_finite(self.weight_decay)
        if not numbers or self.learning_rate <= 0 or self.weight_decay < 0:
            raise InvalidInput(
                f"learning_rate must be > 0 and weight_decay >= 0; got {self.learning_rate!r}, {self.weight_decay!r}"
            )
        if self.reduction not in ("sum", "mean"):
            raise InvalidInput(f'reduction must be "sum" or "mean"; got {self.reduction!r}')


def cross_validate(
    build: Callable[[NDArray[np.int64]], nn.Module],
    data: Any,
    labels: ArrayLike,
    folds: Sequence[Fold],
    options: TrainOptions,
    *,
    progress: Callable[[int, int, float, float], None] | None = None,
) -> Curves:
    """Train one model per fold.

    Parameters
    ----------
    build : callable
        From the training graphs of a fold to a new model, a `GraphModel`. It may look at these graphs only.
    data : object
        What the model's `batch` takes.
    labels : int array (num_graphs,)
    folds : sequence of Fold
    options : TrainOptions
    progress : callable, optional
        Called after every epoch with (fold, epoch, training loss per graph, test accuracy).

    Returns
    -------
    Curves
        Accuracy over all graphs of a part, not averaged over batches.

    Raises
    ------
    InvalidInput, InvalidType
        Labels that are not classes from 0 or that the model has no scores for; folds of other graphs, without graphs to
        train or to test, or with graphs in both.
    TrainingDiverged
        A loss or a score is not a number any more.

    Notes
    -----
    Runs inside `steady`: the same bits at any thread count, where the model's own operations keep that.
    """
    results = []
    for number, fold in enumerate(folds):
        told = None if progress is None else _for_fold(progress, number)
        results.append(train_fold(build, data, labels, fold, options, number=number, progress=told))
    val = [val for _, val in results if val is not None]
    return Curves([test for test, _ in results], val or None)


def train_fold(
    build: Callable[[NDArray[np.int64]], nn.Module],
    data: Any,
    labels: ArrayLike,
    fold: Fold,
    options: TrainOptions,
    *,
    number: int = 0,
    progress: Callable[[int, float, float], None] | None = None,
) -> tuple[list[float], list[float] | None]:
    """Accuracy on the test graphs of one fold after every epoch, and on its validation graphs where there are any."""
    classes = _classes(labels)
    train, val = _parts(fold, classes.shape[0]), None
    if options.validation:
        rarest = int(np.unique(classes[train], return_counts=True)[1].min())
        parts = max(2, min(9, rarest))
        inner = stratified_folds(classes[train], num_folds=parts, seed=options.seed)[0]
        train, val = train[inner.train], train[inner.test]
    rng = generator(options.seed, Purpose.BATCHES, "graphs", number)
    test_curve, val_curve = [], []
    with steady(), torch.random.fork_rng([]):
        torch.manual_seed(root_of(options.seed, Purpose.TRAINING, "graphs", number))
        model: Any = build(train)
        where = next(model.parameters()).device
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, *options.decay)
        for epoch in range(options.epochs):
            model.train()
            total, seen = 0.0, 0
            for ids in _batches(train, options, rng):
                scores = model(model.batch(data, ids))
                if scores.shape[1] <= classes.max():
                    raise InvalidInput(
                        f"labels go up to {classes.max()}, but the model scores {scores.shape[1]} classes"
                    )
                loss = cross_entropy(scores, torch.from_numpy(classes[ids]).to(where), reduction=options.reduction)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                value = check_finite(f"the loss of epoch {epoch}", loss.item(), options.learning_rate)
                total += value * (1 if options.reduction == "sum" else len(ids))
                seen += len(ids)
            schedule.step()
            test_curve.append(accuracy(model, data, classes, fold.test, options.batch_size))
            if val is not None:
                val_curve.append(accuracy(model, data, classes, val, options.batch_size))
            if progress is not None:
                progress(epoch, total / seen, test_curve[-1])
    return test_curve, val_curve if val is not None else None


def accuracy(model: Any, data: Any, labels: NDArray[Any], ids: NDArray[np.int64], batch_size: int) -> float:
    """The share of graphs whose class has the highest score.

    Raises
    ------
    TrainingDiverged
        A score is not a number: the highest of such would be that of the first class.
    """
    model.eval()
    right = 0
    with torch.no_grad():
        for first in range(0, len(ids), batch_size):
            part = ids[first : first + batch_size]
            scores = model(model.batch(data, part))
            if scores.isnan().any():
                raise TrainingDiverged("the model's scores are not numbers any more; use a lower learning_rate")
            right += int((scores.argmax(1).cpu().numpy() == labels[part]).sum())
    return right / len(ids)


def _classes(labels: ArrayLike) -> NDArray[np.int64]:
    given: NDArray[Any] = unmasked("labels", labels)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise InvalidType(f"labels must be integers, one per graph; got {given.dtype} of shape {given.shape}")
    classes = given.astype(np.int64)
    if (classes < 0).any():
        raise InvalidInput(f"labels must be classes from 0; the least is {classes.min()}")
    return classes


def _parts(fold: Fold, count: int) -> NDArray[np.int64]:
    """The graphs to train of a fold that is whole."""
    train, test = (node_positions(name, getattr(fold, name), count, of="graph") for name in ("train", "test"))
    if not train.shape[0] or not test.shape[0] or np.isin(train, test).any():
        raise InvalidInput(f"{fold!r}: there must be graphs to train and to test, and none in both parts")
    return train


def _batches(train: NDArray[np.int64], options: TrainOptions, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    if options.batches is not None:
        for _ in range(options.batches):
            yield rng.permutation(train)[: options.batch_size]
        return
    order = rng.permutation(train)
    for first in range(0, len(order), options.batch_size):
        yield order[first : first + options.batch_size]


def _for_fold(progress: Callable[[int, int, float, float], None], number: int) -> Callable[[int, float, float], None]:
    return lambda epoch, loss, score: progress(number, epoch, loss, score)
