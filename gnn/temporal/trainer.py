"""Temporal link prediction: training, validation and test of any model that scores links and observes events."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...embed.progress import check_finite
from ...graphlib.checkpoints import prefixed
from ...graphlib.errors import InvalidInput, NotFitted, StoreCorrupt
from ...graphlib.scalars import integer, is_finite
from ...graphlib.tensors import to_array
from ..threads import steady
from ..training.checkpoint import Resumable
from ..training.evaluating import evaluating
from ..training.origin import Origin
from .metrics import LinkScores
from .negatives import COLLISIONS, TemporalNegatives
from .splits import event_positions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from .splits import Events, TemporalSplit

logger = logging.getLogger(__name__)


class TemporalModel(Protocol):
    """What `evaluate` asks of a model; `TemporalTrainer` also asks for torch weights and a state."""

    def reset(self) -> None:
        """Forget all events."""

    def __call__(self, src: ArrayLike, dst: ArrayLike, negatives: ArrayLike, *, time: ArrayLike) -> tuple[Any, Any]:
        """Scores (n,) and (n, q), from what was observed before."""

    def observe(self, src: ArrayLike, dst: ArrayLike, *, time: ArrayLike, edge_ids: ArrayLike, epoch: int = 0) -> None:
        """Remember a batch of events."""


def batches(positions: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cut positions into batches of at least one; the last may be shorter."""
    integer("batch_size", size, 1)
    return [positions[start : start + size] for start in range(0, positions.shape[0], size)]


def replay(model: TemporalModel, events: Events, positions: ArrayLike, *, batch_size: int = 100) -> None:
    """Let the model observe events without scoring them."""
    for part in batches(event_positions("positions", positions, events), batch_size):
        seen = events.take(part)
        model.observe(seen.src, seen.dst, time=seen.time, edge_ids=seen.edge_ids)


def evaluate(
    model: TemporalModel,
    events: Events,
    positions: ArrayLike,
    negatives: TemporalNegatives,
    *,
    batch_size: int = 32,
) -> LinkScores:
    """Score each batch from what was observed before it, then observe it.

    Parameters
    ----------
    model : TemporalModel
        In the state that the period begins with.
    events : Events
    positions : int64 array (n,)
        Ascending positions, or a mask, of the events to score.
    negatives : TemporalNegatives
    batch_size : int, default 32
        Events that are scored at once do not see each other; `ap_batch` is the mean over these batches.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.temporal.trainer import evaluate
    >>> from nearhop.gnn.temporal.baselines import EdgeBank
    >>> from nearhop.gnn.temporal.negatives import TemporalNegatives
    >>> from nearhop.gnn.temporal.splits import Events
    >>> pairs = np.tile([[0, 1], [2, 3], [4, 5]], (20, 1))
    >>> events = Events.from_store(nearhop.GraphStore.from_edges(*pairs.T, time=np.arange(60), directed=True))
    >>> scores = evaluate(EdgeBank(), events, np.arange(60), TemporalNegatives(events, np.arange(60)), batch_size=3)
    >>> round(scores.auc, 3)              # every link but the first three was seen before
    0.975
    """
    positive, negative = [], []
    for part in batches(event_positions("positions", positions, events), batch_size):
        seen = events.take(part)
        scores = model(seen.src, seen.dst, negatives.draw(part), time=seen.time)
        model.observe(seen.src, seen.dst, time=seen.time, edge_ids=seen.edge_ids)
        positive.append(_array(scores[0]))
        negative.append(_array(scores[1]))
    return LinkScores.of(positive, negative)


def _array(scores: Any) -> NDArray[Any]:
    return scores.detach().cpu().numpy() if hasattr(scores, "detach") else np.asarray(scores)


@dataclass(frozen=True)
class TrainOptions:
    """How `TemporalTrainer` trains; the defaults are those of NAT's paper and code.

    Attributes
    ----------
    epochs : int, default 50
        At most.
    batch_size, eval_batch_size : int, default 100, 32
    learning_rate : float, default 1e-4
        Of Adam.
    patience : int, default 3
        Epochs without a better validation score before training ends.
    tolerance : float, default 1e-3
        By how much, relative to the best, a score must be better.
    monitor : str, default "ap_batch"
        Which attribute of `LinkScores` is the validation score.
    collisions : {"allow", "refuse"}, default "allow"
        Of random negatives; see `TemporalNegatives`.
    fresh_negatives : bool, default True
        Whether every epoch draws training negatives of its own; the released code repeats those of the first.
    seed : int, default 0
        Of the negatives.
    """

    epochs: int = 50
    batch_size: int = 100
    eval_batch_size: int = 32
    learning_rate: float = 1e-4
    patience: int = 3
    tolerance: float = 1e-3
    monitor: str = "ap_batch"
    collisions: str = "allow"
    fresh_negatives: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "eval_batch_size", "patience"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        object.__setattr__(self, "seed", integer("seed", self.seed, -(1 << 63)))
        if self.monitor not in LinkScores.__dataclass_fields__ or self.monitor == "num_links":
            raise InvalidInput(f"monitor must be a field of LinkScores that is a score; got {self.monitor!r}")
        if self.collisions not in COLLISIONS:
            raise InvalidInput(f"collisions must be one of {', '.join(map(repr, COLLISIONS))}; got {self.collisions!r}")
        if not is_finite(self.learning_rate) or self.learning_rate <= 0:
            raise InvalidInput(f"learning_rate must be a number > 0; got {self.learning_rate!r}")
        if not is_finite(self.tolerance):
            raise InvalidInput(f"tolerance must be a finite number; got {self.tolerance!r}")


