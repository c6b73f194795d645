"""Rows cut into small overlapping leaves, in which near rows are likely to meet; rows that are copies of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ....graphlib.compute.grouping import places_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAN = 9  # leaves of a row in a partition
_LEAF = 256  # entries of a leaf, at most
_PER_LEAF = 3  # leaders drawn for each leaf's worth of entries
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
        _nearest_leaders(walk, entries, np.repeat(np.arange(len(sizes)), sizes), leaders, starts, leader)
        entries = entries[:, None] + np.arange(leader.shape[1])
        held = leader >= 0
        entries, leader = (entries.ravel(), leader.ravel()) if held.all() else (entries[held], leader[held])
        firsts, order = places_of(leader, len(leaders))
        entries, sizes, fan = entries[order], np.diff(firsts), 1
    else:
        leaves.append(entries)
        for size in sizes:
            leaf_sizes.append(np.diff(np.append(np.arange(0, size, _LEAF), size)))
    return np.concatenate(leaves), _offsets(np.concatenate(leaf_sizes))


def nearest_in_leaves(
    walk: Any, entries: NDArray[np.int64], starts: NDArray[np.int64], near: NDArray[np.int32]
) -> None:
    """Fill `near` (FAN * rows, keep), by entry, with the rows nearest to each in its leaf; places left over stay -1."""
    from . import coded_cpu, leaves_cpu

    if _is_coded(walk):
        coded_cpu.nearest_in_coded_leaves(walk, walk.data.view(np.uint32), entries, FAN, starts, near)
    else:
        leaves_cpu.nearest_in_leaves(walk, entries, FAN, starts, near)


def _nearest_leaders(
    walk: Any, entries: NDArray[np.int64], group: NDArray[np.int64], leaders: NDArray[np.int64],
    starts: NDArray[np.int64], leader: NDArray[np.int64],
) -> None:  # fmt: skip
    from ...distances.int8_dot_cpu import SIXTEEN
    from . import coded_cpu, leaves_cpu

    if not _is_coded(walk):
        leaves_cpu.nearest_leaders(walk, entries, FAN, group, leaders, starts, leader)
        return
    words = walk.data.view(np.uint32)
    room = -(-np.diff(starts) // SIXTEEN) * SIXTEEN
    first = _offsets(room)
    turned, terms = np.zeros(first[-1] * words.shape[1], np.uint32), np.empty(first[-1], np.int64)
    coded_cpu.turn_leaders(words, leaders, starts, first, turned, terms)
    coded_cpu.nearest_coded_leaders(walk, entries, FAN, group, starts, (first, turned, terms), leader)


def _is_coded(walk: Any) -> bool:
    """Whether rows are 8-bit codes whose ranks are a term of the row less twice a product."""
    from ...storage.codes_cpu import Ranks

    return isinstance(walk, Ranks)


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
