"""What a search for colours returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, NotFound
from ...graphlib.notebook import ROWS, table
from ...graphlib.scalars import is_integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pairs = tuple["NDArray[np.int32]", "NDArray[np.int64]", "NDArray[np.float32]"]  # query vectors, points, distances


@dataclass(frozen=True, eq=False, repr=False)
class ColorMatches:
    """Which query vector met which point of the colours found.

    `matches[s, i]` are three arrays, row by row one match of set s with its i-th colour: queries, points, distances. Of
    a colour, each query vector meets the nearest point alone. `ColorResult.pairs` gives them by the colour's id.

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

    def __getitem__(self, place: tuple[int, int]) -> Pairs:
        if not isinstance(place, tuple) or len(place) != 2:
            raise InvalidInput(f"matches: give a set and a place, as in matches[0, 0]; got {place!r}")
        sets = (len(self.indptr) - 1) // self.k
        if not (0 <= place[0] < sets and 0 <= place[1] < self.k):
            raise IndexError(f"matches of set {place[0]} and place {place[1]}, of {sets:,} sets and {self.k:,} places")
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
        None where the search was told to leave them out, or ran on a GPU.
    """

    scores: NDArray[np.float64]
    colors: NDArray[Any]
    counts: NDArray[np.int32]
    matches: ColorMatches | None

    def __len__(self) -> int:
        return int(self.colors.shape[0])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.scores, self.colors))

    def pairs(self, color: Any, query_set: int = 0, *, one_to_one: bool = False) -> Pairs:
        """The matches of a set of queries with one of the colours found for it, the nearest first.

        Parameters
        ----------
        color : int or str
            The id of one of the colours found.
        query_set : int, default 0
            The number of the set.
        one_to_one : bool, default False
            Of several query vectors that met the same point, keep the nearest alone: what estimates of geometry want.

        Returns
        -------
        queries : int32 (n,)
            Numbers of query vectors within the set, none twice.
        points : int64 (n,)
            Numbers of the points that they met, within the colour, in the order in which they were added to it.
        distances : float32 (n,)

        Raises
        ------
        NotFound
            The colour is not among those found for the set.
        InvalidInput
            The result came without matches, or there is no such set.

        Examples
        --------
        Where matched descriptors lie in two photographs:

        >>> import numpy as np
        >>> from nearhop.ann import CANN
        >>> rng = np.random.default_rng(0)
        >>> bridge, tower = rng.normal(size=(2, 50, 8)).astype(np.float32)
        >>> places = {"bridge": rng.uniform(size=(50, 2)), "tower": rng.uniform(size=(50, 2))}
        >>> found = CANN("l2", radius=0.5).add([bridge, tower], ["bridge", "tower"]).search(tower[::5], k=1)
        >>> queries, points, distances = found.pairs("tower", one_to_one=True)
        >>> from_places, to_places = places["tower"][::5][queries], places["tower"][points]
        >>> bool((from_places == to_places).all()), len(queries)
        (True, 10)
        """
        if self.matches is None:
            raise InvalidInput("pairs: this result came without matches; search the index with matches=True")
        if not is_integer(query_set) or not 0 <= query_set < len(self):
            raise InvalidInput(f"pairs: there are {len(self):,} sets of queries, numbered from 0; got {query_set!r}")
        if np.ndim(color):
            raise InvalidInput(f"pairs: give the id of one colour; got {color!r:.100}")
        found = self.colors[query_set, : self.counts[query_set]].tolist()
        if color not in found:
            raise NotFound(
                f"pairs: colour {color!r} is not among the {len(found):,} found for set {query_set}: "
                f"{', '.join(map(repr, found[:ROWS]))}{', ...' if len(found) > ROWS else ''}"
            )
        queries, points, distances = self.matches[query_set, found.index(color)]
        order = np.argsort(distances, kind="stable")
        if one_to_one:
            _, first = np.unique(points[order], return_index=True)
            order = order[np.sort(first)]
        return queries[order], points[order], distances[order]

    def _repr_html_(self) -> str:
        places = min(self.colors.shape[1], ROWS)
        rows = [
            (
                s,
                *(
                    f"{self.colors[s, i]} ({self.scores[s, i]:.4g})" if i < self.counts[s] else ""
                    for i in range(places)
                ),
            )
            for s in range(min(len(self), ROWS))
        ]
        return table(repr(self), ["set", *map(str, range(1, places + 1))], rows, hidden=len(self) - len(rows))

    def __repr__(self) -> str:
        sets, k = self.colors.shape
        short = int((self.counts < k).sum())
        note = f", {short:,} sets short of k" if short else ""
        kind = "text" if self.colors.dtype.kind == "T" else str(self.colors.dtype)
        return f"ColorResult({sets:,} sets, k={k}{note}; float64 scores, {kind} colours, {self.matches!r})"


__all__ = ["ColorMatches", "ColorResult"]
