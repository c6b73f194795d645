"""What an LSH index holds, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .index import LSH


@dataclass(frozen=True)
class LSHStatistics:
    """What an index holds: rows that can be found, deleted and empty ones, buckets, and bytes."""

    rows: int
    deleted: int
    empty: int
    segments: int
    bands: int
    slots_per_band: int
    threshold: float
    largest_bucket: int
    oversized_buckets: int
    index_bytes: int
    signature_bytes: int


def statistics_of(index: LSH) -> LSHStatistics:
    """Sizes, buckets and bytes; called while nothing changes."""
    bands, width = index.shape
    segments, rows = index._segments, index._rows
    sizes = [segment.bucket_sizes(band) for segment in segments for band in range(bands)]
    return LSHStatistics(
        rows=len(index), deleted=rows.num_dead, empty=len(rows) - sum(len(segment) for segment in segments),
        segments=len(segments), bands=bands, slots_per_band=width, threshold=float((1 / bands) ** (1 / width)),
        largest_bucket=max((int(part.max(initial=0)) for part in sizes), default=0),
        oversized_buckets=sum(int((part > index.max_bucket).sum()) for part in sizes),
        index_bytes=sum(segment.nbytes for segment in segments), signature_bytes=index.signatures.nbytes,
    )  # fmt: skip


__all__ = ["LSHStatistics", "statistics_of"]
