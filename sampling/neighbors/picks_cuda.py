"""Edges picked for the nodes of a hop, on a GPU.

Rows are sampled by a warp each: up to 32 picks are drawn at once, one per lane, and Floyd's rule is then applied in
order by asking all lanes whether they hold the candidate already; more picks are drawn by the lanes in turns. What
`state` holds is said in `numbering_cuda`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...graphlib.compute.numba_cuda import cuda, cuda_kernel
from ...graphlib.compute.random_cuda import bounded, draw, high64, stream
from ...graphlib.compute.warp_cuda import LANES, any_lane, broadcast, wait_for_lanes
from .numbering_cuda import THREADS, block_sum, edges_before, place_shares


@cuda_kernel
def count_picks(indptr, nodes, state, hop, fanout, replace, counts, sums):
    """How many edges each node of a hop yields, and their sum per block; a fanout below zero takes all."""
    first = state[hop]
    size = state[hop + 1] - first
    part = np.int64(0)
    stop = size * (cuda.blockIdx.x + 1) // cuda.gridDim.x
    for i in range(size * cuda.blockIdx.x // cuda.gridDim.x + cuda.threadIdx.x, stop, THREADS):
        node = nodes[first + i]
        degree = indptr[node + 1] - indptr[node]
        picks = np.int64(fanout)
        if fanout < 0 or (degree < fanout and not replace) or degree == 0:
            picks = degree
        counts[i] = picks
        part += picks
    total = block_sum(part)
    if cuda.threadIdx.x == 0:
        sums[cuda.blockIdx.x] = total


@cuda_kernel
def place_picks(counts, state, hop, hops, sums, room, offsets):
    """Where the edges of each node begin. A hop that needs more than `room` says so in `state` and has no edges."""
    end = place_shares(counts, state[hop + 1] - state[hop], sums, offsets)
    if cuda.blockIdx.x == cuda.gridDim.x - 1 and cuda.threadIdx.x == 0:
        state[hops + 2 + hop] = end if end <= room else 0
        state[2 * hops + 2 + hop] = 0 if end <= room else end


@cuda.jit(device=True)
def _draw_in_order(key, first, degree, picks, replace, at, targets, positions):
    """What `_floyd`, `_shuffle` and draws with replacement do on the processor, by one lane, for any picks.

    The partial shuffle keeps no copy of the row: `targets` are the swaps so far, and what stands at a place is found by
    following them back.
    """
    counter = np.int64(0)
    shuffled = not replace and picks > LANES and degree <= 8 * picks
    for j in range(picks):
        if replace:
            chosen, counter = bounded(key, counter, degree)
        elif shuffled:
            chosen, counter = bounded(key, counter, degree - j)
            targets[at + j] = j + chosen
            chosen = j + chosen
            for earlier in range(j - 1, -1, -1):
                if targets[at + earlier] == chosen:
                    chosen = earlier
        else:
            top = degree - picks + j
            chosen, counter = bounded(key, counter, top + 1)
            for earlier in range(j):
                if positions[at + earlier] == first + chosen:
                    chosen = top
                    break
        positions[at + j] = first + chosen


@cuda.jit(device=True)
def _draw_together(lane, key, first, degree, picks, replace, at, targets, positions):
    """As `_draw_in_order`, by all lanes; False, with nothing settled, where a word was rejected.

    Draws do not depend on one another, so lanes make every thirty-second one. What stands at a place of the shuffled
    row is then found for each pick on its own; for Floyd's rule the lanes look through the earlier picks together.
    """
    shuffled = not replace and degree <= 8 * picks
    rejected = False
    for j in range(lane, picks, LANES):
        bound = degree if replace else degree - j if shuffled else degree - picks + j + 1
        word = draw(key, j)
        rejected = rejected or word * np.uint64(bound) < np.uint64(bound)
        value = np.int64(high64(word, np.uint64(bound)))
        targets[at + j] = j + value if shuffled else value
        positions[at + j] = first + value
    wait_for_lanes()
    if any_lane(rejected, lane):
        return False
    if replace:
        return True
    if shuffled:
        for j in range(lane, picks, LANES):
            chosen = targets[at + j]
            for earlier in range(j - 1, -1, -1):
                if targets[at + earlier] == chosen:
                    chosen = np.int64(earlier)
            positions[at + j] = first + chosen
        return True
    for j in range(picks):
        taken = False
        for earlier in range(lane, j, LANES):
            taken = taken or positions[at + earlier] == first + targets[at + j]
        if any_lane(taken, lane) and lane == 0:
            positions[at + j] = first + degree - picks + j
        wait_for_lanes()
    return True


class Rule(NamedTuple):
    """How hop `hop` of `hops` is drawn: at most `fanout` of a node's edges (below 0: all), the streams' root."""

    root: int
    hop: int
    hops: int
    fanout: int
    replace: bool


@cuda_kernel
def pick_uniform(indptr, nodes, state, given, rule, offsets, targets, positions, near):
    """Positions of the edges picked for the nodes of a hop, and the number of their node; a warp per node.

    `given` begins with the epoch; `rule` is a `Rule`.
    """
    root, hop, hops, fanout, replace = rule
    lane = cuda.threadIdx.x % LANES
    warp = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) // LANES
    warps = cuda.gridDim.x * cuda.blockDim.x // LANES
    start = state[hop]
    size = state[hop + 1] - start if state[hops + 2 + hop] > 0 else np.int64(0)
    edge = edges_before(state, hop, hops)
    for i in range(warp, size, warps):
        node = nodes[start + i]
        first = indptr[node]
        degree = indptr[node + 1] - first
        at = offsets[i]
        picks = offsets[i + 1] - at
        for j in range(lane, picks, LANES):
            near[edge + at + j] = start + i
        if picks == 0:
            continue
        if picks == degree and (fanout < 0 or not replace):
            for j in range(lane, picks, LANES):
                positions[at + j] = first + j
            continue
        key = stream(root, given[0], node, hop)
        if replace or picks > LANES:
            if not _draw_together(lane, key, first, degree, picks, replace, at, targets, positions) and lane == 0:
                _draw_in_order(key, first, degree, picks, replace, at, targets, positions)
            continue
        top = degree - picks + lane
        bound = np.uint64(top + 1)
        word = draw(key, lane)
        # a rejected word shifts the counter of every later draw: rare enough to leave to one lane
        if any_lane(lane < picks and word * bound < bound, lane):
            if lane == 0:
                _draw_in_order(key, first, degree, picks, replace, at, targets, positions)
            continue
        mine = np.int64(high64(word, bound))
        for j in range(1, picks):
            candidate = broadcast(mine, lane, j)
            taken = any_lane(lane < j and mine == candidate, lane)
            if lane == j and taken:
                mine = top
        if lane < picks:
            positions[at + lane] = first + mine
