"""A trainer's checkpoint, read whole and compared with what the trainer has before anything changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...graphlib.checkpoints import check_arrays, load_checkpoint, prefixed, whole_fact
from ...graphlib.errors import InvalidInput, StoreCorrupt
from ...graphlib.scalars import is_finite
from .adam import adam_arrays, read_adam

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .options import Training

_SERIES = ("epoch", "loss", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Saved:
    """The content of a checkpoint, whole and of the shapes that the trainer has.

    Attributes
    ----------
    model, best : arrays by name
        The state now and at the epoch that is kept; `best` is empty before there is one.
    adam : dict
        The optimizer's state by the number of the parameter, as torch takes it.
    epoch, batch, best_epoch : int
    loss_sum : float
    history : dict of lists
    """

    model: dict[str, NDArray[Any]]
    best: dict[str, NDArray[Any]]
    adam: dict[int, dict[str, Any]]
    epoch: int
    batch: int
    best_epoch: int
    loss_sum: float
    history: dict[str, list[float]]


def read(path: str, options: Training, optimizer: Any, state: Mapping[str, NDArray[Any]]) -> Saved:
    """A checkpoint of these options that fits a model of this state, or an error."""
    arrays, facts = loaded(path, asdict(options))
    epoch, batch, best_epoch = turns(path, facts, options.epochs, 1 << 62)
    history = _history(path, facts.get("history"), epoch, best_epoch)
    loss_sum: Any = facts.get("loss_sum")
    if not is_finite(loss_sum):
        raise StoreCorrupt(f"{path} is not a whole checkpoint: its loss is {loss_sum!r:.80}")
    model, best, adam = states(path, arrays, best_epoch, state, optimizer)
    return Saved(model, best, adam, epoch, batch, best_epoch, float(loss_sum), history)


def loaded(path: str, options: dict[str, Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and facts of a checkpoint that a trainer with these options has written."""
    arrays, facts = load_checkpoint(path)
    if facts.get("options") != options:
        raise InvalidInput(f"{path}: was trained with {facts.get('options')}, not with {options}")
    unknown = [name for name in arrays if not name.startswith(("model.", "best.", "adam."))]
    if unknown:
        raise StoreCorrupt(f"{path} is not a whole checkpoint: it has an unknown array {unknown[0]!r}")
    return arrays, facts


def turns(path: str, facts: dict[str, Any], epochs: int, batches: int) -> tuple[int, int, int]:
    """Epoch, batch and best epoch, in their ranges."""
    epoch = whole_fact(path, facts, "epoch", 0, epochs)
    batch = whole_fact(path, facts, "batch", 0, batches)
    return epoch, batch, whole_fact(path, facts, "best_epoch", -1, epoch - 1)


def states(
    path: str, arrays: dict[str, NDArray[Any]], best_epoch: int, state: Mapping[str, NDArray[Any]], optimizer: Any
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], dict[int, dict[str, Any]]]:
    """The model's state now and at its best, both like `state`, and the optimizer's."""
    model, best = prefixed(arrays, "model."), prefixed(arrays, "best.")
    check_arrays(path, model, state)
    if best or best_epoch >= 0:
        check_arrays(path, best, state)
    return model, best, read_adam(path, prefixed(arrays, "adam."), optimizer)


def state_arrays(
    model: Mapping[str, NDArray[Any]], best: Mapping[str, NDArray[Any]], optimizer: Any
) -> dict[str, NDArray[Any]]:
    """What `states` reads: the model's state now and at its best, and the optimizer's."""
    arrays = {f"model.{name}": part for name, part in model.items()}
    arrays |= {f"best.{name}": part for name, part in best.items()}
    return arrays | adam_arrays(optimizer)


def take_over(
    path: str,
    put: Callable[[dict[str, NDArray[Any]]], None],
    wanted: Iterable[dict[str, NDArray[Any]]],
    before: dict[str, NDArray[Any]],
    optimizer: Any,
    adam: dict[int, dict[str, Any]],
) -> None:
    """Put states into a model one after another, the last to stay, and the optimizer's; or leave all as it was."""
    try:
        for state in wanted:
            if state:
                put(state)
    except Exception as error:  # what this model refuses is its own affair
        put(before)
        raise StoreCorrupt(f"{path} does not fit this model ({error}); nothing was changed") from error
    optimizer.load_state_dict({**optimizer.state_dict(), "state": adam})


def _history(path: str, given: Any, epoch: int, best_epoch: int) -> dict[str, list[float]]:
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
