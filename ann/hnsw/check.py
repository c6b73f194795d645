"""Every bound that changing an HNSW graph relies on, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch

if TYPE_CHECKING:
    from .graph import HNSWGraph
    from .packed.blocks import Blocks

MOST_LEVELS = 31


def check_graph(graph: HNSWGraph) -> None:
    """Every bound a search relies on; `IndexMismatch` names the first that does not hold."""
    n = graph.count
    if not 0 <= graph.entry < n or not 0 <= graph.top < MOST_LEVELS or graph.levels[graph.entry] != graph.top:
        raise IndexMismatch(f"entry {graph.entry} at level {graph.top} is not a node of that level")
    levels = graph.levels[:n]
    if levels.min() < 0 or levels.max() > graph.top:
        raise IndexMismatch(f"levels must be in [0, {graph.top}]; found {levels.min()}..{levels.max()}")
    used = graph.upper_rows(n)
    below = np.cumsum(levels, dtype=np.int64)
    if (graph.upper_row[:n] != below - levels).any() or not used == below[-1] <= len(graph.upper):
        raise IndexMismatch("rows of the upper levels do not lie in the order of the nodes")
    if not np.isfinite(graph.scale[: len(graph.scale) if len(graph.scale) == 1 else n]).all():
        raise IndexMismatch("a factor of a row (column 'scale') is not finite")
    for level in range(graph.top + 1):
        nodes, rows, table, counts = level_rows(graph, level)
        if counts.min() < 0 or counts.max() > table.shape[1]:
            raise IndexMismatch(f"level {level}: a node has {counts.max()} links, at most {table.shape[1]} are allowed")
        present = np.arange(table.shape[1]) < counts[:, None]
        if (table[rows][~present] >= 0).any():
            raise IndexMismatch(f"level {level}: a row holds links behind its count; rows must be padded with -1")
        sources, targets = np.repeat(nodes, counts), table[rows][present]
        if targets.size and (targets.min() < 0 or targets.max() >= n):
            raise IndexMismatch(f"level {level}: links lead to {targets.min()}..{targets.max()}, nodes are 0..{n - 1}")
        if (levels[targets] < level).any():
            raise IndexMismatch(f"level {level}: a link leads to a node that does not reach this level")
        if (sources == targets).any():
            raise IndexMismatch(f"level {level}: node {sources[sources == targets][0]} is linked to itself")
        pairs = np.sort(sources.astype(np.int64) * n + targets)
        if (pairs[1:] == pairs[:-1]).any():
            raise IndexMismatch(f"level {level}: a link is there twice")
    if graph.blocks is not None and graph.blocks.fresh:
        _check_blocks(graph, graph.blocks)


def _check_blocks(graph: HNSWGraph, blocks: Blocks) -> None:
    n, links = graph.count, graph.links[: graph.count]
    ids = blocks.ids(n)
    if ids.min() < -1 or ids.max() >= n:
        raise IndexMismatch(f"blocks lead to {ids.min()}..{ids.max()}, nodes are 0..{n - 1}")
    present = np.arange(links.shape[1]) < graph.counts[:n, None]
    if (ids[:, : links.shape[1]][present] != links[present]).any():
        raise IndexMismatch("blocks do not begin with the links of their nodes")


def level_rows(graph: HNSWGraph, level: int) -> tuple[Any, Any, Any, Any]:
    """The nodes that reach a level, their rows in its table, the table and their counts."""
    nodes = np.flatnonzero(graph.levels[: graph.count] >= level)
    if level == 0:
        return nodes, nodes, graph.links, graph.counts[nodes]
    rows = graph.upper_row[nodes] + level - 1
    return nodes, rows, graph.upper, graph.upper_count[rows]
