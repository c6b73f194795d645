"""Measures of link prediction, the one place where they are defined: AUC, AP, ranks, MRR, Hits@K.

Scores come in as arrays: positives (n,), and negatives either as one pool that all positives share (q,) or as (n, q),
each positive's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, InvalidType

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TIES = ("mean", "optimistic", "pessimistic")


def roc_auc(positive: NDArray[Any], negative: NDArray[Any]) -> float:
    """The probability that a positive scores above a negative, ties counting half. O((n + q) log q).

    >>> import numpy as np
    >>> roc_auc(np.array([3.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.sum() / (2.0 * positive.shape[0] * negative.shape[0]))


def average_precision(positive: NDArray[Any], negative: NDArray[Any]) -> float:
    """Precision averaged over the recall it is reached at; equal scores enter together, as in scikit-learn.

    >>> import numpy as np
    >>> round(average_precision(np.array([3.0, 1.0]), np.array([2.0, 0.0])), 4)
    0.8333
    """
    cuts = np.unique(positive)[::-1]
    found = positive.shape[0] - np.searchsorted(np.sort(positive), cuts, "left")
    wrong = negative.shape[0] - np.searchsorted(np.sort(negative), cuts, "left")
    gained = np.diff(found, prepend=0)
    return float((gained * found / (found + wrong)).sum() / positive.shape[0])


def ranks(positive: ArrayLike, negative: ArrayLike, *, ties: str = "mean") -> NDArray[np.float64]:
    """1 + how many negatives stand above each positive.

    Parameters
    ----------
    positive : float array (n,)
    negative : float array (q,) or (n, q)
        One pool for all, or a positive's own; entries of -inf are never above.
    ties : {"mean", "optimistic", "pessimistic"}, default "mean"
        Whether half, none or all of the negatives of equal score count.

    Examples
    --------
    >>> ranks([1.0], [[2.0, 1.0, 0.0]]).tolist()
    [2.5]
    """
    above, level = _counts(positive, negative)
    if ties not in TIES:
        raise InvalidInput(f"ties must be one of {', '.join(TIES)}; got {ties!r}")
    return 1.0 + above + {"mean": 0.5, "optimistic": 0.0, "pessimistic": 1.0}[ties] * level


def reciprocal_ranks(positive: ArrayLike, negative: ArrayLike, *, ties: str = "mean") -> NDArray[np.float64]:
    """1 / rank of each positive; with `ties="mean"` as in the Temporal Graph Benchmark (arXiv:2307.01026).

    >>> reciprocal_ranks([1.0], [[2.0, 1.0, 0.0]]).tolist()
    [0.4]
    """
    return 1.0 / ranks(positive, negative, ties=ties)


def hits(positive: ArrayLike, negative: ArrayLike, k: int) -> NDArray[np.bool_]:
    """Which positives are among the first `k`: they score strictly above the k-th best negative, ties miss.

    On a shared pool (q,) this is the Hits@K of the Open Graph Benchmark (arXiv:2005.00687), whose mean it reports; on
    (n, q) every positive is compared with its own negatives. Fewer than `k` negatives: every positive is a hit.

    >>> hits([3.0, 1.0], [2.0, 0.5], 1).tolist()
    [True, False]
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InvalidInput(f"k must be an integer >= 1; got {k!r}")
    above, level = _counts(positive, negative)
    return (above + level) < k


def _counts(positive: ArrayLike, negative: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Negatives above and level with every positive."""
    p, n = scores("positive", positive), scores("negative", negative, most=2)
    if n.ndim == 2:
        if n.shape[0] != p.shape[0]:
            raise InvalidInput(f"negative must have {p.shape[0]} rows, one per positive; got {n.shape}")
        above = (n > p[:, None]).sum(axis=1)
        return above, (n == p[:, None]).sum(axis=1)
    ordered = np.sort(n)
    not_above = np.searchsorted(ordered, p, "right")
    return n.shape[0] - not_above, not_above - np.searchsorted(ordered, p, "left")


def scores(name: str, given: ArrayLike, *, most: int = 1) -> NDArray[np.float64]:
    """Scores as float64 without NaN, of one dimension, or up to `most`."""
    values: NDArray[Any] = unmasked(name, given)
    if values.dtype.kind not in "iufb":
        raise InvalidType(f"{name} must hold numbers; got dtype {values.dtype}")
    if not 1 <= values.ndim <= most:
        raise InvalidInput(
            f"{name} must have {'one dimension' if most == 1 else 'one or two dimensions'}; got {values.shape}"
        )
    if np.isnan(values).any():
        raise InvalidInput(f"{name} holds NaN; a model that diverged?")
    return values.astype(np.float64, copy=False)
