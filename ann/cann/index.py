"""Constrained approximate nearest neighbours: the colours (images, documents) that hold points near most of a query's
vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...graphlib.errors import InvalidInput, NotFitted
from ...graphlib.given_store import check_store
from ..filters import allowed_rows
from ..index import IdentifiedRows, Progress
from ..metrics import check_count
from ..stored import sound
from . import stored
from .arguments import colored, kept_rows, numbered, query_sets
from .grids import Grids, dimensions
from .parameters import check_parameters
from .points import MOST_POINTS, ByColor, Points, as_kept
from .ranking import ranked
from .result import ColorResult
from .scoring import DEFAULT_SHAPE, Scoring, scoring
from .store_points import Colors, point_colors, point_type, point_vectors
from .tuning import ColorTuning, tuned

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ..store_rows import NodeCondition

_CELL = 2.5  # radii per cell, times the root of the dimensions


class CANN(IdentifiedRows):
    """Constrained approximate nearest neighbours: which colour holds near points for most vectors of a query.

    Points belong to colours: descriptors to images, sentences to documents, visits to users. A query is a set of
    vectors. Colour c scores mean_j s(min over points p of c of |q_j - p|), where s falls from 1 at distance 0 to 0 at
    the radius along a superellipse: each query vector counts once per colour, by its nearest point there.

    Parameters
    ----------
    metric : {"l2", "cosine"}, default "l2"
        Distances are Euclidean for "l2" (not squared) and 1 - cos for "cosine".
    radius : float > 0, default 120
        p0: the distance from which on a point counts for nothing. The default is the released code's, for FIRe
        descriptors; `tune` finds one for yours from a few queries with known answers.
    shape : float in (0, 1), default 0.459
        p1: how the score falls between 0 and the radius, see `superellipse`.
    method : {"grids", "range", "exact"}, default "grids"
        "grids" looks, per vector and random grid, at the coarsest cell that holds at most `candidates` points: bounded
        work, near points found nearly always. "range" looks at all points of cells so coarse that a point at the
        radius shares one with probability 0.99, nearer ones more surely; where cells hold a large part of all points,
        every point is compared. "exact" compares every point.
    num_grids : int >= 1, default 20
    candidates : int >= 1, default 16
        Points looked at per query vector and grid by "grids".
    cell_width : float, optional
        Of the grids' cells, per axis; default 2.5 * radius / sqrt(D), the radius Euclidean and as it is at the first
        `add`, D the dimensions rounded up to a power of two, 16 at least. `tune` makes the grids anew.
    verified : bool, default True
        Whether "grids" computes the distances of the points it meets. Without, a point's distance is taken from how
        many axes of its cell it shares, which reads no vector; matches then hold such distances.
    compat : {"released"}, optional
        Scores of the code released with the paper, with its 36 radii, truncated 8-bit keys and colours in cells; for
        comparison, since every search builds everything again. For "l2" and "grids" without `cell_width`.
    seed : int, default 0
        Draws rotations and shifts.
    threads : int, optional
        All cores by default; results do not depend on it.

    Notes
    -----
    A grid rotates the space at random and cuts 16 axes into cells. A cell's number along an axis, two bits of it, goes
    into a key of 32 bits, so that the beginning of a key is a coarser cell of fewer axes, and one sorted array per grid
    holds the cells of all sizes: two points at distance r share m axes with probability f(r)^m, f(r) near
    1 - 0.8 r / (w sqrt(D)), whatever else is in the index. A sketch of 64 bits per point, its cells along 32 more axes,
    spares reading most vectors that are too far (of those at four fifths of the radius, one in 200 is lost by it).

    Memory per point: its vector (`dim` bytes where uint8 was given for "l2", else 4 * dim), 4 bytes for the colour,
    and about 8.5 * num_grids + 8 in the grids. An index of n points is built in O(num_grids * n * log n); a vector is
    searched by "grids" in O(num_grids * candidates * dim), by "exact" in O(n * dim). Points added later are sorted by
    themselves and merged by the next search.

    Differences from the paper and the released code: cells are numbered by floor, not by truncation to 8 bits; 16 axes
    of a fast rotation (signs, Hadamard matrices) are hashed and not all of a dense one; one structure serves all radii
    where the code builds one per radius; scores come from distances and not from the radius at which cells first meet
    (unless `verified` is False).

    References
    ----------
    D. Aiger, A. Araujo and S. Lynen, "Yes, we CANN: constrained approximate nearest neighbors for local feature-based
    visual localization", ICCV 2023, arXiv:2306.09012. D. Aiger, E. Kokiopoulou and E. Rivlin, "Random grids: fast
    approximate nearest neighbors and range searching for image search", ICCV 2013, doi:10.1109/ICCV.2013.429.
    M. Bawa, T. Condie and P. Ganesan, "LSH forest: self-tuning indexes for similarity search", WWW 2005,
    doi:10.1145/1060745.1060840 (prefixes of keys as coarser buckets).

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.ann import CANN
    >>> images = np.random.default_rng(0).normal(size=(3, 50, 8)).astype(np.float32)
    >>> index = CANN("l2", radius=0.5).add(list(images), colors=["bridge", "tower", "river"])
    >>> found = index.search(images[1, :20] + np.float32(0.01), k=1)
    >>> found.colors.tolist(), bool(found.scores[0, 0] > 0.8)
    ([['tower']], True)
    >>> queries, points, distances = found.pairs("tower")
    >>> bool((queries == points).all()), len(queries)
    (True, 20)
    """

    KIND = "cann"
    COLUMNS = frozenset({"vector", "color", "sketch"})  # of the points
    FROZEN = "metric", "method", "num_grids", "cell_width", "compat", "seed"

    def __init__(
        self,
        metric: Literal["l2", "cosine"] = "l2",
        radius: float = 120.0,
        *,
        shape: float = DEFAULT_SHAPE,
        method: Literal["grids", "range", "exact"] = "grids",
        num_grids: int = 20,
        candidates: int = 16,
        cell_width: float | None = None,
        verified: bool = True,
        compat: Literal["released"] | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self.metric = metric
        self.radius = radius
        self.shape = shape
        self.method = method
        self.num_grids = num_grids
        self.candidates = candidates
        self.cell_width = cell_width
        self.verified = verified
        self.compat = compat
        self.seed = seed
        self.threads = threads
        self._points: Points | None = None
        self._grids: Grids | None = None
        self._where: NodeCondition | None = None

    @classmethod
    def from_store(
        cls,
        store: GraphStore,
        column: str,
        colors: Colors,
        *,
        node_type: str | None = None,
        color_type: str | None = None,
        **parameters: Any,
    ) -> CANN:
        """Index the nodes of a store by a column of uint8 or float32 vectors; for "l2" it is read where it lies.

        Parameters
        ----------
        store : GraphStore
        column : str
        colors : str or edge type
            A column of the same nodes that holds the id of each one's colour, integers or text; or the edges
            (points, relation, colours), one from every point.
        node_type, color_type : str, optional
            Of the points (edges tell it), and of the colours where a column names them. Where colours are nodes,
            `filter` takes SQL over their columns, and ids are the store's own.
        parameters : of the constructor

        Raises
        ------
        IndexMismatch
            A column of another shape, a colour that is no node, a point of no colour or of two.

        Examples
        --------
        >>> import numpy as np
        >>> from nearhop import GraphStore
        >>> from nearhop.ann import CANN
        >>> store = GraphStore()
        >>> store.add_node_type("image", 2)
        >>> store.add_node_type("spot", 4)
        >>> store.nodes("spot")["x"] = np.eye(4, dtype=np.float32)
        >>> store.add_edge_type(("spot", "in", "image"), [0, 1, 2, 3], [0, 0, 1, 1])
        >>> index = CANN.from_store(store, "x", ("spot", "in", "image"), radius=1.0)
        >>> index.search(np.eye(4, dtype=np.float32)[2:], k=1).colors.tolist()
        [[1]]
        """
        check_store(store)
        index = cls(**parameters)
        index._check_parameters()
        node_type = point_type(colors, node_type)
        vectors = point_vectors(store, column, node_type)
        kept = as_kept("from_store", vectors, index.metric, dim=None, what=f"column {column!r}")
        ids, index._where = point_colors(store, colors, node_type, color_type, len(kept))
        index._insert_kept(kept, ids)
        return index

    @property
    def dim(self) -> int | None:
        """Width of the vectors, or None before the first `add`."""
        return None if self._points is None else int(self._points.vectors.shape[1])

    @property
    def num_points(self) -> int:
        """Points of all colours, those of deleted colours included; `len` counts colours."""
        return 0 if self._points is None else len(self._points)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays held, ids left out."""
        return sum(0 if part is None else part.nbytes for part in (self._points, self._grids))

    def add(self, vectors: Any, colors: ArrayLike | None = None, *, progress: Progress | None = None) -> CANN:
        """Add points, to new colours or to those that are there.

        Parameters
        ----------
        vectors : real (n, dim), or a list of such
            uint8 is kept as bytes for "l2", where the first vectors are; anything else as float32. Copied. Of a list
            each matrix belongs to one colour.
        colors : integers or text, one per vector, or per matrix of a list, or one for all of a matrix; optional
            By default each matrix is a new colour, with ids behind the largest so far.
        progress : callable (done, total), optional
            Called at the end, with numbers of points.

        Raises
        ------
        InvalidInput
            A colour without points, NaN or infinite values, more than 2^31 - 1 points in all, zero vectors for
            "cosine". The index is unchanged.
        IndexMismatch
            Vectors of another width, or that an index of bytes cannot keep.
        InvalidType
            Ids of another kind than those before.
        """
        self._check_parameters()
        with self._lock.writing():
            self._insert(*colored(vectors, colors, self._rows))
            if progress is not None:
                progress(self.num_points, self.num_points)
        return self

    def _insert(self, parts: list[Any], ids: NDArray[Any]) -> None:
        if not len(ids):
            return
        dtype = None if self._points is None else self._points.vectors.dtype
        self._insert_kept(kept_rows(parts, self.metric, self.dim, dtype), ids)

    def _insert_kept(self, kept: NDArray[Any], ids: NDArray[Any]) -> None:
        before = self.num_points
        if before + len(ids) > MOST_POINTS:
            raise InvalidInput(f"add: an index holds at most {MOST_POINTS:,} points; got {before + len(ids):,}")
        numbers, new = numbered(ids, self._rows)
        new = self._rows.for_new_rows(len(new), new)
        grids = self._grids
        if self.method != "exact" and self.compat is None:
            grids = grids or Grids.drawn(kept.shape[1], self.num_grids, self._width(kept.shape[1]), self.seed)
            grids = grids.extended(kept, before, self.threads)
        with self._lock.changing():
            if self._points is None:
                self._points = Points(kept, numbers)
            else:
                self._points.append(kept, numbers)
            self._grids = grids
            self._rows.append(new)
            if self._where is not None:
                self._where.in_order = False

    def search(
        self,
        queries: Any,
        k: int,
        *,
        filter: ArrayLike | str | None = None,
        candidates: int | None = None,
        exact: bool = False,
        matches: bool = True,
        threads: int | None = None,
    ) -> ColorResult:
        """The k colours of highest score for every set of query vectors.

        Parameters
        ----------
        queries : real (n, dim), or a list of such, or (sets, n, dim)
            One set or many; a set has at least one vector.
        k : int >= 1
            Colours without a point within the radius are never returned; `counts` says how many places are filled.
        filter : bool (colours,), bool (sets, colours), ids of colours, or an SQL condition, optional
            Which colours may be returned. Conditions are over columns of the nodes "color" of the store that the index
            was opened from. Where few points are left, all of them are compared.
        candidates : int >= 1, optional
            For "grids", instead of the index's own.
        exact : bool, default False
            Compare every point, whatever the method.
        matches : bool, default True
            Whether the result says which vector met which point, see `ColorResult.pairs`.
        threads : int, optional

        Returns
        -------
        ColorResult
            Equal scores are ordered by colour, in the order of ids where they are integers, else of their addition.

        Raises
        ------
        IndexMismatch
            Queries of another width, or a bitmap of another length.
        InvalidInput
            A set without vectors, NaN or infinite values, k < 1.

        Notes
        -----
        An empty index finds nothing, and says so in `counts`. Where comparing every point costs less than the grids
        would, as with few points or few colours left by a filter, "range" and verified "grids" do so.
        """
        self._check_parameters()
        k = check_count("k", k)
        most = check_count("candidates", self.candidates if candidates is None else candidates)
        while True:
            self._join()
            with self._lock.reading():
                if not self._is_joined:  # somebody added points just now
                    continue
                points = self._points
                asked = query_sets(queries, self.metric, self.dim, None if points is None else points.vectors.dtype)
                allowed = allowed_rows(filter, self._rows, len(asked), self._where)
                threads = self.threads if threads is None else threads
                return ranked(self, asked, allowed, k, most, exact=exact, matches=matches, threads=threads)

    def tune(
        self,
        queries: Any,
        answers: Sequence[ArrayLike],
        *,
        filter: ArrayLike | str | None = None,
        radii: ArrayLike | None = None,
        shapes: Sequence[float] | None = None,
        threads: int | None = None,
    ) -> ColorTuning:
        """Choose radius and shape so that the right colours of labelled queries come first, and keep them.

        Parameters
        ----------
        queries : sets of query vectors, as for `search`
        answers : one list of ids of colours per set
            At least one each, in any order.
        filter : as for `search`, optional
            Such as a bitmap per set without the colour that the set was taken from.
        radii : float array, optional
            Radii to try; by default 16 from near the smallest distances to where half of all colours are.
        shapes : sequence of float in (0, 1), optional
            By default 0.2, 0.3, 0.459, 0.6 and 0.75.
        threads : int, optional

        Returns
        -------
        ColorTuning
            With the mean average precision of every pair, by exact scores. Of equal pairs the first is taken.

        Raises
        ------
        InvalidInput
            No answers for a set, or answers that are not in the index or do not pass the filter.

        Notes
        -----
        O(query vectors * points * dim), once for all pairs. Grids whose `cell_width` was left open are made anew for
        the new radius.

        Examples
        --------
        >>> import numpy as np
        >>> from nearhop.ann import CANN
        >>> images = np.random.default_rng(0).normal(size=(20, 50, 8)).astype(np.float32)
        >>> index = CANN("l2", radius=1e-3).add(list(images))
        >>> index.tune([images[3] + np.float32(0.1), images[9] + np.float32(0.1)], [[3], [9]]).precision
        1.0
        """
        self._check_parameters()
        with self._lock.writing():
            with self._lock.reading():
                threads = self.threads if threads is None else threads
                found = tuned(self, queries, answers, filter, radii, shapes, threads)
            rule, points = scoring(self.metric, found.radius, found.shape), self._filled("tune")
            grids = self._grids
            if grids is not None and self.cell_width is None:
                width = _CELL * rule.euclidean / math.sqrt(dimensions(points.vectors.shape[1]))
                grids = grids.anew(points.vectors, self.threads, width=width)
            with self._lock.changing():
                self.radius, self.shape, self._grids = found.radius, found.shape, grids
        return found

    def vectors(self) -> NDArray[Any]:
        """The points of colours that are not deleted, in the order of their addition; unit vectors for "cosine"."""
        points = self._filled("vectors")
        return points.vectors if not self._rows.num_dead else points.vectors[self._rows.live[points.colors]]

    def colors_of_points(self) -> NDArray[Any]:
        """The ids of the colours of `vectors()`."""
        points = self._filled("colors_of_points")
        rows = points.colors if not self._rows.num_dead else points.colors[self._rows.live[points.colors]]
        return self._rows.values[rows]

    @property
    def _is_joined(self) -> bool:
        return self._grids is None or len(self._grids.segments) == 1

    def _join(self) -> None:
        """One segment of all points, as searches and files need it."""
        if self._is_joined:
            return
        with self._lock.steady():
            grids = self._grids
            if grids is not None and len(grids.segments) > 1:
                joined = grids.joined(self.threads)
                with self._lock.changing():
                    self._grids = joined

    def _by_color(self) -> ByColor:
        """Where the points of each colour are, found out once per state; called while the index is read."""
        kept: ByColor | None = self._lock.kept
        if kept is None:
            self._lock.kept = kept = ByColor(self._filled("search").colors, len(self._rows))
        return kept

    def _compacted(self, live: NDArray[np.int64]) -> dict[str, Any]:
        points = self._filled("compact")
        number_of = np.full(len(self._rows), -1, np.int32)
        number_of[live] = np.arange(len(live), dtype=np.int32)
        numbers = number_of[points.colors]
        kept = Points(points.vectors[numbers >= 0], numbers[numbers >= 0])
        grids = None if self._grids is None else self._grids.anew(kept.vectors, self.threads)
        return {"_points": kept, "_grids": grids, "_where": None if self._where is None else self._where.scattered()}

    def _width(self, dim: int) -> float:
        """The width of cells: that given, or one for the radius."""
        if self.cell_width is not None:
            return float(self.cell_width)
        return _CELL * self._rule().euclidean / math.sqrt(dimensions(dim))

    def _filled(self, what: str) -> Points:
        if self._points is None:
            raise NotFitted(f"{what}: the index is empty; add vectors first")
        return self._points

    def _rule(self) -> Scoring:
        return scoring(self.metric, self.radius, self.shape)

    def _check_parameters(self) -> int:
        self._check_frozen()
        check_parameters(self)
        self._rule()
        return 0

    def _stored(self) -> GraphStore:
        points = self._filled("save")
        self._join()
        fields = {"kind": self.KIND, **{name: getattr(self, name) for name in stored.PARAMETERS}, "dim": self.dim}
        if self._grids is not None:
            fields["cell_width"] = self._grids.width
        return stored.store_of(points, self._grids, self._rows, fields)

    @classmethod
    def _opened(cls, store: GraphStore) -> CANN:
        fields, points, grids, rows, where = stored.opened(store)
        index = cls(**{name: fields[name] for name in stored.PARAMETERS})
        with sound(store):
            index._check_parameters()
        index._points, index._grids, index._rows, index._where = points, grids, rows, where
        return index

    @classmethod
    def load(cls, path: str | Path) -> CANN:
        """Open an index that `save` wrote; its arrays stay memory-mapped."""
        from ...graphlib.store.store import open as open_store  # type: ignore[attr-defined, unused-ignore]

        return cls._opened(open_store(path))

    def __repr__(self) -> str:
        dead = f", {self._rows.num_dead:,} deleted" if self._rows.num_dead else ""
        kind = "" if self._points is None else f", {self._points.vectors.dtype}"
        return (
            f"CANN({self.metric!r}, radius={self.radius:g}, method={self.method!r}, {len(self):,} colours{dead}, "
            f"{self.num_points:,} points, dim={self.dim}{kind}, {self.nbytes:,} bytes)"
        )


__all__ = ["CANN"]
