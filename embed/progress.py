"""What a training run reports while it goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..graphlib.errors import NearhopError


@dataclass(frozen=True)
class TrainingProgress:
    """The state of a training run after a pool of samples.

    Attributes
    ----------
    done, total : int
        Samples trained so far and in all (of every run that was resumed).
    samples_per_second : float
        Of this run.
    loss : float
        Mean loss of the samples of the last pool.
    seconds, seconds_left : float
    """

    done: int
    total: int
    samples_per_second: float
    loss: float
    seconds: float
    seconds_left: float


Reporter = Callable[[TrainingProgress], Any]


class TrainingDiverged(NearhopError, ArithmeticError):
    """The loss is not finite any more; the message names what to change."""


def check_finite(what: str, value: float, learning_rate: float) -> float:
    """A loss, or `TrainingDiverged` where it is not finite any more; `what` names it."""
    if not math.isfinite(value):
        raise TrainingDiverged(f"{what} became {value}; use a learning_rate below {learning_rate}")
    return value


class Meter:
    """Turns counts of samples into `TrainingProgress` for callbacks and TensorBoard, and stops on a loss of NaN."""

    def __init__(self, owner: str, total: int, done: int, reporter: Reporter | None, tensorboard: str | None) -> None:
        self._owner, self._total, self._reporter = owner, total, reporter
        self._first = self._done = done
        self._start = time.perf_counter()
        self._writer = None
        if tensorboard is not None:
            from ..graphlib.extras import require

            self._writer = require("tensorboard.summary", f"{owner}(tensorboard=...)").Writer(tensorboard)

    def update(self, samples: int, loss: float) -> None:
        """`samples` more were trained at a mean loss of `loss`."""
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"{self._owner}: the loss became {loss} after {self._done:,} samples; use a smaller lr"
                f"{' or negative_weight' if self._owner == 'GraphVite' else ''}"
            )
        self._done += samples
        seconds = time.perf_counter() - self._start
        rate = (self._done - self._first) / max(seconds, 1e-9)
        left = max(0, self._total - self._done) / max(rate, 1e-9)
        if self._reporter is not None:
            self._reporter(TrainingProgress(self._done, self._total, rate, loss, seconds, left))
        if self._writer is not None:
            self._writer.add_scalar("train/loss", loss, self._done)
            self._writer.add_scalar("train/samples_per_second", rate, self._done)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
