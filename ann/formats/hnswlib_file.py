"""hnswlib's index files: a graph (`saveIndex`) and a flat list of vectors (`BFIndex`).

Neither says its metric; the width of the vectors follows from the record size. Labels are unsigned there and ids are
signed here: the same 64 bits, so labels from 2**63 on read as negative ids and are written back as they were.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.disk.replacing import replacing_stream
from ...graphlib.errors import IndexMismatch, InvalidInput
from ..exact import Exact
from ..hnsw.check import MOST_LEVELS
from ..metrics import check_count, metric_code, unit_rows
from .binary import Reader, write_items
from .graphs import GraphRecord, LevelLinks, index_of, recoded, record_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..hnsw.index import HNSW
    from ..words import RowMetric, Storage

_HEADER = "<QQQQQQiIQQQdQ"
_HEADER_BYTES = struct.calcsize(_HEADER)
_FLAT_HEADER = "<QQQ"
_FLAT_HEADER_BYTES = struct.calcsize(_FLAT_HEADER)
_NO_ENTRY = 0xFFFFFFFF
_MOST_LINKS = 1 << 15
_MOST_DIM = 1 << 20
_DELETED = 1
_BLOCK = 1 << 14


@dataclass(frozen=True)
class HnswlibHeader:
    """What an hnswlib graph file says of itself."""

    max_elements: int
    count: int
    dim: int
    max_level: int
    entry: int
    max_m: int
    max_m0: int
    m: int
    ef_construction: int

    @property
    def record_bytes(self) -> int:
        return 4 + 4 * self.max_m0 + 4 * self.dim + 8

    @property
    def record(self) -> np.dtype[Any]:
        """The layout of a node's record."""
        return np.dtype([
            ("count", "<u2"), ("flags", "u1"), ("unused", "u1"), ("links", "<i4", (self.max_m0,)),
            ("vector", "<f4", (self.dim,)), ("label", "<i8"),
        ])  # fmt: skip


def looks_like_graph(head: bytes) -> bool:
    """Whether the first 96 bytes can be the header of an hnswlib graph file."""
    if len(head) < _HEADER_BYTES:
        return False
    fields = struct.unpack(_HEADER, head[:_HEADER_BYTES])
    offset, most, count, size, label, data, _, _, max_m, max_m0, m, _, _ = fields
    return bool(
        offset == 0 and count <= most and size == label + 8 and data == 4 + 4 * max_m0 and label >= data and m == max_m
    )


def looks_flat(head: bytes, file_size: int) -> bool:
    """Whether the file can be hnswlib's brute-force index: its three numbers give exactly its size."""
    if len(head) < _FLAT_HEADER_BYTES:
        return False
    most, size, count = struct.unpack(_FLAT_HEADER, head[:_FLAT_HEADER_BYTES])
    return bool(count <= most and size > 8 and size % 4 == 0 and file_size == _FLAT_HEADER_BYTES + most * size)


def read_header(path: str | Path) -> HnswlibHeader:
    """The header of a graph file, checked against the file's size; O(1)."""
    return _header(Reader(path))


def read_hnswlib(path: str | Path, *, metric: RowMetric, dim: int | None = None, storage: Storage = "float32") -> HNSW:
    """The index in a file that hnswlib's `save_index` wrote.

    Parameters
    ----------
    path : path of a file
    metric : {"l2", "ip", "cosine"}
        The space the index was made with; the file does not say. A "cosine" file holds unit vectors.
    dim : int, optional
        Checked against the file, which implies it.
    storage : str, default "float32"
        As of `HNSW`: with "int8" the same links are walked on 8-bit codes.

    Returns
    -------
    HNSW
        The same graph: a search at the same `ef_search` finds the same neighbours at the same distances. Deleted marks
        and labels carry over; labels from 2**63 on become negative ids. hnswlib stores no `ef`, seed or generator
        state.

    Raises
    ------
    StoreCorrupt
        The file is truncated, or its parts contradict one another.
    IndexMismatch
        `dim` is not the file's.

    Notes
    -----
    O(file size); vectors are copied once, out of records that interleave them with links.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop import ann
    >>> from nearhop.ann.formats import read_hnswlib, write_hnswlib
    >>> write_hnswlib(ann.HNSW().add(np.eye(3, dtype=np.float32), ids=[7, 8, 9]), "three.bin")
    >>> read_hnswlib("three.bin", metric="l2").search([0, 1, 0], k=1).ids.tolist()
    [[8]]
    """
    metric_code(metric)
    reader = Reader(path)
    header = _header(reader)
    _check_dim(reader, header.dim, dim)
    records = reader.array(header.record, header.count, "the nodes of level 0")
    levels, links = _upper(reader, header)
    counts = records["count"].astype(np.int64)
    links.insert(0, LevelLinks(np.arange(header.count), records["links"], counts))
    if header.count == 0:
        links = []
    record = GraphRecord(
        metric, header.max_m, header.ef_construction, 0,
        np.ascontiguousarray(records["vector"], np.float32), np.ascontiguousarray(records["label"], np.int64),
        (records["flags"] & _DELETED).astype(bool), levels, links,
        -1 if header.entry == _NO_ENTRY else header.entry, header.max_level,
    )  # fmt: skip
    return recoded(index_of(record, reader.path.name), storage)


