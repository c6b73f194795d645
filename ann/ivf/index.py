"""Inverted files: rows in lists around centroids, and a search of the lists nearest to the query."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.errors import InvalidInput, NotFitted
from ..distances.scan import nearest_rows
from ..exact import check_queries, empty_result, finish, query_scales
from ..filters import allowed_rows, num_passing
from ..frozen import FrozenParameters
from ..growing import Growing
from ..ids import RowIds
from ..locking import SharedLock
from ..metrics import COSINE, L2, check_count, check_vectors, inverse_norms, metric_code, scaled, unit_rows
from ..result import SearchResult
from .lists import Lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_ROUNDS = 10
_SAMPLE_PER_LIST = 256


class IVFFlat(FrozenParameters):
    """Vectors in `nlist` lists, one per centroid; a search scans the `nprobe` lists whose centroids are nearest.

    Parameters
    ----------
    metric : {"l2", "ip", "cosine"}, default "l2"
    nlist : int >= 1, default 256
        Number of lists; about the square root of the rows is usual.
    nprobe : int >= 1, default 8
        Lists scanned per query, unless a search says otherwise; larger is slower and more exact. nlist or more: exact.
    seed : int, default 0
        Draws the rows that centroids are learned from.
    threads : int, optional
        All cores by default; results do not depend on it.

    Notes
    -----
    `fit` learns centroids by k-means (10 rounds over at most 256 rows per list: O(2560 * nlist**2 * dim)); the first
    `add` fits them on its rows where `fit` was not called. A search costs O((nlist + rows * nprobe / nlist) * dim) per
    query. Memory: 4 * dim + 25 bytes per row, ids included
    (29 for cosine), and room for up to half as many rows again where they came in many calls. An empty cluster takes
    the row farthest from its centroid.

    References
    ----------
    J. Sivic and A. Zisserman, "Video Google: A text retrieval approach to object matching in videos", ICCV 2003;
    S. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28 (1982), doi:10.1109/TIT.1982.1056489.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.ann import IVFFlat
    >>> rows = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)
    >>> IVFFlat(nlist=16, nprobe=4).add(rows).search(rows[5], k=1).ids.tolist()
    [[5]]
    """

    FROZEN = "metric", "nlist"

    def __init__(
        self, metric: str = "l2", *, nlist: int = 256, nprobe: int = 8, seed: int = 0, threads: int | None = None
    ) -> None:
        self.metric = metric
        self.nlist = nlist
        self.nprobe = nprobe
        self.seed = seed
        self.threads = threads
        self._centroids: NDArray[np.float32] | None = None
        self._coarse = ""  # the metric that chooses lists, where a file says so
        self._held: Growing | None = None
        self._scales = Growing(np.ones(1, np.float32))
        self._list_of = Growing(np.empty(0, np.int64))  # the list of every row
        self._members = Lists(np.empty(0, np.int64), 0)
        self._rows = RowIds()
        self._lock = SharedLock()

    def __len__(self) -> int:
        return len(self._rows) - self._rows.num_dead

    @property
    def dim(self) -> int | None:
        """Width of the vectors, or None before `fit` or `add`."""
        return None if self._centroids is None else int(self._centroids.shape[1])

    @property
    def ids(self) -> NDArray[Any]:
        """User ids in row order, deleted rows included; the order of bitmap filters."""
        return self._rows.values.copy()

    @property
    def centroids(self) -> NDArray[np.float32]:
        """One row per list, float32 (nlist, dim), shared: treat it as read-only."""
        if self._centroids is None:
            raise NotFitted("the index has no centroids; call fit(vectors) or add(vectors) first")
        return self._centroids

    @property
    def coarse(self) -> str:
        """The metric by which lists are chosen: "ip" for inner products, else "l2" (of unit vectors for cosine)."""
        return self._coarse or ("ip" if self.metric == "ip" else "l2")

    @property
    def list_sizes(self) -> NDArray[np.int64]:
        """Rows in every list, deleted ones included."""
        return self._members.sizes.copy()

    def fit(self, vectors: ArrayLike) -> IVFFlat:
        """Learn the centroids; at least `nlist` vectors, and before any are added."""
        with self._lock.writing():
            self._fit(vectors)
        return self

    def _fit(self, vectors: ArrayLike) -> None:
        metric = self._check_ranges()
        if len(self._rows):
            raise InvalidInput("fit: the index holds rows already; make a new index to learn other centroids")
        rows = check_vectors("fit", vectors, dim=None)
        if len(rows) < self.nlist:
            raise InvalidInput(f"fit: {len(rows)} vectors cannot make nlist = {self.nlist} lists; give more, or fewer")
        rng = np.random.default_rng(self.seed)
        most = min(len(rows), self.nlist * _SAMPLE_PER_LIST)
        sample = rows[np.sort(rng.choice(len(rows), most, replace=False))]
        if metric == COSINE:
            sample = unit_rows(sample)
        centroids = _kmeans(sample, self.nlist, rng, self.threads)
        with self._lock.changing():
            self._learn(centroids)

    def add(self, vectors: ArrayLike, ids: ArrayLike | None = None) -> IVFFlat:
        """Add rows, float32 (count, dim), with distinct int64 or text ids (by default behind the largest integer)."""
        with self._lock.writing():
            self._insert(vectors, ids)
        return self

    def _insert(self, vectors: ArrayLike, ids: ArrayLike | None) -> None:
        metric = self._check_parameters()
        rows = scaled(check_vectors("add", vectors, dim=self.dim), metric)
        new = self._rows.for_new_rows(len(rows), ids)
        if not len(rows):
            return
        if self._centroids is None:
            self._fit(rows)
        which = self._nearest_lists(rows, 1, self.threads)[:, 0]
        if self._held is None:
            self._place(rows.copy(), which, metric, lambda: self._rows.append(new))
            return
        scale = inverse_norms(rows, metric)
        with self._lock.changing():
            self._held.append(rows)
            if metric == COSINE:
                self._scales.append(scale)
            self._list_of.append(which)
            self._members.append(self._lists, len(self._rows))
            self._rows.append(new)

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        nprobe: int | None = None,
        filter: ArrayLike | None = None,
        threads: int | None = None,
    ) -> SearchResult:
        """The k nearest rows in the lists nearest to every query.

        Parameters
        ----------
        queries : float32 (num_queries, dim) or (dim,)
        k : int >= 1
            Places without a result hold id -1 and distance inf; `counts` says how many are filled.
        nprobe : int >= 1, optional
            The index's own by default; doubled for queries whose lists hold fewer than k rows that pass.
        filter : bool (rows,), bool (num_queries, rows) or integer ids, optional
        threads : int, optional

        Raises
        ------
        IndexMismatch
            Queries of another width, or a bitmap of another length.
        InvalidInput
            NaN or infinite values, k < 1, nprobe < 1.
        """
        with self._lock.reading():
            return self._search(queries, k, nprobe, filter, threads)

    def _search(
        self, queries: ArrayLike, k: int, nprobe: int | None, filter: ArrayLike | None, threads: int | None
    ) -> SearchResult:
        from . import lists_cpu as kernels

        metric = self._check_parameters()
        rows, k = check_queries(queries, k, self.dim, metric)
        probes = min(self.nlist, check_count("nprobe", self.nprobe if nprobe is None else nprobe))
        allowed = allowed_rows(filter, self._rows, len(rows))
        if self._held is None or not len(rows):
            return empty_result(len(rows), k, self._rows.values)
        threads = self.threads if threads is None else threads
        width = min(k, len(self._rows))
        distances = np.full((len(rows), width), np.inf, np.float32)
        found = np.full((len(rows), width), -1, np.int64)
        counts = np.zeros(len(rows), np.int32)
        passing = np.full(len(rows), len(self._rows))
        if allowed is not None:
            passing[:] = num_passing(allowed)
        factors = query_scales(rows, metric)
        left = np.arange(len(rows))
        while len(left):
            table = np.empty((0, 0), bool) if allowed is None else allowed if len(allowed) == 1 else allowed[left]
            d, f, c = distances[left], found[left], counts[left]
            lists = self._nearest_lists(rows[left], probes, threads)
            with threads_in_use(threads):
                kernels.scan_lists(
                    metric, self._held.values, self._scales.values, self._members.starts, self._members.sizes,
                    self._members.members, rows[left], factors[left], lists, table, width, d, f, c,
                )  # fmt: skip
            distances[left], found[left], counts[left] = d, f, c
            left = left[c < np.minimum(width, passing[left])] if probes < self.nlist else left[:0]
            probes = min(2 * probes, self.nlist)
        return finish(metric, distances, found, counts, self._rows.values, k)

    def remove(self, ids: ArrayLike) -> int:
        """Delete rows by id and return how many; `NotFound` names an unknown id and nothing is deleted."""
        self._check_parameters()
        with self._lock.writing(), self._lock.changing():
            return self._rows.remove(ids)

    def compact(self) -> IVFFlat:
        """Give back the memory of deleted rows; bitmap filters then count the remaining rows only."""
        metric = self._check_parameters()
        with self._lock.writing():
            if self._rows.num_dead and self._held is not None:
                live = np.flatnonzero(self._rows.live)
                kept = self._rows.chosen(live)
                self._place(self._held.values[live], self._lists[live], metric, lambda: setattr(self, "_rows", kept))
        return self

    def save(self, path: str | Path) -> None:
        """Write the index as a new store folder; `nearhop.ann.load` opens it."""
        from .stored import save_ivf

        with self._lock.steady():
            save_ivf(self, path)

    def _nearest_lists(self, rows: NDArray[np.float32], count: int, threads: int | None) -> NDArray[np.int64]:
        metric, centroids = metric_code(self.metric), self.centroids
        if metric == COSINE:
            rows = unit_rows(rows)
        coarse = metric_code(self.coarse)
        return nearest_rows(
            coarse, centroids, inverse_norms(centroids, coarse), rows, query_scales(rows, coarse), count,
            allowed=None, num_rows=len(centroids), threads=threads,
        )[1]  # fmt: skip

    @property
    def _vectors(self) -> NDArray[np.float32] | None:
        return None if self._held is None else self._held.values

    @property
    def _lists(self) -> NDArray[np.int64]:
        return self._list_of.values

    def _learn(self, centroids: NDArray[np.float32], coarse: str = "") -> None:
        self._centroids, self._coarse = centroids, coarse
        self._thaw()
        self._members = Lists(np.empty(0, np.int64), len(centroids))

    def _place(
        self, vectors: NDArray[np.float32], lists: NDArray[np.int64], metric: int, put_ids: Callable[[], None]
    ) -> None:
        """Take these rows, which are not copied, and lists instead of those before, and with them the ids."""
        vectors, members = scaled(vectors, metric), Lists(lists, self.nlist)
        scale = inverse_norms(vectors, metric)
        with self._lock.changing():
            self._held, self._scales = Growing(vectors), Growing(scale)
            self._list_of, self._members = Growing(lists), members
            put_ids()

    def _holds_rows(self) -> bool:
        return self.__dict__.get("_centroids") is not None

    def _check_parameters(self) -> int:
        self._check_frozen()
        return self._check_ranges()

    def _check_ranges(self) -> int:
        check_count("nlist", self.nlist)
        check_count("nprobe", self.nprobe)
        check_count("seed", self.seed, low=0)
        return metric_code(self.metric)

    def __repr__(self) -> str:
        size = 0 if self._vectors is None else self._vectors.nbytes
        dead = f", {self._rows.num_dead:,} deleted" if self._rows.num_dead else ""
        return (
            f"IVFFlat({self.metric!r}, nlist={self.nlist}, nprobe={self.nprobe}, {len(self):,} vectors{dead}, "
            f"dim={self.dim}, float32, {size:,} bytes)"
        )


def _kmeans(
    rows: NDArray[np.float32], count: int, rng: np.random.Generator, threads: int | None
) -> NDArray[np.float32]:
    """Lloyd's iteration from distinct random rows, under squared distances."""
    from . import lists_cpu as kernels

    centroids = rows[rng.choice(len(rows), count, replace=False)].copy()
    ones = np.ones(len(rows), np.float32)
    for _ in range(_ROUNDS):
        near, found, _ = nearest_rows(
            L2, centroids, ones[:1], rows, ones, 1, allowed=None, num_rows=count, threads=threads
        )  # fmt: skip
        lists = found[:, 0]
        sizes = np.bincount(lists, minlength=count)
        empty = np.flatnonzero(sizes == 0)
        if len(empty):
            far = np.argsort(-near[:, 0], kind="stable")[: len(empty)]
            lists[far] = empty
            sizes = np.bincount(lists, minlength=count)
        members = np.argsort(lists, kind="stable")
        sums = np.zeros((count, rows.shape[1]))
        with threads_in_use(threads):
            kernels.list_sums(rows, np.concatenate([[0], np.cumsum(sizes)]), members, sums)
        filled = sizes > 0
        centroids[filled] = (sums[filled] / sizes[filled, None]).astype(np.float32)
    return centroids
