"""Places of equal keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def places_of(keys: NDArray[Any], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where `keys` are 0, 1, ..., count - 1: offsets (count + 1,), and the places in order behind them.

    O(len(keys) + count).

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.graphlib.compute.grouping import places_of
    >>> [part.tolist() for part in places_of(np.array([2, 0, 2]), 3)]
    [[0, 1, 1, 3], [1, 0, 2]]
    """
    from .sorting_cpu import order_by_count

    offsets, places = np.zeros(count + 1, np.int64), np.empty(len(keys), np.int64)
    order_by_count(keys, offsets, places)
    return offsets, places


def runs_of(rising: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The distinct values of a sorted array that holds some, and where each begins, with the end.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.graphlib.compute.grouping import runs_of
    >>> [part.tolist() for part in runs_of(np.array([0, 2, 2]))]
    [[0, 2], [0, 1, 3]]
    """
    starts = np.flatnonzero(np.concatenate([[True], rising[1:] != rising[:-1]]))
    return rising[starts], np.append(starts, len(rising))
