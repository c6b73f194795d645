"""Scores of temporal link prediction: average precision and AUC, per batch and over all, and reciprocal ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...embed.evaluation.metrics import average_precision, reciprocal_ranks, roc_auc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LinkScores", "average_precision", "reciprocal_ranks", "roc_auc"]


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
