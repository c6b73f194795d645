"""Training of an encoder on matches: batches of neighbours, hardest negatives, guarded against unlabelled matches."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...graphlib.compute.streams import Purpose, generator
from .augment import augmented
from .loss import hardest, lsh_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLLAPSED = 0.1
_FACTS = "loss", "matches", "others", "spread"


@dataclass(frozen=True)
class Schedule:
    """How an encoder is trained (see `NLSHBlock`)."""

    R: float
    c: float
    epochs: int
    batch_size: int
    learning_rate: float
    augment: bool
    guard: float
    seed: int


@dataclass(frozen=True)
class Material:
    """What is trained on.

    Attributes
    ----------
    texts : list of str
        Of all records, those of both tables one after the other.
    entities : int64 (records,)
        Records with the same number are one thing.
    pairs : int64 (pairs, 2)
        Records that match, by their places in `texts`.
    rivals : int64 (records, any)
        Records that look alike and may be taken for negatives, -1 for none.
    """

    texts: list[str]
    entities: NDArray[np.int64]
    pairs: NDArray[np.int64]
    rivals: NDArray[np.int64]


def train(
    encoder: Any, material: Material, schedule: Schedule, step: Callable[[], None] | None = None
) -> list[dict[str, float]]:
    """Train, and return per epoch the mean loss, the distances of matches and of hardest negatives, and the spread.

    The spread is the mean distance of unrelated records of a batch; a warning says when it falls below 0.1: everything
    is then near everything, which the loss allows where R is too large.
    """
    rng = generator(schedule.seed, Purpose.BLOCKER, "steps")
    rate = schedule.learning_rate
    groups: Any = encoder.groups(rate) if hasattr(encoder, "groups") else [{"params": encoder.parameters(), "lr": rate}]
    rates = [group["lr"] for group in groups]
    optimiser = torch.optim.AdamW(groups, lr=rate, weight_decay=1e-4)
    pairs = material.pairs
    batches = -(-len(pairs) // schedule.batch_size)
    plan = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rates, total_steps=schedule.epochs * batches + 1, pct_start=0.1
    )
    history = []
    for _ in range(schedule.epochs):
        encoder.train()
        told = []
        order = rng.permutation(len(pairs))
        for start in range(0, len(pairs), schedule.batch_size):
            some = pairs[order[start : start + schedule.batch_size]]
            flip = rng.random(len(some)) < 0.5
            some = np.where(flip[:, None], some[:, ::-1], some)
            loss, facts = _loss(encoder, material, some, schedule, rng)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            plan.step()
            told.append(facts)
        history.append({name: _mean(values) for name, values in zip(_FACTS, zip(*told, strict=True), strict=True)})
        if step is not None:
            step()
    encoder.eval()
    if history and history[-1]["spread"] < _COLLAPSED:
        warnings.warn(
            f"the encoder has collapsed: unrelated records are {history[-1]['spread']:.3f} apart on average; "
            "take a smaller R or learning rate",
            RuntimeWarning,
            stacklevel=3,
        )
    return history


def _mean(values: Any) -> float:
    """Of the values that there are."""
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else float("nan")


def _loss(
    encoder: Any, material: Material, some: NDArray[np.int64], schedule: Schedule, rng: np.random.Generator
) -> tuple[torch.Tensor, tuple[float, float, float, float]]:
    anchors, matches = some[:, 0], some[:, 1]
    rivals = material.rivals[anchors]
    drawn = rivals[np.arange(len(some)), rng.integers(0, rivals.shape[1], len(some))]
    others = np.concatenate([matches, drawn[drawn >= 0]])
    texts = [material.texts[i] for i in (*anchors, *others)]
    if schedule.augment:
        change = rng.random(len(texts)) < 0.5
        change[: len(anchors)] |= anchors == matches  # a record beside itself teaches nothing
        texts = [augmented(text, rng) if yes else text for text, yes in zip(texts, change, strict=True)]
    vectors = encoder(texts)
    p, r = vectors[: len(anchors)], vectors[len(anchors) :]
    allowed = material.entities[anchors][:, None] != material.entities[others][None, :]
    # Nearer than the guard is a match that nobody labelled, or so like one that it would teach the wrong thing.
    with torch.no_grad():
        apart = torch.cdist(p, r)
    mask = torch.from_numpy(allowed) & (apart > schedule.guard)
    which, any_left = hardest(p, r, mask)
    q = r[: len(anchors)]
    loss = lsh_loss(p, q, r[which], schedule.R, schedule.c)
    near = (p - q).detach().norm(dim=1)
    loss = torch.where(any_left, loss, (p - q).pow(2).sum(1).clamp_min(1e-12).sqrt().clamp_min(schedule.R)).mean()
    far = apart.gather(1, which[:, None])[any_left[:, None]]
    spread = apart[torch.from_numpy(allowed)]
    facts = [float(value.mean()) if value.numel() else float("nan") for value in (loss.detach(), near, far, spread)]
    return loss, (facts[0], facts[1], facts[2], facts[3])


__all__ = ["Material", "Schedule", "train"]
