"""What belongs together when kernels walk or change a graph: named tuples of arrays and numbers."""

from __future__ import annotations

from typing import Any, NamedTuple


class Graph(NamedTuple):
    """A graph that is walked: node v's links at level l > 0 are `upper[upper_row[v] + l - 1]`, padded with -1."""

    upper_row: Any
    upper: Any
    links: Any  # level 0
    entry: int  # below 0: the graph is empty
    top: int


class PackedGraph(NamedTuple):
    """A `Graph` with blocks for level 0: see `packed.blocks_cpu`.

    `blocks` is uint8 (nodes, bytes), a row of `parts` blocks of 32 neighbours, in codes of `bits` bits; `words` is the
    same memory as int32, in one dimension.
    """

    upper_row: Any
    upper: Any
    links: Any
    entry: int
    top: int
    blocks: Any
    words: Any
    bits: int
    parts: int


class Level(NamedTuple):
    """One level: the links of a node are `table[row_of[node] + shift]`; of level 0, with no `row_of`, `table[node]`."""

    row_of: Any
    shift: Any
    table: Any


class Table(NamedTuple):
    """Links that are written: per row their number, and how many leading ones keep the selection rule among them.

    Rows that are written are marked in `changed`, where that is not empty.
    """

    links: Any
    counts: Any
    clean: Any
    changed: Any


class Scratch(NamedTuple):
    """Visit bits, all clear between walks, and room for every node and three rows of links; a row per worker."""

    bits: Any
    seen: Any


class Asked(NamedTuple):
    """Queries as distances take them, their factors, and queries as walks compare them."""

    exact: Any
    factors: Any
    walk: Any


class Plan(NamedTuple):
    """How queries are answered.

    `ef[q]` is the width of query q's beam; queries with 0 are left alone. `allowed` is a boolean table with zero rows
    (everything), one row, or a row per query: nodes that are not allowed are walked through but not returned, and a
    walk ends once `wanted` allowed ones are nearer than all others. `together` nodes are expanded at a time.
    """

    allowed: Any
    ef: Any
    wanted: int
    k: int
    together: int


class Passing(NamedTuple):
    """How the queries `chosen` are answered over passing rows: see `filtered_cpu.search_passing`."""

    allowed: Any
    seeds: Any
    chosen: Any
    ef: int
    k: int


class Few(NamedTuple):
    """What searches of one state of an index have in common beside the graph."""

    by_product: bool
    by_angle: bool
    ids: Any
    live: Any
    together: int


class Found(NamedTuple):
    """Results: distances and rows (queries, k), and how many places of each query are filled."""

    distances: Any
    rows: Any
    counts: Any


__all__ = ["Asked", "Few", "Found", "Graph", "Level", "PackedGraph", "Passing", "Plan", "Scratch", "Table"]
