"""Pictures of a found community: which nodes and edges are shown, and where.

A search, a local cluster or a partition goes in, a `Picture` comes out, and `save` writes it as PNG (Matplotlib) or as
one HTML file that needs no other (`picture_page`). Places come from `picture_layout`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.disk.replacing import replacing
from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import check_store
from ...graphlib.notebook import framed
from ...sampling.arguments import node_positions
from ..quality import entries_of, symmetric_matrix
from . import layout as picture_layout
from .canvas import HEIGHT, MARGIN, MEMBER, OUTSIDE, RING, SEED, WIDTH, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType
    from ..detection import Partition
    from ..local.cluster import LocalCluster
    from ..search import Community, CommunitySearch

_MOST_MEMBERS = 220
_MOST_OUTSIDE = 70
_MOST_EDGES = 2400
_LINKS_PER_NODE = 5
_MOST_GROUPS = 9
_MOST_LABELS = 34


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """Nodes with places, ready to be drawn.

    Attributes
    ----------
    title : str
    facts : dict of str to str
        What is told beside the picture.
    score_name : str
    names : list of str (n,)
    at : float64 (n, 2)
        Places on a canvas of 1000 x 720.
    radius : float64 (n,)
    shade : float64 (n,)
        0..1, the square root of a member's score between the lowest and the highest; 1 for seeds.
    scores : float64 (n,)
        NaN where there is none: nodes outside, and the seeds of a search.
    kind : int8 (n,)
        0 outside, 1 member, 2 seed.
    group : int16 (n,)
        Of a partition, by falling size; -1 otherwise.
    src, dst : int64 (m,)
        Ends of the edges drawn.
    width : float64 (m,)
        0..1, by weight.
    groups : list of str
        Names of the groups.
    """

    title: str
    facts: dict[str, str]
    score_name: str
    names: list[str]
    at: NDArray[np.float64]
    radius: NDArray[np.float64]
    shade: NDArray[np.float64]
    scores: NDArray[np.float64]
    kind: NDArray[np.int8]
    group: NDArray[np.int16]
    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    width: NDArray[np.float64]
    groups: list[str] = field(default_factory=list)

    @classmethod
    def of_search(
        cls, search: CommunitySearch, seeds: Sequence[Any], found: Community, *, title: str | None = None
    ) -> Picture:
        """Seeds and members of a community search; edges join each node to the most similar others.

        Parameters
        ----------
        search : CommunitySearch
        seeds : user ids or positions, as they were searched with
        found : Community
            The best 220 members are shown.
        title : str, optional
        """
        store, node_type = search._store, search._node_type
        names, scores = found.ids[:_MOST_MEMBERS], found.scores[:_MOST_MEMBERS].astype(np.float64)
        seed_rows = np.unique(store.lookup(seeds, node_type))
        nodes = np.concatenate([seed_rows, store.lookup(names, node_type)]) if len(names) else seed_rows
        kind = np.where(np.arange(len(nodes)) < len(seed_rows), SEED, MEMBER).astype(np.int8)
        similar = search.index.minhash.similarity(search.index.signatures[nodes]).astype(np.float64)
        np.fill_diagonal(similar, 0)
        src, dst = _nearest_links(similar)
        pairs = np.triu_indices(len(nodes), 1)
        facts = {
            "members": _counted(len(found.ids), len(names)),
            "seeds": f"{len(seed_rows):,}",
            "edges": f"the {_LINKS_PER_NODE} most similar, estimated Jaccard",
        }
        shown = [str(name) for name in search.names[nodes].tolist()]
        scores = np.concatenate([np.full(len(seed_rows), np.nan), scores])
        return cls._placed(
            title or "Community", facts, "similarity to the seeds", shown, scores, kind, src, dst, similar[src, dst],
            forces=(*pairs, similar[pairs] ** 2),
        )  # fmt: skip

    @classmethod
    def of_cluster(
        cls,
        store: GraphStore,
        seeds: Any,
        found: LocalCluster,
        *,
        support: bool = False,
        edge_type: EdgeType | None = None,
        title: str | None = None,
    ) -> Picture:
        """A local cluster with the edges of the graph, and the nodes outside that have most edges into it.

        Parameters
        ----------
        store : GraphStore
        seeds : positions of nodes; `store.lookup(ids)` for user ids
        found : LocalCluster
            The best 220 of its sweep cut are shown, and up to 70 nodes outside.
        support : bool, default False
            Take every node reached instead of the sweep cut.
        edge_type : tuple, optional
            Which edges of the store the cluster was found by.
        title : str, optional
        """
        check_store(store)
        members = found.nodes if support else found.sweep_nodes
        starts = np.unique(node_positions("seeds", seeds, store.csr(edge_type).num_rows))
        inside = np.concatenate([starts, members[~np.isin(members, starts)]])[:_MOST_MEMBERS]
        rows = store.csr(edge_type)
        near, far, weight = entries_of(rows, inside)
        beyond = ~np.isin(far, np.concatenate([members, starts]))
        outer, links = np.unique(far[beyond], return_counts=True)
        outer = outer[np.lexsort((outer, -links))[:_MOST_OUTSIDE]]
        nodes = np.concatenate([inside, outer])
        kind = np.where(np.isin(nodes, starts), SEED, np.where(np.isin(nodes, outer), OUTSIDE, MEMBER)).astype(np.int8)
        rank_of = np.argsort(found.nodes)
        at = rank_of[np.clip(np.searchsorted(found.nodes, nodes, sorter=rank_of), 0, max(len(found) - 1, 0))]
        scores = np.where((found.nodes[at] == nodes) & (kind != OUTSIDE), found.values[at], np.nan)
        src, dst, weight = _among(nodes, near, far, weight)
        facts = {
            "members": _counted(len(members), min(len(members), _MOST_MEMBERS)),
            "conductance": f"{found.support_conductance if support else found.conductance:.4f}",
            "touched": f"{found.touched_nodes:,} of {rows.num_rows:,} nodes",
        }
        names = _names(store, nodes, edge_type)
        return cls._placed(title or "Local cluster", facts, found.score, names, scores, kind, src, dst, weight)

    @classmethod
    def of_partition(
        cls,
        store: GraphStore,
        found: Partition,
        *,
        edge_type: EdgeType | None = None,
        title: str | None = None,
        use_weights: bool = True,
    ) -> Picture:
        """The nodes of highest degree of the nine largest communities of a graph, one colour each."""
        check_store(store)
        matrix = symmetric_matrix(store, loops=False, edge_type=edge_type, use_weights=use_weights)
        degree = np.asarray(matrix.sum(axis=1)).reshape(-1)
        shown = min(_MOST_GROUPS, len(found.sizes))
        share = found.sizes[:shown] / max(int(found.sizes[:shown].sum()), 1)
        most = np.maximum(3, (share * (_MOST_MEMBERS + _MOST_OUTSIDE)).astype(int))
        parts = []
        for group in range(shown):
            members = np.flatnonzero(found.labels == group)
            parts.append(members[np.argsort(-degree[members], kind="stable")[: most[group]]])
        nodes = np.concatenate(parts)
        inner = matrix[nodes][:, nodes].tocoo()
        upper = inner.row < inner.col
        src, dst, weight = inner.row[upper].astype(np.int64), inner.col[upper].astype(np.int64), inner.data[upper]
        # Edges between communities pull a tenth, so that each keeps together.
        groups = found.labels[nodes].astype(np.int16)
        pull = np.where(groups[src] == groups[dst], weight, 0.1 * weight)
        facts = {
            "communities": f"{len(found.sizes):,}",
            "largest": f"{int(found.sizes[0]):,} of {len(found.labels):,} nodes",
            "modularity": f"{found.modularity:.4f}",
            "found by": found.library,
        }
        names = _names(store, nodes, edge_type)
        told = [f"{i} · {int(size):,} nodes" for i, size in enumerate(found.sizes[:shown])]
        kind = np.full(len(nodes), MEMBER, np.int8)
        return cls._placed(
            title or "Communities", facts, "degree", names, degree[nodes], kind, src, dst, weight,
            forces=(src, dst, pull), group=groups, groups=told,
        )  # fmt: skip

    @classmethod
    def _placed(
        cls,
        title: str,
        facts: dict[str, str],
        score_name: str,
        names: list[str],
        scores: NDArray[np.float64],
        kind: NDArray[np.int8],
        src: NDArray[np.int64],
        dst: NDArray[np.int64],
        weight: NDArray[np.float64],
        *,
        forces: tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]] | None = None,
        group: NDArray[np.int16] | None = None,
        groups: list[str] | None = None,
    ) -> Picture:
        count = len(names)
        at = picture_layout.place(count, *((src, dst, weight) if forces is None else forces))
        degree = np.bincount(src, minlength=count) + np.bincount(dst, minlength=count)
        small = 1.0 if count < 120 else 0.82
        radius = small * (4.5 + 6.0 * np.sqrt(degree / max(int(degree.max(initial=1)), 1)))
        radius[kind == SEED] = np.maximum(radius[kind == SEED], 9.5)
        radius[kind == OUTSIDE] = 3.6
        shade = np.zeros(count)
        members = np.isfinite(scores) & (kind == MEMBER)
        if members.any():
            low, top = float(scores[members].min()), float(scores[members].max())
            shade[members] = np.sqrt((scores[members] - low) / (top - low)) if top > low else 1
        shade[kind == SEED] = 1
        if len(src) > _MOST_EDGES:
            kept = np.sort(np.argsort(-weight, kind="stable")[:_MOST_EDGES])
            src, dst, weight = src[kept], dst[kept], weight[kept]
        heavy = float(weight.max(initial=0))
        return cls(
            title=title,
            facts=facts,
            score_name=score_name,
            names=names,
            at=picture_layout.fit(at, radius + np.where(kind == SEED, RING, 0.0), WIDTH, HEIGHT, MARGIN),
            radius=radius,
            shade=shade,
            scores=scores,
            kind=kind,
            group=np.full(count, -1, np.int16) if group is None else group,
            src=src,
            dst=dst,
            width=weight / heavy if heavy > 0 else np.zeros(len(weight)),
            groups=groups or [],
        )

    def labels(self) -> dict[int, tuple[float, float, str]]:
        """Places of the labels that fit: seeds, then members by score (of a partition, in turn from each group)."""
        shown = np.flatnonzero(self.kind != OUTSIDE)
        turn = np.zeros(len(shown), np.int64)
        for group in np.unique(self.group[shown]) if self.groups else []:
            members = np.flatnonzero(self.group[shown] == group)
            turn[members[np.argsort(-self.shade[shown[members]], kind="stable")]] = np.arange(len(members))
        order = shown[np.lexsort((-self.shade[shown], turn, -self.kind[shown]))]
        short = [shorten(name) for name in self.names]
        return picture_layout.label_places(
            self.at, self.room(), short, order, most=_MOST_LABELS, always=self.kind == SEED, limits=(WIDTH, HEIGHT)
        )

    def range(self) -> tuple[float, float] | None:
        """The lowest and the highest score of a member."""
        members = self.scores[np.isfinite(self.scores) & (self.kind == MEMBER)]
        return (float(members.min()), float(members.max())) if len(members) else None

    def edge_ink(self) -> float:
        """Opacity of edges: the more of them, the fainter."""
        return float(np.clip(0.34 * np.sqrt(500 / max(len(self.src), 1)), 0.1, 0.34))

    def room(self) -> NDArray[np.float64]:
        """Radii with the rings around seeds."""
        return self.radius + np.where(self.kind == SEED, RING, 0.0)

    def save(self, path: str | Path) -> Path:
        """Write `.html` (one file, no scripts or fonts from elsewhere) or `.png`, whole or not at all."""
        target = Path(path)
        if target.suffix not in (".html", ".png"):
            raise InvalidInput(f"pictures are written as .html or .png; got {str(path)!r}")
        with replacing(target) as part:
            if target.suffix == ".html":
                from .page import page

                part.write_text(page(self), encoding="utf-8")
            else:
                from .plot import plot

                part.write_bytes(plot(self))
        return target

    def __repr__(self) -> str:
        return f"Picture({self.title!r}, {len(self.names)} nodes, {len(self.src)} edges)"

    def _repr_html_(self) -> str:
        from .page import page

        return framed(page(self), 620)


def _names(store: GraphStore, nodes: NDArray[np.int64], edge_type: EdgeType | None) -> list[str]:
    user = store.ids(None if edge_type is None else edge_type[0])
    return [str(name) for name in (nodes if user is None else user[nodes]).tolist()]


def _counted(members: int, shown: int) -> str:
    return f"{members:,}" if shown == members else f"{members:,} ({shown} shown)"


def _nearest_links(similar: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each node's most similar others as edges, each once; of equals the first."""
    count = len(similar)
    links = min(_LINKS_PER_NODE, count - 1)
    if links < 1:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    best = np.argsort(-similar, axis=1, kind="stable")[:, :links]
    src, dst = np.repeat(np.arange(count), links), best.reshape(-1)
    kept = similar[src, dst] > 0
    pairs = np.unique(np.sort(np.column_stack([src[kept], dst[kept]]), axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _among(
    nodes: NDArray[np.int64], near: NDArray[np.int64], far: NDArray[np.int64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Entries between shown nodes as edges between their places in `nodes`, each once."""
    order = np.argsort(nodes)
    ends = []
    for side in (near, far):
        at = order[np.clip(np.searchsorted(nodes, side, sorter=order), 0, len(nodes) - 1)]
        ends.append(np.where(nodes[at] == side, at, -1))
    kept = (ends[0] >= 0) & (ends[1] >= 0) & (ends[0] != ends[1])
    low, high = np.minimum(*ends)[kept], np.maximum(*ends)[kept]
    pair, first = np.unique(low * len(nodes) + high, return_index=True)
    return pair // len(nodes), pair % len(nodes), weight[kept][first]


__all__ = ["Picture"]
