"""All rows of a new graph linked together, by what they find in small parts instead of by searches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ....graphlib.compute.jit import threads_in_use
from ....graphlib.compute.streams import Purpose, generator
from ..scratch import lent
from .batches import batches
from .leaves import FAN, copies, nearest_in_leaves, partition

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graph import HNSWGraph

BULK_FROM = 20_000  # rows: with fewer, what is won is less than what compiling these kernels takes the first time
_EF_PER_PARTITION = 50
_TOGETHER = 16  # of what is linked, the share that is linked together where only one row in M is
_EF_ABOVE = 64  # beam of the searches of levels above 0, at most
_BYTES = 1 << 29  # of candidates: partitions that do not fit together come one after the other


def link_all(
    graph: HNSWGraph, count: int, ef: int, seed: int, threads: int | None, told: Callable[[int], None]
) -> None:
    """Link the first `count` rows of a graph that has no links yet and that nobody else reads.

    Nodes of levels above 0, one in M, are linked by searches, as rows are added to a graph. At level 0 rows are cut
    into small leaves that overlap, several times (T. Rubel et al., "PiPNN: Ultra-Scalable Graph-Based Nearest Neighbor
    Indexing", arXiv:2602.21247); a row's candidates are those nearest to it in each of its leaves, as walks compare
    rows, and links are chosen among these by distances and the selection rule of HNSW. Then come links back, and by
    searches links of what leaves alone would not lead to: rows that met no node of a higher level or that no other
    chose, copies of rows before them, and what level 0 does not reach. All of it is the same at any number of threads.

    Differences from the paper: candidates are kept and pruned together, up to 0.5 GiB of them, where it prunes as they
    come by hashes of differences; leaves are 256 entries at most; the links are an HNSW's.

    `told` gets the number of rows that the work done so far amounts to, `count` never.
    """
    graph.count = count
    levels, partitions = graph.levels[:count], max(1, round(ef / _EF_PER_PARTITION))
    keep, most = max(8, graph.M // 2), max(ef // 2, 4 * graph.M)
    together = max(1, min(partitions, _BYTES // (4 * count * FAN * keep)))
    with threads_in_use(threads) as workers:
        again = copies(graph.rows.kept[:count]) & (levels == 0)
        high, rows, low = np.flatnonzero(levels > 0), np.flatnonzero(~again), np.zeros(count, bool)
        if not len(high):
            high = rows[:1]
        _join(graph, high, min(ef, max(_EF_ABOVE, graph.M)), workers)
        before = _links_of(graph, high)
        told(count // (partitions + 2))
        for first in range(0, partitions, together):
            some = range(first, min(first + together, partitions))
            near = np.full((len(some), count * FAN, keep), -1, np.int32)
            for number in some:
                order = _look(graph, rows, generator(seed, Purpose.LEAVES, number), near[number - first])
                told(count * (number + 2) // (partitions + 2))
            _choose(graph, order, near.reshape(len(some), count, -1), most, workers, low)
        sources, targets = _links_of(graph, rows)
        low[rows] |= np.bincount(targets, minlength=count)[rows] == 0
        graph.link_back(0, sources, targets)
        graph.link_back(0, *reversed(before))
        hidden = np.flatnonzero(low)
        graph.look_again(hidden, ef, workers)
        graph.lead_to(hidden, ef, workers)
        _join(graph, np.flatnonzero(again), ef, workers)
        graph.repair(ef)


def _join(graph: HNSWGraph, nodes: NDArray[np.int64], ef: int, workers: int) -> None:
    """Link nodes that have no links by searches."""
    for _, batch in batches(nodes, graph.count - len(nodes) if graph.entry >= 0 else 0, _TOGETHER):
        graph.join(batch, graph.find_links(batch, ef, workers), ef)


def _links_of(graph: HNSWGraph, nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The links of nodes at level 0, as sources and targets."""
    linked = np.arange(graph.links.shape[1]) < graph.counts[nodes, None]
    return np.repeat(nodes, graph.counts[nodes]), graph.links[nodes][linked].astype(np.int64)


def _look(
    graph: HNSWGraph, rows: NDArray[np.int64], rng: np.random.Generator, near: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Fill `near` (FAN * count, keep) with what rows find in the leaves of a partition; the rows in leaves' order."""
    entries, starts = partition(graph.rows.walk, rows, rng)
    nearest_in_leaves(graph.rows.walk, entries, starts, near)
    return entries[entries % FAN == 0] // FAN


def _choose(
    graph: HNSWGraph, order: NDArray[np.int64], near: NDArray[np.int32], most: int, workers: int, low: NDArray[np.bool_]
) -> None:
    from . import leaves_cpu as kernels

    with lent(graph, workers) as scratch:
        kernels.choose_links(graph.rows.exact, order, near, graph.levels, most, graph.M, scratch, graph.table(0), low)
