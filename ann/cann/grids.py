"""Random grids over points: cells as sorted keys, made, extended, searched; and what a search of them met."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.compute.streams import Purpose, generator
from ..lsh.buckets import Segment, make_segment, merged
from .parts_cpu import Cells, Features, Held, Limits, Met, Turns
from .points import ByColor, Points, blocks_asked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .scoring import Scoring

AXES = 16  # as in `cells_cpu`, whose import loads Numba
SKETCH = 2  # keys of a sketch
_USEFUL, _KEPT = 0.8, 0.995  # sketches of "grids" keep this share of points at this part of the radius
_KEPT_BY_RANGE = 0.999  # and those of "range" this share at the radius
_ENTRIES = 1 << 21  # of the tables that a chunk of features fills


class Hits(NamedTuple):
    """The colours that each feature met: those of feature f from indptr[f] on, with squared distances and points."""

    indptr: NDArray[np.int64]
    colors: NDArray[np.int32]
    squared: NDArray[np.float32]
    rows: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Asked:
    """Features of all sets in one array: set s has those from offsets[s] on."""

    rows: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, which: int) -> NDArray[np.float32]:
        return self.rows[int(self.offsets[which]) : int(self.offsets[which + 1])]

    @property
    def sets(self) -> NDArray[np.int32]:
        """The set of every feature."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.offsets))

    def some(self, chosen: list[int]) -> Asked:
        """Some of the sets."""
        if len(chosen) == len(self):
            return self
        sizes = [len(self[which]) for which in chosen]
        rows = np.concatenate([self.rows[:0], *(self[which] for which in chosen)])
        return Asked(rows, np.cumsum([0, *sizes]).astype(np.int64))


def dimensions(dim: int) -> int:
    """In how many dimensions vectors are rotated: the next power of two, 16 at least.

    >>> dimensions(100), dimensions(3)
    (128, 16)
    """
    return max(AXES, 1 << (dim - 1).bit_length())


