"""Epochs of steps, each judged, the chosen one kept; stopped, saved and resumed to the same bits."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...embed.progress import TrainingDiverged
from ...graphlib.checkpoints import save_checkpoint
from ...graphlib.compute.streams import Purpose, root_of
from ..threads import steady
from .checkpoint import read, state_arrays, take_over
from .evaluating import evaluating
from .options import Progress, Training

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

logger = logging.getLogger(__name__)
Callback = Callable[[Progress], object]


class EpochTrainer:
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

    Attributes
    ----------
    epoch, batch : int
        The next step to make.
    history : dict of lists
        "epoch", "loss" (training), "val_loss" and "val_accuracy" of every judged epoch.
    best_epoch : int
        The epoch that is kept; -1 before there is one.
    """

    def __init__(self, model: Any, options: Training, groups: Iterable[dict[str, Any]] | None = None) -> None:
        self.model, self.options = model, options
        kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
        given = list(model.parameters()) if groups is None else list(groups)
        self.optimizer = kind(given, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
        self.epoch = self.batch = 0
        self.best_epoch = -1
        self.history: dict[str, list[float]] = {name: [] for name in ("epoch", "loss", "val_loss", "val_accuracy")}
        self.best: dict[str, NDArray[Any]] = {}
        self._loss_sum = 0.0

    @property
    def device(self) -> torch.device:
        return next(iter(self.model.parameters())).device

    @property
    def finished(self) -> bool:
        """Whether the epochs or the patience are used up."""
        judged = self.history["epoch"]
        waited = sum(1 for epoch in reversed(judged) if epoch > self.best_epoch) if self.options.patience else 0
        return self.epoch >= self.options.epochs or bool(self.options.patience and waited >= self.options.patience)

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

    def save(self, path: str) -> None:
        """Write everything that training depends on to one `.npz` file, replacing it at once.

        Raises
        ------
        StoreWriteFailed
            The disk is full or failed; a file that was there is whole.
        """
        arrays = state_arrays(self._state(), self.best, self.optimizer)
        facts = {name: getattr(self, name) for name in ("epoch", "batch", "best_epoch", "history")}
        save_checkpoint(path, arrays, {**facts, "loss_sum": self._loss_sum, "options": asdict(self.options)})

    def load(self, path: str) -> None:
        """Go on where a trainer of the same model, data and options was saved.

        Raises
        ------
        StoreMissing
            There is no such file.
        InvalidInput
            It was written with other options.
        StoreCorrupt
            It is not such a file, is damaged, or does not fit the model. All of it is checked before anything changes.
        """
        saved = read(path, self.options, self.optimizer, self._state())
        take_over(path, self._set_state, [saved.model], self._state(), self.optimizer, saved.adam)
        self.best, self.history, self.best_epoch = saved.best, saved.history, saved.best_epoch
        self.epoch, self.batch, self._loss_sum = saved.epoch, saved.batch, saved.loss_sum

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
        self._check_finite(value, "loss")
        return value

    def _check_finite(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"the {what} of epoch {self.epoch} became {value}; use a learning_rate below "
                f"{self.options.learning_rate}"
            )

    def _close_epoch(self, count: int) -> Progress:
        options, number = self.options, self.epoch
        loss = self._loss_sum / max(1, count)
        scores, best = None, False
        if (number + 1) % options.eval_every == 0 or number + 1 == options.epochs:
            scores = self.judged()
            self._check_finite(scores["loss"], "validation loss")
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
        return {name: part.detach().cpu().numpy().copy() for name, part in self.model.state_dict().items()}

    def _set_state(self, state: dict[str, NDArray[Any]]) -> None:
        self.model.load_state_dict({name: torch.from_numpy(np.array(part)) for name, part in state.items()})
