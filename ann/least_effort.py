"""The least effort of a search that reaches a recall: shared by `HNSW.tune` and `nearhop index tune`."""

from __future__ import annotations

from collections.abc import Callable


def least_effort(reaches: Callable[[int], bool], first: int, most: int) -> int:
    """The smallest effort found for which `reaches(effort)` holds; `most` where not even that one does.

    Efforts are doubled from `first` until one reaches, then the last interval is halved down to a 32nd. Recall is taken
    to rise with effort, as it does but for noise.

    >>> least_effort(lambda effort: effort >= 37, 10, 1000)
    37
    """
    low, high = 0, min(first, most)
    while not reaches(high):
        if high >= most:
            return most
        low, high = high, min(2 * high, most)
    while low and high - low > max(1, high // 32):
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle
    return high


__all__ = ["least_effort"]
