"""Writing FAISS's index files: flat, HNSW and inverted-file indexes, with id maps and normalisation."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from ...graphlib.disk.replacing import replacing_stream
from ...graphlib.errors import InvalidInput, InvalidType
from ..metrics import check_count, unit_rows
from . import scalar_codes as sq
from .binary import write_items, write_vector
from .graphs import GraphRecord, record_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..exact import Exact
    from ..hnsw.index import HNSW
    from ..index import VectorIndex
    from ..ivf.index import IVFFlat

_METRIC_NUMBER = {"ip": 0, "l2": 1, "cosine": 0}
_DUMMY = 1 << 20
_LEAST_PROBABILITY = 1e-9


def write_faiss(
    index: Exact | HNSW | IVFFlat,
    path: str | Path,
    *,
    overwrite: bool = False,
    storage: str = "float32",
    ef_search: int = 64,
) -> None:
    """Write an index as a file that FAISS's `read_index` opens.

    Parameters
    ----------
    index : Exact, HNSW or IVFFlat
        Becomes `IndexFlat`, `IndexHNSWFlat` or `IndexIVFFlat`, inside an `IndexIDMap2` where ids are not row numbers
        (an inverted file keeps ids itself). "cosine" becomes an inner-product index behind an L2 normalisation.
    path : path of the file
    overwrite : bool
        Whether a file that is there is replaced; by default that is `StoreExists`.
    storage : {"float32", "fp16", "sq8", "sq4"}
        How FAISS keeps the vectors of an exact or HNSW index; all but the first are scalar-quantized.
    ef_search : int >= 1
        The beam width that FAISS starts with, for HNSW.

    Raises
    ------
    InvalidInput
        The index is HNSW and holds deleted rows, which FAISS cannot mark: call `compact()` first. Exact and
        inverted-file indexes are written without their deleted rows.

    Notes
    -----
    The file appears whole or not at all.
    """
    check_count("ef_search", ef_search)
    if storage != "float32" and storage not in sq.WRITABLE:
        raise InvalidInput(f"storage must be one of 'float32', {', '.join(map(repr, sq.WRITABLE))}; got {storage!r}")
    body = _BODIES.get(getattr(index, "KIND", ""))
    if body is None:
        raise InvalidType(f"a FAISS file holds an Exact, HNSW or IVFFlat index; got {type(index).__name__}")
    if index.metric == "hamming":
        raise InvalidInput("a FAISS file is not written of bits (metric 'hamming'); use save(path)")
    made = body(index, storage, ef_search)
    number, shape = _METRIC_NUMBER[index.metric], made.vectors.shape
    numbered = made.ids is None or np.array_equal(made.ids, np.arange(len(made.ids)))
    with replacing_stream(path, overwrite=overwrite) as stream:
        if not numbered:
            _header(stream, b"IxM2", shape, number)
        if index.metric == "cosine":
            _header(stream, b"IxPT", shape, number)
            stream.write(struct.pack("<i4sfiiB", 1, b"VNrm", 2.0, shape[1], shape[1], 1))
        made.write(stream, number)
        if made.ids is not None and not numbered:
            write_vector(stream, made.ids)


class _Body(NamedTuple):
    """What a file holds inside its wrappers; `ids` is None where `write` writes them."""

    vectors: NDArray[np.float32]
    ids: NDArray[np.int64] | None
    write: Callable[[BinaryIO, int], None]


def _graph_body(index: HNSW, storage: str, ef_search: int) -> _Body:
    record = record_of(index)
    if record.dead.any():
        raise InvalidInput(f"{int(record.dead.sum()):,} rows are deleted, which FAISS cannot mark; compact() first")

    def write(stream: BinaryIO, number: int) -> None:
        _write_graph(stream, record, number, ef_search, storage)
        _write_vectors(stream, record.vectors, number, storage)

    return _Body(record.vectors, record.ids, write)


def _flat_body(index: Exact, storage: str, ef_search: int) -> _Body:
    vectors, ids = _live(index)
    return _Body(vectors, ids, lambda stream, number: _write_vectors(stream, vectors, number, storage))


def _lists_body(index: IVFFlat, storage: str, ef_search: int) -> _Body:
    if storage != "float32":
        raise InvalidInput(f"an inverted file is written as float32; got storage={storage!r}")
    vectors, ids = _live(index)
    lists = index._lists[index._rows.live]
    return _Body(vectors, None, lambda stream, number: _write_lists(stream, index, vectors, ids, lists))


_BODIES: dict[str, Callable[[Any, str, int], _Body]] = {
    "exact": _flat_body, "hnsw": _graph_body, "ivf": _lists_body,
}  # fmt: skip


def _live(index: VectorIndex) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The rows that are not deleted, of length 1 for cosine, and their ids."""
    vectors, ids = index.vectors(), index._rows.integers("FAISS files")[index._rows.live]
    return (unit_rows(vectors) if index.metric == "cosine" else vectors), ids


