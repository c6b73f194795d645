"""How far two labellings of the same things agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.checks import unmasked
from ..graphlib.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def normalized_mutual_information(left: ArrayLike, right: ArrayLike) -> float:
    """Mutual information of two labellings over the mean of their entropies, in [0, 1].

    Examples
    --------
    >>> from nearhop.ann import normalized_mutual_information
    >>> round(normalized_mutual_information([0, 0, 1, 1], [5, 5, 3, 3]), 6)
    1.0
    """
    joint, rows, columns = _contingency(left, right)
    total = joint.data.sum()
    if not total:
        return 1.0
    entries = joint.tocoo()
    share = entries.data / total
    expected = rows[entries.row] * columns[entries.col] / total**2
    information = float((share * np.log(share / expected)).sum())
    entropies = [-float((p * np.log(p)).sum()) for p in (rows / total, columns / total)]
    mean = sum(entropies) / 2
    return 1.0 if mean == 0 else max(0.0, information / mean)


def adjusted_rand_index(left: ArrayLike, right: ArrayLike) -> float:
    """Agreement of two labellings over pairs, 0 on average by chance and 1 when equal.

    Examples
    --------
    >>> from nearhop.ann import adjusted_rand_index
    >>> adjusted_rand_index([0, 0, 1, 1], [5, 5, 3, 3])
    1.0
    """
    joint, rows, columns = _contingency(left, right)
    total = float(rows.sum())

    def pairs(counts: NDArray[Any]) -> float:
        return float((counts * (counts - 1.0) / 2).sum())

    both, left_pairs, right_pairs, all_pairs = pairs(joint.data), pairs(rows), pairs(columns), total * (total - 1) / 2
    expected = left_pairs * right_pairs / all_pairs if all_pairs else 0.0
    most = (left_pairs + right_pairs) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def labels_of(name: str, labels: ArrayLike, count: int | None) -> NDArray[np.int64]:
    """The number of each label, one per node where there are `count` of them."""
    given: NDArray[Any] = unmasked(name, labels)
    if given.ndim != 1 or (count is not None and len(given) != count):
        raise InvalidInput(
            f"{name} must be one label per node{'' if count is None else f' ({count})'}; got {given.shape}"
        )
    return np.unique(given, return_inverse=True)[1].reshape(-1)


def _contingency(left: ArrayLike, right: ArrayLike) -> tuple[Any, NDArray[Any], NDArray[Any]]:
    import scipy.sparse

    x = labels_of("left", left, None)
    y = labels_of("right", right, None)
    if len(x) != len(y):
        raise InvalidInput(f"both labellings must be as long; got {len(x)} and {len(y)}")
    joint = scipy.sparse.coo_array((np.ones(len(x)), (x, y))).tocsr()
    return joint, np.bincount(x).astype(np.float64), np.bincount(y).astype(np.float64)


__all__ = ["adjusted_rand_index", "labels_of", "normalized_mutual_information"]
