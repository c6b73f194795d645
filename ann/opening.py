"""The kinds of index, and opening an index file of any of them: the kind is told from the content.

A new kind of index is a line of `KINDS` here: files and the command line know it then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..graphlib.errors import IndexMismatch, InvalidInput
from .cann.index import CANN
from .exact import Exact
from .faiss_bridge import Faiss
from .formats.kinds import detect
from .hnsw.index import HNSW
from .index import IdentifiedRows, VectorIndex
from .ivf.index import IVFFlat
from .lsh.index import LSH
from .neural_lsh.index import NeuralLSH
from .stored import index_fields, name_of

if TYPE_CHECKING:
    from ..graphlib.store.store import GraphStore
    from .words import Index, RowMetric, Storage

KINDS: dict[str, type[IdentifiedRows]] = {
    kind.KIND: kind for kind in (HNSW, Exact, IVFFlat, NeuralLSH, Faiss, LSH, CANN)
}


def vector_kind(name: str) -> type[VectorIndex]:
    """The class of a kind of index of vectors, by its name in `KINDS`."""
    kind = KINDS.get(name)
    if kind is None or not issubclass(kind, VectorIndex):
        known = ", ".join(repr(name) for name, kind in KINDS.items() if issubclass(kind, VectorIndex))
        raise InvalidInput(f"kind of index must be one of {known}; got {name!r}")
    return kind


def from_saved(store: GraphStore) -> Any:
    """The index in a store whose folder (or object) is the index, as `save` lays it out."""
    name = index_fields(store)["kind"]
    kind: Any = KINDS.get(name)
    if kind is None or "_opened" not in vars(kind):
        known = ", ".join(repr(name) for name, kind in sorted(KINDS.items()) if "_opened" in vars(kind))
        raise IndexMismatch(f"{name_of(store)}: index kind {name!r} is not known; known: {known}")
    return kind._opened(store)


def attach(store: GraphStore, name: str) -> Any:
    """The index that a store holds under a name, beside the column it indexes."""
    listed = store.attributes.get("indexes", {})
    given = listed.get(name) if isinstance(listed, dict) else None
    kind: Any = KINDS.get(str(given.get("kind"))) if isinstance(given, dict) else None
    return (kind if hasattr(kind, "attach") else HNSW).attach(store, name)


def load(
    path: str | Path,
    *,
    dim: int | None = None,
    metric: RowMetric | None = None,
    storage: Storage | None = None,
    in_memory: bool | Literal["walks"] = False,
) -> Index:
    """Open an index: a nearhop store, an hnswlib file or a FAISS file, told apart by content.

    Parameters
    ----------
    path : path of a folder or file
    dim : int, optional
        The width the vectors must have; `IndexMismatch` if the file has another.
    metric : {"l2", "ip", "cosine"}, optional
        Needed for hnswlib, whose files do not say; checked against the others.
    storage : str, optional
        As of `HNSW`, for a graph out of another library's file: the same links, walked on codes with "int8".
    in_memory : bool or "walks", default False
        Read the vectors, codes and links of a nearhop HNSW index into memory instead of mapping them. Opening then
        takes time and memory as the index is large; walks over wide rows are up to a tenth faster, for memory comes
        in larger pages than files do. "walks" reads links and codes and leaves the vectors beside codes mapped, of
        which a search reads the `ef_search` rows that it orders: with storage "1bit", "int4" or "int8", for an index
        whose vectors are more than the memory at hand. Without codes it is the same as True.

    Returns
    -------
    Exact, HNSW, IVFFlat, NeuralLSH, LSH or CANN
        A FAISS index of another class comes back as a `nearhop.ann.Faiss`, for which FAISS must be installed. Vectors
        of a nearhop index stay memory-mapped unless told otherwise; other files are read into memory.

    Raises
    ------
    StoreMissing
        There is nothing at the path.
    IndexMismatch
        It is no index (the message says what it is), or has another width or metric.
    StoreCorrupt
        The parts of the file contradict one another, or it is cut short.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop import ann
    >>> ann.HNSW().add(np.eye(3, dtype=np.float32), ids=[7, 8, 9]).save("three.nh")
    >>> ann.load("three.nh").search([0, 1, 0], k=1).ids.tolist()
    [[8]]
    """
    if in_memory not in (True, False, "walks"):
        raise InvalidInput(f'in_memory must be True, False or "walks"; got {in_memory!r}')
    kind = detect(path)
    if kind.name == "nearhop":
        from ..graphlib.store.store import open as open_store  # type: ignore[attr-defined, unused-ignore]

        index = _checked(from_saved(open_store(path)), Path(path).name, dim, metric, storage)
        if in_memory and hasattr(index, "read_into_memory"):
            index.read_into_memory(walks_only=in_memory == "walks")
        return index
    if kind.name == "faiss":
        from .formats.faiss_read import NotReadHere, read_faiss

        try:
            return read_faiss(path, dim=dim, metric=metric, storage=storage or "float32")
        except NotReadHere:
            return _checked(Faiss.load(path), Path(path).name, dim, metric)
    if metric is None:
        raise IndexMismatch(
            f"{Path(path).name}: an hnswlib file does not say its metric; give metric='l2', 'ip' or 'cosine'"
        )
    from .formats.hnswlib_file import read_hnswlib, read_hnswlib_flat

    if kind.name == "hnswlib":
        return read_hnswlib(path, metric=metric, dim=dim, storage=storage or "float32")
    return read_hnswlib_flat(path, metric=metric, dim=dim)


def _checked(index: Any, where: str, dim: int | None, metric: str | None, storage: str | None = None) -> Any:
    for name, wanted in (("dim", dim), ("metric", metric), ("storage", storage)):
        found = getattr(index, name, None)
        if wanted is not None and found != wanted:
            raise IndexMismatch(f"{where}: its {name} is {found!r}; {name}={wanted!r} was asked for")
    return index