def write_hnswlib(index: HNSW, path: str | Path, *, overwrite: bool = False, max_elements: int | None = None) -> None:
    """Write an HNSW index as a file that hnswlib's `load_index` opens.

    Parameters
    ----------
    index : HNSW
    path : path of the file
    overwrite : bool
        Whether a file that is there is replaced; by default that is `StoreExists`.
    max_elements : int, optional
        Room that hnswlib reserves; the number of rows by default.

    Notes
    -----
    "cosine" vectors are written at length 1, as hnswlib keeps them. Deleted rows are written as deleted; where the id
    of one was given again, its record gets an unused label. The file appears whole or not at all.
    """
    record = record_of(index)
    n = len(record.ids)
    most = n if max_elements is None else check_count("max_elements", max_elements, low=n)
    max_m, max_m0 = record.M, 2 * record.M
    if max_m0 > np.iinfo(np.uint16).max:
        raise InvalidInput(f"hnswlib keeps at most 65,535 links per node; M = {record.M} needs {max_m0}")
    header = HnswlibHeader(most, n, record.vectors.shape[1], record.top, record.entry, max_m, max_m0, record.M,
                           record.ef_construction)  # fmt: skip
    labels = labels_of(record.ids, record.dead)
    size = header.record_bytes
    with replacing_stream(path, overwrite=overwrite) as stream:
        fields = (
            0, most, n, size, size - 8, 4 + 4 * max_m0, record.top, record.entry, max_m, max_m0, record.M,
            1 / math.log(record.M), record.ef_construction,
        )  # fmt: skip
        stream.write(struct.pack(_HEADER, *fields))
        ground = record.links[0]
        for start in range(0, n, _BLOCK):
            part = slice(start, min(n, start + _BLOCK))
            block = np.zeros(part.stop - start, header.record)
            block["count"], block["flags"] = ground.counts[part], record.dead[part]
            block["links"] = np.maximum(ground.table[part], 0)
            block["vector"], block["label"] = record.vectors[part], labels[part]
            write_items(stream, block)
        _write_upper(stream, record, max_m)


def read_hnswlib_flat(path: str | Path, *, metric: RowMetric, dim: int | None = None) -> Exact:
    """The exact index in a file that hnswlib's `BFIndex.save_index` wrote."""
    reader = Reader(path)
    most, size, count = reader.unpack(_FLAT_HEADER, "the header")
    width, rest = divmod(size - 8, 4)
    if count > most or width < 1 or rest:
        raise reader.corrupt(f"{count:,} vectors of {most:,} in records of {size} bytes cannot be a flat hnswlib index")
    _check_dim(reader, width, dim)
    reader.need(most * size, "the vectors")
    rows = reader.array(np.dtype([("vector", "<f4", (width,)), ("label", "<i8")]), count, "the vectors")
    reader.at = _FLAT_HEADER_BYTES + most * size
    reader.done()
    try:
        return Exact(metric).add(rows["vector"], np.ascontiguousarray(rows["label"]))
    except InvalidInput as error:
        raise reader.corrupt(str(error)) from error


def write_hnswlib_flat(index: Exact, path: str | Path, *, overwrite: bool = False) -> None:
    """Write an exact index as a file that hnswlib's `BFIndex.load_index` opens; deleted rows are left out."""
    if index.metric == "hamming":
        raise InvalidInput("an hnswlib file is not written of bits (metric 'hamming'); use save(path)")
    vectors, labels = index.vectors(), index._rows.integers("hnswlib files")[index._rows.live]
    rows = np.zeros(len(labels), np.dtype([("vector", "<f4", (vectors.shape[1],)), ("label", "<i8")]))
    rows["vector"], rows["label"] = unit_rows(vectors) if index.metric == "cosine" else vectors, labels
    with replacing_stream(path, overwrite=overwrite) as stream:
        stream.write(struct.pack(_FLAT_HEADER, len(rows), rows.itemsize, len(rows)))
        write_items(stream, rows)


