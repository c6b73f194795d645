"""Search FastRP's weights and beta, computing the powers once per beta."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, InvalidType
from .fastrp import FastRP
from .parameters import check_parameters, read_graph
from .powers import ColumnScale, merge_kept, sweep

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType

# The paper's search space: alpha_1 = alpha_2 = 0, alpha_3 = 1, alpha_4 in [1, 64], beta in [-1, 0].
WEIGHTS = tuple((0.0, 0.0, 1.0, float(2**e)) for e in range(7))
BETAS = (-1.0, -0.8, -0.6, -0.4, -0.2, 0.0)


@dataclass(frozen=True)
class Trial:
    """One setting and the score it got."""

    weights: tuple[float, ...]
    beta: float
    score: float


@dataclass(frozen=True)
class TuneResult:
    """All trials, in the order they were made, and the best (the first of equal ones)."""

    trials: tuple[Trial, ...]
    best: Trial

    @property
    def best_params(self) -> dict[str, Any]:
        """For a new model: `FastRP(dim=512, **result.best_params)`."""
        return {"weights": self.best.weights, "beta": self.best.beta}

    def table(self) -> str:
        """The trials as Markdown, best first."""
        ranked = sorted(self.trials, key=lambda trial: -trial.score)
        lines = [f"| {', '.join(f'{w:g}' for w in t.weights)} | {t.beta:g} | {t.score:.4f} |" for t in ranked]
        return "\n".join(["| weights | beta | score |", "|---|---|---|", *lines])


def tune(
    store: GraphStore,
    score: Callable[[NDArray[np.float32]], float],
    *,
    weights: Sequence[Sequence[float]] = WEIGHTS,
    betas: Sequence[float] = BETAS,
    model: FastRP | None = None,
    keys: ArrayLike | None = None,
    edge_type: EdgeType | None = None,
) -> TuneResult:
    """Score every combination of weights and beta.

    Parameters
    ----------
    store : GraphStore
    score : callable
        Takes an embedding, float32 (n, dim), and returns a finite number; larger is better. The array is overwritten
        after the call.
    weights : sequence of weight sequences
        Default (0, 0, 1, a) for a = 1, 2, 4, ..., 64.
    betas : sequence of float
        Default -1, -0.8, ..., 0.
    model : FastRP, optional
        All other parameters; default FastRP(dim=64), as the authors search with 64 columns and use what they find
        with 512.
    keys : int array (n,), optional
        As in `FastRP.fit_transform`.
    edge_type : edge type, optional
        As in `FastRP.fit_transform`.

    Returns
    -------
    TuneResult
        Every embedding scored is the one that FastRP gives for the setting, to the bit.

    Notes
    -----
    One sweep over the edges per beta and power, then O(n * dim) per trial; (powers + 1) * n * dim * 4 bytes.

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> found = tune(store, lambda e: -float(abs(e[0] - e[2]).sum()), betas=(-0.5, 0), model=FastRP(dim=4))
    >>> len(found.trials), sorted(found.best_params)
    (14, ['beta', 'weights'])
    """
    if not callable(score):
        raise InvalidType(f"tune: score must be callable with an embedding; got {score!r}")
    if len(weights) == 0 or len(betas) == 0:
        raise InvalidInput(f"tune: give at least one weights and one beta; got {len(weights)} and {len(betas)}")
    base = {} if model is None else model.get_params()
    if model is None:
        base["dim"] = 64
    models = [[FastRP(**{**base, "weights": tuple(w), "beta": beta}) for w in weights] for beta in betas]
    for given in (m for group in models for m in group):
        check_parameters(given)
    first = models[0][0]
    if first.self_influence != 0.0:
        raise InvalidInput("tune: self_influence is not searched; use a model with self_influence=0")
    graph = read_graph(first, store, keys, edge_type)
    n = graph.rows.num_rows
    used = graph.degree > 0.0
    total = np.empty((n, first.dim), np.float32)
    trials = []
    for group in models:
        projection = first.project(n)
        longest = FastRP(**{**base, "weights": (1.0,) * max(len(m.weights or ()) for m in group)}).merge()
        squares = {i: np.zeros(n) for i in longest.used}
        kept: list[NDArray[np.float32]] = []
        sweep(
            *(graph, projection, graph.degree_factor(float(group[0].beta)), 0, first.dim, longest),
            total=None,
            squares=squares,
            measure=True,
            threads=first.threads,
            keep=kept,
        )
        for candidate in group:
            total[:] = 0.0
            merge_kept(kept, candidate.merge(), total, squares, first.threads)
            if first.standardize:
                ColumnScale.of(total, used, first.threads).apply(total, used, first.threads)
            value = float(score(total))
            if not np.isfinite(value):
                raise InvalidInput(
                    f"tune: score returned {value} for weights={candidate.weights}, beta={candidate.beta}"
                )
            trials.append(Trial(tuple(map(float, candidate.weights or ())), float(candidate.beta), value))
    return TuneResult(tuple(trials), max(trials, key=lambda trial: trial.score))
