"""Inverted files: rows in lists around centroids, and a search of the lists nearest to the query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import IndexMismatch, InvalidInput, NotFitted
from ..distances.scan import nearest_rows
from ..growing import Growing
from ..index import Progress, VectorIndex
from ..metrics import COSINE, check_count, check_vectors, inverse_norms, metric_code, query_scales, scaled, unit_rows
from ..result import SearchResult
from ..storage.floats import floats
from ..store_rows import store_column, store_ids
from ..stored import checked_fields, identified_rows, index_fields, new_store, next_id_field, sound
from .kmeans import kmeans
from .lists import Lists
from .probing import Asked, nearest_in_lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ..ids import RowIds
    from ..words import Metric

_FIELDS = {"kind": str, "metric": str, "dim": int, "nlist": int, "nprobe": int, "seed": int, "coarse": str}
_SAMPLE_PER_LIST = 256


class IVFFlat(VectorIndex):
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

    KIND = "ivf"
    KNOB = "nprobe"
    COLUMNS = VectorIndex.COLUMNS | {"list"}
    FROZEN = "metric", "nlist"

    def __init__(
        self, metric: Metric = "l2", *, nlist: int = 256, nprobe: int = 8, seed: int = 0, threads: int | None = None
    ) -> None:
        super().__init__()
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

    @property
    def dim(self) -> int | None:
        """Width of the vectors, or None before `fit` or `add`."""
        return None if self._centroids is None else int(self._centroids.shape[1])

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
        rng = generator(self.seed, Purpose.LISTS)
        most = min(len(rows), self.nlist * _SAMPLE_PER_LIST)
        sample = rows[np.sort(rng.choice(len(rows), most, replace=False))]
        if metric == COSINE:
            sample = unit_rows(sample)
        centroids = kmeans(sample, self.nlist, rng, self.threads)
        with self._lock.changing():
            self._learn(centroids)

    def _insert(self, rows: NDArray[Any], ids: NDArray[Any], progress: Progress | None) -> None:
        if not len(rows):
            return
        metric = metric_code(self.metric)
        kept = scaled(rows, metric)
        if self._centroids is None:
            self._fit(kept)
        which = self._nearest_lists(kept, 1, self.threads)[:, 0]
        scale = inverse_norms(kept, metric)
        with self._lock.changing():
            if self._held is None:
                vars(self).update(self._placed(kept.copy() if kept is rows else kept, which))
            else:
                self._held.append(kept)
                if metric == COSINE:
                    self._scales.append(scale)
                self._list_of.append(which)
                self._members.append(self._lists, len(self._rows))
            self._rows.append(ids)
        if progress is not None:
            progress(len(rows), len(rows))

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
        return self._search(queries, k, filter, threads, nprobe=nprobe)

    def _nearest(
        self, queries: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None, threads: int | None,
        nprobe: int | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:  # fmt: skip
        metric, rows = metric_code(self.metric), self._all_rows("search")
        held = floats(rows, self._scales.values, metric)
        probes = min(self.nlist, check_count("nprobe", self.nprobe if nprobe is None else nprobe))
        return nearest_in_lists(
            held, held, self._members, Asked(queries, query_scales(queries, metric), queries), k,
            lambda some, count: self._nearest_lists(queries[some], count, threads), probes, len(rows), allowed, threads,
        )  # fmt: skip

    def vectors(self) -> NDArray[Any]:
        """The rows that are not deleted, in their order, as they are kept; `NotFitted` before the first `add`."""
        rows = self._all_rows("vectors")
        return rows if not self._rows.num_dead else rows[self._rows.live]

    def _compacted(self, live: NDArray[np.int64]) -> dict[str, Any]:
        return self._placed(self._all_rows("compact")[live], self._lists[live])

    def _stored(self) -> GraphStore:
        store = new_store(self._all_rows("save"), self._rows)
        store.nodes("node")["list"] = self._lists
        store.add_node_type("list", self.nlist)
        store.nodes("list")["centroid"] = self.centroids
        store.attributes["index"] = {
            "kind": self.KIND, "metric": self.metric, "dim": self.dim, "nlist": self.nlist, "nprobe": self.nprobe,
            "seed": self.seed, "coarse": self.coarse, **next_id_field(self._rows),
        }  # fmt: skip
        return store

    @classmethod
    def _opened(cls, store: GraphStore) -> IVFFlat:
        with sound(store):
            fields = checked_fields(index_fields(store), _FIELDS)
            index = cls(fields["metric"], nlist=fields["nlist"], nprobe=fields["nprobe"], seed=fields["seed"])
            index._check_parameters()
            metric_code(fields["coarse"])
            rows = store_column(store, "vector", "node")
            centroids = store_column(store, "centroid", "list")
            lists = np.asarray(store.nodes("node")["list"])
            if centroids.shape != (index.nlist, fields["dim"]) or rows.shape[1] != fields["dim"]:
                raise IndexMismatch(f"dim {fields['dim']} with vectors {rows.shape} and centroids {centroids.shape}")
            outside = lists.ndim == 1 and (lists.min(initial=0) < 0 or lists.max(initial=0) >= index.nlist)
            if lists.dtype != np.int64 or lists.ndim != 1 or outside:
                raise IndexMismatch(f"column 'list' must be int64 in [0, {index.nlist})")
            ids = identified_rows(store, fields, store_ids(store, "node", len(rows), text=True))
            return index._of(centroids, fields["coarse"], rows, lists, ids)

    def _of(
        self, centroids: NDArray[np.float32], coarse: str, rows: NDArray[np.float32], lists: NDArray[np.int64],
        ids: RowIds,
    ) -> IVFFlat:  # fmt: skip
        """This index, made to hold these parts, which are not copied."""
        self._learn(centroids, coarse)
        if len(rows) or ids.has_held:
            vars(self).update(self._placed(rows, lists))
            self._rows = ids
        return self

    def _nearest_lists(self, rows: NDArray[np.float32], count: int, threads: int | None) -> NDArray[np.int64]:
        metric, centroids = metric_code(self.metric), self.centroids
        if metric == COSINE:
            rows = unit_rows(rows)
        coarse = metric_code(self.coarse)
        return nearest_rows(
            floats(centroids, inverse_norms(centroids, coarse), coarse), rows, query_scales(rows, coarse), count,
            allowed=None, num_rows=len(centroids), threads=threads,
        )[1]  # fmt: skip

    def _all_rows(self, what: str) -> NDArray[np.float32]:
        if self._held is None:
            raise NotFitted(f"{what}: the index is empty; add vectors first")
        return self._held.values

    @property
    def _lists(self) -> NDArray[np.int64]:
        return self._list_of.values

    def _learn(self, centroids: NDArray[np.float32], coarse: str = "") -> None:
        self._centroids, self._coarse = centroids, coarse
        self._thaw()
        self._members = Lists(np.empty(0, np.int64), len(centroids))

    def _placed(self, rows: NDArray[np.float32], lists: NDArray[np.int64]) -> dict[str, Any]:
        """The attributes of an index of these rows, which are not copied, in these lists."""
        metric = metric_code(self.metric)
        rows = scaled(rows, metric)
        return {
            "_held": Growing(rows), "_scales": Growing(inverse_norms(rows, metric)), "_list_of": Growing(lists),
            "_members": Lists(lists, self.nlist),
        }  # fmt: skip

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
        size = 0 if self._held is None else self._held.values.nbytes
        dead = f", {self._rows.num_dead:,} deleted" if self._rows.num_dead else ""
        return (
            f"IVFFlat({self.metric!r}, nlist={self.nlist}, nprobe={self.nprobe}, {len(self):,} vectors{dead}, "
            f"dim={self.dim}, float32, {size:,} bytes)"
        )


__all__ = ["IVFFlat"]
