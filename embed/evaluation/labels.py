"""Node classification from embeddings: the multi-label protocol of DeepWalk and its successors."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.streams import seeded
from ...graphlib.errors import InvalidInput, InvalidType, MissingExtra
from ...graphlib.extras import require
from ...graphlib.notebook import table as html_table
from ...graphlib.scalars import is_integer, is_number
from .linear_classifier import linear_scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_log = logging.getLogger(__name__)
_STEPS = 100
_RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Evaluation:
    """Scores per share of labelled nodes and shuffle.

    Attributes
    ----------
    train_ratios : tuple of float
    micro, macro : float64 (ratios, repeats)
        F1 over all decisions, and the mean of the classes' F1. With one label per node micro-F1 is the accuracy.
    """

    train_ratios: tuple[float, ...]
    micro: NDArray[np.float64]
    macro: NDArray[np.float64]

    @property
    def micro_mean(self) -> NDArray[np.float64]:
        return self.micro.mean(axis=1)

    @property
    def micro_std(self) -> NDArray[np.float64]:
        return self.micro.std(axis=1)

    @property
    def macro_mean(self) -> NDArray[np.float64]:
        return self.macro.mean(axis=1)

    @property
    def macro_std(self) -> NDArray[np.float64]:
        return self.macro.std(axis=1)

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Mean accuracy per ratio; what micro-F1 is when every node has one label."""
        return self.micro_mean

    def table(self) -> str:
        """Markdown: one row per ratio, mean ± standard deviation over the shuffles."""
        lines = ["| train % | micro-F1 | macro-F1 |", "|---|---|---|"]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in self._rows())])

    def _rows(self) -> list[tuple[str, str, str]]:
        return [
            (
                f"{100 * ratio:g}",
                f"{self.micro_mean[i]:.4f} ± {self.micro_std[i]:.4f}",
                f"{self.macro_mean[i]:.4f} ± {self.macro_std[i]:.4f}",
            )
            for i, ratio in enumerate(self.train_ratios)
        ]

    def _repr_html_(self) -> str:
        caption = f"Evaluation over {self.micro.shape[1]} shuffles"
        return html_table(caption, ["train %", "micro-F1", "macro-F1"], self._rows())


