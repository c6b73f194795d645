"""What reaches into FAISS's own objects: options, wrappers, ids, threads, errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.compute.jit import resolve_threads
from ..graphlib.errors import InvalidInput, MissingExtra, NotFitted
from ..graphlib.extras import require
from .metrics import COSINE, check_count, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PURPOSE = "a FAISS index"


def faiss_module() -> Any:
    return require("faiss", _PURPOSE)


def unit_for(rows: NDArray[np.float32], metric: int) -> NDArray[np.float32]:
    return unit_rows(rows) if metric == COSINE else rows


def innermost(faiss: Any, index: Any) -> Any:
    """The index inside vector transforms and refinements, where the search options belong."""
    while True:
        index = faiss.downcast_index(index)
        if isinstance(index, faiss.IndexPreTransform):
            index = index.index
        elif isinstance(index, faiss.IndexRefine):
            index = index.base_index
        else:
            return index


def search_parameters(faiss: Any, index: Any, selector: Any, ef_search: int | None, nprobe: int | None) -> Any:
    """Nested search parameters that reach the innermost index, or None where none are needed."""
    index = faiss.downcast_index(index)
    inner = innermost(faiss, index)
    for name, value, kind in (("ef_search", ef_search, "hnsw"), ("nprobe", nprobe, "nprobe")):
        if value is not None:
            check_count(name, value)
            if not hasattr(inner, kind):
                raise InvalidInput(f"search: a {type(inner).__name__} has no {name}")
    if selector is None and ef_search is None and nprobe is None:
        return None
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(
            index_params=search_parameters(faiss, index.index, selector, ef_search, nprobe)
        )
    if isinstance(index, faiss.IndexRefine):
        base = search_parameters(faiss, index.base_index, selector, ef_search, nprobe)
        return faiss.IndexRefineSearchParameters(k_factor=index.k_factor, base_index_params=base)
    chosen = {} if selector is None else {"sel": selector}
    if hasattr(index, "hnsw"):
        return faiss.SearchParametersHNSW(efSearch=ef_search or index.hnsw.efSearch, **chosen)
    if hasattr(index, "nprobe"):
        width = min(nprobe or index.nprobe, index.nlist)
        if isinstance(index, faiss.IndexIVFPQ):
            return faiss.IVFPQSearchParameters(nprobe=width, **chosen)
        return faiss.SearchParametersIVF(nprobe=width, **chosen)
    return faiss.SearchParameters(**chosen)


def padded(table: NDArray[Any], width: int, fill: float) -> NDArray[Any]:
    return np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=fill)


def with_ids(faiss: Any, index: Any, ids: NDArray[np.int64]) -> Any:
    """An id map around an index that holds rows already, which FAISS's own constructor refuses."""
    mapped = faiss.IndexIDMap2(faiss.IndexFlat(index.d, index.metric_type))
    mapped.index, mapped.ntotal = index, index.ntotal
    faiss.copy_array_to_vector(ids, mapped.id_map)
    return mapped


def normalises(faiss: Any, index: Any) -> bool:
    if not isinstance(index, faiss.IndexPreTransform) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
        return False
    first = faiss.downcast_VectorTransform(index.chain.at(0)) if index.chain.size() == 1 else None
    return isinstance(first, faiss.NormalizationTransform) and first.norm == 2


def ids_inside(faiss: Any, index: Any) -> NDArray[np.int64] | None:
    """The ids that an inverted file keeps, in the order of its lists, unless they are row numbers."""
    inner = innermost(faiss, index)
    if not isinstance(inner, faiss.IndexIVF):
        return None
    lists = inner.invlists
    sizes = [lists.list_size(i) for i in range(inner.nlist)]
    parts = [faiss.rev_swig_ptr(lists.get_ids(i), n).copy() for i, n in enumerate(sizes) if n]
    ids = np.concatenate(parts) if parts else np.empty(0, np.int64)
    return None if np.array_equal(np.sort(ids), np.arange(len(ids))) else ids


def on_gpu(faiss: Any, index: Any) -> Any:
    if not hasattr(faiss, "StandardGpuResources"):
        raise MissingExtra(
            'device="cuda" needs a FAISS with GPU support; install it with: pip install "nearhop[faiss-gpu]"'
        )
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)


@contextlib.contextmanager
def faiss_threads(faiss: Any, threads: int | None) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(resolve_threads(threads))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@contextlib.contextmanager
def plain_errors(where: str) -> Iterator[None]:
    """FAISS's errors as one of ours, without the C++ signature in front."""
    try:
        yield
    except (RuntimeError, AssertionError) as error:
        if isinstance(error, NotFitted):
            raise
        raise InvalidInput(f"{where}: FAISS says: {told(error)}") from error


def told(error: Exception) -> str:
    text = " ".join(str(error).split())
    _, found, message = text.rpartition("Error: ")
    return (message if found else text) or type(error).__name__