class Grids:
    """Random grids of one cell width, each a random rotation of the space and a random shift.

    Parameters
    ----------
    signs : float32 (rotations, 2, size)
        A rotation is signs, Hadamard, signs, Hadamard, in as many dimensions as the next power of two, 16 at least.
    shifts : float32 (grids + 2, 16)
        The last two are of the axes of sketches.
    width : float
        Of a cell, along each of the 16 axes that a grid takes.
    segments : list of Segment
        Keys of the points' cells per grid, sorted; each segment holds points behind those of the one before.
    sketches : uint64 (points,)
        Two more keys of every point, in row order: along how many of their 32 axes two points lie in other cells tells
        far ones from near ones, so that few vectors are read.
    """

    def __init__(
        self, signs: NDArray[np.float32], shifts: NDArray[np.float32], width: float, segments: list[Segment],
        sketches: NDArray[np.uint64],
    ) -> None:  # fmt: skip
        self.signs, self.shifts, self.width = signs, shifts, width
        self.segments, self.sketches = segments, sketches

    @classmethod
    def drawn(cls, dim: int, num_grids: int, width: float, seed: int) -> Grids:
        """Grids without points."""
        size = dimensions(dim)
        num_keys = num_grids + SKETCH
        rotations = -(-num_keys * AXES // size)
        signs = generator(seed, Purpose.GRIDS, "signs").integers(0, 2, (rotations, 2, size)) * 2 - 1
        shifts = generator(seed, Purpose.GRIDS, "shifts").random((num_keys, AXES)) * 4
        none = np.empty(0, np.uint64)
        return cls(signs.astype(np.float32), shifts.astype(np.float32), width, [], none)

    @property
    def num_grids(self) -> int:
        return len(self.shifts) - SKETCH

    @property
    def nbytes(self) -> int:
        held: list[Any] = [self.signs, self.shifts, self.sketches, *self.segments]
        return sum(part.nbytes for part in held)

    def keys_of(self, rows: NDArray[np.float32], keys: NDArray[np.uint32]) -> None:
        """Fill `keys` (grids + 2, rows), the last two with the halves of sketches."""
        from .cells_cpu import cell_keys

        per_cell = np.float32(1 / (self.width * self.signs.shape[2]))
        cell_keys(rows, self.signs, self.shifts, per_cell, keys)

    def _keyed(self, vectors: NDArray[Any], first: int, threads: int | None) -> tuple[Segment, NDArray[np.uint64]]:
        """The sorted keys of points with these vectors, which are numbered from `first` on, and their sketches."""
        keys = np.empty((len(self.shifts), len(vectors)), np.uint32)
        with threads_in_use(threads):
            for start, rows in blocks_asked(vectors):
                part = np.empty((len(keys), len(rows)), np.uint32)
                self.keys_of(rows, part)
                keys[:, start : start + len(rows)] = part
        sketches = (keys[-2].astype(np.uint64) << np.uint64(32)) | keys[-1]
        return make_segment(keys[:-SKETCH], np.arange(first, first + len(vectors)), threads), sketches

    def extended(self, vectors: NDArray[Any], first: int, threads: int | None) -> Grids:
        """The grids with more points; small segments are joined, so that a point is moved a few times in all."""
        segment, sketches = self._keyed(vectors, first, threads)
        segments = [*self.segments, segment]
        while len(segments) > 1 and 2 * len(segments[-1]) > len(segments[-2]):
            segments[-2:] = [merged(segments[-2:], threads)]
        return Grids(self.signs, self.shifts, self.width, segments, np.concatenate([self.sketches, sketches]))

    def anew(self, vectors: NDArray[Any], threads: int | None, *, width: float | None = None) -> Grids:
        """The same grids of other points, or with cells of another width."""
        empty = Grids(self.signs, self.shifts, self.width if width is None else width, [], self.sketches[:0])
        return empty.extended(vectors, 0, threads)

    def joined(self, threads: int | None) -> Grids:
        """The same with one segment, as searches need it."""
        return Grids(self.signs, self.shifts, self.width, [merged(self.segments, threads)], self.sketches)

    def axes_for(self, radius: float, recall: float) -> int:
        """The most axes a cell may have so that a point at this distance shares one with probability `recall`.

        For a difference of length r along random axes, a cell of width w is shared along one axis with probability
        f = E max(0, 1 - |g| x), x = r / (w sqrt(size)), g standard normal; along m axes with f^m, in one of t grids
        with 1 - (1 - f^m)^t.
        """
        share = self._share(radius)
        wanted = 1 - (1 - recall) ** (1 / self.num_grids)
        return int(max(1, min(AXES, math.log(wanted) / math.log(share)))) if share < 1 else AXES

    def axes_apart(self, radius: float, recall: float) -> int:
        """Along how many of the 32 axes of sketches a point at this distance lies in other cells at most, with this
        probability."""
        share, total = self._share(radius), 0.0
        for apart in range(2 * AXES):
            total += math.comb(2 * AXES, apart) * (1 - share) ** apart * share ** (2 * AXES - apart)
            if total >= recall:
                return apart
        return 2 * AXES

    def _share(self, radius: float) -> float:
        """The probability that a point at this distance shares a cell along one axis."""
        return axis_probability(radius / (self.width * math.sqrt(self.signs.shape[2])))

    def radius_of_axes(self) -> NDArray[np.float32]:
        """Distances (17,) at which two points share the first m axes in some grid with probability one half."""
        radii = np.full(AXES + 1, np.inf, np.float32)
        reach, half = self.width * math.sqrt(self.signs.shape[2]), 1 - 0.5 ** (1 / self.num_grids)
        for axes in range(1, AXES + 1):
            low, high = 0.0, 1e3
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if axis_probability(middle) ** axes > half else (low, middle)
            radii[axes] = low * reach
        return radii

    def near_colors(
        self, asked: Asked, points: Points, by_color: ByColor, allowed: NDArray[np.bool_] | None, rule: Scoring,
        most: int, verify: bool, threads: int | None,
    ) -> Hits:  # fmt: skip
        """What features meet in the coarsest cells of at most `most` points, in every grid."""
        from .grids_cpu import near_colors

        radii = np.empty(0, np.float32) if verify else self.radius_of_axes() ** 2
        apart = self.axes_apart(_USEFUL * rule.euclidean, _KEPT)

        limits = Limits(_table(allowed), rule.reach, apart)

        def search(features: Features, turns: Turns, met: Met) -> None:
            near_colors(features, self._cells(), self._held(points, by_color), limits, radii, most, turns, met)

        return self._in_chunks(asked, len(by_color), most * self.num_grids, search, threads)

    def colors_within(
        self, asked: Asked, points: Points, by_color: ByColor, allowed: NDArray[np.bool_] | None, rule: Scoring,
        axes: int, threads: int | None,
    ) -> Hits:  # fmt: skip
        """What features meet in cells of so many axes, whatever their size, in every grid."""
        from .range_cpu import colors_within

        apart = self.axes_apart(rule.euclidean, _KEPT_BY_RANGE)
        with threads_in_use(threads) as workers:
            seen = np.zeros((workers, len(points)), np.int32)

        limits = Limits(_table(allowed), rule.reach, apart)

        def search(features: Features, turns: Turns, met: Met) -> None:
            colors_within(features, axes, self._cells(), self._held(points, by_color), limits, seen, turns, met)

        return self._in_chunks(asked, len(by_color), len(by_color), search, threads)

    def _cells(self) -> Cells:
        segment = self.segments[0]
        return Cells(segment.keys, segment.rows, segment.starts)

    def _held(self, points: Points, by_color: ByColor) -> Held:
        ends = by_color.starts[1:] if by_color.in_order else by_color.starts[:0]
        return Held(points.held, points.colors, self.sketches, ends)

    def entries_met(self, asked: NDArray[np.float32], axes: int, threads: int | None) -> int:
        """How many entries of the grids features would meet in cells of so many axes."""
        from .range_cpu import cell_sizes

        sizes, wanted = np.zeros(len(asked), np.int64), np.empty((len(self.shifts), len(asked)), np.uint32)
        with threads_in_use(threads):
            self.keys_of(asked, wanted)
            segment = self.segments[0]
            cell_sizes(wanted, axes, segment.keys, segment.starts, sizes)
        return int(sizes.sum())

    def _in_chunks(self, asked: Asked, num_colors: int, width: int, search: Any, threads: int | None) -> Hits:
        """Search chunk after chunk of features, and put together what each one met."""
        sets, parts = asked.sets, []
        step = max(16, _ENTRIES // max(1, width))
        with threads_in_use(threads) as workers:
            shape = (workers, num_colors)
            turns = Turns(np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(workers, np.int32))
            for first in range(0, len(asked.rows), step):
                part = slice(first, min(first + step, len(asked.rows)))
                size = part.stop - first
                wanted = np.empty((len(self.shifts), size), np.uint32)
                self.keys_of(asked.rows[part], wanted)
                colors, near = np.empty((size, width), np.int32), np.empty((size, width), np.float32)
                rows, counts = np.empty((size, width), np.int32), np.zeros(size, np.int32)
                search(Features(asked.rows[part], sets[part], wanted), turns, Met(colors, near, rows, counts))
                filled = np.arange(width) < counts[:, None]
                parts.append((counts, colors[filled], near[filled], rows[filled]))
        counts, colors, near, rows = (np.concatenate(field) for field in zip(*parts, strict=True))
        return Hits(np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), colors, near, rows)


def axis_probability(x: float) -> float:
    """E max(0, 1 - |g| x) for a standard normal g: that two points share a cell along one random axis."""
    if x <= 0:
        return 1.0
    inside = math.erf(1 / (x * math.sqrt(2)))
    return inside - x * math.sqrt(2 / math.pi) * -math.expm1(-1 / (2 * x * x))


def _table(allowed: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    return np.empty((0, 0), np.bool_) if allowed is None else allowed


__all__ = ["AXES", "SKETCH", "Asked", "Grids", "Hits", "axis_probability", "dimensions"]
