"""One figure from several seeds: every run resumable, mean and standard deviation with the rule that chose them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .options import Progress


class Testable(Protocol):
    """What `run_seeds` asks of a trainer."""

    options: Any

    def fit(self, callback: Any = None, *, checkpoint: str | None = None, save_seconds: float = 60.0) -> None: ...
    def load(self, path: str) -> None: ...
    def test(self) -> Any: ...


@dataclass(frozen=True, eq=False, repr=False)
class Runs:
    """Test results of several seeds.

    Attributes
    ----------
    rule : str
        How the tested epoch of every run was chosen.
    seeds : tuple of int
    results : tuple
        What each run's `test` gave.

    Examples
    --------
    >>> from types import SimpleNamespace as Result
    >>> Runs("best validation loss", (0, 1), (Result(accuracy=0.81), Result(accuracy=0.83)))
    Runs(82.0 ± 1.0 %, 2 seeds, best validation loss)
    """

    rule: str
    seeds: tuple[int, ...]
    results: tuple[Any, ...]

    @property
    def values(self) -> NDArray[np.float64]:
        """Accuracy in [0, 1] by seed."""
        return np.array([result.accuracy for result in self.results], np.float64)

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def std(self) -> float:
        """Over seeds, not divided by the number of seeds less one."""
        return float(self.values.std())

    def __repr__(self) -> str:
        return f"Runs({100 * self.mean:.1f} ± {100 * self.std:.1f} %, {len(self.seeds)} seeds, {self.rule})"


def run_seeds(
    build: Callable[[int], Testable],
    seeds: int | Iterable[int],
    *,
    folder: str | Path | None = None,
    progress: Callable[[int, Progress], object] | None = None,
) -> Runs:
    """Train and test once per seed.

    Parameters
    ----------
    build : callable
        From a seed to a new trainer. Torch's generator is seeded before the call, and put back after all runs.
    seeds : int or iterable of int
        A number n stands for the seeds 0..n-1.
    folder : path, optional
        Every run is saved there as `seed-<n>.npz`; runs that are there go on where they were, or are only tested. Those
        of another model or other data are refused: another experiment takes another folder.
    progress : callable, optional
        Called with the seed and what the trainer tells.

    Returns
    -------
    Runs

    Raises
    ------
    InvalidInput, IndexMismatch
        No seeds, or one twice; a file in the folder is of other options, another model or other data, as far as `load`
        of the trainer can tell.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from nearhop.gnn.nodes import FullBatch, NodeData, NodeTrainer
    >>> from nearhop.gnn.training import Training, run_seeds
    >>> y = np.arange(60) % 2
    >>> data = NodeData(y, np.arange(20), np.arange(20, 40), np.arange(40, 60))
    >>> x = torch.nn.functional.one_hot(torch.from_numpy(y)).float()
    >>> def build(seed):
    ...     model = FullBatch(torch.nn.Linear(2, 2), x)
    ...     return NodeTrainer(model, data, Training(epochs=30, learning_rate=0.1, seed=seed))
    >>> run_seeds(build, 3)
    Runs(100.0 ± 0.0 %, 3 seeds, best validation loss)
    """
    import torch

    listed = seeds if isinstance(seeds, Iterable) else range(integer("seeds", seeds, 1))
    chosen = tuple(integer("each of seeds", seed, -(1 << 63)) for seed in listed)
    if not chosen or len({*chosen}) < len(chosen):
        raise InvalidInput(f"run_seeds needs at least one seed, and each once; got {chosen}")
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    results, rule = [], ""
    for seed in chosen:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            trainer = build(seed)
        path = None if folder is None else Path(folder) / f"seed-{seed}.npz"
        if path is not None and path.exists():
            trainer.load(str(path))
        told = None if progress is None else _of(progress, seed)
        trainer.fit(told, checkpoint=None if path is None else str(path))
        results.append(trainer.test())
        rule = trainer.options.rule
    return Runs(rule, chosen, tuple(results))


def _of(progress: Callable[[int, Progress], object], seed: int) -> Callable[[Progress], None]:
    def told(state: Progress) -> None:
        progress(seed, state)

    return told
