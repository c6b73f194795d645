"""The classifier of GraphVite's own evaluation: one linear layer for all classes, trained on full batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import seeded

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LR, _MOMENTUM, _DECAY = 1.0, 0.9, 2e-5
PATIENCE = 100


def linear_scores(
    train: NDArray[Any], known: NDArray[np.bool_], test: NDArray[Any], *, seed: int, max_steps: int
) -> tuple[NDArray[np.float32], int]:
    """Scores (test nodes, classes) of a linear layer trained on `known` labels, and the steps taken.

    Every training node counts once per label it has, each time with that one label as its target; here a node's rows
    are added up, which gives the same loss and gradient. The loss is the mean binary cross-entropy over rows and
    classes; the step is SGD with lr 1, momentum 0.9 and weight decay 2e-5, until the loss (float32) has not improved
    for `PATIENCE` steps.
    """
    rng = seeded(seed)
    d, classes = train.shape[1], known.shape[1]
    bound = 1.0 / math.sqrt(d)
    theta = rng.uniform(-bound, bound, (d + 1, classes)).astype(np.float32)
    velocity = np.zeros_like(theta)
    X = np.concatenate([train, np.ones((train.shape[0], 1))], axis=1).astype(np.float32)
    Y = known.astype(np.float32)
    times = Y.sum(axis=1, keepdims=True)
    scale = np.float32(1.0 / (times.sum() * classes))
    best, waited, steps = np.float32(np.inf), 0, 0
    while waited < PATIENCE and steps < max_steps:
        x = X @ theta
        small = np.exp(-np.abs(x))
        softplus = np.maximum(x, 0) + np.log1p(small)
        loss = np.float32(np.sum(times * softplus - Y * x, dtype=np.float64) * scale)
        sigma = np.where(x >= 0, 1, small) / (1 + small)
        gradient = X.T @ ((times * sigma - Y) * scale) + np.float32(_DECAY) * theta
        velocity = np.float32(_MOMENTUM) * velocity + gradient
        theta -= np.float32(_LR) * velocity
        steps += 1
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
    ones = np.ones((test.shape[0], 1), np.float32)
    return np.concatenate([test.astype(np.float32), ones], axis=1) @ theta, steps
