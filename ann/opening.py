"""Opening an index file of any kind: the kind is told from the content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..graphlib.errors import IndexMismatch
from . import persist
from .formats.kinds import detect
from .hnsw.index import HNSW


def load(
    path: str | Path,
    *,
    dim: int | None = None,
    metric: str | None = None,
    storage: str | None = None,
    in_memory: bool = False,
) -> Any:
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
    in_memory : bool, default False
        Read the vectors, codes and links of a nearhop HNSW index into memory instead of mapping them. Opening then
        takes time and memory as the index is large; walks over wide rows are up to a tenth faster, for memory comes
        in larger pages than files do.

    Returns
    -------
    Exact, HNSW, IVFFlat or LSH
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
    kind = detect(path)
    if kind.name == "nearhop":
        index = _checked(persist.load(path), Path(path).name, dim, metric, storage)
        if in_memory and isinstance(index, HNSW) and index._graph is not None:
            index._graph.read_into_memory()
        return index
    if kind.name == "faiss":
        from .formats.faiss_read import NotReadHere, read_faiss

        try:
            return read_faiss(path, dim=dim, metric=metric, storage=storage or "float32")
        except NotReadHere:
            from .faiss_bridge import Faiss

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
