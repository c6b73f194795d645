"""TF-IDF and BM25 weights of counted grams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]
    Weighed = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]

WEIGHTS = "bm25", "tfidf"
_K1, _B = 1.2, 0.75


def of_records(counts: Counts, num_grams: int, weighting: str) -> tuple[NDArray[np.float32], Weighed]:
    """The idf of every gram, and rows of weights of the records that are searched."""
    indptr, indices, times = counts
    n = len(indptr) - 1
    frequency = np.bincount(indices, minlength=num_grams)
    if weighting == "tfidf":
        idf = (np.log((1 + n) / (1 + frequency)) + 1).astype(np.float32)
        return idf, _unit(indptr, indices, times * idf[indices])
    idf = np.log1p((n - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
    rows = np.repeat(np.arange(n), np.diff(indptr))
    lengths = np.bincount(rows, times, minlength=n)
    share = lengths / max(lengths.mean() if n else 1.0, 1e-9)
    tf = times * (_K1 + 1) / (times + (_K1 * (1 - _B + _B * share))[rows])
    return idf, (indptr, indices, (idf[indices] * tf).astype(np.float32))


def of_queries(counts: Counts, idf: NDArray[np.float32], weighting: str) -> Weighed:
    """Rows of weights of the records that are looked up."""
    indptr, indices, times = counts
    if weighting == "tfidf":
        return _unit(indptr, indices, times * idf[indices])
    return indptr, indices, times.astype(np.float32)


def _unit(indptr: NDArray[np.int64], indices: NDArray[np.int32], values: NDArray[np.float32]) -> Weighed:
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    squares = np.bincount(rows, values.astype(np.float64) ** 2, minlength=len(indptr) - 1)
    norms = np.sqrt(np.maximum(squares, 1e-30))
    return indptr, indices, (values / norms[rows]).astype(np.float32)


__all__ = ["WEIGHTS", "of_queries", "of_records"]
