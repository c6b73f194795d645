"""Kernels of random walks: a block of walkers moves in lock-step, so that their memory reads overlap.

A walker's next node is known only after two dependent reads (where its row starts, then one entry of the row), and on a
large graph both miss the cache. Each thread therefore advances `BLOCK` walkers together: one pass draws a position for
every walker and prefetches it, the next pass reads it and prefetches the new row.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel, prefetch
from ...graphlib.compute.random_cpu import bounded, stream, uniform

BLOCK = 32
MOST_TRIALS = 64  # refused proposals of a step, after which its row is read once from end to end
_ACCEPTED_RETURN, _REFUSED = -2, -3


@parallel_kernel
def uniform_walks(indptr, indices, starts, streams, root, epoch, out):
    """Fill `out[i]` with a walk from `starts[i]`; -1 past a node without out-edges."""
    num_walks, length = out.shape[0], out.shape[1] - 1
    for block in numba.prange((num_walks + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, num_walks - first)
        walks = out[first : first + count]  # whose indices are seen to be no negative ones
        key = np.empty(BLOCK, np.uint64)
        counter = np.zeros(BLOCK, np.int64)
        position = np.empty(BLOCK, np.int64)
        for w in range(count):
            node = starts[first + w]
            key[w] = stream(root, epoch, node, streams[first + w])
            walks[w, 0] = node
            prefetch(indptr, node)
        for step in range(length):
            for w in range(count):
                node = walks[w, step]
                position[w] = -1
                if node >= 0:
                    start = indptr[node]
                    degree = indptr[node + 1] - start
                    if degree > 0:
                        chosen, counter[w] = bounded(key[w], counter[w], degree)
                        position[w] = start + chosen
                        prefetch(indices, position[w])
            for w in range(count):
                if position[w] < 0:
                    walks[w, step + 1] = -1
                else:
                    node = indices[position[w]]
                    walks[w, step + 1] = node
                    prefetch(indptr, node)


@parallel_kernel
def weighted_walks(indptr, indices, keep, alias, starts, streams, root, epoch, out):
    """As `uniform_walks`, choosing neighbours by weight with one alias table per row."""
    num_walks, length = out.shape[0], out.shape[1] - 1
    for block in numba.prange((num_walks + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, num_walks - first)
        walks = out[first : first + count]  # whose indices are seen to be no negative ones
        key = np.empty(BLOCK, np.uint64)
        counter = np.zeros(BLOCK, np.int64)
        position = np.empty(BLOCK, np.int64)
        for w in range(count):
            node = starts[first + w]
            key[w] = stream(root, epoch, node, streams[first + w])
            walks[w, 0] = node
            prefetch(indptr, node)
        for step in range(length):
            for w in range(count):
                node = walks[w, step]
                position[w] = -1
                if node >= 0:
                    start = indptr[node]
                    degree = indptr[node + 1] - start
                    if degree > 0 and alias[start] >= 0:
                        chosen, counter[w] = bounded(key[w], counter[w], degree)
                        position[w] = start + chosen
                        prefetch(keep, position[w])
                        prefetch(alias, position[w])
            for w in range(count):
                if position[w] >= 0:
                    if uniform(key[w], counter[w]) >= keep[position[w]]:
                        node = walks[w, step]
                        position[w] = indptr[node] + alias[position[w]]
                    counter[w] += 1
                    prefetch(indices, position[w])
            for w in range(count):
                if position[w] < 0:
                    walks[w, step + 1] = -1
                else:
                    node = indices[position[w]]
                    walks[w, step + 1] = node
                    prefetch(indptr, node)


@kernel
def edge_range(indices, start, stop, node):
    """First and one-past-last position of `node` within the sorted row `indices[start:stop]`.

    The halving adds a product instead of branching, since half of such branches would be predicted wrongly.
    """
    low, size = start, stop - start
    while size > 1:
        half = size >> 1
        low += half * np.int64(indices[low + half - 1] < node)
        size -= half
    if size == 1 and indices[low] < node:
        low += 1
    last = low
    while last < stop and indices[last] == node:
        last += 1
    return low, last


@kernel
def _exact_step(indptr, indices, weight, node, previous, back, away, u):
    """The next node from `node` after `previous`, by adding up the row: for rows where proposals keep being refused.

    Both rows are sorted, so one pass over them finds the neighbours of `previous`. The three biases are first divided
    by the largest that occurs in the row, so that their sum is neither infinite nor zero. `u` is uniform in [0, 1).
    """
    start, stop = indptr[node], indptr[node + 1]
    first, last = indptr[previous], indptr[previous + 1]
    largest, total = 0.0, 0.0
    for turn in range(3):  # the largest bias, the sum, the choice
        target = u * total
        total = 0.0
        chosen = np.int64(-1)
        at = first
        for e in range(start, stop):
            here = indices[e]
            while at < last and indices[at] < here:
                at += 1
            w = np.float64(weight[e]) if weight.shape[0] > 0 else 1.0
            if w <= 0.0:
                continue
            bias = back if here == previous else 1.0 if at < last and indices[at] == here else away
            if turn == 0:
                largest = max(largest, bias)
                continue
            total += w * (bias / largest)
            chosen = np.int64(here)
            if turn == 2 and total > target:
                break
    return chosen


@parallel_kernel
def node2vec_walks(indptr, indices, tables, bias, starts, streams, root, epoch, out, trials):
    """Second-order walks by rejection, the return edge folded out of the envelope.

    A proposal x is drawn from the first-order distribution and accepted with probability pi(x) / Q, where pi is 1/p for
    the previous node t, 1 for neighbours of t and 1/q for the rest. Where 1/p exceeds Q = max(1, 1/q), the excess area
    (1/p - Q) * w(v, t) is a separate outcome that returns to t at once, so Q need not grow (KnightKing, SOSP 2019,
    doi:10.1145/3341301.3359634). After `MOST_TRIALS` refusals a step is drawn from the row's exact probabilities, so
    that no p or q makes a walk endless. `tables` = (keep, alias, row_sum, weight), all empty for graphs without
    weights; `bias` = (p, q). `trials[i]` receives the number of proposals made for walk i.
    """
    keep, alias, row_sum, weight = tables
    p, q = bias
    num_walks, length = out.shape[0], out.shape[1] - 1
    weighted = keep.shape[0] > 0
    back, away = 1.0 / p, 1.0 / q
    envelope = max(1.0, away)
    folded = back > envelope
    sure = min(1.0, away)
    for block in numba.prange((num_walks + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, num_walks - first)
        key = np.empty(BLOCK, np.uint64)
        counter = np.zeros(BLOCK, np.int64)
        position = np.empty(BLOCK, np.int64)
        step = np.zeros(BLOCK, np.int64)
        refused = np.zeros(BLOCK, np.int64)
        active = np.empty(BLOCK, np.int64)
        excess = np.empty(BLOCK, np.float64)  # folded area of the return edge, below zero until known for this step
        for w in range(count):
            node = starts[first + w]
            key[w] = stream(root, epoch, node, streams[first + w])
            out[first + w, 0] = node
            active[w] = w
            excess[w] = -1.0
            trials[first + w] = 0
            prefetch(indptr, node)
        running = count if length > 0 else 0
        while running > 0:
            for a in range(running):
                w = active[a]
                walk = first + w
                node = out[walk, step[w]]
                start = indptr[node]
                stop = indptr[node + 1]
                if start == stop or (weighted and alias[start] < 0):
                    position[w] = -1
                    continue
                if refused[w] == MOST_TRIALS:
                    position[w] = _REFUSED
                    continue
                trials[walk] += 1
                if folded and step[w] > 0:
                    total = row_sum[node] if weighted else np.float64(stop - start)
                    if excess[w] < 0.0:
                        low, high = edge_range(indices, start, stop, out[walk, step[w] - 1])
                        area = np.float64(high - low)
                        if weighted:
                            area = np.float64(0.0)
                            for e in range(low, high):
                                area += weight[e]
                        excess[w] = (back - envelope) * area
                    dart = uniform(key[w], counter[w]) * (total * envelope + excess[w])
                    counter[w] += 1
                    if dart < excess[w]:
                        position[w] = _ACCEPTED_RETURN
                        continue
                chosen, counter[w] = bounded(key[w], counter[w], stop - start)
                position[w] = start + chosen
                if weighted:
                    if uniform(key[w], counter[w]) >= keep[position[w]]:
                        position[w] = start + alias[position[w]]
                    counter[w] += 1
                prefetch(indices, position[w])
            survivors = 0
            for a in range(running):
                w = active[a]
                walk = first + w
                here = step[w]
                chosen = position[w]
                if chosen == -1:
                    for rest in range(here + 1, length + 1):
                        out[walk, rest] = -1
                    continue
                if chosen == _ACCEPTED_RETURN:
                    candidate = out[walk, here - 1]
                elif chosen == _REFUSED:
                    u = uniform(key[w], counter[w])
                    counter[w] += 1
                    node, previous = out[walk, here], out[walk, here - 1]
                    candidate = indices.dtype.type(_exact_step(indptr, indices, weight, node, previous, back, away, u))
                else:
                    candidate = indices[chosen]
                    if here > 0:
                        dart = uniform(key[w], counter[w]) * envelope
                        counter[w] += 1
                        previous = out[walk, here - 1]
                        accepted = dart < sure and (candidate != previous or folded)
                        if not accepted:
                            if candidate == previous:
                                accepted = dart < back
                            else:
                                low, high = edge_range(indices, indptr[previous], indptr[previous + 1], candidate)
                                accepted = dart < (1.0 if high > low else away)
                        if not accepted:
                            refused[w] += 1
                            active[survivors] = w
                            survivors += 1
                            continue
                out[walk, here + 1] = candidate
                prefetch(indptr, candidate)
                step[w] = here + 1
                refused[w] = 0
                excess[w] = -1.0
                if here + 1 < length:
                    active[survivors] = w
                    survivors += 1
            running = survivors


@kernel
def occurrences(starts, seen, out):
    """`out[i]` = how many times `starts[i]` came before position i; `seen` is zero on entry, one slot per node."""
    for i in range(starts.shape[0]):
        out[i] = seen[starts[i]]
        seen[starts[i]] += 1
