"""Ingest: edges from files, tables, arrays or other libraries' graphs into a store, in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..disk.replacing import scratch_folder
from ..errors import IngestError, InvalidInput, StoreExists
from ..store.store import GraphStore
from .columns import ColumnFile, IdFile, to_numpy
from .duckdb import connect, ident, parse_bytes, rows, run
from .ids import Ends, check_mixture, integer_ends, text_ends
from .nodes import NodeTable, read_nodes
from .roles import Roles, choose_roles, expression
from .sources import Table, open_source

if TYPE_CHECKING:
    from numpy.typing import NDArray

Progress = Callable[[str, int], None]


def ingest(
    source: Any,
    path: str | Path | None = None,
    *,
    src: str | int | None = None,
    dst: str | int | None = None,
    weight: str | None = None,
    time: str | None = None,
    columns: str | Sequence[str] = "auto",
    nodes: Any = None,
    node_id: str | None = None,
    directed: bool | None = None,
    ids: str = "auto",
    num_nodes: int | None = None,
    sorted: bool = False,
    header: bool | str = "auto",
    delimiter: str | None = None,
    memory_limit: str | int = "2GiB",
    threads: int = 2,
    progress: Progress | None = None,
) -> GraphStore:
    """Make a store of the edges in `source`. Edge i of the store is row i of the source.

    Parameters
    ----------
    source : path, table, arrays or graph
        A CSV, TSV or blank-separated text file (also gzip), Parquet or Arrow IPC file, folder or glob of CSV or Parquet
        files, MatrixMarket file, `.npy` or `.npz`; a table of pyarrow, pandas or polars; a pair of arrays or one array
        (num_edges, 2) or (2, num_edges); a mapping of columns; a SciPy sparse matrix; a NetworkX, PyG or DGL graph; a
        list of pairs.
    path : path, optional
        Where the store is written; in memory by default. It must not exist, and appears whole at the end, or not at
        all.
    src, dst : column names, or positions counted from 0, optional
        By default columns named src/dst, source/target, u/v or from/to, else the first two.
    weight, time : column names, optional
        Weights are kept as float32. Integer times are kept, dates and timestamps become microseconds since 1970.
    columns : "auto" or list of names
        Further columns to keep on the edges. "auto" keeps all that hold numbers, booleans or dates.
    nodes, node_id : source and column name, optional
        A table with one row per node; its columns (also text) become node columns. `node_id` is its first column by
        default. Every end of an edge must be in it.
    directed : bool, optional
        By default what the source says of itself (MatrixMarket, SciPy, NetworkX, PyG, DGL), else False.
    ids : {"auto", "map", "positions"}
        "positions": ids are node positions. "map": nodes are numbered in the order of the sorted distinct ids, which
        are kept as user ids. "auto": positions where ids are integers >= 0 whose largest is less than twice the number
        of distinct ids, else a map.
    num_nodes : int, optional
        Number of nodes, where some have no edges; only with ids="positions".
    sorted : bool, default False
        Refuse times that are not ascending.
    header, delimiter
        For text files; found by looking at the file. `delimiter` is one character, or "whitespace" for runs of blanks.
    memory_limit : str or int, default "2GiB"
        What the ingest may keep in memory, beside the id map and, without `path`, the store itself. At least 256 MiB.
    threads : int, default 2
        Threads that parse.
    progress : callable, optional
        Called with what is being done and the rows done so far.

    Raises
    ------
    IngestError
        A row that cannot become an edge, by file and line or row (rows count from 0) and value.
    InvalidInput, InvalidType, StoreMissing, StoreExists
        Options, source or path that cannot be used.

    Notes
    -----
    Parsing, type inference and the dictionary of ids are DuckDB's, which gets half of `memory_limit` and spills to a
    folder beside `path`; columns go batch by batch into files that are mapped, not read. Time O(rows), and O(n log n)
    for n ids that need a map.

    Examples
    --------
    >>> import nearhop
    >>> with open("trips.csv", "w") as out:
    ...     _ = out.write("from,to,km\\nParis,Lyon,466\\nLyon,Nice,472\\n")
    >>> store = nearhop.ingest("trips.csv", weight="km", directed=True)
    >>> store.ids().tolist(), store.edge_list().src.tolist(), store.edge_list().weight.tolist()
    (['Lyon', 'Nice', 'Paris'], [2, 0], [466.0, 472.0])
    """
    limit = parse_bytes(memory_limit)
    _check_options(ids, directed, num_nodes, nodes, node_id, time, sorted)
    target = None if path is None else Path(path)
    if target is not None and (target.exists() or target.is_symlink()):
        raise StoreExists(f"{target} exists; ingest makes new stores only (choose another path or remove it)")
    converted = _from_graph(source, directed=directed, weight=weight, time=time)
    if converted is not None:
        _refuse_table_options(source, src=src, dst=dst, nodes=nodes, num_nodes=num_nodes, columns=columns)
        return converted if target is None else converted.save(target)
    beside = None if target is None else target.absolute().parent
    if beside is not None:
        beside.mkdir(parents=True, exist_ok=True)
    with scratch_folder(beside, target) as scratch, contextlib.closing(connect(scratch, limit, threads)) as connection:
        table = open_source(connection, source, view="edge_source", header=header, delimiter=delimiter, scratch=scratch)
        roles = choose_roles(table, src=src, dst=dst, weight=weight, time=time, columns=columns)
        node_table = None
        if nodes is not None:
            other = open_source(
                connection, nodes, view="node_source", header=header, delimiter=delimiter, scratch=scratch
            )
            node_table = read_nodes(other, node_id)
        job = _Job(connection, scratch, table, roles, ids, sorted, progress or (lambda what, done: None))
        store = job.build(node_table, num_nodes, directed, in_memory=target is None)
        connection.close()  # its buffers make room for the adjacency that `save` builds
        return store if target is None else store.save(target)


@dataclass
class _Job:
    connection: Any
    scratch: Path
    table: Table
    roles: Roles
    rule: str
    sorted: bool
    progress: Progress

    def build(
        self, nodes: NodeTable | None, num_nodes: int | None, directed: bool | None, *, in_memory: bool
    ) -> GraphStore:
        as_text = self._ids_are_text(nodes)
        select = {role: expression(self.table, role, column, as_text) for role, column in self.roles.items()}
        if as_text:
            self.progress("reading", 0)
            self._stage(select)
            select = {role: ident(role) for role in select if role not in ("src", "dst")}
        files = self._read(select, staged=as_text)
        self.progress("numbering the nodes", files_count(files))
        ends = self._ends(files, nodes, num_nodes, as_text)
        arrays = {role: file.finish(in_memory) for role, file in files.items() if role not in ("src", "dst")}
        store = GraphStore.from_edges(
            ends.src.finish(in_memory),
            ends.dst.finish(in_memory),
            num_nodes=ends.num_nodes,
            directed=bool(self.table.directed) if directed is None else directed,
            weight=arrays.pop("weight", None),
            time=arrays.pop("time", None),
        )
        for role, array in arrays.items():
            store.edges[role.partition(":")[2]] = array
        if ends.user_ids is not None:
            store.set_ids(ends.user_ids)
        if nodes is not None:
            nodes.put_columns(store, ends.user_ids)
        if self.roles.time is not None and self.table.kinds[self.roles.time] == "date":
            store.attributes["time_unit"] = "us"
        return store

    def _ids_are_text(self, nodes: NodeTable | None) -> bool:
        kinds = {end: self.table.kinds[column] for end, column in (("src", self.roles.src), ("dst", self.roles.dst))}
        given = set(kinds.values()) | ({nodes.id_kind} if nodes is not None else set())
        if given == {"text"} or (self.rule == "map" and "text" in given and nodes is None):
            return True
        if "text" not in given:
            return False
        described = ", ".join(f"{end} column {c!r} holds {self.table.kinds[c]}" for end, c in self.roles.ends().items())
        if nodes is not None:
            described += f", node ids hold {nodes.id_kind}"
        for end, column in self.roles.ends().items():
            if kinds[end] == "text":
                self._find_text(end, column, described)
        raise IngestError(f"{self.table.name}: {described} ids; they must agree")

    def _find_text(self, end: str, column: str, described: str) -> None:
        row = 0
        for batch in self.table.read({"id": self.table.integer(column)}):
            _, null = to_numpy(batch.column(0))
            if null is not None:
                at = row + int(np.argmax(null))
                value = self.table.value(column, at)
                raise IngestError(
                    f"{self.table.place(at)}: {end} {column!r} is {value!r}, not an integer ({described}); mend it, or "
                    'use ids="map" to take all ids as text'
                )
            row += batch.num_rows

    def _complain(self, end: str, row: int, problem: str) -> IngestError:
        column = self.roles.ends()[end]
        return IngestError(f"{self.table.place(row)}: {end} {column!r} {problem}")

    def _stage(self, select: dict[str, str]) -> None:
        """Text ids are read twice, so the source goes into a table first, once parsed."""
        listed = ", ".join(f"{sql} AS {ident(role)}" for role, sql in select.items())
        run(self.table.ready(), f"CREATE TABLE staged AS SELECT {listed} FROM {self.table.relation}")
        for end in ("src", "dst"):
            missing = rows(self.connection, f"SELECT min(rowid) FROM staged WHERE {end} IS NULL")[0][0]
            if missing is not None:
                raise self._complain(end, missing, "is NULL; every edge needs both ends")
        check_mixture(self.connection, self.rule, self._complain)

    def _read(self, select: dict[str, str], *, staged: bool) -> dict[str, ColumnFile]:
        """Stream every column into its file, checking values on the way."""
        files: dict[str, ColumnFile] = {}
        if not select:
            return files
        source = Table(self.table.name, self.connection, "staged", self.table.place) if staged else self.table
        done, last_time = 0, None
        checked: set[str] = set()
        for batch in source.read(select):
            for number, role in enumerate(select):
                values, null = to_numpy(batch.column(number))
                if role in ("src", "dst"):
                    values = self._check_ids(role, values, null, done)
                    file = files.get(role) or IdFile(self.scratch / f"{number}.bin")
                    files[role] = file
                    file.append(values)
                    continue
                if role in ("weight", "time"):
                    values = self._check_value(role, values, null, done)
                    if role == "time" and self.sorted:
                        last_time = self._check_order(values, last_time, done)
                    null = None
                elif null is not None and self.table.all_text and role not in checked:
                    self._check_readable(role)
                    checked.add(role)
                if role not in files:
                    files[role] = ColumnFile(self.scratch / f"{number}.bin", values.dtype)
                files[role].append(values, null)
            done += batch.num_rows
            self.progress("reading", done)
        for number, role in enumerate(select):  # a source without rows
            if role not in files:
                path = self.scratch / f"{number}.bin"
                files[role] = IdFile(path) if role in ("src", "dst") else ColumnFile(path, np.float64)
        return files

    def _check_ids(self, end: str, values: NDArray[Any], null: NDArray[Any] | None, done: int) -> NDArray[Any]:
        bad = np.zeros(values.shape[0], bool) if null is None else null
        if values.dtype.kind == "f":
            bad = bad | ~(np.abs(values) < 2.0**53) | (values != np.floor(values))
            values = np.where(bad, 0, values).astype(np.int64)
        if (null is not None or values.dtype.kind == "f" or bad.any()) and bad.any():
            row = done + int(np.argmax(bad))
            value = self.table.value(self.roles.ends()[end], row)
            problem = "is NULL; every edge needs both ends" if value is None else f"is {value!r}, not an integer id"
            raise self._complain(end, row, problem)
        return values - self.table.first_id if self.table.first_id else values

    def _check_value(self, role: str, values: NDArray[Any], null: NDArray[Any] | None, done: int) -> NDArray[Any]:
        bad = np.zeros(values.shape[0], bool) if null is None else null
        if role == "weight":
            with np.errstate(over="ignore"):
                values = values.astype(np.float32)
        if values.dtype.kind == "f":
            bad = bad | ~np.isfinite(values)
        if bad.any():
            row = done + int(np.argmax(bad))
            column = self.roles.weight if role == "weight" else self.roles.time
            value = self.table.value(column or "", row)
            told = "NULL" if value is None else repr(value)
            raise IngestError(f"{self.table.place(row)}: {role} {column!r} is {told}; every edge needs a finite {role}")
        return values

    def _check_readable(self, role: str) -> None:
        """A cell that holds something must hold what the column holds; only empty cells are missing values."""
        column = role.partition(":")[2]
        sql, row = expression(self.table, role, column, False), 0
        for batch in self.table.read({"bad": f"{ident(column)} IS NOT NULL AND {sql} IS NULL"}):
            bad = batch.column(0).to_numpy(zero_copy_only=False)
            if bad.any():
                row += int(np.argmax(bad))
                raise IngestError(
                    f"{self.table.place(row)}: column {column!r} is {self.table.value(column, row)!r}, where it holds "
                    f"{self.table.kinds[column]} before; mend it, or leave the column out with columns=[...]"
                )
            row += batch.num_rows

    def _check_order(self, values: NDArray[Any], last: Any, done: int) -> Any:
        before = values[:1] if last is None else np.array([last], values.dtype)
        back = np.concatenate([before, values[:-1]]) > values
        if back.any():
            row = done + int(np.argmax(back))
            raise IngestError(
                f"{self.table.place(row)}: time {self.roles.time!r} is {values[row - done]}, earlier than the row "
                "before; sort the source, or leave out sorted=True"
            )
        return values[-1] if values.shape[0] else last

    def _ends(
        self, files: dict[str, ColumnFile], nodes: NodeTable | None, num_nodes: int | None, as_text: bool
    ) -> Ends:
        node_ids = None if nodes is None else nodes.ids
        if as_text:
            return text_ends(self.connection, self.scratch, node_ids=node_ids, complain=self._complain)
        src, dst = files["src"], files["dst"]
        if not isinstance(src, IdFile) or not isinstance(dst, IdFile):
            raise TypeError("ids are written to an IdFile")
        if self.table.num_nodes is not None and node_ids is None and self.rule != "map":
            return integer_ends(
                self.connection,
                *(src, dst),
                rule="positions",
                node_ids=None,
                num_nodes=self.table.num_nodes,
                complain=self._complain,
            )
        return integer_ends(
            self.connection,
            *(src, dst),
            rule=self.rule,
            node_ids=node_ids,
            num_nodes=num_nodes,
            complain=self._complain,
        )


def files_count(files: dict[str, ColumnFile]) -> int:
    """Rows read so far."""
    return max((file.count for file in files.values()), default=0)


def _check_options(
    ids: str, directed: Any, num_nodes: Any, nodes: Any, node_id: Any, time: str | None, sorted: bool
) -> None:
    if ids not in ("auto", "map", "positions"):
        raise InvalidInput(f'ids must be "auto", "map" or "positions"; got {ids!r}')
    if directed not in (None, True, False):
        raise InvalidInput(f"directed must be True, False or None (what the source says); got {directed!r}")
    if num_nodes is not None and (ids != "positions" or nodes is not None):
        raise InvalidInput('num_nodes goes with ids="positions" and without a node table')
    if node_id is not None and nodes is None:
        raise InvalidInput("node_id names a column of the node table; give nodes=... too")
    if sorted and time is None:
        raise InvalidInput("sorted=True checks times; name their column with time=...")


def _from_graph(source: Any, *, directed: bool | None, weight: str | None, time: str | None) -> GraphStore | None:
    """The store of another library's graph, or None where the source is a table."""
    from ..convert import convert

    top = type(source).__module__.partition(".")[0]
    if isinstance(source, str | Path) and Path(source).suffix == ".npz" and Path(source).is_file():
        source = convert.read_sparse_npz(Path(source))
        top = "" if source is None else "scipy"
    if top == "scipy":
        if time is not None or weight is not None:
            raise InvalidInput("weight and time name columns; the weights of a sparse matrix are its values")
        return convert.from_scipy(source, directed=directed)
    if top == "networkx":
        return convert.from_networkx(source, directed=directed, weight=weight, time=time)
    if top == "torch_geometric":
        return convert.from_pyg(source, directed=directed, weight=weight, time=time)
    if top == "dgl":
        return convert.from_dgl(source, directed=directed, weight=weight, time=time)
    return None


def _refuse_table_options(source: Any, **given: Any) -> None:
    used = [name for name, value in given.items() if value is not None and not (name == "columns" and value == "auto")]
    if used:
        raise InvalidInput(
            f"{', '.join(used)}: not for a {type(source).__name__}, which says itself what its edges are"
        )


__all__ = ["ingest"]
