"""What a `TemporalTrainer` keeps in a checkpoint, and the checks that a file has to pass before anything is changed."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checkpoints import check_arrays, load_checkpoint, prefixed, whole_fact
from ...graphlib.errors import InvalidInput, StoreCorrupt
from ...graphlib.scalars import is_finite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .trainer import TemporalTrainer

_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Saved:
    """The content of a checkpoint, whole and of the shapes that the trainer has.

    Attributes
    ----------
    model, best : arrays by name
        Weights and memory, now and after the best epoch; `best` is empty before the first epoch ends.
    adam : dict
        The optimizer's state by the number of the parameter, as torch takes it.
    epoch, batch, best_epoch : int
    loss : float
    history : list of float
    """

    model: dict[str, NDArray[Any]]
    best: dict[str, NDArray[Any]]
    adam: dict[int, dict[str, Any]]
    epoch: int
    batch: int
    best_epoch: int
    loss: float
    history: list[float]


def read(path: str, trainer: TemporalTrainer) -> Saved:
    """A checkpoint that fits `trainer`, or an error: names, types and shapes of all arrays, ranges of all facts."""
    arrays, facts = load_checkpoint(path)
    options = asdict(trainer.options)
    if facts.get("options") != options:
        raise InvalidInput(f"{path}: was trained with {facts.get('options')}, not with {options}")
    unknown = [name for name in arrays if not name.startswith(("model.", "best.", "adam."))]
    if unknown:
        raise StoreCorrupt(f"{path} is not a whole checkpoint: it has an unknown array {unknown[0]!r}")
    epoch = whole_fact(path, facts, "epoch", 0, trainer.options.epochs)
    batch = whole_fact(path, facts, "batch", 0, len(trainer.split.train))
    best_epoch = whole_fact(path, facts, "best_epoch", -1, epoch - 1)
    loss: Any = facts.get("loss")
    history: Any = facts.get("history")
    if not is_finite(loss) or not isinstance(history, list) or not all(map(is_finite, history)):
        raise StoreCorrupt(f"{path} is not a whole checkpoint: its loss or history is not made of numbers")
    if len(history) != epoch or (epoch > 0) != (best_epoch >= 0):
        raise StoreCorrupt(f"{path} is not a whole checkpoint: {epoch} epochs, but a history of {len(history)}")
    wanted = trainer._model_state()
    model, best = prefixed(arrays, "model."), prefixed(arrays, "best.")
    check_arrays(path, model, wanted)
    if best or best_epoch >= 0:
        check_arrays(path, best, wanted)
    adam = _adam(path, prefixed(arrays, "adam."), trainer)
    return Saved(model, best, adam, epoch, batch, best_epoch, loss, [float(value) for value in history])


def _adam(path: str, arrays: Mapping[str, NDArray[Any]], trainer: TemporalTrainer) -> dict[int, dict[str, Any]]:
    """Moments of the shapes of the parameters: torch's fused step trusts them with memory."""
    import torch

    parameters = [p for group in trainer.optimizer.param_groups for p in group["params"]]
    numbers = set()
    for name in arrays:
        found = re.fullmatch(r"(\d{1,9})\.\w+", name)
        if found is None or int(found[1]) >= len(parameters):
            raise StoreCorrupt(f"{path} is not a whole checkpoint: it has an unknown array {'adam.' + name!r}")
        numbers.add(int(found[1]))
    held: dict[int, dict[str, Any]] = {}
    for number in sorted(numbers):
        like = np.empty(tuple(parameters[number].shape), np.float32)
        given = prefixed(arrays, f"{number}.")
        check_arrays(path, given, {"step": np.empty((), np.float32), **dict.fromkeys(_MOMENTS, like)})
        if not given["step"] >= 0 or not np.isfinite(given["step"]):
            raise StoreCorrupt(f"{path} is not a whole checkpoint: the optimizer made {given['step']} steps")
        held[number] = {name: torch.from_numpy(array.copy()) for name, array in given.items()}
    return held
