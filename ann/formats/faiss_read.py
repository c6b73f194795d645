"""Reading FAISS's index files: flat, scalar-quantized, HNSW and inverted-file indexes, with id maps and normalisation.

Every file is a tree of blocks, each beginning with four letters that name its class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import IndexMismatch, InvalidInput, StoreCorrupt
from ..exact import Exact
from ..hnsw.check import MOST_LEVELS
from ..hnsw.index import HNSW
from ..ids import RowIds
from ..ivf.index import IVFFlat
from ..metrics import check_finite
from . import scalar_codes as sq
from .binary import Reader
from .faiss_names import CLASSES
from .graphs import GraphRecord, LevelLinks, index_of, recoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..words import Metric, RowMetric, Storage

_METRICS: dict[int, Metric] = {0: "ip", 1: "l2"}
_DEEPEST = 8
_MOST_DIM = 1 << 20


class NotReadHere(IndexMismatch):
    """The file is FAISS's, but of a class that only FAISS reads."""


@dataclass(frozen=True, eq=False)
class FaissFile:
    """A parsed file: headers and views, nothing copied.

    Attributes
    ----------
    classes : names of FAISS's classes, outermost first
    metric, dim, count : of the innermost index; "cosine" where vectors are normalised first
    vectors : float32 (n, dim), possibly unaligned, or codes of it
    ids : int64 (n,) or None
    graph : the HNSW block, or None
    lists : the inverted-file block, or None
    """

    classes: tuple[str, ...]
    metric: Metric
    dim: int
    count: int
    vectors: NDArray[np.float32] | sq.ScalarCodes
    ids: NDArray[np.int64] | None = None
    graph: GraphBlock | None = None
    lists: ListsBlock | None = None

    @property
    def storage(self) -> str:
        """What a vector is kept as."""
        return sq.NAMES[self.vectors.kind] if isinstance(self.vectors, sq.ScalarCodes) else "float32"


