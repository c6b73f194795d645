"""Epochs of steps, each judged, the chosen one kept; stopped, saved and resumed to the same bits."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...embed.progress import check_finite
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput, StoreCorrupt
from ...graphlib.scalars import is_finite
from ...graphlib.tensors import to_array
from ..threads import steady
from .checkpoint import Resumable
from .evaluating import evaluating
from .options import Progress, Training
from .origin import Origin

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

logger = logging.getLogger(__name__)
Callback = Callable[[Progress], object]
_SERIES = ("epoch", "loss", "val_loss", "val_accuracy")


class EpochTrainer(Resumable):
    """What trainers share. A subclass gives `_batches`, `_loss` and `_judge`.

    Random numbers of torch are seeded for every step by (seed, epoch, step) and for every validation by (seed, epoch):
    what a step draws does not depend on what was drawn before, so that nothing but weights, moments and counters has to
    be kept for training to go on to the same bits. The caller's generator is put back.

    Parameters
    ----------
    model : torch.nn.Module
    options : Training
    groups : iterable of dict, optional
        Parameter groups as torch's optimizers take them, such as a weight decay of their own for some; by default all
        parameters are one group.
    **data : iterable of arrays
        What the training reads, by what it is called; files tell it from other data.

    Attributes
    ----------
    epoch, batch : int
        The next step to make.
    history : dict of lists
        "epoch", "loss" (training), "val_loss" and "val_accuracy" of every judged epoch.
    best_epoch : int
        The epoch that is kept; -1 before there is one.
    """

    def __init__(
        self, model: Any, options: Training, groups: Iterable[dict[str, Any]] | None = None, **data: Iterable[Any]
    ) -> None:
        self.model, self.options = model, options
        kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
        given = list(model.parameters()) if groups is None else list(groups)
        if next(iter(model.parameters()), None) is None:
            raise InvalidInput(f"{type(model).__name__} has no parameters to train")
        self.optimizer = kind(given, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
        self._origin = Origin(model, self.optimizer.param_groups, **data)
        self.epoch = self.batch = 0
        self.best_epoch = -1
        self.history: dict[str, list[float]] = {name: [] for name in _SERIES}
        self.best: dict[str, NDArray[Any]] = {}
        self._loss_sum = 0.0

    @property
    def device(self) -> torch.device:
        return next(iter(self.model.parameters())).device

    @property
    def finished(self) -> bool:
        """Whether the epochs or the patience are used up."""
        patience = self.options.patience
        return self.epoch >= self.options.epochs or (patience is not None and self._waited() >= patience)

    def _waited(self) -> int:
        """Judged epochs since the last one that patience counts as better."""
        judged = np.asarray(self.history["epoch"])
        if self.options.patience_on == "monitor" or not len(judged):
            return int(np.count_nonzero(judged > self.best_epoch))
        loss, accuracy = (np.asarray(self.history[f"val_{name}"]) for name in ("loss", "accuracy"))
        better = (loss <= np.minimum.accumulate(loss)) | (accuracy >= np.maximum.accumulate(accuracy))
        return len(judged) - 1 - int(np.flatnonzero(better)[-1])

    def fit(
        self, callback: Callback | None = None, *, checkpoint: str | None = None, save_seconds: float = 60.0
    ) -> None:
        """Train until finished.

        Parameters
        ----------
        callback : callable, optional
            Is told about every step and every epoch; when it returns True, training pauses there, to be saved or
            resumed by another call.
        checkpoint : path, optional
            Saved there whenever `save_seconds` have passed, at a pause and at the end.

        Raises
        ------
        TrainingDiverged
            A loss is not finite any more.
        """
        saved = time.monotonic()
        paused = False
        while not self.finished and not paused:
            for told in self._epoch():
                paused = callback is not None and callback(told) is True
                if checkpoint is not None and (paused or time.monotonic() - saved >= save_seconds):
                    self.save(checkpoint)
                    saved = time.monotonic()
                if paused:
                    break
        if checkpoint is not None and not paused:
            self.save(checkpoint)

    def use_best(self) -> None:
        """Give the model the weights of the epoch that the rule chose."""
        if self.best:
            self._set_state(self.best)

    # what a subclass gives

    def _num_batches(self) -> int:
        raise NotImplementedError

    def _batches(self, epoch: int, start: int) -> Generator[Any]:
        """What the steps of an epoch take, from the step `start` on; made without torch's generator."""
        raise NotImplementedError

    def _loss(self, batch: Any) -> Tensor:
        raise NotImplementedError

    def _judge(self) -> dict[str, float]:
        """ "loss" and "accuracy" on the validation part; called in evaluation mode, without gradients."""
        raise NotImplementedError

    # how it goes on

    def _epoch(self) -> Iterator[Progress]:
        """The steps of the epoch that are left, then its judgement; what is yielded has been counted."""
        count = self._num_batches()
        with contextlib.closing(self._batches(self.epoch, self.batch)) as prepared:
            for batch in prepared:
                self._loss_sum += self._step(batch)
                self.batch += 1
                told = Progress(self.epoch, self.batch, count, self._loss_sum / self.batch)
                if self.batch < count:
                    yield told
        yield self._close_epoch(count)

    def _step(self, batch: Any) -> float:
        options = self.options
        with self._calm(self.batch):
            self.model.train()
            loss = self._loss(batch)
            self.optimizer.zero_grad()
            loss.backward()
            if options.clip > 0:
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), options.clip)
            self.optimizer.step()
            value = float(loss.detach())
        return check_finite(f"the loss of epoch {self.epoch}", value, options.learning_rate)

    def _close_epoch(self, count: int) -> Progress:
        options, number = self.options, self.epoch
        loss = self._loss_sum / max(1, count)
        scores, best = None, False
        if (number + 1) % options.eval_every == 0 or number + 1 == options.epochs:
            scores = self.judged()
            check_finite(f"the validation loss of epoch {number}", scores["loss"], options.learning_rate)
            kept = None if self.best_epoch < 0 else self._scores_at(self.best_epoch)
            best = options.better(scores, kept)
            row = {"epoch": number, "loss": loss, "val_loss": scores["loss"], "val_accuracy": scores["accuracy"]}
            for name, value in row.items():
                self.history[name].append(value)
            if best:
                self.best_epoch, self.best = number, self._state()
            logger.info("epoch %d: loss %.4f, validation %s", number, loss, scores)
        self.epoch, self.batch, self._loss_sum = number + 1, 0, 0.0
        return Progress(number, count, count, loss, scores, best)

    def judged(self) -> dict[str, float]:
        """Validation scores of the weights as they are now."""
        with self._calm("validation"), evaluating(self.model):
            return self._judge()

    def _scores_at(self, epoch: int) -> dict[str, float]:
        at = self.history["epoch"].index(epoch)
        return {name: self.history[f"val_{name}"][at] for name in ("loss", "accuracy")}

    @contextlib.contextmanager
    def _calm(self, word: int | str) -> Iterator[None]:
        """Torch's generator seeded for one call, on one thread where that is asked for."""
        where = self.device
        devices = [where] if where.type == "cuda" else []
        with steady() if self.options.steady else contextlib.nullcontext(), torch.random.fork_rng(devices):
            torch.manual_seed(root_of(self.options.seed, Purpose.TRAINING, self.epoch, word))
            yield

    def _state(self) -> dict[str, NDArray[Any]]:
        return {name: to_array(part, name).copy() for name, part in self.model.state_dict().items()}

    def _set_state(self, state: dict[str, NDArray[Any]]) -> None:
        self.model.load_state_dict({name: torch.from_numpy(np.array(part)) for name, part in state.items()})

    def _most_batches(self) -> int:
        return 1 << 62  # batches may be prepared anew, in other numbers

    def _checked_history(self, path: str, given: Any, epoch: int, best_epoch: int) -> dict[str, list[float]]:
        def fail(why: str) -> StoreCorrupt:
            return StoreCorrupt(f"{path} is not a whole checkpoint: its history {why}")

        if not isinstance(given, dict) or set(given) != set(_SERIES):
            raise fail(f"must have the series {', '.join(_SERIES)}")
        for name, values in given.items():
            if not isinstance(values, list) or not all(map(is_finite, values)):
                raise fail(f"is not made of numbers ({name})")
        judged = given["epoch"]
        if len({len(values) for values in given.values()}) != 1:
            raise fail("has series of several lengths")
        if any(type(at) is not int for at in judged) or judged != sorted(set(judged)):
            raise fail("must number its epochs in order")
        if (judged and (judged[0] < 0 or judged[-1] >= epoch)) or (best_epoch >= 0) != bool(judged):
            raise fail(f"does not fit {epoch} epochs")
        if best_epoch >= 0 and best_epoch not in judged:
            raise fail(f"has no epoch {best_epoch}, which is said to be the best")
        if any(not math.isfinite(value) for values in given.values() for value in values):
            raise fail("is not finite")
        return {name: list(given[name]) for name in _SERIES}
