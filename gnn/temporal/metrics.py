"""Scores of temporal link prediction: average precision and AUC, per batch and over all, and reciprocal ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def average_precision(positive: NDArray[Any], negative: NDArray[Any]) -> float:
    """Precision averaged over recall; equal scores count as one threshold, as in scikit-learn.

    >>> import numpy as np
    >>> round(average_precision(np.array([3.0, 1.0]), np.array([2.0, 0.0])), 4)
    0.8333
    """
    scores = np.concatenate([positive, negative])
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(order < positive.shape[0])
    last = np.append(scores[order[1:]] != scores[order[:-1]], True)
    hits, seen = hits[last], np.flatnonzero(last) + 1
    return float((np.diff(hits, prepend=0) * (hits / seen)).sum() / positive.shape[0])


def roc_auc(positive: NDArray[Any], negative: NDArray[Any]) -> float:
    """The probability that a positive scores above a negative; ties count one half.

    >>> import numpy as np
    >>> roc_auc(np.array([3.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left") + np.searchsorted(ordered, positive, side="right")
    return float(below.sum() / (2 * positive.shape[0] * negative.shape[0]))


def reciprocal_ranks(positive: NDArray[Any], negative: NDArray[Any]) -> NDArray[np.float64]:
    """1 / rank of each positive among its own negatives, positive (n,), negative (n, q); half the ties rank above it.

    As in the Temporal Graph Benchmark (Huang et al., arXiv:2307.01026).

    >>> import numpy as np
    >>> reciprocal_ranks(np.array([1.0]), np.array([[2.0, 1.0, 0.0]])).tolist()
    [0.4]
    """
    above = (negative > positive[:, None]).sum(axis=1)
    level = (negative >= positive[:, None]).sum(axis=1)
    return 1.0 / (1.0 + 0.5 * (above + level))


@dataclass(frozen=True)
class LinkScores:
    """How well links were told from negatives.

    Attributes
    ----------
    ap_batch, auc_batch : float
        Means over batches, each computed within its batch, as most papers of the field report.
    ap, auc : float
        Over all links at once.
    mrr : float
        Mean reciprocal rank of each link among its own negatives.
    num_links : int
    """

    ap_batch: float
    auc_batch: float
    ap: float
    auc: float
    mrr: float
    num_links: int

    @classmethod
    def of(cls, positive: Sequence[NDArray[Any]], negative: Sequence[NDArray[Any]]) -> LinkScores:
        """From the scores of each batch, (n,) and (n, q)."""
        if not positive:
            none = float("nan")
            return cls(none, none, none, none, none, 0)
        batches = [(p, n.ravel()) for p, n in zip(positive, negative, strict=True)]
        everything = np.concatenate(positive), np.concatenate([n for _, n in batches])
        ranks = [reciprocal_ranks(p, n) for p, n in zip(positive, negative, strict=True)]
        return cls(
            float(np.mean([average_precision(*batch) for batch in batches])),
            float(np.mean([roc_auc(*batch) for batch in batches])),
            average_precision(*everything),
            roc_auc(*everything),
            float(np.concatenate(ranks).mean()),
            everything[0].shape[0],
        )
