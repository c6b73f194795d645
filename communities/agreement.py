"""How well a grouping or a ranking agrees with a known one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.checks import unmasked
from ..graphlib.errors import InvalidInput, InvalidType

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_ABSENT = ("NoneType", "NAType")  # and NaN, which is not itself


def normalized_mutual_information(left: ArrayLike, right: ArrayLike) -> float:
    """Mutual information of two labellings over the mean of their entropies, in [0, 1].

    Labels are of any kind that sorts, one per node, and none is missing; two empty labellings agree.

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

    Labels are as `normalized_mutual_information` takes them.

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


def recall_area(ranking: ArrayLike, members: ArrayLike, *, every: int = 1, until: int | None = None) -> float:
    """Area under the curve of recall against additions / most additions, by the trapezium rule; 0.5 for a perfect list.

    Parameters
    ----------
    ranking : ids in the order in which they were added
    members : ids that should be found (the seeds not among them)
    every : int, default 1
        Recall is recorded at 0 and after every so many additions; the last record is at 1 on the horizontal axis.
    until : int, optional
        Additions beyond which nothing is recorded; default: as many as there are members.

    Notes
    -----
    The protocol of arXiv:1601.03958 (its code, which draws "additions as % of |C|"): recall of the members that are not
    seeds, every 5 additions, until the list has grown to the size of the community.

    Examples
    --------
    >>> from nearhop.ann import recall_area
    >>> recall_area([3, 4, 5, 6], members=[3, 4, 5, 6]), recall_area([3, 9, 4, 5], members=[3, 4, 5, 6])
    (0.5, 0.34375)
    """
    wanted = np.unique(unmasked("members", members))
    if not len(wanted):
        raise InvalidInput("recall_area: there are no members to be found")
    last = len(wanted) if until is None else until
    if every < 1 or last < every:
        raise InvalidInput(f"recall_area: every must be in 1..{last}, the most additions; got {every}")
    order: NDArray[Any] = unmasked("ranking", ranking)[:last]
    hits = np.zeros(last)
    hits[: len(order)] = np.isin(order, wanted)
    recall = np.r_[0.0, np.cumsum(hits) / len(wanted)]
    at = np.arange(0, last + 1, every)
    return float(np.trapezoid(recall[at], at / at[-1]))


def check_labels(name: str, labels: ArrayLike, count: int | None) -> NDArray[np.int64]:
    """One label per node, as numbers from 0 on."""
    given: NDArray[Any] = unmasked(name, labels)
    if given.ndim != 1 or (count is not None and len(given) != count):
        raise InvalidInput(
            f"{name} must be one label per node{'' if count is None else f' ({count})'}; got {given.shape}"
        )
    missing = _missing(given)
    if missing is not None:
        raise InvalidInput(
            f"{name} must have one label per node; number {missing} is {given[missing]}. Leave such nodes out, or give "
            "them a label of their own"
        )
    try:
        return np.unique(given, return_inverse=True)[1].reshape(-1)
    except TypeError as error:
        kinds = sorted({type(each).__name__ for each in given.tolist()})
        raise InvalidType(f"{name} must be all numbers or all text; got {' and '.join(kinds)}") from error


def _missing(labels: NDArray[Any]) -> int | None:
    """The place of the first None or NaN."""
    if labels.dtype.kind == "O":
        absent = np.array([type(each).__name__ in _ABSENT or each != each for each in labels.tolist()], bool)
    elif labels.dtype.kind in "fcmM":
        absent = labels != labels
    else:
        return None
    return int(np.argmax(absent)) if absent.any() else None


def _contingency(left: ArrayLike, right: ArrayLike) -> tuple[Any, NDArray[Any], NDArray[Any]]:
    import scipy.sparse

    x = check_labels("left", left, None)
    y = check_labels("right", right, None)
    if len(x) != len(y):
        raise InvalidInput(f"both labellings must be as long; got {len(x)} and {len(y)}")
    shape = int(x.max(initial=-1)) + 1, int(y.max(initial=-1)) + 1
    joint = scipy.sparse.coo_array((np.ones(len(x)), (x, y)), shape=shape).tocsr()
    return joint, np.bincount(x).astype(np.float64), np.bincount(y).astype(np.float64)


__all__ = ["adjusted_rand_index", "check_labels", "normalized_mutual_information", "recall_area"]
