"""The report of an ingest, put together from what each step found out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..names import shown
from ..store.ingest_report import IngestReport
from .roles import kept_kind

if TYPE_CHECKING:
    from ..store.store import GraphStore
    from .job import Job
    from .nodes import NodeTable


def of_table(
    job: Job, store: GraphStore, nodes: NodeTable | None, directed: bool | None, remarks: list[str]
) -> IngestReport:
    """The report of a table of edges."""
    table, roles = job.table, job.roles
    told = table.described
    kinds = {name: kept_kind(table, name) for name in roles.extra}
    kinds |= {name: "text" for name in roles.extra if store.edges[name].dtype.kind in "UT"}
    notes = [*table.remarks, *roles.remarks, *job.remarks, *remarks]
    for name in table.commas & {roles.weight, roles.time, *roles.extra}:
        notes.append(f"column {shown(name)!r} has decimal commas")
    for name, count in job.checks.missing.items():
        cells = "cell such as NA is" if count == 1 else "cells such as NA are"
        notes.append(f"column {shown(name)!r}: {count:,} {cells} missing values")
    if roles.time is not None and table.kinds[roles.time] == "date":
        zone = "" if _knows_zone(table, roles.time) else ", taken as UTC since none names a zone"
        notes.append(
            f"times are {'nano' if store.attributes.get('time_unit') == 'ns' else 'micro'}seconds since 1970{zone}"
        )
    left_out = {shown(name): why for name, why in roles.left_out.items()}
    if nodes is not None:
        left_out |= {f"nodes: {shown(name)}": why for name, why in nodes.left_out.items()}
    return IngestReport(
        source=table.name,
        format=str(told.get("format", "text")),
        files=list(told.get("files", [])),
        file_count=int(told.get("file_count", 1)),
        roles={role: _described(table, role, name) for role, name in roles.items() if ":" not in role},
        kept={shown(name): kind for name, kind in kinds.items()},
        nodes={} if nodes is None else {shown(name): kind for name, kind in nodes.described.items()},
        left_out=left_out,
        ids=job.id_rule,
        direction=_direction(store, directed, table.directed),
        notes=notes,
    )


def _described(table: Any, role: str, name: str) -> str:
    kind = "text" if role in ("src", "dst") and name in table.padded else table.kinds[name]
    return f"{shown(name)} ({kind})"


def _knows_zone(table: Any, column: str) -> bool:
    kind = str(table.types.get(column, ""))
    return column in table.zoned or "TZ" in kind or "ZONE" in kind


def _direction(store: GraphStore, asked: bool | None, said: bool | None) -> str:
    word = "directed" if store.directed else "undirected"
    if asked is not None:
        return f"{word}, as asked for"
    return f"{word}, as the source says" if said is not None else f"{word} by default (directed=True changes it)"


def _kind(array: Any) -> str:
    return "text" if array.dtype.kind in "UST" else str(array.dtype)


def of_graph(
    store: GraphStore,
    name: str,
    directed: bool | None,
    weight: str | None,
    time: str | None,
    left_out: dict[str, str],
) -> IngestReport:
    """The report of a graph that came as one."""
    edge_type = store.edge_types[0] if store.edge_types else None
    roles = {}
    for role, asked in (("weight", weight), ("time", time)):
        if edge_type is not None and getattr(store.edge_list(edge_type), role) is not None:
            roles[role] = asked or f"the source's {role}s"
    user_ids = [store.ids(node_type) is not None for node_type in store.node_types]
    return IngestReport(
        source=name,
        format="graph",
        roles=roles,
        kept={shown(name): _kind(store.edges(each)[name]) for each in store.edge_types for name in store.edges(each)},
        nodes={shown(name): _kind(store.nodes(each)[name]) for each in store.node_types for name in store.nodes(each)},
        ids="the graph's own, kept in a map" if any(user_ids) else "positions",
        direction=_direction(store, directed, True),
        left_out={shown(what): why for what, why in left_out.items()},
    )
