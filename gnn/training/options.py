"""How a model is trained and which epoch of it is kept, as one value; and what a training tells as it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, is_finite

SELECTIONS = ("best validation", "last epoch")
MONITORS = ("loss", "accuracy")
WAITS = ("monitor", "either")
OPTIMIZERS = ("adam", "adamw")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained, and by what rule the epoch is chosen that is tested.

    Attributes
    ----------
    epochs : int >= 1, default 200
        At most.
    learning_rate : float > 0, default 0.01
    weight_decay : float >= 0, default 0
        Of parameters that no group of the trainer's `groups` gives another one.
    optimizer : {"adam", "adamw"}, default "adam"
        "adam" adds the decay to the gradient, "adamw" takes it off the weights.
    batch_size, eval_batch_size : int >= 1, optional
        Items per step, and per call that judges; None: all at once.
    selection : {"best validation", "last epoch"}, default "best validation"
        Which epoch's weights are tested.
    monitor : {"loss", "accuracy"}, default "loss"
        What is best in validation; of equal accuracies, that with the lower loss.
    patience : int >= 1, optional
        Judged epochs without a better one before training ends; None: all epochs.
    patience_on : {"monitor", "either"}, default "monitor"
        What counts as a better one for `patience`: an epoch that `selection` takes; or any whose validation loss is as
        low, or whose accuracy is as high, as those of all epochs before, as in the released code of GAT and of GRAND.
    eval_every : int >= 1, default 1
        Epochs between two validations.
    clip : float >= 0, default 0
        Norm that gradients are clipped to; 0 leaves them.
    workers : int >= 0, default 0
        Threads that prepare batches ahead; results do not depend on them.
    steady : bool, default True
        Run torch on one thread, for the same bits at any number of threads (`nearhop.gnn.threads.steady`). Where dense
        products take most of the time, False lets torch cut them over its threads.
    seed : int, default 0
        Of the order of items, dropout, and whatever else a step draws.

    Examples
    --------
    >>> from nearhop.gnn.training import Training
    >>> Training(epochs=50, monitor="accuracy", patience=10).selection
    'best validation'
    """

    epochs: int = 200
    learning_rate: float = 0.01
    weight_decay: float = 0.0
    optimizer: str = "adam"
    batch_size: int | None = None
    eval_batch_size: int | None = None
    selection: str = "best validation"
    monitor: str = "loss"
    patience: int | None = None
    patience_on: str = "monitor"
    eval_every: int = 1
    clip: float = 0.0
    workers: int = 0
    steady: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("eval_every", 1), ("workers", 0), ("batch_size", 1), ("eval_batch_size", 1),
                          ("patience", 1)):  # fmt: skip
            value = getattr(self, name)
            if value is not None or name in ("epochs", "eval_every", "workers"):
                object.__setattr__(self, name, integer(name, value, low))
        object.__setattr__(self, "seed", integer("seed", self.seed, -(1 << 63)))
        if self.steady not in (True, False):
            raise InvalidInput(f"steady must be True or False; got {self.steady!r:.50}")
        for name, allowed in (("selection", SELECTIONS), ("monitor", MONITORS), ("optimizer", OPTIMIZERS),
                              ("patience_on", WAITS)):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise InvalidInput(
                    f"{name} must be one of {', '.join(map(repr, allowed))}; got {getattr(self, name)!r}"
                )
        if not is_finite(self.learning_rate) or self.learning_rate <= 0:
            raise InvalidInput(f"learning_rate must be a number > 0; got {self.learning_rate!r}")
        for name in ("weight_decay", "clip"):
            if not is_finite(getattr(self, name)) or getattr(self, name) < 0:
                raise InvalidInput(f"{name} must be a number >= 0; got {getattr(self, name)!r}")
        if self.selection == "last epoch" and self.patience is not None:
            raise InvalidInput('patience waits for a better epoch, which selection="last epoch" never picks; leave it')

    @property
    def rule(self) -> str:
        """The rule of selection in words, to stand beside a figure."""
        return self.selection if self.selection == "last epoch" else f"{self.selection} {self.monitor}"

    def better(self, scores: Mapping[str, float], than: Mapping[str, float] | None) -> bool:
        """Whether an epoch with these validation scores takes the place of the one kept so far."""
        if than is None or self.selection == "last epoch":
            return True
        if self.monitor == "loss" or scores["accuracy"] == than["accuracy"]:
            return scores["loss"] < than["loss"]
        return scores["accuracy"] > than["accuracy"]


@dataclass(frozen=True)
class Progress:
    """Where training stands: after a step (`val` is None) or after an epoch.

    Attributes
    ----------
    epoch, batch, num_batches : int
        Epochs count from 0, `batch` counts the steps of this epoch that are done.
    loss : float
        Mean over those steps.
    val : mapping, optional
        "loss" and "accuracy" on the validation part, after an epoch that was judged.
    best : bool
        Whether that epoch is the one kept so far.
    """

    epoch: int
    batch: int
    num_batches: int
    loss: float
    val: Mapping[str, float] | None = None
    best: bool = False