@dataclass(frozen=True)
class Progress:
    """Where training stands: after a batch (`val` is None) or after an epoch."""

    epoch: int
    batch: int
    num_batches: int
    loss: float
    val: LinkScores | None = None
    best: bool = False


class TemporalTrainer(Resumable):
    """Train a temporal model on a split, stop early, test it; resume exactly from a file.

    Every epoch resets the memory, reads the training events in order (score, observe, learn), then validates on from
    there. What is tested is the epoch of the best validation score: its weights, with the memory as it was after its
    validation. In an inductive split the memory is rebuilt instead, from all events before the test period.

    On the processor the same seeds give the same bits at any number of threads: torch's own operations run on one
    (`gnn.threads.steady`), which at the sizes of a batch costs nothing. On a GPU sums are not bit-reproducible.

    Parameters
    ----------
    model : torch.nn.Module
        A `TemporalModel` with `state()` and `load_state(...)` for its memory, such as `NAT`.
    events : Events
    split : TemporalSplit
    options : TrainOptions, optional

    Raises
    ------
    InvalidInput
        A split without training or validation events, which cannot choose an epoch.

    Attributes
    ----------
    epoch, batch : int
        The next batch to train.
    history : list of float
        Validation score of each epoch.
    best_epoch : int

    Examples
    --------
    >>> import nearhop, numpy as np, torch
    >>> from nearhop.gnn import NAT
    >>> from nearhop.gnn.temporal.trainer import TemporalTrainer, TrainOptions
    >>> from nearhop.gnn.temporal.splits import Events, time_split
    >>> pairs = np.tile([[0, 1], [2, 3], [4, 5], [6, 7]], (50, 1))
    >>> events = Events.from_store(nearhop.GraphStore.from_edges(*pairs.T, time=np.arange(200), directed=True))
    >>> _ = torch.manual_seed(0)
    >>> model = NAT(8, sizes=(1, 4, 4), self_dim=8, hidden_dim=8)
    >>> options = TrainOptions(epochs=4, batch_size=10, learning_rate=1e-2)
    >>> trainer = TemporalTrainer(model, events, time_split(events), options)
    >>> trainer.fit()
    >>> trainer.test(collisions="refuse").ap > 0.95
    True
    """

    LOSS = "loss"

    def __init__(self, model: Any, events: Events, split: TemporalSplit, options: TrainOptions | None = None) -> None:
        import torch

        for name in ("train", "val"):
            if not getattr(split, name).shape[0]:
                raise InvalidInput(
                    f"{split!r} has no {name} events, and training keeps the epoch of the best validation; divide the "
                    "events at other quantiles of their times"
                )
        self.model = model
        self.events = events
        self.split = split
        self.options = made = options or TrainOptions()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=made.learning_rate, fused=True)
        features = [getattr(model, name, None) for name in ("node_features", "edge_features")]
        self._origin = Origin(
            model,
            self.optimizer.param_groups,
            events=[events.src, events.dst, events.time, events.edge_ids],
            split=[split.train, split.val, split.test, split.replay],
            features=features,
        )
        self.epoch = self.batch = 0
        self.history: list[float] = []
        self.best_epoch = -1
        self.best: dict[str, NDArray[Any]] = {}
        self._loss_sum = 0.0
        known = np.concatenate([split.train, split.val])
        self._train_negatives, self._val_negatives = (
            TemporalNegatives(events, pool, collisions=made.collisions, seed=made.seed + number)
            for number, pool in enumerate((split.train, known))
        )

    @property
    def finished(self) -> bool:
        """Whether the epochs or the patience are used up."""
        waited = self.epoch - 1 - self.best_epoch
        return self.epoch >= self.options.epochs or (self.epoch > 0 and waited >= self.options.patience)

    def fit(self, callback: Callable[[Progress], object] | None = None) -> None:
        """Train until finished.

        `callback` is told about every batch and epoch; when it returns True, training pauses there, to be saved or
        resumed by another call.

        Raises
        ------
        TrainingDiverged
            A loss is not finite any more. The model is as it was before that batch.
        """
        parts = batches(self.split.train, self.options.batch_size)
        while not self.finished:
            if self.batch == 0:
                self.model.reset()
                self._loss_sum = 0.0
            while self.batch < len(parts):
                self._loss_sum += self._learn(parts[self.batch])
                self.batch += 1
                told = Progress(self.epoch, self.batch, len(parts), self._loss_sum / self.batch)
                if self.batch < len(parts) and callback is not None and callback(told) is True:
                    return
            told = self._close_epoch(len(parts))
            if callback is not None and callback(told) is True:
                return

    def test(
        self, kind: str = "random", *, num: int = 1, collisions: str | None = None, batch_size: int | None = None
    ) -> LinkScores:
        """Scores of the best epoch on the test events. Weights, memory and generators are put back afterwards.

        Parameters
        ----------
        kind, num, collisions
            Which negatives; see `TemporalNegatives`. Random ones come from the destinations of all events of the split.
        batch_size : int, optional
            `options.eval_batch_size` by default.
        """
        if not self.best:
            raise NotFitted("test: no epoch is complete; call fit first")
        split = self.split
        everything = np.concatenate([split.train, split.val, split.test])
        negatives = TemporalNegatives(
            self.events,
            everything,
            kind=kind,
            num=num,
            collisions=self.options.collisions if collisions is None else collisions,
            train=split.train,
            seed=self.options.seed + 2,
        )
        size = self.options.eval_batch_size if batch_size is None else integer("batch_size", batch_size, 1)
        before = self._state()
        try:
            self._set_state(self.best)
            with steady(), evaluating(self.model):
                if split.replay is not None:
                    self.model.reset()
                    replay(self.model, self.events, split.replay, batch_size=self.options.eval_batch_size)
                return evaluate(self.model, self.events, split.test, negatives, batch_size=size)
        finally:
            self._set_state(before)

    @steady()
    def _learn(self, part: NDArray[np.int64]) -> float:
        from torch.nn.functional import softplus

        seen = self.events.take(part)
        self.model.train()
        drawn = self._train_negatives.draw(part, epoch=self.epoch if self.options.fresh_negatives else 0)
        positive, negative = self.model(seen.src, seen.dst, drawn, time=seen.time)
        loss = softplus(-positive).mean() + softplus(negative).mean()
        where = f"the loss of epoch {self.epoch}, batch {self.batch}"
        value = check_finite(where, float(loss.detach()), self.options.learning_rate)
        self.optimizer.zero_grad()
        loss.backward()
        self.model.observe(seen.src, seen.dst, time=seen.time, edge_ids=seen.edge_ids, epoch=self.epoch)
        self.optimizer.step()
        return value

    def _close_epoch(self, count: int) -> Progress:
        """Validate, remember the best epoch, go to the next."""
        options = self.options
        with steady(), evaluating(self.model):
            scores = evaluate(
                self.model, self.events, self.split.val, self._val_negatives, batch_size=options.eval_batch_size
            )
        value = float(getattr(scores, options.monitor))
        reached = self.history[self.best_epoch] if self.best_epoch >= 0 else None
        better = reached is None or (value - reached) / max(abs(reached), 1e-12) > options.tolerance
        self.history.append(value)
        if better:
            self.best_epoch, self.best = self.epoch, self._state()
        told = Progress(self.epoch, count, count, self._loss_sum / max(1, count), scores, better)
        logger.info("epoch %d: loss %.4f, validation %s %.4f", self.epoch, told.loss, options.monitor, value)
        self.epoch, self.batch = self.epoch + 1, 0
        return told

    def _state(self) -> dict[str, NDArray[Any]]:
        weights = {f"weights.{n}": to_array(w, n).copy() for n, w in self.model.state_dict().items()}
        return {**weights, **{f"memory.{name}": array for name, array in self.model.state().items()}}

    def _set_state(self, state: dict[str, NDArray[Any]]) -> None:
        import torch

        self.model.load_state_dict({n: torch.from_numpy(w.copy()) for n, w in prefixed(state, "weights.").items()})
        self.model.load_state(prefixed(state, "memory."))

    def _most_batches(self) -> int:
        return len(self.split.train)

    def _checked_history(self, path: str, given: Any, epoch: int, best_epoch: int) -> list[float]:
        if not isinstance(given, list) or not all(map(is_finite, given)):
            raise StoreCorrupt(f"{path} is not a whole checkpoint: its history is not made of numbers")
        if len(given) != epoch or (epoch > 0) != (best_epoch >= 0):
            raise StoreCorrupt(f"{path} is not a whole checkpoint: {epoch} epochs, but a history of {len(given)}")
        return [float(value) for value in given]
