"""What becomes of deleted nodes: links are led around them, their places are filled again or given back.

Deleted nodes stay in the graph as tombstones until there are enough of them. Then every node that links to one looks
for other links among the tombstone's neighbours, as in FreshDiskANN (A. Singh et al., arXiv:2105.09613, Algorithm 4).
Nothing links to the tombstones afterwards: their places are free. Differences: links that lead to living nodes stay, at
most as many are added as are lost, the new ones are linked back, and this is done for all levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from .graph import HNSWGraph
from .parts_cpu import Table
from .scratch import lent

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NO_MARKS = np.empty(0, bool)
_Pairs = tuple["NDArray[np.int64]", "NDArray[np.int64]"]
_ROWS_PER_PART = 16_384
_CANDIDATES = 160  # nodes found behind tombstones that end the search for more
_RELINK_AT = 20  # tombstones are led around when they are a 20th of all nodes,
_RELINK_BEFORE_GROWTH_AT = 100  # or a 100th where the arrays would have to grow otherwise


def free_places(graph: HNSWGraph, dead: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Deleted nodes that nothing links to, rising; known from the last `relink`, else found in the links."""
    if graph.free is None:
        n = graph.count
        found = np.flatnonzero(dead & (graph.counts[:n] == 0))
        found = found[found != graph.entry]
        if len(found):
            linked = np.zeros(n + 1, bool)
            linked[graph.links[:n]] = True  # padding, -1, marks the last
            linked[graph.upper[: graph.upper_rows(n)]] = True
            found = found[~linked[found]]
        graph.free = found
    return graph.free


def places_for(
    graph: HNSWGraph, dead: NDArray[np.bool_], wanted: int, ef: int, threads: int | None
) -> NDArray[np.int64]:
    """Up to `wanted` free places, rising; links are led around tombstones first where that is due."""
    free = free_places(graph, dead)
    tombstones = int(np.count_nonzero(dead)) - len(free)
    grows = graph.count + wanted - len(free) > len(graph.vectors)
    if tombstones and tombstones * (_RELINK_BEFORE_GROWTH_AT if grows else _RELINK_AT) >= graph.count:
        relink(graph, dead, ef, threads)
        free = free_places(graph, dead)
    return free[:wanted]


def relink(graph: HNSWGraph, dead: NDArray[np.bool_], ef: int, threads: int | None) -> None:
    """Lead all links around deleted nodes, beside running searches; then their places are free.

    The entry moves to a living node of its level. Where there is none it stays, as a tombstone. Interrupted, the graph
    is valid and the deleted nodes are still part of it.
    """
    if graph.rows.borrowed:  # the places will be written to
        with graph.lock.changing():
            graph.rows.own()
    entry = _entry_beside(graph, dead)
    gone = dead.copy()
    gone[entry] = False
    with threads_in_use(threads) as workers:
        for level in range(graph.top, -1, -1):
            table, held, clean = graph.level(level)
            pairs: list[_Pairs] = []
            for nodes, links, counts, sound in _around(graph, gone, level, workers):
                new, rows = np.flatnonzero(counts >= 0), graph.rows_of(nodes, level)
                pairs.append(_gained(nodes[new], table[rows[new]], links[new], gone))
                with graph.lock.changing():
                    table[rows[new]], held[rows[new]], clean[rows[new]] = links[new], counts[new], sound[new]
            with graph.lock.changing():
                _lead_back(graph, level, pairs)
        with graph.lock.changing():
            graph.entry = entry
            graph.clear(np.flatnonzero(gone))
            graph.free = np.flatnonzero(gone)
            graph.repair(ef)
            graph.mark()  # blocks lead to nodes two links away as well, which may be gone