def evaluate(
    embedding: ArrayLike,
    labels: Any,
    *,
    train_ratios: Sequence[float] = _RATIOS,
    repeats: int = 5,
    C: float = 0.1,
    classifier: str = "logistic",
    max_steps: int = 20_000,
    seed: int = 0,
    threads: int | None = None,
) -> Evaluation:
    """Train a classifier on a share of the nodes and predict the labels of the others.

    Parameters
    ----------
    embedding : float array (n, d)
        Finite.
    labels : array or SciPy sparse matrix (n, classes), or int array (n,)
        Rows of 0/1, any number of ones; or one class per node, -1 for none. Nodes without labels are left out.
    train_ratios : sequence of float in (0, 1)
    repeats : int, default 5
        Shuffles; all ratios of one repeat share one shuffle.
    C : float, default 0.1
        Inverse strength of the L2 penalty of "logistic"; 0.1 suits standardised columns, 1 to 10 raw ones.
    classifier : "logistic" or "linear", default "logistic"
        One logistic regression per class; or the linear layer of GraphVite's own evaluation, trained for all classes by
        full-batch gradient descent, a node counting once per label it has.
    max_steps : int, default 20,000
        Where "linear" gives up waiting for its loss to stop falling; the log says so when it did.
    seed : int, default 0
    threads : int, optional
        Classes trained at the same time; default all cores. The result does not depend on it.

    Returns
    -------
    Evaluation

    Raises
    ------
    MissingExtra
        scikit-learn is not installed ("logistic" needs it).
    InvalidInput, InvalidType
        Shapes, values or ratios that do not fit.

    Notes
    -----
    For a test node with k labels the k classes of highest score are predicted: the number of labels is known, as in
    Perozzi, Al-Rfou and Skiena, "DeepWalk", KDD 2014, arXiv:1403.6652. A class without a positive (or negative)
    training node is ranked last (or first). A class that is neither true nor predicted among the test nodes counts
    F1 = 0, as in scikit-learn.

    The intercept is the weight of a constant column and is penalised as the others are, the objective of the LIBLINEAR
    solver; on BlogCatalog it is worth 0.9 points of micro-F1 over a free intercept.
    Time is bounded by 100 solver steps of O(n * d) per class, and with "linear" by `max_steps` of O(n * d * classes).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.repeat(np.eye(2), 20, axis=0)
    >>> result = evaluate(x, np.repeat([0, 1], 20), train_ratios=(0.5,), repeats=2, C=10)
    >>> result.accuracy.tolist()
    [1.0]
    """
    X, Y = _check(embedding, labels)
    if not is_integer(repeats) or repeats < 1:
        raise InvalidInput(f"evaluate: repeats must be a positive integer; got {repeats!r}")
    if not C > 0:
        raise InvalidInput(f"evaluate: C must be > 0; got {C!r}")
    if classifier not in ("logistic", "linear"):
        raise InvalidInput(f'evaluate: classifier must be "logistic" or "linear"; got {classifier!r}')
    if not is_integer(max_steps) or max_steps < 1:
        raise InvalidInput(f"evaluate: max_steps must be a positive integer; got {max_steps!r}")
    if threads is not None and (not is_integer(threads) or threads < 1):
        raise InvalidInput(f"evaluate: threads must be a positive integer or None; got {threads!r}")
    ratios = list(train_ratios) if isinstance(train_ratios, Iterable) else [train_ratios]
    sizes = [int(ratio * X.shape[0]) if is_number(ratio) and 0 < ratio < 1 else 0 for ratio in ratios]
    for ratio, size in zip(ratios, sizes, strict=True):
        if not 0 < size < X.shape[0]:
            raise InvalidInput(
                f"evaluate: train_ratios must be in (0, 1) and leave a node on both sides; {ratio!r} of {X.shape[0]} "
                f"labelled nodes is {size}"
            )

    micro = np.empty((len(sizes), repeats))
    macro = np.empty((len(sizes), repeats))
    scores_of = _Linear(seed, max_steps) if classifier == "linear" else _Logistic(C, threads)
    with scores_of:
        for repeat in range(repeats):
            order = seeded(seed, repeat).permutation(X.shape[0])
            for i, size in enumerate(sizes):
                known, truth = Y[order[:size]], Y[order[size:]]
                scores = scores_of(X[order[:size]], known, X[order[size:]])
                micro[i, repeat], macro[i, repeat] = f1_scores(truth, predict_top(scores, truth.sum(axis=1)))
    return Evaluation(tuple(map(float, ratios)), micro, macro)


class _Logistic:
    """One logistic regression per class, several at a time."""

    def __init__(self, C: float, threads: int | None) -> None:
        self._C = C
        self._model = require("sklearn.linear_model", "evaluate").LogisticRegression
        self._resources = contextlib.ExitStack()
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)

    def __enter__(self) -> None:
        # one BLAS thread per class: problems this small lose an order of magnitude to threads waiting for each other
        pools = require("threadpoolctl", "evaluate")  # comes with scikit-learn
        self._resources.enter_context(self._pool)
        self._resources.enter_context(pools.threadpool_limits(1))
        self._resources.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", require("sklearn.exceptions", "evaluate").ConvergenceWarning)  # logged instead

    def __exit__(self, *details: object) -> None:
        self._resources.close()

    def __call__(self, train: NDArray[Any], known: NDArray[np.bool_], test: NDArray[Any]) -> NDArray[Any]:
        train, test = _with_constant(train), _with_constant(test)
        return np.stack(list(self._pool.map(lambda truth: self._column(train, truth, test), known.T)), axis=1)

    def _column(self, train: NDArray[Any], truth: NDArray[np.bool_], test: NDArray[Any]) -> NDArray[Any]:
        if truth.all() or not truth.any():
            return np.full(test.shape[0], np.inf if truth.all() else -np.inf)
        solver = self._model(C=self._C, fit_intercept=False, solver="lbfgs", max_iter=_STEPS).fit(train, truth)
        if solver.n_iter_[0] >= _STEPS:
            _log.info("a class was not solved to the end in %d steps; standardised columns converge sooner", _STEPS)
        values: NDArray[Any] = solver.decision_function(test)
        return values


