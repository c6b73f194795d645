"""What number a cross-validation gives: rules that choose epochs, by name, because they differ by several per cent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RULES = ("last10", "best_mean_curve", "best_per_fold", "nested")


@dataclass(frozen=True, eq=False)
class Selected:
    """A result and the rule that gave it.

    Attributes
    ----------
    rule : str
    mean, std : float
        Over folds, in the unit of the curves.
    folds : float64 (num_folds,)
    epochs : int64 (num_folds,)
        The epoch chosen in every fold, from 0; the last for "last10".
    optimistic : bool
        Whether test graphs took part in choosing: such a number is too high as an estimate.
    """

    rule: str
    mean: float
    std: float
    folds: NDArray[np.float64]
    epochs: NDArray[np.int64]
    optimistic: bool

    def __str__(self) -> str:
        warned = ", optimistic" if self.optimistic else ""
        return f"{100 * self.mean:.1f} ± {100 * self.std:.1f} ({self.rule}, {len(self.folds)} folds{warned})"


class Curves:
    """Accuracy by fold and epoch.

    Parameters
    ----------
    test : float array (num_folds, num_epochs)
    val : float array (num_folds, num_epochs), optional
        On graphs held out of the training part, for the rule "nested".

    Raises
    ------
    InvalidInput
        Other shapes, or numbers that are not finite.

    Examples
    --------
    >>> curves = Curves([[0.5, 0.9, 0.7], [0.6, 0.6, 0.8]])
    >>> print(curves.select("best_mean_curve"))
    75.0 ± 15.0 (best_mean_curve, 2 folds, optimistic)
    >>> print(curves.select("best_per_fold"))
    85.0 ± 5.0 (best_per_fold, 2 folds, optimistic)
    """

    def __init__(self, test: ArrayLike, val: ArrayLike | None = None) -> None:
        self.test = _numbers("test", test)
        self.val = None if val is None else _numbers("val", val)
        if self.test.ndim != 2 or self.test.size == 0:
            raise InvalidInput(f"test must have shape (num_folds, num_epochs), both >= 1; got {self.test.shape}")
        if self.val is not None and self.val.shape != self.test.shape:
            raise InvalidInput(f"val must have the shape {self.test.shape} of test; got {self.val.shape}")

    def select(self, rule: str) -> Selected:
        """The result by a rule.

        Parameters
        ----------
        rule : {"last10", "best_mean_curve", "best_per_fold", "nested"}
            "last10": the mean of the last ten epochs, fixed in advance (IGN, SPEN). "best_mean_curve": the epoch whose
            mean over folds is best (GIN); it sees test graphs, once for all folds. "best_per_fold": the best epoch of
            every fold, which is optimistic by several per cent; to compare with those who report it. "nested": in every
            fold the epoch that is best on validation graphs from its training part, the latest of several.

        Raises
        ------
        InvalidInput
            There is no such rule, or "nested" without validation curves.

        Notes
        -----
        The standard deviation is that over folds (not divided by the number of folds less one).
        """
        test, last = self.test, self.test.shape[1] - 1
        rows = np.arange(test.shape[0])
        if rule == "last10":
            return _selected(rule, test[:, -10:].mean(1), np.full(len(rows), last))
        if rule == "best_mean_curve":
            epochs = np.full(len(rows), int(test.mean(0).argmax()))
        elif rule == "best_per_fold":
            epochs = test.argmax(1)
        elif rule == "nested":
            if self.val is None:
                raise InvalidInput('"nested" needs validation curves: train with validation=True')
            epochs = last - self.val[:, ::-1].argmax(1)
        else:
            raise InvalidInput(f"rule must be one of {', '.join(map(repr, RULES))}; got {rule!r}")
        return _selected(rule, test[rows, epochs], epochs)

    def rules(self) -> tuple[str, ...]:
        """The rules that these curves allow."""
        return RULES if self.val is not None else RULES[:3]


def _numbers(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """Finite numbers: one that is missing would be the largest of its curve."""
    curves: NDArray[Any] = unmasked(name, given)
    if curves.dtype.kind not in "iufb" or not np.isfinite(curves).all():
        raise InvalidInput(f"{name} must hold finite numbers by fold and epoch; got {curves!s:.80}")
    return curves.astype(np.float64)


def _selected(rule: str, folds: NDArray[Any], epochs: NDArray[Any]) -> Selected:
    optimistic = rule in ("best_mean_curve", "best_per_fold")
    return Selected(rule, float(folds.mean()), float(folds.std()), folds, epochs.astype(np.int64), optimistic)