@dataclass(frozen=True, eq=False)
class GraphBlock:
    """The HNSW part of a file."""

    starts: NDArray[np.int32]
    levels: NDArray[np.int32]
    offsets: NDArray[np.uint64]
    neighbors: NDArray[np.int32]
    entry: int
    top: int
    ef_construction: int
    ef_search: int

    @property
    def links_per_node(self) -> int:
        """HNSW's M, from the widths the file has."""
        ground = int(self.starts[1])
        above = int(np.diff(self.starts[1:]).max(initial=0))
        return max((ground + 1) // 2, above, 2)


@dataclass(frozen=True, eq=False)
class ListsBlock:
    """The inverted lists of a file, with rows in list order; `coarse` is the metric that chooses lists."""

    nlist: int
    nprobe: int
    coarse: str
    centroids: NDArray[np.float32]
    sizes: NDArray[np.int64]


@dataclass(frozen=True)
class _Header:
    dim: int
    count: int
    metric: Metric


def read_faiss(
    path: str | Path, *, dim: int | None = None, metric: RowMetric | None = None, storage: Storage = "float32"
) -> Exact | HNSW | IVFFlat:
    """The index in a file that FAISS's `write_index` wrote.

    Parameters
    ----------
    path : path of a file
        `IndexFlat`, `IndexScalarQuantizer`, `IndexHNSWFlat`, `IndexHNSWSQ` or `IndexIVFFlat`, alone or inside
        `IndexIDMap`, `IndexIDMap2` or `IndexPreTransform` with an L2 normalisation.
    dim, metric : optional
        Checked against the file, which knows them.
    storage : str, default "float32"
        As of `HNSW`, for the files that hold one.

    Returns
    -------
    Exact, HNSW or IVFFlat
        The same graph or lists. A normalisation becomes metric "cosine", whose distances are 1 - cos: FAISS's own are
        cos (inner product) or 2 - 2 cos (L2). Scalar codes are decoded to float32, so distances are those FAISS
        computes from the codes. `ef_search` does not carry over; `nprobe` does.

    Raises
    ------
    StoreCorrupt
        The file is truncated, or its parts contradict one another.
    IndexMismatch
        The index is of a class or metric that is not read here, or is not of the `dim` or `metric` asked for.

    Notes
    -----
    O(file size). Every count is checked against the bytes that are left before anything is allocated.
    """
    parsed = parse_faiss(path)
    where = Path(path).name
    if dim is not None and dim != parsed.dim:
        raise IndexMismatch(f"{where}: holds vectors of width {parsed.dim}; dim={dim} was asked for")
    if metric is not None and metric != parsed.metric:
        raise IndexMismatch(f"{where}: its metric is {parsed.metric!r}; metric={metric!r} was asked for")
    vectors = parsed.vectors
    rows = sq.decode(vectors) if isinstance(vectors, sq.ScalarCodes) else np.array(vectors, np.float32)
    ids = np.arange(parsed.count, dtype=np.int64) if parsed.ids is None else np.array(parsed.ids, np.int64)
    try:
        check_finite("load", rows)
        if parsed.graph is not None:
            graph = _hnsw(parsed, parsed.graph, rows, ids, where)
        elif len(np.unique(ids)) < len(ids):
            raise IndexMismatch(f"only {len(np.unique(ids)):,} of {len(ids):,} ids are distinct")
        elif parsed.lists is not None:
            return _ivf(parsed, parsed.lists, rows, ids)
    except (IndexMismatch, InvalidInput) as error:
        raise StoreCorrupt(f"{where}: {error}") from error
    if parsed.graph is not None:
        return recoded(graph, storage)
    return Exact(parsed.metric)._of(rows, RowIds(ids), parsed.dim)


def parse_faiss(path: str | Path) -> FaissFile:
    """The blocks of a FAISS file as views of the mapped file; O(1) in the size of its vectors."""
    reader = Reader(path)
    parsed = _block(reader, 0)
    reader.done()
    return parsed


def _block(reader: Reader, depth: int) -> FaissFile:
    if depth > _DEEPEST:
        raise reader.corrupt(f"indexes are nested more than {_DEEPEST} deep")
    name = bytes(reader.array(np.uint8, 4, "the name of an index")).decode("latin-1")
    parse = _PARSERS.get(name)
    if parse is None:
        if name in CLASSES:
            raise NotReadHere(
                f"{reader.path.name}: a FAISS {CLASSES[name]} ({name!r}), which is not read without FAISS"
            )
        raise reader.corrupt(f"{name!r} at byte {reader.at - 4} is no FAISS index; the file is damaged or foreign")
    return parse(reader, name, depth)


def _header(reader: Reader) -> _Header:
    dim, count, _, _, trained, metric = reader.unpack("<iqqqBi", "an index header")
    if metric > 1:
        reader.one("f", "the metric's argument")
    if not 0 < dim <= _MOST_DIM or not 0 <= count <= np.iinfo(np.int32).max:
        raise reader.corrupt(
            f"its header says {count:,} vectors of width {dim:,}; at most 2**31 - 1 of width 2**20 fit"
        )
    if metric not in _METRICS:
        raise IndexMismatch(
            f"{reader.path.name}: FAISS metric {metric} is not known here; 0 (inner product) and 1 (L2) are"
        )
    if not trained and count:
        raise reader.corrupt(f"{count:,} vectors in an index that was never trained")
    return _Header(dim, count, _METRICS[metric])


def _flat(reader: Reader, name: str, depth: int) -> FaissFile:
    head = _header(reader)
    values = reader.vector("<f4", "the vectors", length=head.count * head.dim)
    vectors = values.reshape(head.count, head.dim)
    return FaissFile((CLASSES[name],), head.metric, head.dim, head.count, vectors)


def _scalar(reader: Reader, name: str, depth: int) -> FaissFile:
    head = _header(reader)
    kind, _, _, dim, size = reader.unpack("<iifQQ", "a scalar quantizer")
    if kind not in sq.NAMES:
        raise NotReadHere(f"{reader.path.name}: scalar quantizer {kind} is not known here; known: 0 to {max(sq.NAMES)}")
    if dim != head.dim or size != sq.code_size(kind, head.dim):
        raise reader.corrupt(f"its quantizer codes width {dim} in {size} bytes, its header says width {head.dim}")
    trained = reader.vector("<f4", "the quantizer's ranges", length=sq.trained_size(kind, head.dim))
    if not np.isfinite(trained).all():
        raise reader.corrupt("the quantizer's ranges hold NaN or infinite values")
    codes = reader.vector(np.uint8, "the codes", length=head.count * size).reshape(head.count, size)
    found = sq.ScalarCodes(kind, head.dim, np.array(trained, np.float32), codes)
    return FaissFile((CLASSES[name],), head.metric, head.dim, head.count, found)


def _graph(reader: Reader, name: str, depth: int) -> FaissFile:
    head = _header(reader)
    n = head.count
    reader.vector("<f8", "the level probabilities")
    starts = reader.vector("<i4", "the links per level")
    levels = reader.vector("<i4", "the levels", length=n)
    offsets = reader.vector("<u8", "the link offsets", length=n + 1)
    neighbors = reader.vector("<i4", "the links")
    entry, top, ef_construction, ef_search, _ = reader.unpack("<iiiii", "the HNSW parameters")
    widths = np.diff(starts.astype(np.int64))
    if len(starts) < 2 or starts[0] != 0 or widths.min() < 0 or widths.max() > starts[1] or starts[1] < 1:
        raise reader.corrupt(f"its links per level end at {starts[:8].tolist()}; level 0 has the most")
    highest = min(len(starts) - 1, MOST_LEVELS)
    if n and (levels.min() < 1 or levels.max() > highest or top != levels.max() - 1 or not 0 <= entry < n):
        raise reader.corrupt(f"entry {entry} at level {top} with node levels {levels.min()}..{levels.max()}")
    reach = np.concatenate([[0], np.cumsum(starts.astype(np.int64)[levels])])
    if not np.array_equal(reach, offsets.astype(np.int64)) or reach[-1] != len(neighbors):
        raise reader.corrupt("its link offsets are not the sums of the links per level")
    if len(neighbors) and (neighbors.min() < -1 or neighbors.max() >= n):
        raise reader.corrupt(f"a link leads to {neighbors.min()}..{neighbors.max()}, nodes are 0..{n - 1}")
    storage = _block(reader, depth + 1)
    if storage.graph is not None or storage.lists is not None or storage.ids is not None:
        raise reader.corrupt(f"the vectors of its graph are a {storage.classes[0]}")
    if (storage.count, storage.dim) != (n, head.dim):
        raise reader.corrupt(f"a graph of {n} x {head.dim} over vectors of {storage.count} x {storage.dim}")
    block = GraphBlock(starts, levels, offsets, neighbors, entry, top, ef_construction, ef_search)
    return replace(storage, classes=(CLASSES[name], *storage.classes), metric=head.metric, graph=block)


def _inverted(reader: Reader, name: str, depth: int) -> FaissFile:
    head = _header(reader)
    nlist, nprobe = reader.unpack("<QQ", "the number of lists")
    coarse = _block(reader, depth + 1)
    if coarse.lists is not None or isinstance(coarse.vectors, sq.ScalarCodes) or coarse.ids is not None:
        raise NotReadHere(f"{reader.path.name}: centroids in a {coarse.classes[0]} are not read without FAISS")
    if (coarse.count, coarse.dim) != (nlist, head.dim) or nlist < 1:
        raise reader.corrupt(f"{nlist} lists of width {head.dim} around {coarse.count} centroids of {coarse.dim}")
    direct = reader.one("b", "the direct map")
    reader.vector("<i8", "the direct map")
    if direct == 2:
        reader.vector(np.dtype("<i8, <i8"), "the direct map")
    sizes, places = _list_sizes(reader, int(nlist), 4 * head.dim)
    if int(sizes.sum()) != head.count:
        raise reader.corrupt(f"its lists hold {int(sizes.sum()):,} vectors, its header says {head.count:,}")
    vectors = np.empty((head.count, head.dim), np.float32)
    ids = np.empty(head.count, np.int64)
    at = 0
    for which in places:
        size = int(sizes[which])
        vectors[at : at + size] = reader.array("<f4", size * head.dim, "a list").reshape(size, head.dim)
        ids[at : at + size] = reader.array("<i8", size, "a list's ids")
        at += size
    centroids = np.array(coarse.vectors, np.float32)
    lists = ListsBlock(int(nlist), int(min(max(nprobe, 1), nlist)), coarse.metric, centroids, sizes)
    return FaissFile((CLASSES[name],), head.metric, head.dim, head.count, vectors, ids=ids, lists=lists)


def _list_sizes(reader: Reader, nlist: int, code_size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows per list, and the lists that are not empty in their order, checked against the bytes that are left."""
    kind = bytes(reader.array(np.uint8, 4, "the name of the lists"))
    if kind == b"il00":
        return np.zeros(nlist, np.int64), np.empty(0, np.int64)
    if kind != b"ilar":
        raise NotReadHere(f"{reader.path.name}: inverted lists {kind.decode('latin-1')!r} are not read without FAISS")
    lists, size, form = reader.unpack("<QQ4s", "the inverted lists")
    if lists != nlist or size != code_size:
        raise reader.corrupt(
            f"{lists} inverted lists of {size} bytes per vector; {nlist} of {code_size} fit the header"
        )
    sizes = np.zeros(nlist, np.int64)
    if form == b"full":
        given = reader.vector("<u8", "the list sizes", length=nlist)
    elif form == b"sprs":
        pairs = reader.vector("<u8", "the list sizes")
        if len(pairs) % 2 or (len(pairs) and pairs[::2].max() >= nlist):
            raise reader.corrupt(f"its list sizes name lists past {nlist}")
        given = np.zeros(nlist, np.uint64)
        given[pairs[::2].astype(np.int64)] = pairs[1::2]
    else:
        raise reader.corrupt(f"its list sizes are of the unknown form {form!r}")
    if given.max(initial=0) > reader.left:
        raise reader.corrupt(f"a list of {int(given.max()):,} vectors with {reader.left:,} bytes left")
    sizes[:] = given
    reader.need(int(sizes.sum()) * (code_size + 8), "the lists")
    return sizes, np.flatnonzero(sizes)


def _id_map(reader: Reader, name: str, depth: int) -> FaissFile:
    head = _header(reader)
    inner = _block(reader, depth + 1)
    ids = reader.vector("<i8", "the id map", length=inner.count)
    if head.dim != inner.dim:
        raise reader.corrupt(f"an id map of width {head.dim} around an index of width {inner.dim}")
    if inner.ids is not None and inner.count:
        if inner.ids.min() < 0 or inner.ids.max() >= inner.count:
            raise reader.corrupt(f"inner ids {inner.ids.min()}..{inner.ids.max()} lie outside its id map")
        ids = ids[inner.ids]
    return replace(inner, classes=(CLASSES[name], *inner.classes), ids=ids)


def _transformed(reader: Reader, name: str, depth: int) -> FaissFile:
    head = _header(reader)
    count = reader.one("i", "the number of transforms")
    if count != 1:
        raise NotReadHere(f"{reader.path.name}: {count} vector transforms are not read without FAISS; one L2 norm is")
    kind = bytes(reader.array(np.uint8, 4, "the name of a transform"))
    if kind != b"VNrm":
        raise NotReadHere(f"{reader.path.name}: vector transform {kind.decode('latin-1')!r} is not read without FAISS")
    norm, wide_in, wide_out, _ = reader.unpack("<fiiB", "the normalisation")
    inner = _block(reader, depth + 1)
    if norm != 2 or not wide_in == wide_out == head.dim == inner.dim:
        raise reader.corrupt(f"a normalisation by norm {norm} from width {wide_in} to {wide_out} before {inner.dim}")
    return replace(inner, classes=(CLASSES[name], *inner.classes), metric="cosine")


_PARSERS: dict[str, Callable[[Reader, str, int], FaissFile]] = {
    **dict.fromkeys(("IxF2", "IxFI", "IxFl"), _flat),
    "IxSQ": _scalar,
    **dict.fromkeys(("IHNf", "IHNs"), _graph),
    "IwFl": _inverted,
    **dict.fromkeys(("IxMp", "IxM2"), _id_map),
    "IxPT": _transformed,
}


def _hnsw(parsed: FaissFile, block: GraphBlock, rows: NDArray[np.float32], ids: NDArray[np.int64], where: str) -> HNSW:
    starts = block.starts.astype(np.int64)
    offsets = block.offsets.astype(np.int64)
    links = []
    for level in range(block.top + 1 if parsed.count else 0):
        nodes = np.flatnonzero(block.levels > level)
        width = int(starts[level + 1] - starts[level])
        table = block.neighbors[offsets[nodes][:, None] + starts[level] + np.arange(width)]
        empty = table < 0
        counts = np.where(empty.any(axis=1), empty.argmax(axis=1), width)
        links.append(LevelLinks(nodes, table, counts.astype(np.int64)))
    record = GraphRecord(
        parsed.metric, block.links_per_node, max(1, block.ef_construction), block.ef_search, rows, ids,
        np.zeros(parsed.count, bool), block.levels.astype(np.int64) - 1, links, block.entry, block.top,
    )  # fmt: skip
    return index_of(record, where)


def _ivf(parsed: FaissFile, block: ListsBlock, rows: NDArray[np.float32], ids: NDArray[np.int64]) -> IVFFlat:
    check_finite("load", block.centroids, "centroids")
    index = IVFFlat(parsed.metric, nlist=block.nlist, nprobe=block.nprobe)
    return index._of(block.centroids, block.coarse, rows, np.repeat(np.arange(block.nlist), block.sizes), RowIds(ids))


__all__ = ["FaissFile", "GraphBlock", "ListsBlock", "NotReadHere", "parse_faiss", "read_faiss"]