class _Linear:
    """A linear layer for all classes at once."""

    def __init__(self, seed: int, max_steps: int) -> None:
        self._seed, self._max_steps = seed, max_steps
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> None:
        with contextlib.suppress(MissingExtra):  # products this small take ten times as long on two BLAS threads
            self._resources.enter_context(require("threadpoolctl", "evaluate").threadpool_limits(1))

    def __exit__(self, *details: object) -> None:
        self._resources.close()

    def __call__(self, train: NDArray[Any], known: NDArray[np.bool_], test: NDArray[Any]) -> NDArray[Any]:
        scores, steps = linear_scores(train, known, test, seed=self._seed, max_steps=self._max_steps)
        if steps >= self._max_steps:
            _log.info("the loss of the linear layer still fell after max_steps=%d", steps)
        return scores


def _with_constant(values: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([values, np.ones((values.shape[0], 1), values.dtype)], axis=1)


def predict_top(scores: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.bool_]:
    """For row i the counts[i] classes of highest score; the lower class wins a tie."""
    order = np.argsort(-scores, axis=1, kind="stable")
    chosen = np.arange(scores.shape[1])[None, :] < counts[:, None]
    predicted = np.zeros(scores.shape, bool)
    np.put_along_axis(predicted, order, chosen, axis=1)
    return predicted


def f1_scores(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> tuple[float, float]:
    """Micro- and macro-averaged F1 over all classes."""
    hits = (truth & predicted).sum(axis=0)
    sizes = truth.sum(axis=0) + predicted.sum(axis=0)
    per_class = 2.0 * hits / np.maximum(sizes, 1)
    return float(2.0 * hits.sum() / max(1, sizes.sum())), float(per_class.mean())


_FEW_CLASSES = 1 << 16


def _check(embedding: ArrayLike, labels: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    X: NDArray[Any] = unmasked("evaluate: embedding", embedding)
    if X.dtype.kind != "f" or X.ndim != 2:
        raise InvalidType(f"evaluate: embedding must be a float (n, d) array; got {X.dtype} {X.shape}")
    if not np.isfinite(X).all():
        raise InvalidInput("evaluate: embedding holds values that are not finite")
    given: NDArray[Any] = labels.toarray() if hasattr(labels, "toarray") else unmasked("evaluate: labels", labels)
    if given.ndim not in (1, 2) or given.shape[0] != X.shape[0]:
        raise InvalidInput(f"evaluate: labels must have {X.shape[0]} rows, as the embedding; got shape {given.shape}")
    if given.ndim == 1:
        if given.dtype.kind not in "iu":
            raise InvalidType(f"evaluate: one label per node must be an integer; got dtype {given.dtype}")
        width = int(given.max()) + 1 if given.size else 0
        if width > max(_FEW_CLASSES, X.shape[0]):
            raise InvalidInput(
                f"evaluate: a label is {width - 1:,}; number the classes 0..c-1, such as by numpy.unique"
            )
        Y = given[:, None] == np.arange(width)[None, :]
    else:
        if given.shape[1] == 1:
            raise InvalidInput(
                f"evaluate: labels of shape {given.shape} are a matrix of one class; give one class per node as labels "
                "of one dimension, such as labels[:, 0]"
            )
        if not np.isin(given, (0, 1)).all():
            raise InvalidInput("evaluate: a label matrix must hold 0 and 1 only")
        Y = given.astype(bool)
    labelled = Y.any(axis=1)
    if not labelled.any():
        raise InvalidInput("evaluate: no node has a label")
    return X[labelled], Y[labelled]
