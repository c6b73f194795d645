"""Sorted segments of buckets: made from keys, merged as they grow, read back from a store."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.errors import InvalidInput, StoreCorrupt
from ..metrics import check_count
from ..minhash.sets import read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEYS_PER_PLACE = 8
_GRID = 512
PAIRS_OF_A_LARGE_BUCKET = 16


@dataclass(frozen=True, eq=False)
class Segment:
    """Bands as sorted arrays: keys uint32 and rows int32 (bands, m), starts int32 (bands, table + 1)."""

    keys: NDArray[np.uint32]
    rows: NDArray[np.int32]
    starts: NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.keys.shape[1])

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.rows.nbytes + self.starts.nbytes

    def bucket_sizes(self, band: int) -> NDArray[np.int64]:
        """Sizes of the buckets of one band."""
        keys = self.keys[band]
        edges = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1], True]) if len(keys) else np.zeros(1, np.int64)
        return np.diff(edges)


def make_segment(keys: NDArray[np.uint32], rows: NDArray[np.int64], threads: int | None) -> Segment:
    """Sort the keys (bands, m) of some rows, in place: O(bands * m log m), 8 bytes per row and thread beside it."""
    from .buckets_cpu import sort_bands

    bands, count = keys.shape
    order = np.empty((bands, count), np.int32)
    starts = np.empty((bands, table_size(count) + 1), np.int32)
    with threads_in_use(threads):
        sort_bands(read_only(rows), keys, order, starts)
    return Segment(read_only(keys), read_only(order), read_only(starts))


def merge_segments(first: Segment, second: Segment, threads: int | None) -> Segment:
    """One segment of both, whose rows all lie behind those of the first: O(bands * m), the same as made at once."""
    from .buckets_cpu import merge_bands

    bands, count = len(first.keys), len(first) + len(second)
    keys, order = np.empty((bands, count), np.uint32), np.empty((bands, count), np.int32)
    starts = np.empty((bands, table_size(count) + 1), np.int32)
    with threads_in_use(threads):
        merge_bands(first.keys, first.rows, second.keys, second.rows, keys, order, starts)
    return Segment(read_only(keys), read_only(order), read_only(starts))


def merged(segments: list[Segment], threads: int | None) -> Segment:
    """One segment of all; each holds rows behind those of the one before."""
    left = list(segments)
    while len(left) > 1:
        left[-2:] = [merge_segments(left[-2], left[-1], threads)]
    return left[0]


def table_size(count: int) -> int:
    """Places of the table over the upper bits of `count` keys: a power of two."""
    return 1 << max(0, (count // _KEYS_PER_PLACE - 1).bit_length() if count > _KEYS_PER_PLACE else 0)


def check_segment(segment: Segment, bands: int, num_rows: int, where: str) -> None:
    """Every bound a lookup relies on."""
    count = len(segment)
    shape = (bands, table_size(count) + 1)
    if segment.keys.shape != segment.rows.shape or segment.keys.shape[0] != bands or segment.starts.shape != shape:
        raise StoreCorrupt(f"{where}: the bands of the index do not fit {bands} bands of {count} entries")
    starts = segment.starts
    if (starts[:, 0] != 0).any() or (starts[:, -1] != count).any() or (starts[:, 1:] < starts[:, :-1]).any():
        raise StoreCorrupt(f"{where}: the table of the index does not rise from 0 to {count}")
    if count and (segment.rows.min() < 0 or segment.rows.max() >= num_rows):
        raise StoreCorrupt(f"{where}: an entry of the index names a row outside 0..{num_rows - 1}")
    if (segment.keys[:, 1:] < segment.keys[:, :-1]).any():
        raise StoreCorrupt(f"{where}: the keys of a band are out of order")


def width_of_bands(num_perm: int, bands: Any, width: Any) -> int:
    """Slots per band of so many bands: those given, or as many as signatures have."""
    bands = check_count("bands", bands, high=num_perm)
    width = num_perm // bands if width is None else check_count("slots_per_band", width)
    if bands * width > num_perm:
        raise InvalidInput(f"{bands} bands of {width} slots need {bands * width} slots; num_perm is {num_perm}")
    return width


def few_of(max_bucket: int, bands: int) -> int:
    """How many rows of a larger bucket a query looks at: `max_bucket` in all bands together, at least 16 in each."""
    return min(max_bucket, max(PAIRS_OF_A_LARGE_BUCKET, max_bucket // bands))


def say_capped(what: str, max_bucket: int, few: int, *, stacklevel: int) -> None:
    """Warn that some results may be missing."""
    warnings.warn(
        f"{what} share a bucket with more than max_bucket = {max_bucket:,} others, of which {few:,} were looked at: "
        "near ones may be missing. Raise max_bucket, or take more slots per band",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


def candidate_probability(similarity: Any, bands: int, width: int) -> Any:
    """Probability that two sets of this similarity share a bucket: 1 - (1 - J^r)^b."""
    return 1 - (1 - np.asarray(similarity, np.float64) ** width) ** bands


def choose_bands(num_perm: int, threshold: float, weights: tuple[float, float]) -> tuple[int, int]:
    """Bands b and slots per band r, b r <= num_perm, of least weighted error.

    The error is w_fp * integral_0^t P + w_fn * integral_t^1 (1 - P) with P = 1 - (1 - J^r)^b.
    """
    if not 0 <= threshold <= 1:
        raise InvalidInput(f"threshold must be in [0, 1]; got {threshold!r}")
    if len(weights) != 2 or min(weights) < 0 or not sum(weights) > 0:
        raise InvalidInput(f"weights must be two numbers >= 0, for false positives and false negatives; got {weights}")
    middle = (np.arange(_GRID) + 0.5) / _GRID
    below, above = middle * threshold, threshold + middle * (1 - threshold)
    best = (np.inf, 1, 1)
    for width in range(1, num_perm + 1):
        most = num_perm // width
        bands = np.unique(np.geomspace(1, most, 64).astype(np.int64)) if most > 64 else np.arange(1, most + 1)
        miss_below, miss_above = 1 - below**width, 1 - above**width
        for band in bands.tolist():
            false_positive = threshold * float(np.mean(1 - miss_below**band))
            false_negative = (1 - threshold) * float(np.mean(miss_above**band))
            error = weights[0] * false_positive + weights[1] * false_negative
            if error < best[0]:
                best = (error, band, width)
    return best[1], best[2]


__all__ = [
    "Segment", "candidate_probability", "check_segment", "choose_bands", "few_of", "make_segment",
    "merge_segments", "merged", "say_capped",
    "table_size", "width_of_bands",
]  # fmt: skip