def labels_of(ids: NDArray[np.int64], dead: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Distinct labels: a live row's is its id; a deleted row keeps its id unless another row has it."""
    labels = ids.copy()
    gone = np.flatnonzero(dead)
    if not len(gone):
        return labels
    _, first = np.unique(ids[gone], return_index=True)
    kept = np.zeros(len(gone), bool)
    kept[first] = True
    kept &= ~np.isin(ids[gone], ids[~dead])
    again = gone[~kept]
    used = np.concatenate([ids[~dead], ids[gone[kept]]])
    labels[again] = np.setdiff1d(np.arange(len(ids) + len(again), dtype=np.int64), used)[: len(again)]
    return labels


def _header(reader: Reader) -> HnswlibHeader:
    fields = reader.unpack(_HEADER, "the header")
    offset, most, count, size, label, data, top, entry, max_m, max_m0, m, _, ef = fields
    if offset or data != 4 + 4 * max_m0 or label < data or size != label + 8 or (label - data) % 4:
        raise reader.corrupt(
            f"its header places links at {offset}, vectors at {data} and labels at {label} of {size} bytes with "
            f"{max_m0} links per node, which no hnswlib index does"
        )
    header = HnswlibHeader(most, count, (label - data) // 4, top, entry, max_m, max_m0, m, ef)
    if count > most:
        raise reader.corrupt(f"its header says {count:,} nodes but room for {most:,}")
    if not 1 <= max_m < _MOST_LINKS or max_m0 != 2 * max_m or not 1 <= header.dim <= _MOST_DIM:
        raise reader.corrupt(f"its header says {max_m} and {max_m0} links per node and vectors of width {header.dim}")
    if ef > np.iinfo(np.int32).max or count > np.iinfo(np.int32).max:
        raise reader.corrupt(f"its header says {count:,} nodes and ef_construction {ef:,}")
    reader.need(count * size, f"{count:,} nodes of {size} bytes")
    return header


def _check_dim(reader: Reader, width: int, dim: int | None) -> None:
    if dim is not None and dim != width:
        raise IndexMismatch(
            f"{reader.path.name}: holds vectors of width {width}; dim={dim} was asked for. Is it another index?"
        )


def _upper(reader: Reader, header: HnswlibHeader) -> tuple[NDArray[np.int64], list[LevelLinks]]:
    """Every node's level, and the links of the levels above 0."""
    from . import hnswlib_cpu as kernels

    n, block = header.count, 4 + 4 * header.max_m
    offsets, sizes = np.empty(n, np.int64), np.empty(n, np.int64)
    end = int(kernels.upper_lists(np.asarray(reader.data), reader.at, offsets, sizes))
    if end < 0:
        raise reader.corrupt(f"the upper links of node {-end - 1} pass the end of the file; it is truncated")
    reader.at = end
    reader.done()
    if (sizes % block).any():
        node = int(np.argmax(sizes % block != 0))
        raise reader.corrupt(f"the upper links of node {node} take {sizes[node]} bytes, not a multiple of {block}")
    levels = sizes // block
    if n and (levels.max() != header.max_level or header.max_level >= MOST_LEVELS):
        raise reader.corrupt(
            f"levels must be in [0, {header.max_level:,}] and reach {header.max_level:,}, below {MOST_LEVELS}; node "
            f"{int(levels.argmax())} has {int(levels.max()):,}"
        )
    layout = np.dtype([("count", "<u2"), ("unused", "<u2"), ("links", "<i4", (header.max_m,))])
    links: list[LevelLinks] = []
    for level in range(1, int(levels.max(initial=0)) + 1):
        nodes = np.flatnonzero(levels >= level)
        starts = offsets[nodes] + (level - 1) * block
        rows = np.asarray(reader.data)[starts[:, None] + np.arange(block)].view(layout)[:, 0]
        links.append(LevelLinks(nodes, rows["links"], rows["count"].astype(np.int64)))
    return levels, links


def _write_upper(stream: Any, record: GraphRecord, max_m: int) -> None:
    """Per node the number of its bytes, then a row per level above 0."""
    n = len(record.ids)
    words = max_m + 1  # a row in 32-bit words: the count, then the links
    levels = record.levels.astype(np.int64)
    begins = np.arange(n) + np.concatenate([[0], np.cumsum(levels)[:-1]]) * words
    out = np.zeros(n + int(levels.sum()) * words, "<u4")
    out[begins] = levels * words * 4
    for level, rows in enumerate(record.links[1:], start=1):
        at = begins[rows.nodes] + 1 + (level - 1) * words
        out[at] = rows.counts
        present = np.arange(rows.table.shape[1]) < rows.counts[:, None]
        out[at[:, None] + 1 + np.arange(rows.table.shape[1])] = np.where(present, rows.table, 0)
    write_items(stream, out)
