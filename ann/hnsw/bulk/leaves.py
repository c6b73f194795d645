"""Rows cut into small overlapping leaves, in which near rows are likely to meet; rows that are copies of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAN = 9  # leaves of a row in a partition
_LEAF = 256  # entries of a leaf, at most
_PER_LEAF = 2  # leaders drawn for each leaf's worth of entries
_MOST_LEADERS = 300
_MOST_CUTS = 12  # after these, what is left is cut as it stands: copies of one row go to one leader together


def partition(
    walk: Any, rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One partition of some rows.

    Rows go to the `FAN` nearest of some leaders drawn among them; what follows a leader and is too large is cut again,
    where each entry goes to the nearest leader alone.

    Returns
    -------
    entries : int64 (at most FAN * len(rows),)
        Leaf by leaf, FAN * row + place with places 0 to FAN - 1.
    starts : int64 (num_leaves + 1,)
    """
    from . import leaves_cpu as kernels

    entries, sizes, fan = FAN * rows, np.array([len(rows)]), FAN
    leaves, leaf_sizes = [], []
    for _ in range(_MOST_CUTS):
        fits = sizes <= _LEAF
        inside = np.repeat(fits, sizes)
        leaves.append(entries[inside])
        leaf_sizes.append(sizes[fits])
        entries, sizes = entries[~inside], sizes[~fits]
        if not len(sizes):
            break
        number = np.clip(_PER_LEAF * sizes // _LEAF + 1, 2, _MOST_LEADERS)
        starts = _offsets(number)
        drawn = (rng.random(starts[-1]) * np.repeat(sizes, number)).astype(np.int64)
        leaders = entries[np.repeat(_offsets(sizes)[:-1], number) + drawn] // FAN
        leader = np.empty((len(entries), min(fan, int(number.max()))), np.int64)
        kernels.nearest_leaders(walk, entries, FAN, np.repeat(np.arange(len(sizes)), sizes), leaders, starts, leader)
        entries = (entries[:, None] + np.arange(leader.shape[1]))[leader >= 0]
        leader = leader[leader >= 0]
        entries = entries[np.argsort(leader, kind="stable")]
        sizes, fan = np.bincount(leader, minlength=len(leaders)), 1
    else:
        leaves.append(entries)
        for size in sizes:
            leaf_sizes.append(np.diff(np.append(np.arange(0, size, _LEAF), size)))
    return np.concatenate(leaves), _offsets(np.concatenate(leaf_sizes))


def copies(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows are equal to one before them, as far as a hash of 64 bits tells."""
    from . import leaves_cpu as kernels

    words = rows.view(np.uint8)
    words = words if words.shape[1] % 4 else words.view(np.uint32)
    hashes = np.empty(len(rows), np.uint64)
    kernels.row_hashes(words, hashes)
    again = np.ones(len(rows), bool)
    again[np.unique(hashes, return_index=True)[1]] = False
    return again


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)])
