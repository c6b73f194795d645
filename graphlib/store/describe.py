"""What a store holds, at a glance: for people, for programs, and its size in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..notebook import table
from .adjacency import id_dtype
from .columns import dtype_name
from .text import TextColumn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .columns import Columns
    from .contents import Contents
    from .edges import EdgeSet


def describe(store: Contents) -> dict[str, Any]:
    """Counts, columns, indexes and attributes as plain Python values."""
    parts = store._parts
    return {
        "path": None if store.path is None else str(store.path),
        "version": store.version,
        "nodes": {
            name: {
                "count": nodes.count,
                "ids": None if nodes.ids is None else ("text" if nodes.ids.is_text else "int64"),
                "columns": _described(store._node_columns[name], parts.graph_columns(name)),
            }
            for name, nodes in parts.graph_nodes().items()
        },
        "edges": {
            "/".join(edge_type): {
                "count": edges.count,
                "directed": edges.directed,
                "weight": edges.has("weight"),
                "time": edges.time_dtype,
                "columns": _described(store._edge_columns[edge_type], store._edge_columns[edge_type]),
            }
            for edge_type, edges in parts.graph_edges().items()
        },
        "indexes": {
            name: {
                **{each: getattr(index, each) for each in ("kind", "metric", "node_type", "column")},
                "links": sum(store._edge_sets[link].count for link in index.links),
                "levels": len(index.links),
            }
            for name, index in parts.indexes().items()
        },
        "attributes": dict(store.attributes),
    }


def _described(columns: Columns, names: Iterable[str]) -> dict[str, str]:
    arrays = ((name, columns.stored(name)) for name in names)
    return {name: f"{dtype_name(array.dtype)}{list(array.shape)}" for name, array in arrays}


def summary(store: Contents) -> str:
    """The store's `repr`."""
    where = "in memory" if store.path is None else f"{store.path.name}, version {store.version}"
    lines = [f"GraphStore({store.num_nodes:,} nodes, {store.num_edges:,} edges; {where})"]
    parts = store._parts
    for name in parts.graph_nodes():
        lines.append(f"  {name}: {store._node_columns[name].summary(parts.graph_columns(name))}")
    for edge_type, edges in parts.graph_edges().items():
        kind = "directed" if edges.directed else "undirected"
        lines.append(f"  {'-'.join(edge_type)}: {kind} {store._edge_columns[edge_type]!r}")
    for name, told in describe(store)["indexes"].items():
        over = told["column"] if len(parts.graph_nodes()) == 1 else f"{told['node_type']}.{told['column']}"
        lines.append(f"  index {name}: {told['kind']} over {over}, {told['metric']}, {told['links']:,} links")
    return "\n".join(lines)


def as_html(store: Contents) -> str:
    """The store as a table for notebooks: a row per type of node, type of edge, index."""
    told = describe(store)
    rows = [
        ("nodes", name, f"{each['count']:,}", _listed(each["columns"], each["ids"] and f"{each['ids']} ids"))
        for name, each in told["nodes"].items()
    ]
    for name, each in told["edges"].items():
        kind = "directed" if each["directed"] else "undirected"
        rows.append(("edges", name, f"{each['count']:,}", _listed(each["columns"], kind)))
    for name, each in told["indexes"].items():
        rows.append(("index", name, f"{each['links']:,} links", f"{each['kind']} over {each['column']}"))
    return table(summary(store).splitlines()[0], ["", "name", "count", "columns"], rows)


def _listed(columns: dict[str, str], first: str | None) -> str:
    return "; ".join([*([first] if first else []), *(f"{name} {form}" for name, form in columns.items())])


@dataclass(frozen=True)
class Estimate:
    """Bytes a graph needs: on disk, and of memory that cannot be dropped, while it is written and when all is in use.

    A stored graph is mapped, so of `memory_bytes` only what is touched is resident, and the system may drop it again.
    """

    disk_bytes: int
    memory_bytes: int
    write_bytes: int

    def __repr__(self) -> str:
        parts = (f"{name} {value / 2**20:,.1f} MiB" for name, value in vars(self).items())
        return f"Estimate({', '.join(parts)})".replace("_bytes", "")

    def __add__(self, other: Estimate) -> Estimate:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        disk, memory, _ = (a + b for a, b in pairs)
        return Estimate(disk, memory, max(self.write_bytes, other.write_bytes))


def estimate(
    num_nodes: int,
    num_edges: int,
    *,
    directed: bool = False,
    weight: bool = False,
    time: bool = False,
    row_bytes: int = 0,
) -> Estimate:
    """Bytes of a graph of one node and one edge type, before it is made.

    `row_bytes` is the size of all node columns per node, such as 4 * dim for a float32 embedding.

    >>> estimate(1_000_000, 10_000_000)
    Estimate(disk 236.5 MiB, memory 236.5 MiB, write 167.8 MiB)
    """
    node_id = _bytes_of(num_nodes)
    edge_id = _bytes_of(num_edges)
    values = 4 * weight + 8 * time
    sides, entries = (2, num_edges) if directed else (1, 2 * num_edges)
    rows = 8 * (num_nodes + 1) + entries * (node_id + edge_id + values)
    total = num_edges * (2 * node_id + values) + sides * rows + num_nodes * row_bytes
    return Estimate(total, total, rows + 8 * num_nodes)


def _bytes_of(count: int) -> int:
    return 4 if id_dtype(count).__name__ == "int32" else 8


def estimate_store(store: Contents) -> Estimate:
    """The same for what a store holds now."""
    total = Estimate(0, 0, 0)
    for edge_type, edges in store._edge_sets.items():
        width = max(store.num_nodes_of(edge_type[0]), store.num_nodes_of(edge_type[2]))
        total += _estimate_edges(edges, width)
    columns = [*store._node_columns.values(), *store._edge_columns.values()]
    size = sum(_bytes_of_column(each.stored(name)) for each in columns for name in each)
    for nodes in store._node_types.values():
        size += 0 if nodes.ids is None else sum(array.nbytes for array in nodes.ids.arrays.values())
    return total + Estimate(size, size, 0)


def _bytes_of_column(column: Any) -> int:
    if column.dtype.kind == "T" and not isinstance(column, TextColumn):  # staged: as it will lie in the files
        return 8 * (len(column) + 1) + sum(len(text.encode()) for text in column.tolist())
    return int(column.nbytes)


def _estimate_edges(edges: EdgeSet, num_nodes: int) -> Estimate:
    return estimate(
        num_nodes, edges.count, directed=edges.directed, weight=edges.has("weight"), time=edges.time_dtype is not None
    )
