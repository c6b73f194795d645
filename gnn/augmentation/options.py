"""How a generator is fitted, checked once; and what fitting tells as it goes on."""

from __future__ import annotations

from dataclasses import dataclass

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, is_finite
from ..precision import precision_of
from .cvae import DECODERS
from .uncertainty import RULES


@dataclass(frozen=True)
class FitProgress:
    """Where fitting stands.

    Attributes
    ----------
    step, num_steps : int
    loss : float
        Of the step.
    uncertainty : float or None
        Where the step was scored.
    kept : bool
        Whether this state of the generator is the one kept so far.
    """

    step: int
    num_steps: int
    loss: float
    uncertainty: float | None
    kept: bool


@dataclass(frozen=True)
class Options:
    """The arguments of `LocalAugmenter`, in their order."""

    latent: int
    hidden: int
    epochs: int
    batch_size: int
    learning_rate: float
    decoder: str
    rule: str | None
    check_every: int
    passes: int
    warmup: int
    refit_epochs: int
    precision: str
    normalize: str | None
    seed: int

    def __post_init__(self) -> None:
        for name, low in (("latent", 1), ("hidden", 1), ("epochs", 1), ("batch_size", 1), ("check_every", 1),
                          ("passes", 2), ("warmup", 0), ("refit_epochs", 0)):  # fmt: skip
            object.__setattr__(self, name, integer(name, getattr(self, name), low))
        object.__setattr__(self, "precision", precision_of(self.precision))
        if not is_finite(self.learning_rate) or self.learning_rate <= 0:
            raise InvalidInput(f"learning_rate must be a number > 0; got {self.learning_rate!r}")
        for name, allowed in (("decoder", DECODERS), ("rule", (*RULES, None)), ("normalize", ("rows", None))):
            if getattr(self, name) not in allowed:
                raise InvalidInput(
                    f"{name} must be one of {', '.join(map(repr, allowed))}; got {getattr(self, name)!r}"
                )
