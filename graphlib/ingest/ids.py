"""The id dictionary: whether ids can serve as node positions, and if not, which position each one gets.

The rule is the same for every source. Integer ids are positions when none is negative and the largest is less than
twice the number of distinct ids; all other ids are numbered in the order of the sorted distinct ids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import IngestError
from ..store.adjacency import id_dtype
from .columns import ColumnFile, IdFile
from .duckdb import batches, rows, run

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 1 << 21
Complain = Callable[[str, int, str], Exception]


@dataclass
class Ends:
    """Both ends of every edge as positions, the number of nodes, and the user id of each where there are user ids."""

    src: ColumnFile
    dst: ColumnFile
    num_nodes: int
    user_ids: NDArray[Any] | None


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
            return Ends(src, dst, known.shape[0], None)
        return _mapped(src, dst, known, complain)
    if rule == "positions":
        if low < 0:
            _check_range(src, dst, high + 1, complain, 'is negative; positions are >= 0 (ids="map" takes any integers)')
        if num_nodes is not None:
            _check_range(src, dst, num_nodes, complain, f"is outside 0..{num_nodes - 1} (num_nodes={num_nodes})")
        return Ends(src, dst, high + 1 if num_nodes is None else num_nodes, None)
    if rule == "auto" and low >= 0 and high < 2 * _count_distinct(src, dst, high):
        return Ends(src, dst, high + 1, None)
    return _mapped(src, dst, _distinct(connection, src, dst), complain)


def _count_distinct(src: IdFile, dst: IdFile, high: int) -> int:
    """Distinct ids, or 0 where there are too few edges for the ids to be dense."""
    from . import ids_cpu as ingest_cpu

    if high >= 4 * src.count:
        return 0
    bits = np.zeros((high >> 6) + 1, np.uint64)
    for ids in (src.view(), dst.view()):
        ingest_cpu.mark_bits(ids, bits)
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


def _distinct(connection: Any, src: IdFile, dst: IdFile) -> NDArray[np.int64]:
    """Sorted distinct ids, found by DuckDB over the files where they lie."""
    import pyarrow as pa

    for name, ids in (("src_ids", src.view()), ("dst_ids", dst.view())):
        connection.register(name, pa.table({"id": pa.array(ids)}))
    sql = "SELECT CAST(id AS BIGINT) AS id FROM (SELECT id FROM src_ids UNION SELECT id FROM dst_ids) ORDER BY id"
    parts = [batch.column(0).to_numpy() for batch in batches(connection, sql)]
    for name in ("src_ids", "dst_ids"):
        connection.unregister(name)
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _mapped(src: IdFile, dst: IdFile, known: NDArray[Any], complain: Complain) -> Ends:
    """Replace every id by its position among the sorted ids `known`."""
    from . import ids_cpu as ingest_cpu

    size = max(16, 1 << int(2 * known.shape[0]).bit_length())
    shift = 64 - (size.bit_length() - 1)
    dtype = id_dtype(max(known.shape[0], 1))
    slots = np.full(size, -1, dtype)
    ingest_cpu.fill_slots(known, slots, shift)
    ends = []
    for name, ids in (("src", src), ("dst", dst)):
        out = ColumnFile(ids.path.with_suffix(".positions"), dtype)
        whole = ids.view()
        for start in range(0, ids.count, _AT_ONCE):
            part = whole[start : start + _AT_ONCE]
            found = np.empty(part.shape[0], dtype)
            ingest_cpu.find_positions(known, slots, shift, part, found)
            if found.min() < 0:
                row = int(np.argmax(found < 0))
                raise complain(name, start + row, f"is {part[row]}, which is not in the node table")
            out.append(found)
        ends.append(out)
    return Ends(ends[0], ends[1], known.shape[0], known)


def _check_range(src: IdFile, dst: IdFile, limit: int, complain: Complain, problem: str) -> None:
    for name, ids in (("src", src), ("dst", dst)):
        if ids.low < 0 or ids.high >= limit:
            whole = ids.view()
            row = int(np.argmax((whole < 0) | (whole >= limit)))
            raise complain(name, row, f"is {whole[row]}, which {problem}")


def text_ends(connection: Any, scratch: Path, *, node_ids: NDArray[Any] | None, complain: Complain) -> Ends:
    """Translate text ids by a join; the edges wait in the table `staged` as columns `src` and `dst`."""
    import pyarrow as pa

    if node_ids is None:
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
        "LEFT JOIN ids AS a ON staged.src = a.id LEFT JOIN ids AS b ON staged.dst = b.id"
    )
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
    for batch in batches(connection, "SELECT id FROM ids"):
        texts.extend(batch.column(0).to_pylist())
    return Ends(files[0], files[1], num_nodes, np.array(texts, np.dtypes.StringDType()))


def check_mixture(connection: Any, rule: str, complain: Complain) -> None:
    """Refuse a text column that is an integer column with a few bad rows: most of its ids are whole numbers."""
    if rule == "map":
        return
    whole = r"regexp_full_match({0}, '\s*[+-]?\d+\s*')"
    for name in ("src", "dst"):
        test = whole.format(name)
        count, total = rows(connection, f"SELECT count(*) FILTER ({test}), count(*) FROM staged")[0]
        if rule == "auto" and (count == total or 2 * count <= total):
            continue
        bad = rows(connection, f"SELECT rowid, {name} FROM staged WHERE NOT {test} ORDER BY rowid LIMIT 1")
        if not bad:
            raise IngestError(f'{name} ids are stored as text, so they cannot be positions; use ids="map" or "auto"')
        row, value = bad[0]
        raise complain(
            name,
            row,
            f'is {value!r}, but {count:,} of {total:,} ids are integers; mend it, or use ids="map" for text ids',
        )
