"""The id dictionary: whether ids can serve as node positions, and if not, which position each one gets.

The rule is the same for every source. Integer ids are positions when they are exactly 0..n-1, so that no node is made
that nobody named; all other ids are numbered in the order of the sorted distinct ids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compute.threads import pieces
from ..errors import IngestError
from ..store.adjacency import id_dtype
from .columns import ColumnFile, IdFile
from .duckdb import batches, rows, run
from .table import not_missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 1 << 21
Complain = Callable[[str, int, str], Exception]


@dataclass
class Ends:
    """Both ends of every edge as positions, the number of nodes, and the user id of each where there are user ids.

    `side` names the column each node comes from, in a bipartite graph; `rule` and `doubts` are for the
    report; doubts are told aloud, too.
    """

    src: ColumnFile
    dst: ColumnFile
    num_nodes: int
    user_ids: NDArray[Any] | None
    rule: str
    side: NDArray[Any] | None = None
    doubts: list[str] = field(default_factory=list)


def integer_ends(
    connection: Any,
    src: IdFile,
    dst: IdFile,
    *,
    rule: str,
    node_ids: NDArray[Any] | None,
    num_nodes: int | None,
    complain: Complain,
) -> Ends:
    """Decide on integer ids and translate them where needed.

    `complain(end, row, problem)` makes the error for an id that is not allowed.
    """
    high = max(src.high, dst.high)
    low = min(src.low, dst.low)
    if node_ids is not None:
        known = np.sort(node_ids)
        if rule != "map" and known.shape[0] and known[0] == 0 and known[-1] == known.shape[0] - 1:
            _check_range(src, dst, known.shape[0], complain, "is not in the node table")
            return Ends(src, dst, known.shape[0], None, "positions, as the node table's ids are 0..n-1")
        return _mapped(src, dst, known, complain, "integers of the node table, kept")
    if rule == "positions":
        if low < 0:
            _check_range(src, dst, high + 1, complain, 'is negative; positions are >= 0 (ids="map" takes any integers)')
        if num_nodes is not None:
            _check_range(src, dst, num_nodes, complain, f"is outside 0..{num_nodes - 1} (num_nodes={num_nodes})")
        return Ends(src, dst, high + 1 if num_nodes is None else num_nodes, None, "positions, as asked for")
    known = _distinct(connection, src, dst)
    if rule == "auto" and low >= 0 and high + 1 == known.shape[0]:
        return Ends(src, dst, high + 1, None, "positions, as they are exactly 0..n-1" if high >= 0 else "none")
    return _mapped(src, dst, known, complain, "integers, kept in a map")


def matrix_ends(
    src: IdFile,
    dst: IdFile,
    shape: tuple[int, int],
    *,
    first: int,
    sides: tuple[str, str] | None,
    complain: Complain,
) -> Ends:
    """Rows and columns of a matrix, counted from `first`: one set of nodes, or two `sides`."""
    for name, file, count in (("src", src, shape[0]), ("dst", dst, shape[1])):
        _check_range(*(file, file), first + count, complain, f"is outside {first}..{first + count - 1}", first, name)
    ends = []
    for file, shift in ((src, -first), (dst, -first + (shape[0] if sides is not None else 0))):
        out = ColumnFile(file.path.with_suffix(".positions"), id_dtype(max(sum(shape), 1)))
        whole = file.view()
        for start in range(0, file.count, _AT_ONCE):
            out.append(whole[start : start + _AT_ONCE].astype(np.int64) + shift)
        ends.append(out)
    if sides is None:
        return Ends(ends[0], ends[1], shape[0], None, "positions, rows and columns of the matrix")
    names = [f"{side}:{i + first}" for side, count in zip(sides, shape, strict=True) for i in range(count)]
    return Ends(ends[0], ends[1], sum(shape), _texts(names), _two_sides(sides), _sides(sides, shape))


def bipartite_ends(connection: Any, src: IdFile, dst: IdFile, sides: tuple[str, str], *, complain: Complain) -> Ends:
    """Two sets of nodes, one after the other: the id 1 of one side is not the id 1 of the other."""
    known = [_distinct(connection, file, file) for file in (src, dst)]
    dtype = id_dtype(max(known[0].shape[0] + known[1].shape[0], 1))
    ends = [
        _positions(file, ids, name, complain, dtype, shift)
        for file, ids, name, shift in ((src, known[0], "src", 0), (dst, known[1], "dst", known[0].shape[0]))
    ]
    names = [f"{side}:{i}" for side, ids in zip(sides, known, strict=True) for i in ids.tolist()]
    counts = (known[0].shape[0], known[1].shape[0])
    return Ends(ends[0], ends[1], sum(counts), _texts(names), _two_sides(sides), _sides(sides, counts))


def _two_sides(sides: tuple[str, str]) -> str:
    return f"two sides, {sides[0]}:... and {sides[1]}:..."


def _sides(sides: tuple[str, str], counts: tuple[int, int]) -> NDArray[Any]:
    return np.repeat(np.array(sides, np.str_), counts)


def _texts(texts: list[str]) -> NDArray[Any]:
    return np.array(texts, np.dtypes.StringDType())


def _distinct(connection: Any, src: IdFile, dst: IdFile) -> NDArray[np.int64]:
    """Sorted distinct ids: from a bitmap where they are dense, else found by DuckDB over the files where they lie."""
    if min(src.low, dst.low) >= 0 and max(src.high, dst.high) < 4 * (src.count + dst.count):
        return _marked(src, dst)
    import pyarrow as pa

    for name, ids in (("src_ids", src.view()), ("dst_ids", dst.view())):
        connection.register(name, pa.table({"id": pa.array(ids)}))
    sql = "SELECT CAST(id AS BIGINT) AS id FROM (SELECT id FROM src_ids UNION SELECT id FROM dst_ids) ORDER BY id"
    parts = [batch.column(0).to_numpy() for batch in batches(connection, sql)]
    for name in ("src_ids", "dst_ids"):
        connection.unregister(name)
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _marked(src: IdFile, dst: IdFile) -> NDArray[np.int64]:
    from . import ids_cpu

    bits = np.zeros((max(src.high, dst.high) >> 6) + 1, np.uint64)
    for ids in (src.view(), dst.view()):
        for a, b in pieces(ids.shape[0], first=_AT_ONCE):
            ids_cpu.mark_bits(ids[a:b], bits)
    parts = []
    for start in range(0, bits.shape[0], 1 << 16):
        some = np.unpackbits(bits[start : start + (1 << 16)].astype("<u8").view(np.uint8), bitorder="little")
        parts.append(np.flatnonzero(some) + (start << 6))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _mapped(src: IdFile, dst: IdFile, known: NDArray[Any], complain: Complain, rule: str) -> Ends:
    """Replace every id by its position among the sorted ids `known`."""
    dtype = id_dtype(max(known.shape[0], 1))
    one, other = (_positions(file, known, name, complain, dtype) for name, file in (("src", src), ("dst", dst)))
    return Ends(one, other, known.shape[0], known, rule)


def _positions(
    ids: IdFile, known: NDArray[Any], name: str, complain: Complain, dtype: Any, shift: int = 0
) -> ColumnFile:
    from . import ids_cpu

    size = max(16, 1 << int(2 * known.shape[0]).bit_length())
    bits = 64 - (size.bit_length() - 1)
    slots = np.full(size, -1, dtype)
    for a, b in pieces(known.shape[0], first=_AT_ONCE):
        ids_cpu.fill_slots(known[a:b], a, slots, bits)
    out = ColumnFile(ids.path.with_suffix(".positions"), dtype)
    whole = ids.view()
    for start in range(0, ids.count, _AT_ONCE):
        part = whole[start : start + _AT_ONCE]
        found = np.empty(part.shape[0], dtype)
        ids_cpu.find_positions(known, slots, bits, part, found)
        if found.min() < 0:
            row = int(np.argmax(found < 0))
            raise complain(name, start + row, f"is {part[row]}, which is not in the node table")
        out.append(found + dtype(shift) if shift else found)
    return out


def _check_range(
    src: IdFile, dst: IdFile, limit: int, complain: Complain, problem: str, first: int = 0, only: str | None = None
) -> None:
    for name, ids in (("src", src), ("dst", dst)):
        if not ids.count or (only is not None and only != name):
            continue
        whole = ids.view()
        if (int(whole.min()) if first else ids.low) < first or ids.high >= limit:
            row = int(np.argmax((whole < first) | (whole >= limit)))
            raise complain(name, row, f"is {whole[row]}, which {problem}")


def text_ends(
    connection: Any,
    scratch: Path,
    *,
    node_ids: NDArray[Any] | None,
    sides: tuple[str, str] | None = None,
    complain: Complain,
) -> Ends:
    """Translate text ids by a join; the edges wait in the table `staged` as columns `src` and `dst`.

    With `sides`, ids of the two columns are two sets of nodes, of which the first comes first.
    """
    import pyarrow as pa

    if sides is not None:
        run(
            connection,
            "CREATE TABLE ids AS SELECT side, id FROM (SELECT DISTINCT 0 AS side, src AS id FROM staged UNION ALL "
            "SELECT DISTINCT 1 AS side, dst AS id FROM staged) ORDER BY side, id",
        )
    elif node_ids is None:
        run(
            connection,
            "CREATE TABLE ids AS SELECT id FROM (SELECT src AS id FROM staged UNION SELECT dst FROM staged) "
            "ORDER BY id",
        )
    else:
        connection.register("node_ids", pa.table({"id": pa.array(node_ids.tolist(), pa.large_string())}))
        run(connection, "CREATE TABLE ids AS SELECT CAST(id AS VARCHAR) AS id FROM node_ids ORDER BY id")
        connection.unregister("node_ids")
    num_edges = rows(connection, "SELECT count(*) FROM staged")[0][0]
    num_nodes = rows(connection, "SELECT count(*) FROM ids")[0][0]
    dtype = id_dtype(max(num_nodes, 1))
    files = [ColumnFile(scratch / f"{name}.positions", dtype) for name in ("src", "dst")]
    for file in files:
        for start in range(0, num_edges, _AT_ONCE):
            file.append(np.zeros(min(_AT_ONCE, num_edges - start), dtype))
    views = [file.view() for file in files]
    # A join may hand its rows out in any order, so every row says where it belongs.
    sql = (
        "SELECT staged.rowid AS at, coalesce(a.rowid, -1) AS src, coalesce(b.rowid, -1) AS dst FROM staged "
        "LEFT JOIN ids AS a ON staged.src = a.id{} LEFT JOIN ids AS b ON staged.dst = b.id{}"
    ).format(*("", "") if sides is None else (" AND a.side = 0", " AND b.side = 1"))
    for batch in batches(connection, sql):
        at = batch.column(0).to_numpy()
        for view, column in zip(views, batch.columns[1:], strict=True):
            view[at] = column.to_numpy()
    for name, view in zip(("src", "dst"), views, strict=True):
        if node_ids is not None and view.shape[0] and view.min() < 0:
            row = int(np.argmin(view))
            value = rows(connection, f"SELECT {name} FROM staged WHERE rowid = {row}")[0][0]
            raise complain(name, row, f"is {value!r}, which is not in the node table")
    texts: list[str] = []
    for batch in batches(connection, "SELECT id FROM ids ORDER BY rowid"):
        texts.extend(batch.column(0).to_pylist())
    doubts = _like_missing(connection)
    if sides is None:
        return Ends(files[0], files[1], num_nodes, _texts(texts), "text, kept in a map", None, doubts)
    first = rows(connection, "SELECT count(*) FROM ids WHERE side = 0")[0][0]
    texts = [f"{sides[row >= first]}:{text}" for row, text in enumerate(texts)]
    side = _sides(sides, (first, num_nodes - first))
    return Ends(files[0], files[1], num_nodes, _texts(texts), _two_sides(sides), side, doubts)


def _like_missing(connection: Any) -> list[str]:
    """A doubt about ids that other tables write for a missing value."""
    found = rows(connection, f"SELECT DISTINCT id FROM ids WHERE NOT {not_missing('id')} ORDER BY id LIMIT 4")
    if not found:
        return []
    listed = ", ".join(repr(word) for (word,) in found)
    return [f"ids such as {listed} are nodes like any other; leave their rows out where they stand for no end"]


def check_mixture(connection: Any, rule: str, complain: Complain) -> None:
    """Refuse a text column that is an integer column with a few bad rows: most of its ids are whole numbers."""
    if rule in ("map", "text"):
        return
    for name in ("src", "dst"):
        whole = f"regexp_full_match({name}, '\\s*[+-]?\\d+\\s*')"
        count, total, wide = rows(
            connection,
            f"SELECT count(*) FILTER ({whole}), count(*), min(rowid) FILTER ({whole} AND TRY_CAST({name} AS BIGINT) IS "
            "NULL) FROM staged",
        )[0]
        if rule == "auto" and count == total and wide is not None:
            value = rows(connection, f"SELECT {name} FROM staged WHERE rowid = {wide}")[0][0]
            raise complain(
                name, wide, f'is {value!r}, not an integer id of 64 bits (ids="map" or "text" keeps such ids)'
            )
        if rule == "auto" and (count == total or 2 * count <= total):
            continue
        bad = rows(connection, f"SELECT rowid, {name} FROM staged WHERE NOT {whole} ORDER BY rowid LIMIT 1")
        if not bad:
            raise IngestError(f'{name} ids are stored as text, so they cannot be positions; use ids="map" or "auto"')
        row, value = bad[0]
        raise complain(
            name,
            row,
            f'is {value!r}, but {count:,} of {total:,} ids are integers; mend it, or use ids="map" for text ids',
        )