def compacted(
    graph: HNSWGraph, dead: NDArray[np.bool_], ef: int, threads: int | None, progress: Callable[[int, int], None] | None
) -> HNSWGraph:
    """A graph of the living nodes, in their order, in arrays of its own that have no room to spare.

    `graph` is left as it is. O(links), and a selection per row that linked to a deleted node.
    """
    n = graph.count
    live = np.flatnonzero(~dead)
    top = int(graph.levels[live].max())
    small = HNSWGraph(graph.rows.chosen(live), graph.M, packed=graph.blocks is not None)
    small.reserve(graph.levels[live])
    new_of = np.full(n + 1, -1, np.int32)  # the last place is that of padding
    new_of[live] = np.arange(len(live), dtype=np.int32)
    small.count, small.top = len(live), top
    highest = live[graph.levels[live] == top]
    small.entry = int(new_of[graph.entry if graph.levels[graph.entry] == top and not dead[graph.entry] else highest[0]])
    small.lock = graph.lock
    with threads_in_use(threads) as workers:
        for level in range(top, -1, -1):
            table, held, clean = small.level(level)
            old_table, old_held, old_clean = graph.level(level)
            pairs: list[_Pairs] = []
            for nodes, links, counts, sound in _around(graph, dead, level, workers):
                rows, places = graph.rows_of(nodes, level), small.rows_of(new_of[nodes].astype(np.int64), level)
                before, same = old_table[rows], counts < 0
                links[same], counts[same], sound[same] = before[same], old_held[rows[same]], old_clean[rows[same]]
                sources, gained = _gained(nodes[~same], before[~same], links[~same], dead)
                pairs.append((new_of[sources].astype(np.int64), new_of[gained].astype(np.int64)))
                table[places], held[places], clean[places] = new_of[links], counts, sound
                if progress is not None and level == 0:
                    progress(int(new_of[nodes[-1]]) + 1, len(live))
            _lead_back(small, level, pairs)
        small.repair(ef)
    small.rows.settle(small.count)
    small.mend(ef, threads)
    small.write_blocks(threads)
    return small


def _around(
    graph: HNSWGraph, gone: NDArray[np.bool_], level: int, workers: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]]:
    """Part by part: nodes that are not gone, their new links at a level, counts (-1: as before) and clean counts.

    Nothing is written, and parts do not depend on what is written for those before.
    """
    from . import relink_cpu as kernels

    table, held, clean = graph.level(level)
    row_of = graph.upper_row[:0] if level == 0 else graph.upper_row
    living = np.flatnonzero(~gone & (graph.levels[: graph.count] >= level))
    for start in range(0, len(living), _ROWS_PER_PART):
        nodes = living[start : start + _ROWS_PER_PART]
        links = np.empty((len(nodes), table.shape[1]), np.int32)
        counts, sound = np.empty(len(nodes), np.int32), np.empty(len(nodes), np.int32)
        old, new = Table(table, held, clean, _NO_MARKS), Table(links, counts, sound, _NO_MARKS)
        with lent(graph, workers) as scratch:
            kernels.relink(graph.rows.exact, nodes, row_of, level - 1, old, gone, _CANDIDATES, scratch, new)
        yield nodes, links, counts, sound


def _gained(
    nodes: NDArray[np.int64], before: NDArray[np.int32], after: NDArray[np.int32], gone: NDArray[np.bool_]
) -> _Pairs:
    """The links that rows have and had not, as sources and targets; they stand behind those that stayed."""
    stayed = ((before >= 0) & ~gone[before]).sum(axis=1)
    new = (after >= 0) & (np.arange(after.shape[1]) >= stayed[:, None])
    return np.repeat(nodes, new.sum(axis=1)), after[new].astype(np.int64)


def _lead_back(graph: HNSWGraph, level: int, pairs: list[_Pairs]) -> None:
    """Link the targets of new links to their sources, where they are not yet."""
    if not pairs:
        return
    sources, targets = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    graph.link_back(level, sources, targets)


def _entry_beside(graph: HNSWGraph, dead: NDArray[np.bool_]) -> int:
    """The entry, or where it is deleted the first living node of its level, if there is one."""
    if dead[graph.entry]:
        others = np.flatnonzero(~dead & (graph.levels[: graph.count] >= graph.top))
        if len(others):
            return int(others[0])
    return graph.entry


__all__ = ["compacted", "free_places", "places_for", "relink"]
