"""Trainers that are saved and go on: a checkpoint is read whole and compared before anything changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from ...graphlib.checkpoints import check_arrays, load_checkpoint, prefixed, save_checkpoint, whole_fact
from ...graphlib.errors import InvalidInput, StoreCorrupt
from ...graphlib.scalars import is_finite
from .adam import adam_arrays, read_adam
from .origin import Origin

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    history : Any
        As the trainer keeps it.
    """

    model: dict[str, NDArray[Any]]
    best: dict[str, NDArray[Any]]
    adam: dict[int, dict[str, Any]]
    epoch: int
    batch: int
    best_epoch: int
    loss_sum: float
    history: Any


class Resumable(ABC):
    """A trainer that is saved whole and goes on to the same bits."""

    LOSS: ClassVar[str] = "loss_sum"  # what files call the sum of losses
    options: Any
    optimizer: Any
    epoch: int
    batch: int
    best_epoch: int
    best: dict[str, NDArray[Any]]
    history: Any
    _loss_sum: float
    _origin: Origin  # made before the training

    def save(self, path: str) -> None:
        """Write everything that training depends on to one `.npz` file, replacing it at once.

        Raises
        ------
        StoreWriteFailed
            The disk is full or failed; a file that was there is whole.
        """
        arrays = {f"model.{name}": part for name, part in self._state().items()}
        arrays |= {f"best.{name}": part for name, part in self.best.items()}
        facts = {name: getattr(self, name) for name in ("epoch", "batch", "best_epoch", "history")}
        save_checkpoint(
            path,
            arrays | adam_arrays(self.optimizer),
            {**facts, self.LOSS: self._loss_sum, "options": asdict(self.options), "origin": self._origin.facts()},
        )

    def load(self, path: str) -> None:
        """Go on where a trainer of the same model, data and options was saved.

        A file keeps what the training began from: the kinds and settings of the modules, and fingerprints of the data
        that the trainer and the model's modules hold as arrays, tensors and sparse matrices, in lists or not. Not
        compared are initial weights, and what a model reads by itself (a store, a loader) or computes by other code.
        Files of earlier versions keep none of it.

        Raises
        ------
        StoreMissing
            There is no such file.
        InvalidInput
            It was written with other options.
        IndexMismatch
            It was trained from another model or other data; the message says which.
        StoreCorrupt
            It is not such a file, is damaged, or does not fit the model. All of it is checked first: trainer and model
            are as they were.
        """
        before = self._state()
        saved = self._read(path, before)
        try:
            for state in (saved.best, saved.model):
                if state:
                    self._set_state(state)
        except Exception as error:  # what this model refuses is its own affair
            self._set_state(before)
            raise StoreCorrupt(f"{path} does not fit this model ({error}); nothing was changed") from error
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": saved.adam})
        self.best, self.history, self.best_epoch = saved.best, saved.history, saved.best_epoch
        self.epoch, self.batch, self._loss_sum = saved.epoch, saved.batch, saved.loss_sum

    @abstractmethod
    def _state(self) -> dict[str, NDArray[Any]]:
        """Copies of everything in the model that training changes."""

    @abstractmethod
    def _set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Give the model such a state."""

    @abstractmethod
    def _most_batches(self) -> int:
        """Steps of an epoch, at most."""

    @abstractmethod
    def _checked_history(self, path: str, given: Any, epoch: int, best_epoch: int) -> Any:
        """The history of so many epochs in a file, or `StoreCorrupt`."""

    def _check_options(self, path: str, found: Any) -> None:
        """Refuse a file of other options. One that a file does not name came later, and was the default till then."""
        if not isinstance(found, dict):
            raise StoreCorrupt(f"{path} is not a whole checkpoint: its options are {found!r:.80}")
        here = asdict(self.options)
        there = {field.name: field.default for field in fields(self.options)} | found
        other = [name for name in there if name not in here or there[name] != here[name]]
        if other:
            told, own = (", ".join(f"{name}={of.get(name)!r}" for name in other) for of in (there, here))
            raise InvalidInput(
                f"{path}: was trained with {told}, not with {own}; give it the options that it began with"
            )

    def _read(self, path: str, state: Mapping[str, NDArray[Any]]) -> Saved:
        """A checkpoint of these options that fits a model of this state, or an error."""
        arrays, facts = load_checkpoint(path)
        self._check_options(path, facts.get("options"))
        self._origin.check(path, facts.get("origin"))
        unknown = [name for name in arrays if not name.startswith(("model.", "best.", "adam."))]
        if unknown:
            raise StoreCorrupt(f"{path} is not a whole checkpoint: it has an unknown array {unknown[0]!r}")
        epoch = whole_fact(path, facts, "epoch", 0, self.options.epochs)
        batch = whole_fact(path, facts, "batch", 0, self._most_batches())
        best_epoch = whole_fact(path, facts, "best_epoch", -1, epoch - 1)
        history = self._checked_history(path, facts.get("history"), epoch, best_epoch)
        loss_sum: Any = facts.get(self.LOSS)
        if not is_finite(loss_sum):
            raise StoreCorrupt(f"{path} is not a whole checkpoint: its loss is {loss_sum!r:.80}")
        model, best = prefixed(arrays, "model."), prefixed(arrays, "best.")
        check_arrays(path, model, state)
        if best or best_epoch >= 0:
            check_arrays(path, best, state)
        adam = read_adam(path, prefixed(arrays, "adam."), self.optimizer)
        return Saved(model, best, adam, epoch, batch, best_epoch, float(loss_sum), history)
