"""Whole queries: down the levels of a graph, along level 0, and what is returned."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from ...graphlib.compute.jit import kernel
from ..distances.distances_cpu import unpack_node
from ..distances.rows_cpu import patience, ranks, reaches
from .packed.walk_cpu import walk_blocks
from .parts_cpu import PackedGraph
from .search_cpu import PATIENCE, ZERO, base, beam, descend, rescore, write_result

_CHAINS = 1024  # of queries, by the node that they come down through


def along_level_0(walk, query, factor, graph, scratch, pool, ef, keys, plan, stop):
    raise TypeError("only inside kernels")


@overload(along_level_0)
def _along_level_0(walk, query, factor, graph, scratch, pool, ef, keys, plan, stop):
    """Level 0 from the one key in `pool[0]`, by links and rows or by blocks; the pool's size."""
    if graph.instance_class is PackedGraph:
        return lambda walk, query, factor, graph, scratch, pool, ef, keys, plan, stop: walk_blocks(
            walk, query, factor, graph, scratch, pool, ef, plan.k, stop
        )
    return lambda walk, query, factor, graph, scratch, pool, ef, keys, plan, stop: beam(
        walk, query, factor, base(graph), scratch, pool, ef, keys, plan.together, stop
    )


@kernel
def search(exact, walk, graph, asked, plan, first, last, scratch, found):
    """Answer queries first..last-1 as the plan says; where walks compare ranks, distances order what they find.

    Queries that ranks do not reach find nothing. Those that come down through one node are answered in turn: their
    walks meet the same nodes, which are in the cache by then.
    """
    everything = np.empty(0, np.bool_)
    allowed, k = plan.allowed, plan.k
    widest = 1
    for q in range(first, last):
        widest = max(widest, plan.ef[q])
    pool = np.empty(widest, np.int64)
    keys = np.empty(plan.together * max(graph.links.shape[1], graph.upper.shape[1]), np.int64)
    count = last - first
    starts, following = np.empty(count, np.int64), np.empty(count, np.int64)
    chains = np.full(min(count, _CHAINS), -1)
    for q in range(last - 1, first - 1, -1):
        if plan.ef[q] == 0:
            continue
        query = asked.walk[q]
        if not reaches(walk, query):
            write_result(pool, ZERO, q, k, found)
            continue
        starts[q - first], above = descend(walk, query, asked.factors[q], graph, ZERO)
        chain = above % chains.shape[0]
        following[q - first], chains[chain] = chains[chain], q
    for chain in range(chains.shape[0]):
        q = chains[chain]
        while q >= 0:
            ef, query, factor = plan.ef[q], asked.walk[q], asked.factors[q]
            pool[0] = starts[q - first]
            mask = min(q, allowed.shape[0] - 1)
            passes = allowed[mask] if mask >= 0 else everything
            stop = (passes, plan.wanted if mask >= 0 else ZERO)
            size = along_level_0(walk, query, factor, graph, scratch, pool, ef, keys, plan, stop)
            if mask >= 0:
                kept = 0
                for j in range(size):
                    if passes[unpack_node(pool[j])]:
                        pool[kept] = pool[j]
                        kept += 1
                size = kept
            if ranks(walk):
                size = rescore(exact, asked.exact[q], factor, pool, size, k, max(PATIENCE, k, patience(walk, ef)))
            write_result(pool, size, q, k, found)
            q = following[q - first]
