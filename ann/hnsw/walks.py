"""Walks that answer many queries: queries made comparable, and shared out to threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import plain_view, resolve_threads
from ..storage.rows import Rows
from .parts_cpu import Asked, Found, Passing, Plan, Scratch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import HNSWGraph

EVERYTHING = np.empty((0, 0), bool)


class Queries:
    """Queries as users give them, and as distances take them."""

    def __init__(self, rows: Rows, given: NDArray[Any], factors: NDArray[np.float32]) -> None:
        self.rows, self.given, self.given_factors = rows, given, factors
        self.exact, self.factors = rows.ask(given, factors)

    def __len__(self) -> int:
        return len(self.given)

    def walked(self, multiple: int = 1) -> NDArray[Any]:
        """As walks compare them; of codes, with zeros up to a multiple of so many."""
        room = self.rows.walk_room(len(self))
        if room is None:
            return self.exact
        self.rows.ask_walk(self.given, self.given_factors, 0, len(self), room)
        missing = -len(room) % multiple
        return room if not missing else np.concatenate([room, np.zeros((missing, room.shape[1]), room.dtype)])

    def part(self, which: slice) -> Queries:
        """Some of them."""
        return Queries(self.rows, self.given[which], self.given_factors[which])


def walk(
    graph: HNSWGraph,
    queries: Queries,
    k: int,
    ef: NDArray[np.int64],
    wanted: int,
    allowed: NDArray[np.bool_] | None,
    threads: int | None,
) -> Found:
    """Distances, rows and counts; rows of the result whose `ef` is 0 are empty.

    Under a filter a walk ends once `wanted` passing rows are nearer than every node not yet expanded.
    """
    from . import answer_cpu as kernels

    count = len(queries)
    found = Found(np.empty((count, k), np.float32), np.empty((count, k), np.int64), np.zeros(count, np.int32))
    if graph.entry < 0 or not ef.all():
        found.distances.fill(np.inf)
        found.rows.fill(-1)
        if graph.entry < 0 or not ef.any():
            return found
    plan = Plan(EVERYTHING if allowed is None else plain_view(allowed), ef, wanted, k, graph.together)
    fixed = graph.rows.exact, graph.rows.walk, graph.searched()

    def part(first: int, last: int, scratch: Scratch, walked: NDArray[Any]) -> None:
        asked = Asked(queries.exact, queries.factors, walked)
        kernels.search(*fixed, asked, plan, first, last, scratch, found)

    _in_parts(graph, part, queries, count, threads)
    return found


def walk_over_passing(
    graph: HNSWGraph,
    queries: Queries,
    k: int,
    ef: int,
    allowed: NDArray[np.bool_],
    seeds: NDArray[np.int64],
    chosen: NDArray[np.int64],
    threads: int | None,
    found: Found,
) -> None:
    """Write distances, rows and counts of the chosen queries, walking over rows that pass (see the kernel)."""
    from . import filtered_cpu as kernels

    passing = Passing(plain_view(allowed), seeds, chosen, ef, k)
    fixed = graph.rows.exact, graph.rows.walk, graph.walked()

    def part(first: int, last: int, scratch: Scratch, walked: NDArray[Any]) -> None:
        asked = Asked(queries.exact, queries.factors, walked)
        kernels.search_passing(*fixed, asked, passing, first, last, scratch, found)

    _in_parts(graph, part, queries, len(chosen), threads)


def _in_parts(
    graph: HNSWGraph,
    part: Callable[[int, int, Scratch, NDArray[Any]], None],
    queries: Queries,
    count: int,
    threads: int | None,
) -> None:
    """Call `part(first, last, scratch, walked)` for slices of `count` queries, on threads."""
    workers = max(1, min(resolve_threads(threads), count))
    bits, seen = table = graph.take_scratch(workers)
    cuts = [count * worker // workers for worker in range(workers + 1)]
    whole = count == len(queries)
    room = graph.rows.walk_room(count) if whole else queries.walked()

    def run(worker: int) -> None:
        first, last = cuts[worker], cuts[worker + 1]
        if whole and room is not None:
            graph.rows.ask_walk(queries.given, queries.given_factors, first, last, room)
        part(first, last, Scratch(bits[worker], seen[worker]), queries.exact if room is None else room)

    if workers == 1:
        run(0)
    else:
        list(_pool(os.getpid()).map(run, range(workers)))
    graph.scratch.give(table)


@functools.cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Threads for searches: kernels that release the GIL may be called by many at once.

    A pool per process: a forked child has none of its parent's threads.
    """
    return ThreadPoolExecutor(resolve_threads(None), thread_name_prefix="nearhop-search")
