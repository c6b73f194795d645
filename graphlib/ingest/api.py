"""Ingest: edges from files, tables, arrays or other libraries' graphs into a store, in bounded memory."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..disk.replacing import scratch_folder
from ..errors import InvalidInput, InvalidType, StoreExists, StoreMissing
from ..sizes import parse_bytes
from ..store.ingest_report import KEY
from .duckdb import connect
from .graphs import from_graph
from .job import Job, Progress
from .nodes import NodeTable, read_nodes
from .report import of_table
from .roles import choose_roles
from .sources import open_source
from .table import KINDS
from .text.header import TWO_KINDS, plain
from .text.layout import TextOptions

if TYPE_CHECKING:
    from ..store.store import GraphStore

_RULES = ("auto", "map", "text", "positions")


def ingest(
    source: Any,
    path: str | Path | None = None,
    *,
    src: str | int | None = None,
    dst: str | int | None = None,
    weight: str | None = None,
    time: str | None = None,
    columns: str | Sequence[str] = "auto",
    types: Mapping[str, str] | None = None,
    nodes: Any = None,
    node_id: str | None = None,
    directed: bool | None = None,
    bipartite: bool | None = None,
    ids: str = "auto",
    num_nodes: int | None = None,
    sorted: bool = False,
    header: bool | str = "auto",
    delimiter: str | None = None,
    quote: str | None = None,
    comment: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    node_text: Mapping[str, Any] | None = None,
    memory_limit: str | int = "2GiB",
    threads: int = 2,
    progress: Progress | None = None,
) -> GraphStore:
    """Make a store of the edges in `source`. Edge i of the store is row i of the source.

    Nothing is guessed silently: what was taken for what is in the store's `ingest_report`, every decision has an
    option here, and what cannot be decided is an error that shows the first lines and names the option.

    Parameters
    ----------
    source : path, table, arrays or graph
        A CSV, TSV or blank-separated text file (also compressed with gzip, bzip2, xz or zstd), Parquet or Arrow IPC
        file, folder or glob of text or Parquet files, MatrixMarket file, `.npy` or `.npz`; GraphML, GML, GEXF or Pajek
        (with the extra `networkx`); a table of pyarrow, pandas or polars; a pair of arrays or one array (num_edges, 2)
        or (2, num_edges); a torch `edge_index`; a mapping of columns; a SciPy or torch sparse matrix; a NetworkX, PyG
        or DGL graph; a list of pairs. A name that exists is that file, whatever characters it holds.
    path : path, optional
        Where the store is written; in memory by default. It must not exist, and appears whole at the end, or not at
        all.
    src, dst : column names, or positions counted from 0, optional
        By default columns with the names of ends (src/dst, source/target, user/item, follower/followee, ...), else the
        first two, unless their names or kinds speak against it.
    weight, time : column names, optional
        Weights are kept as float32. Integer times are kept; dates and timestamps become microseconds since 1970 in UTC,
        or nanoseconds where there are any (the attribute `time_unit` says which).
    columns : "auto" or list of names
        Further columns to keep on the edges. "auto" keeps all that hold numbers, booleans, dates, text or vectors
        (lists of as many numbers in every row, arrays of two dimensions).
    types : mapping from a column's name to "integer", "float", "bool", "date" or "text", optional
        Kinds that are not to be found out: {"zip": "text"}.
    nodes, node_id : source and column name, optional
        A table with one row per node; its columns become node columns. `node_id` is its first column by default. Every
        end of an edge must be in it.
    directed : bool, optional
        By default what the source says of itself (MatrixMarket, SciPy, NetworkX, PyG, DGL), else False.
    bipartite : bool, optional
        True: `src` and `dst` are two sets of nodes, so that user 1 is not item 1. User ids are then texts, the column's
        name before the id ("user:1", "item:1"), sources come first, and the node column "side" names the column.
        False: one set of nodes. By default one set, with a warning where the columns are known as two kinds and share
        ids.
    ids : {"auto", "map", "text", "positions"}
        "positions": ids are node positions. "map": nodes are numbered in the order of the sorted distinct ids, which
        are kept as user ids: integers where all are written as integers of 64 bits, else text. "text": kept as they are
        written but for blanks around them, so that 007 is not 7. "auto": positions where the ids are exactly 0..n-1,
        else a map; text among integers is an error.
    num_nodes : int, optional
        Number of nodes, where some have no edges; only with ids="positions".
    sorted : bool, default False
        Refuse times that are not ascending.
    header : bool, "first" or "auto"
        For text files, as all options down to `decimal`: whether the first line of each file names the columns, or that
        of the first file only.
    delimiter : str, optional
        One to four characters, or "whitespace" for runs of blanks and tabs.
    quote : str, optional
        The character around cells that hold the delimiter, `"` or `'`; "" takes quotes as text.
    comment : str, optional
        Lines that begin with it are left out; "" for none. By default "#" and "%", where the file begins with such
        lines.
    encoding : str, optional
        By default UTF-8, or what a byte-order mark says.
    decimal : {".", ","}, optional
        The decimal mark. By default a comma in columns in which every cell has one or is whole.
    node_text : mapping, optional
        The options `header` to `decimal` for the node table: {"header": False}.
    memory_limit : str or int, default "2GiB"
        What the ingest may keep in memory, beside the id map and, without `path`, the store itself. At least 256 MiB.
    threads : int, default 2
        Threads that parse.
    progress : callable, optional
        Called with what is being done and the rows done so far.

    Raises
    ------
    IngestError
        A row that cannot become an edge, by file and line or row (rows count from 0) and value; a file that can be read
        in more than one way, or not at all.
    InvalidInput, InvalidType, StoreMissing, StoreExists
        Options, source or path that cannot be used.

    Notes
    -----
    Parsing, type inference and the dictionary of ids are DuckDB's, which gets half of `memory_limit` and spills to a
    folder beside `path`; columns go batch by batch into files that are mapped, not read. A text file is read once
    before, for what its head cannot tell (`docs/ingest.md` has the procedure). Time O(rows), and O(n log n) for n ids
    that need a map.

    Examples
    --------
    >>> import nearhop
    >>> with open("trips.csv", "w") as out:
    ...     _ = out.write("from,to,km\\nParis,Lyon,466\\nLyon,Nice,472\\n")
    >>> store = nearhop.ingest("trips.csv", weight="km", directed=True)
    >>> store.ids().tolist(), store.edge_list().src.tolist(), store.edge_list().weight.tolist()
    (['Lyon', 'Nice', 'Paris'], [2, 0], [466.0, 472.0])
    >>> store.ingest_report.roles
    {'src': 'from (text)', 'dst': 'to (text)', 'weight': 'km (integer)'}
    """
    limit = parse_bytes(memory_limit)
    text = TextOptions(header, delimiter, quote, comment, encoding, decimal).checked()
    other_text = _node_options(node_text, nodes)
    _check_options(ids, directed, bipartite, num_nodes, nodes, node_id, time, sorted, types)
    target = None if path is None else Path(path)
    if target is not None and (target.exists() or target.is_symlink()):
        raise StoreExists(f"{target} exists; ingest makes new stores only (choose another path or remove it)")
    found = from_graph(source, directed=directed, weight=weight, time=time)
    if found is not None:
        store, report = found
        used = {"src": src, "dst": dst, "nodes": nodes, "num_nodes": num_nodes, "bipartite": bipartite, "types": types}
        _refuse_table_options(report.source, {**used, "columns": None if columns == "auto" else columns})
        store.attributes[KEY] = report.to_dict()
        return store if target is None else store.save(target)
    beside = None if target is None else target.absolute().parent
    if beside is not None and not beside.is_dir():
        raise StoreMissing(
            f"the folder {beside} {'is not a folder' if beside.exists() else 'does not exist; make it first'}"
        )
    with scratch_folder(beside, target) as scratch, contextlib.closing(connect(scratch, limit, threads)) as connection:
        table = open_source(
            connection,
            source,
            view="edge_source",
            text=text,
            types=types or {},
            scratch=scratch,
            ends_given=src is not None,
            rectangular=bool(bipartite),
        )
        roles = choose_roles(table, src=src, dst=dst, weight=weight, time=time, columns=columns)
        node_table: NodeTable | None = None
        remarks = []
        if nodes is not None:
            other = open_source(
                connection, nodes, view="node_source", text=other_text, types={}, scratch=scratch, least_columns=1
            )
            node_table = read_nodes(other, node_id, ids)
            remarks += [f"nodes: {remark}" for remark in other.remarks]
        job = Job(
            connection,
            scratch,
            table,
            roles,
            ids,
            sorted,
            bipartite,
            progress or (lambda what, done: None),
        )
        store = job.build(node_table, num_nodes, directed, in_memory=target is None)
        doubts = job.doubts
        if bipartite is None and node_table is None:
            doubts += _share_ids(store, roles.src, roles.dst)
        for told in doubts:
            warnings.warn(f"ingest: {told}", UserWarning, stacklevel=2)
        remarks += doubts
        store.attributes[KEY] = of_table(job, store, node_table, directed, remarks).to_dict()
        connection.close()  # its buffers make room for the adjacency that `save` builds
        return store if target is None else store.save(target)


def _share_ids(store: GraphStore, src: str, dst: str) -> list[str]:
    """A doubt where users and items, by the names of their columns, have ids in common."""
    if (plain(src), plain(dst)) not in TWO_KINDS:
        return []
    edges = store.edge_list()
    seen = np.zeros(store.num_nodes, np.uint8)
    seen[edges.src] |= 1
    seen[edges.dst] |= 2
    both = int((seen == 3).sum())
    if not both:
        return []
    told = (
        f"ids that stand in both columns {src!r} and {dst!r} ({both:,} of them) are one node each; bipartite=True "
        "keeps the two sides apart; bipartite=False says that they are the same"
    )
    return [told]


def _node_options(given: Mapping[str, Any] | None, nodes: Any) -> TextOptions:
    if given is None:
        return TextOptions()
    known = tuple(TextOptions.__dataclass_fields__)
    if nodes is None or not isinstance(given, Mapping) or set(given) - set(known):
        raise InvalidInput(f"node_text says how to read nodes=..., with {', '.join(known)}; got {given!r}")
    return TextOptions(**given).checked()


def _check_options(
    ids: str,
    directed: Any,
    bipartite: Any,
    num_nodes: Any,
    nodes: Any,
    node_id: Any,
    time: str | None,
    sorted: bool,
    types: Any,
) -> None:
    if ids not in _RULES:
        raise InvalidInput(f'ids must be "auto", "map", "text" or "positions"; got {ids!r}')
    if directed not in (None, True, False):
        raise InvalidInput(f"directed must be True, False or None (what the source says); got {directed!r}")
    if bipartite not in (None, True, False):
        raise InvalidInput(f"bipartite must be True, False or None; got {bipartite!r}")
    if bipartite and (ids == "positions" or nodes is not None):
        raise InvalidInput('bipartite=True gives every node an id such as user:1; not with ids="positions" or nodes=')
    if num_nodes is not None and (ids != "positions" or nodes is not None):
        raise InvalidInput('num_nodes goes with ids="positions" and without a node table')
    if node_id is not None and nodes is None:
        raise InvalidInput("node_id names a column of the node table; give nodes=... too")
    if sorted and time is None:
        raise InvalidInput("sorted=True checks times; name their column with time=...")
    if types is not None and not isinstance(types, Mapping):
        raise InvalidType(f"types must map column names to kinds; got {types!r}")
    for name, kind in (types or {}).items():
        if kind not in KINDS:
            raise InvalidInput(f"types[{name!r}] must be one of {', '.join(KINDS)}; got {kind!r}")


def _refuse_table_options(name: str, given: Mapping[str, Any]) -> None:
    used = [option for option, value in given.items() if value is not None]
    if used:
        raise InvalidInput(f"{', '.join(used)}: not for {name}, which says itself what its edges are")


__all__ = ["ingest"]
