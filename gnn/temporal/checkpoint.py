"""What a `TemporalTrainer` keeps in a checkpoint, and the checks that a file has to pass before anything is changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...graphlib.errors import StoreCorrupt
from ...graphlib.scalars import is_finite
from ..training.checkpoint import loaded, states, turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .trainer import TemporalTrainer


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
    arrays, facts = loaded(path, asdict(trainer.options))
    epoch, batch, best_epoch = turns(path, facts, trainer.options.epochs, len(trainer.split.train))
    loss: Any = facts.get("loss")
    history: Any = facts.get("history")
    if not is_finite(loss) or not isinstance(history, list) or not all(map(is_finite, history)):
        raise StoreCorrupt(f"{path} is not a whole checkpoint: its loss or history is not made of numbers")
    if len(history) != epoch or (epoch > 0) != (best_epoch >= 0):
        raise StoreCorrupt(f"{path} is not a whole checkpoint: {epoch} epochs, but a history of {len(history)}")
    model, best, adam = states(path, arrays, best_epoch, trainer._model_state(), trainer.optimizer)
    return Saved(model, best, adam, epoch, batch, best_epoch, loss, [float(value) for value in history])
