"""Any index that FAISS's `index_factory` makes, behind the protocol of every index here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.disk.replacing import replacing
from ..graphlib.errors import InvalidInput, NotFitted, StoreCorrupt, StoreExists, StoreMissing
from ..graphlib.given_store import check_store
from .faiss_parts import (
    faiss_module,
    faiss_threads,
    ids_inside,
    innermost,
    normalises,
    on_gpu,
    padded,
    plain_errors,
    search_parameters,
    told,
    unit_for,
    with_ids,
)
from .ids import RowIds
from .index import Progress, VectorIndex
from .metrics import check_count, check_vectors, metric_code
from .result import SearchResult
from .store_rows import store_column, store_ids

if TYPE_CHECKING:
    from typing import Literal

    from numpy.typing import ArrayLike, NDArray

    from ..graphlib.store.store import GraphStore
    from .words import Metric

_BLOCK = 1 << 16


class Faiss(VectorIndex):
    """A FAISS index made of a factory string.

    Parameters
    ----------
    factory : str, default "HNSW32"
        As `faiss.index_factory` takes it: "Flat", "IVF1024,PQ16", "OPQ16,IVF256,PQ16x4fs", "HNSW32,SQ8", ... Ids are
        kept here, so a leading "IDMap" adds nothing and is dropped.
    metric : {"l2", "ip", "cosine"}, default "l2"
        For "cosine", rows and queries are normalised here and FAISS sees inner products.
    parameters : mapping, optional
        Set once the index is made, by the names FAISS's `ParameterSpace` knows: {"efConstruction": 200, "nprobe": 16}.
    train_rows : int, optional
        Train on this many rows, evenly spread; on all rows of the first `add` by default.
    device : {"cpu", "cuda"}, default "cpu"
        "cuda" needs faiss-gpu.
    threads : int, optional
        All cores by default.

    Notes
    -----
    Rows are added in blocks of 65,536, so an interrupt leaves a valid index of the blocks added so far. Deleted rows
    are hidden from searches through a selector until `compact` adds the others to a fresh copy; compressed rows are
    decoded and encoded again there. Results hold what FAISS found, padded, with counts; inner products become 1 - dot.

    Examples
    --------
    >>> import numpy as np, pytest
    >>> faiss = pytest.importorskip("faiss")
    >>> from nearhop.ann import Faiss
    >>> rows = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    >>> index = Faiss("IVF8,Flat", parameters={"nprobe": 8}).add(rows, ids=np.arange(500) + 1000)
    >>> index.search(rows[3], k=2).ids[0, 0]
    np.int64(1003)
    """

    KIND = "faiss"
    TEXT_IDS = False
    FROZEN = "factory", "metric", "parameters", "device"

    def __init__(
        self,
        factory: str = "HNSW32",
        metric: Metric = "l2",
        *,
        parameters: Mapping[str, float] | None = None,
        train_rows: int | None = None,
        device: Literal["cpu", "cuda"] = "cpu",
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self.factory = factory
        self.metric = metric
        self.parameters = parameters
        self.train_rows = train_rows
        self.device = device
        self.threads = threads
        self._index: Any = None
        self._owner: Any = None  # the object that frees a loaded index
        self._labels: NDArray[np.int64] | None = None  # FAISS's ids of the rows, where they are not row numbers

    @classmethod
    def from_store(
        cls,
        store: GraphStore,
        column: str,
        *,
        node_type: str | None = None,
        progress: Progress | None = None,
        **parameters: Any,
    ) -> Faiss:
        """Train on and add a float32 node column where it lies; `parameters` are the constructor's.

        FAISS reads the column itself; for "cosine", normalised blocks of it.
        """
        check_store(store)
        index = cls(**parameters)
        vectors = store_column(store, column, node_type)
        return index.add(vectors, store_ids(store, node_type, len(vectors), text=False), progress=progress)

    @property
    def dim(self) -> int | None:
        """Width of the vectors, or None before the first `fit` or `add`."""
        return None if self._index is None else int(self._index.d)

    @property
    def index(self) -> Any:
        """FAISS's own object; its ids are row numbers."""
        if self._index is None:
            raise NotFitted("the index is empty; fit or add vectors first")
        return self._index

    @property
    def knob(self) -> str | None:
        """The option of `search` that trades speed for recall: "ef_search", "nprobe" or None."""
        inner = None if self._index is None else innermost(faiss_module(), self._index)
        return "ef_search" if hasattr(inner, "hnsw") else "nprobe" if hasattr(inner, "nprobe") else None

    def fit(self, vectors: ArrayLike) -> Faiss:
        """Make the index and train it on the vectors, float32 (count, dim); float32 rows are not copied."""
        with self._lock.writing():
            self._fit(vectors)
        return self

    def _fit(self, vectors: ArrayLike) -> None:
        faiss, metric = faiss_module(), metric_code(self.metric)
        if len(self._rows):
            raise InvalidInput("fit: the index holds rows already; make a new index to train on others")
        rows = check_vectors("fit", vectors, dim=None)
        if self.train_rows is not None and check_count("train_rows", self.train_rows) < len(rows):
            rows = rows[np.linspace(0, len(rows) - 1, self.train_rows).astype(np.int64)]
        kind = faiss.METRIC_L2 if self.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        with plain_errors(f"factory {self.factory!r}"), faiss_threads(faiss, self.threads):
            index = faiss.index_factory(rows.shape[1], re.sub(r"^IDMap2?,", "", self.factory), kind)
            for name, value in (self.parameters or {}).items():
                faiss.ParameterSpace().set_index_parameter(index, name, value)
            if self.device == "cuda":
                index = on_gpu(faiss, index)
            elif self.device != "cpu":
                raise InvalidInput(f"device must be 'cpu' or 'cuda'; got {self.device!r}")
            if not index.is_trained:
                index.train(unit_for(rows, metric))
        with self._lock.changing():
            self._index = index
            self._thaw()

    def _insert(self, rows: NDArray[Any], ids: NDArray[Any], progress: Progress | None) -> None:
        if not len(rows):
            return
        if self._index is None:
            self._fit(rows)
        metric = metric_code(self.metric)
        with plain_errors("add"), faiss_threads(faiss_module(), self.threads):
            for start in range(0, len(rows), _BLOCK):
                part = slice(start, min(start + _BLOCK, len(rows)))
                block = unit_for(rows[part], metric)
                with self._lock.changing():
                    if self._labels is None:
                        self._index.add(block)
                    else:
                        self._index.add_with_ids(block, ids[part])
                        self._labels = np.concatenate([self._labels, ids[part]])
                    self._rows.append(ids[part])
                if progress is not None:
                    progress(part.stop, len(rows))

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        ef_search: int | None = None,
        nprobe: int | None = None,
        filter: ArrayLike | None = None,
        threads: int | None = None,
    ) -> SearchResult:
        """The k nearest rows of every query, as FAISS finds them.

        Parameters
        ----------
        queries : float32 (num_queries, dim) or (dim,)
        k : int >= 1
            Places without a result hold id -1 and distance inf; `counts` says how many are filled.
        ef_search, nprobe : int >= 1, optional
            For this search, where the index is of HNSW or of inverted files.
        filter : bool (rows,), bool (num_queries, rows) or integer ids, optional
            Becomes a selector; a bitmap per query is searched query by query. Kinds of index that take no selector are
            searched for more neighbours until k of them pass.
        threads : int, optional

        Raises
        ------
        IndexMismatch
            Queries of another width, or a bitmap of another length.
        InvalidInput
            NaN or infinite values, k < 1, an option or a filter that the index cannot take.
        """
        return self._search(queries, k, filter, threads, ef_search=ef_search, nprobe=nprobe)

    def _nearest(
        self, queries: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None, threads: int | None,
        ef_search: int | None = None, nprobe: int | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:  # fmt: skip
        faiss = faiss_module()
        rows = unit_for(queries, metric_code(self.metric))
        parts = [(rows, None)] if allowed is None else [(rows, allowed[0])]
        if allowed is not None and len(allowed) > 1:
            parts = [(rows[i : i + 1], allowed[i]) for i in range(len(rows))]
        near, found = [], []
        with plain_errors("search"), faiss_threads(faiss, threads):
            for block, mask in parts:
                options = search_parameters(faiss, self._index, self._selector(faiss, mask), ef_search, nprobe)
                try:
                    d, i = self._index.search(block, k, params=options)
                except RuntimeError as error:  # a kind of index that takes no selectors
                    if mask is None or "params" not in str(error):
                        raise
                    d, i = self._sifted(block, k, mask)
                near.append(d)
                found.append(i)
        return self._ranked(np.concatenate(near), np.concatenate(found))

    def _compacted(self, live: NDArray[np.int64]) -> dict[str, Any]:
        """An empty copy of the index to which the rows that are left are added.

        `InvalidInput` when FAISS cannot give the vectors of such an index back; the index is then unchanged.
        """
        faiss = faiss_module()
        with plain_errors("compact"), faiss_threads(faiss, self.threads):
            fresh = faiss.clone_index(self._index)
            fresh.reset()
            for start in range(0, len(live), _BLOCK):
                fresh.add(self._vectors(live[start : start + _BLOCK]))
        return {"_index": fresh, "_owner": None, "_labels": None}

    def vectors(self) -> NDArray[np.float32]:
        """The rows that are not deleted, float32 (count, dim), as FAISS decodes them ("cosine": of length 1)."""
        with self._lock.steady(), plain_errors("vectors"):
            return self._vectors(np.flatnonzero(~self._rows.dead))

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write a FAISS file: with an id map where ids are not row numbers, and a normalisation for "cosine".

        The file appears whole or not at all; `StoreExists` where the path is taken, unless `overwrite`.
        """
        self._check_parameters()
        with self._lock.steady():
            self._save(Path(path), overwrite)

    def _save(self, final: Path, overwrite: bool) -> None:
        faiss = faiss_module()
        if self._index is None:
            raise NotFitted("save: the index is empty; add vectors first")
        if self._rows.num_dead:
            raise InvalidInput(f"{self._rows.num_dead:,} rows are deleted, which FAISS cannot mark; compact() first")
        if final.exists() and not overwrite:
            raise StoreExists(f"{final} exists already, and nothing was written; choose another path")
        whole = faiss.index_gpu_to_cpu(self._index) if self.device == "cuda" else self._index
        parts = [whole]  # wrappers do not own what they wrap: it has to outlive the writing
        if self.metric == "cosine":
            parts += [faiss.NormalizationTransform(whole.d, 2.0)]
            whole = faiss.IndexPreTransform(parts[-1], whole)
        if self._labels is None and not np.array_equal(self._rows.values, np.arange(len(self._rows))):
            parts += [whole]
            whole = with_ids(faiss, whole, self._rows.values)
        with replacing(final, overwrite=overwrite) as part:
            try:
                faiss.write_index(whole, str(part))
            except RuntimeError as error:
                raise OSError(told(error)) from error

    @classmethod
    def load(cls, path: str | Path) -> Faiss:
        """Open any file that FAISS reads; `StoreCorrupt` when it cannot."""
        faiss = faiss_module()
        if not Path(path).is_file():
            raise StoreMissing(f"there is no file at {path}")
        try:
            whole = faiss.read_index(str(path))
        except RuntimeError as error:
            raise StoreCorrupt(f"{Path(path).name}: FAISS cannot read it: {told(error)}") from error
        index, ids = whole, None
        if isinstance(index, faiss.IndexIDMap):
            ids = faiss.vector_to_array(index.id_map)
            index = faiss.downcast_index(index.index)
        loaded = cls("(loaded)", "l2" if index.metric_type == faiss.METRIC_L2 else "ip")
        if index.metric_type not in (faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT):
            raise InvalidInput(f"{Path(path).name}: FAISS metric {index.metric_type} is not known here; 0 and 1 are")
        if normalises(faiss, index):
            loaded.metric, index = "cosine", faiss.downcast_index(index.index)
        loaded._index, loaded._owner = index, whole
        inside = ids_inside(faiss, index)
        if inside is not None and ids is None:
            loaded._labels = ids = inside
        loaded._rows = RowIds(np.arange(index.ntotal, dtype=np.int64) if ids is None else ids)
        return loaded

    def _holds_rows(self) -> bool:
        return self.__dict__.get("_index") is not None

    def _check_parameters(self) -> int:
        self._check_frozen()
        return metric_code(self.metric)

    def _sifted(
        self, rows: NDArray[np.float32], k: int, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search for more and more neighbours until k of them pass, or there are no more."""
        passing = np.arange(len(mask)) if self._labels is None else self._labels
        passing = passing[mask]
        width = k
        while True:
            width = min(max(2 * width, 64), len(mask))
            near, found = self._index.search(rows, width)
            fits = np.isin(found, passing)
            if width == len(mask) or fits.sum(axis=1).min() >= min(k, len(passing)):
                order = np.argsort(~fits, axis=1, kind="stable")[:, :k]
                found = np.where(fits, found, -1)
                near, found = np.take_along_axis(near, order, axis=1), np.take_along_axis(found, order, axis=1)
                return padded(near, k, np.inf), padded(found, k, -1)

    def _selector(self, faiss: Any, mask: NDArray[np.bool_] | None) -> Any:
        if mask is None:
            return None
        if self._labels is None:
            return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        return faiss.IDSelectorBatch(self._labels[mask])

    def _ranked(
        self, near: NDArray[np.float32], found: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
        """What FAISS found as distances that rank as those of our kernels do, row numbers and counts."""
        filled = found >= 0 if self._labels is None else found != -1
        order = np.argsort(~filled, axis=1, kind="stable")  # places without a result go to the end
        near, found, filled = (np.take_along_axis(a, order, axis=1) for a in (near, found, filled))
        rows = found if self._labels is None else self._rows.positions(found.reshape(-1)).reshape(found.shape)
        distances = near if self.metric == "l2" else -near if self.metric == "ip" else 1 - near
        counts = filled.sum(axis=1).astype(np.int32)
        return np.where(filled, distances, np.inf).astype(np.float32), np.where(filled, rows, -1), counts

    def _vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        faiss = faiss_module()
        inner = innermost(faiss, self.index)
        if hasattr(inner, "make_direct_map"):
            with self._lock.changing():
                inner.set_direct_map_type(faiss.DirectMap.Hashtable)
        labels = rows if self._labels is None else self._labels[rows]
        return self._index.reconstruct_batch(np.ascontiguousarray(labels, np.int64))

    def __repr__(self) -> str:
        dead = f", {self._rows.num_dead:,} deleted" if self._rows.num_dead else ""
        kind = "" if self._index is None else f", {type(self._index).__name__}"
        return f"Faiss({self.factory!r}, {self.metric!r}{kind}, {len(self):,} vectors{dead}, dim={self.dim})"


__all__ = ["Faiss"]
