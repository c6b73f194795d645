"""What a search for colours returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class ColorMatches:
    """Which query vector met which point of the colours found; `matches[s, i]` are those of set s and its i-th colour.

    Attributes
    ----------
    indptr : int64 (num_sets * k + 1,)
        The matches of set s and place i are those from indptr[s * k + i] on.
    queries : int32 (total,)
        Numbers of query vectors within their set, ascending.
    points : int64 (total,)
        Numbers of points within their colour, in the order in which they were added to it.
    distances : float32 (total,)
        Euclidean for "l2", 1 - cos for "cosine"; all below the radius.
    """

    k: int
    indptr: NDArray[np.int64]
    queries: NDArray[np.int32]
    points: NDArray[np.int64]
    distances: NDArray[np.float32]

    def __getitem__(self, place: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]:
        at = place[0] * self.k + place[1]
        part = slice(int(self.indptr[at]), int(self.indptr[at + 1]))
        return self.queries[part], self.points[part], self.distances[part]

    def __len__(self) -> int:
        return len(self.queries)

    def __repr__(self) -> str:
        return f"ColorMatches({len(self.queries):,} pairs of a query vector and a point)"


@dataclass(frozen=True, eq=False, repr=False)
class ColorResult:
    """The colours of highest score for every set of queries, best first; unpacks as `scores, colors = result`.

    Attributes
    ----------
    scores : float64 (num_sets, k)
        In [0, 1]: the mean over the set's vectors of what each gives to the colour. Places without a result hold 0.
    colors : int64 or text (num_sets, k)
        User ids. Places without a result hold -1 or "".
    counts : int32 (num_sets,)
        How many places of each row are filled: fewer than k where fewer colours have a point within the radius.
    matches : ColorMatches or None
        None where the search was told to leave them out.
    """

    scores: NDArray[np.float64]
    colors: NDArray[Any]
    counts: NDArray[np.int32]
    matches: ColorMatches | None

    def __len__(self) -> int:
        return int(self.colors.shape[0])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.scores, self.colors))

    def __repr__(self) -> str:
        sets, k = self.colors.shape
        short = int((self.counts < k).sum())
        note = f", {short:,} sets short of k" if short else ""
        kind = "text" if self.colors.dtype.kind == "T" else str(self.colors.dtype)
        return f"ColorResult({sets:,} sets, k={k}{note}; float64 scores, {kind} colours, {self.matches!r})"


__all__ = ["ColorMatches", "ColorResult"]