def _header(stream: BinaryIO, name: bytes, shape: tuple[int, ...], metric: int) -> None:
    stream.write(name + struct.pack("<iqqqBi", shape[1], shape[0], _DUMMY, _DUMMY, 1, metric))


def _write_vectors(stream: BinaryIO, vectors: NDArray[np.float32], metric: int, storage: str) -> None:
    dim = vectors.shape[1]
    if storage == "float32":
        _header(stream, (b"IxFI", b"IxF2")[metric], vectors.shape, metric)
        write_vector(stream, vectors)
        return
    coded = sq.encode(sq.WRITABLE[storage], vectors)
    _header(stream, b"IxSQ", vectors.shape, metric)
    stream.write(struct.pack("<iifQQ", coded.kind, 0, 0.0, dim, sq.code_size(coded.kind, dim)))
    write_vector(stream, coded.trained)
    write_vector(stream, coded.codes)


def _write_graph(stream: BinaryIO, record: GraphRecord, metric: int, ef_search: int, storage: str) -> None:
    n = len(record.ids)
    levels = record.levels.astype(np.int64)
    probabilities = level_probabilities(record.M)
    rows = max(len(probabilities), record.top + 1)
    probabilities += [0.0] * (rows - len(probabilities))
    starts = np.concatenate([[0], 2 * record.M + record.M * np.arange(rows)])
    offsets = np.concatenate([[0], np.cumsum(starts[levels + 1])])
    neighbors = np.full(int(offsets[-1]), -1, np.int32)
    for level, links in enumerate(record.links):
        width = min(links.table.shape[1], int(starts[level + 1] - starts[level]))
        present = np.arange(width) < links.counts[:, None]
        at = offsets[links.nodes][:, None] + starts[level] + np.arange(width)
        neighbors[at[present]] = links.table[:, :width][present]
    _header(stream, b"IHNf" if storage == "float32" else b"IHNs", (n, record.vectors.shape[1]), metric)
    write_vector(stream, np.array(probabilities))
    write_vector(stream, starts.astype(np.int32))
    write_vector(stream, (levels + 1).astype(np.int32))
    write_vector(stream, offsets.astype(np.uint64))
    write_vector(stream, neighbors)
    stream.write(struct.pack("<iiiii", record.entry, record.top, record.ef_construction, ef_search, 1))


def _write_lists(
    stream: BinaryIO,
    index: IVFFlat,
    vectors: NDArray[np.float32],
    ids: NDArray[np.int64],
    lists: NDArray[np.int64],
) -> None:
    nlist, dim = index.nlist, vectors.shape[1]
    _header(stream, b"IwFl", vectors.shape, _METRIC_NUMBER[index.metric])
    stream.write(struct.pack("<QQ", nlist, index.nprobe))
    _write_vectors(stream, index.centroids, _METRIC_NUMBER[index.coarse], "float32")
    stream.write(struct.pack("<bQ", 0, 0))
    sizes = np.bincount(lists, minlength=nlist)
    stream.write(struct.pack("<4sQQ4s", b"ilar", nlist, 4 * dim, b"full"))
    write_vector(stream, sizes.astype(np.uint64))
    order = np.argsort(lists, kind="stable")
    ends = np.cumsum(sizes)
    for which in np.flatnonzero(sizes):
        members = order[ends[which] - sizes[which] : ends[which]]
        write_items(stream, vectors[members])
        write_items(stream, ids[members])


def level_probabilities(M: int) -> list[float]:
    """The share of nodes whose highest level is l, for l = 0, 1, ..., down to 1e-9."""
    factor = 1 / math.log(M)
    found: list[float] = []
    while (share := math.exp(-len(found) / factor) * (1 - math.exp(-1 / factor))) >= _LEAST_PROBABILITY:
        found.append(share)
    return found


__all__ = ["level_probabilities", "write_faiss"]
