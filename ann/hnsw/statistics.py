"""What an HNSW index holds, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .deletes import free_places

if TYPE_CHECKING:
    from .graph import HNSWGraph
    from .index import HNSW


@dataclass(frozen=True)
class HNSWStatistics:
    """Counts, degrees and bytes of an index.

    Attributes
    ----------
    live, deleted : int
        Rows that can be found, and deleted ones whose places are not filled yet.
    dead_fraction : float
        The share of deleted rows. Once links are led around them they cost memory, no longer time.
    unreachable : int
        Rows that no walk finds.
    level_sizes : tuple of int
        How many rows reach level 0, 1, ...
    mean_degree : float
        Links per row at level 0.
    nbytes : int
        Vectors, codes, links and blocks, with the room kept for more rows.
    """

    live: int
    deleted: int
    dead_fraction: float
    unreachable: int
    level_sizes: tuple[int, ...]
    mean_degree: float
    nbytes: int


def statistics(index: HNSW) -> HNSWStatistics:
    """See `HNSW.stats`; called while the index is read."""
    graph, rows = index._graph, index._rows
    if graph is None or not graph.count:
        return HNSWStatistics(0, 0, 0.0, 0, (), 0.0, 0)
    n, free = graph.count, len(free_places(graph, rows.dead))
    return HNSWStatistics(
        live=rows.num_live,
        deleted=rows.num_dead,
        dead_fraction=rows.num_dead / n,
        unreachable=int(n - graph.reached()[0].sum()),
        level_sizes=tuple(int((graph.levels[:n] >= level).sum()) for level in range(graph.top + 1)),
        mean_degree=float(graph.counts[:n].sum() / max(1, n - free)),
        nbytes=held_bytes(graph),
    )


def held_bytes(graph: HNSWGraph) -> int:
    """Vectors, codes and links, with the room kept for more rows."""
    arrays = (graph.links, graph.counts, graph.clean, graph.upper, graph.upper_row, graph.levels)
    blocks = 0 if graph.blocks is None else graph.blocks.nbytes
    return sum(array.nbytes for array in arrays) + blocks + graph.rows.nbytes
