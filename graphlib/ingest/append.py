"""Append: the edges of a table behind those of a store, their ids and columns carried on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput, InvalidType
from ..joining import joined
from ..store.edges import EdgeList
from ..store.times import UNIT
from .api import ingest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..store.store import GraphStore
    from ..types import EdgeType

_SIDE = "side"


@dataclass(frozen=True)
class Appended:
    """What `append` added, and the node columns that are too short since, by node type."""

    edges: int
    nodes: int
    short: dict[str, list[str]]


def append(
    store: GraphStore,
    source: Any,
    *,
    src: str | int | None = None,
    dst: str | int | None = None,
    weight: str | None = None,
    time: str | None = None,
    columns: Sequence[str] | None = None,
    bipartite: bool | None = None,
    edge_type: EdgeType | None = None,
    pad: bool = False,
    **reading: Any,
) -> Appended:
    """Add the edges in `source` behind those of a store; `commit` makes them a version.

    Ids are read as the store has them: user ids of its kind, of which new ones become new nodes, or positions.

    Parameters
    ----------
    store : GraphStore
    source : path, table or arrays
        As for `nearhop.ingest`, but no graph object.
    src, dst, weight, time : column names or positions, optional
        By default those that the store was ingested from, where it was.
    columns : list of names, optional
        Columns that go on in the edge columns of these names; by default all that the store has. The others are
        filled: with NaN, 0, False or "".
    bipartite : bool, optional
        As for `ingest`; by default as the store was made.
    edge_type : edge type, optional
        Which edges; by default ("node", "edge", "node"), or the graph's only ones.
    pad : bool, default False
        Lengthen the node columns for new nodes, with 0 or "". Otherwise those columns are too short until they are
        assigned again, such as an embedding that is computed anew.
    reading
        Further options of `ingest`: types, header, delimiter, quote, comment, encoding, decimal, threads, progress.

    Returns
    -------
    Appended

    Raises
    ------
    IngestError, InvalidInput, InvalidType
        Rows that cannot become edges; ids of another kind than the store's; a store with weights or times, and a
        source without, or the other way round; values that a column cannot hold beside those that are there.

    Notes
    -----
    The new edges are held in memory, and the edge columns are written anew.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.graphlib.ingest.append import append
    >>> for name, rows in (("may.csv", "Paris,Lyon"), ("june.csv", "Lyon,Nice")):
    ...     with open(name, "w") as out:
    ...         _ = out.write(f"from,to\\n{rows}\\n")
    >>> store = nearhop.ingest("may.csv", "trips.nh")
    >>> append(store, "june.csv")
    Appended(edges=1, nodes=1, short={})
    >>> store.commit("June"), store.ids().tolist(), store.num_edges
    (2, ['Lyon', 'Paris', 'Nice'], 2)
    """
    chosen = store._parts.edge_type(edge_type)
    report, known = store.ingest_report, store.edges(chosen)
    roles = {} if report is None else {role: text.rpartition(" (")[0] for role, text in report.roles.items()}
    if report is not None and report.format == "graph":
        roles = {}
    kept = list(known) if columns is None else list(columns)
    for name in kept:
        known.stored(name)  # NotFound, which lists the columns
    two_sides = chosen[0] == chosen[2] and _has_text_ids(store, chosen[0]) and _SIDE in store.nodes(chosen[0])
    given = ingest(
        source,
        src=roles.get("src") if src is None and dst is None else src,
        dst=roles.get("dst") if src is None and dst is None else dst,
        weight=weight or roles.get("weight"),
        time=time or roles.get("time"),
        columns=kept,
        types={**{n: "text" for n in kept if known.stored(n).dtype.kind in "TU"}, **(reading.pop("types", None) or {})},
        directed=store.is_directed(chosen),
        bipartite=True if bipartite is None and two_sides else bipartite,
        ids=_rule(store, chosen),
        **reading,
    )
    edges = given.edge_list()
    time = _moments(given, edges.time)
    plain = EdgeList(edges.src, edges.dst, edges.weight, store._plain_times(time)[0])
    store._edges_of(chosen).check_fits(plain)
    longer = {}
    for name in known:
        new = given.edges[name] if name in kept else _blank(known[name], len(edges))
        longer[name] = joined(f"append: edge column {name!r}", [known[name], new])
    before = {name: store.num_nodes_of(name) for name in {chosen[0], chosen[2]}}
    ends = _positions(store, given, chosen)
    store.append_edges(*ends, weight=edges.weight, time=time, edge_type=chosen, positions=True)
    for name, values in longer.items():
        known[name] = values
    short: dict[str, list[str]] = {}
    for node_type in sorted(before):
        of_nodes, count = store.nodes(node_type), store.num_nodes_of(node_type)
        names = [n for n in store._parts.graph_columns(node_type) if of_nodes.stored(n).shape[0] < count]
        if pad:
            for name in names:
                of_nodes.pad(name)
        elif names:
            short[node_type] = names
    return Appended(len(edges), sum(store.num_nodes_of(name) - before[name] for name in before), short)


def _has_text_ids(store: GraphStore, node_type: str) -> bool:
    ids = store.ids(node_type)
    return ids is not None and ids.dtype.kind not in "iu"


def _rule(store: GraphStore, edge_type: EdgeType) -> str:
    """How `ingest` is to read ids, so that they are of the kind that the store has."""
    kinds = set()
    for name in {edge_type[0], edge_type[2]}:
        kinds.add("positions" if store.ids(name) is None else "text" if _has_text_ids(store, name) else "map")
    if len(kinds) > 1:
        raise InvalidInput(f"append: the ends of {edge_type!r} have ids of two kinds; use store.append_edges")
    return kinds.pop()


def _positions(store: GraphStore, given: GraphStore, edge_type: EdgeType) -> list[NDArray[Any]]:
    """Both ends of the new edges as positions in the store, which gets the nodes it lacks."""
    edges, user_ids = given.edge_list(), given.ids()
    if user_ids is None:
        return [edges.src, edges.dst]
    found = []
    listed = [(edge_type[0], edges.src), (edge_type[2], edges.dst)]
    used = {name: np.unique(np.concatenate([ends for other, ends in listed if other == name])) for name, _ in listed}
    places = {name: _lookup(store, given, user_ids, nodes, name) for name, nodes in used.items()}
    for name, ends in listed:
        found.append(places[name][ends])
    return found


def _lookup(
    store: GraphStore, given: GraphStore, user_ids: NDArray[Any], nodes: NDArray[Any], node_type: str
) -> NDArray[np.int64]:
    """The position in the store of every node that is used, by its position in the new edges' list of ids."""
    names, present = user_ids[nodes], store.ids(node_type)
    if present is None or (present.dtype.kind in "iu") != (names.dtype.kind in "iu"):
        raise InvalidType(f"append: the ids of the new edges are {names.dtype}, and those of the store are not")
    new = np.array(sorted(set(names.tolist()) - set(present.tolist())), names.dtype)
    if len(new):
        store.add_nodes(ids=new, node_type=node_type)
    places = np.full(len(user_ids), -1, np.int64)
    places[nodes] = store.lookup(names, node_type)
    columns = store.nodes(node_type)
    if len(new) and _SIDE in given.nodes and _SIDE in columns:  # of a bipartite graph, which says it of every node
        columns.pad(_SIDE)
        side = columns[_SIDE].copy()
        side[places[nodes]] = given.nodes[_SIDE][nodes]
        columns[_SIDE] = side
    return places


def _moments(given: GraphStore, time: NDArray[Any] | None) -> Any:
    """Times that were dates as moments again, for the store to convert to its own unit."""
    unit = given.attributes.get(UNIT)
    return time if time is None or unit is None else time.view(f"M8[{unit}]")


def _blank(values: NDArray[Any], count: int) -> NDArray[Any]:
    if values.dtype.kind == "T":
        return np.array([""] * count, values.dtype)
    fill: Any = np.nan if values.dtype.kind == "f" else np.datetime64("NaT") if values.dtype.kind == "M" else 0
    return np.full((count, *values.shape[1:]), fill if values.dtype.kind != "U" else "", values.dtype)


__all__ = ["Appended", "append"]
