"""Kernels of the balanced partition: matching, contraction, bisection of a small graph, moves between parts.

A graph is `partition.Graph`.
"""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel


@kernel
def match(graph, order, most, mate):
    """Heavy-edge matching: every node, in this order, with the free neighbour of heaviest edge per size.

    `mate[i]` becomes its partner, or i. Two nodes whose sizes add up to more than `most` are never matched. A node
    whose neighbours are all taken joins none.
    """
    indptr, indices, weights, sizes = graph
    for i in range(mate.shape[0]):
        mate[i] = -1
    for at in range(order.shape[0]):
        i = order[at]
        if mate[i] >= 0:
            continue
        best, heaviest = i, -1.0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            if mate[j] < 0 and j != i and sizes[i] + sizes[j] <= most:
                rating = weights[e] / (np.float64(sizes[i]) * np.float64(sizes[j]))
                if rating > heaviest:
                    best, heaviest = j, rating
        mate[i] = best
        mate[best] = i


@kernel
def number_pairs(mate, coarse_of):
    """Give each pair a number, rising by the lower node; returns how many there are."""
    count = 0
    for i in range(mate.shape[0]):
        if mate[i] >= i:
            coarse_of[i] = count
            coarse_of[mate[i]] = count
            count += 1
    return count


@kernel
def contract(graph, mate, coarse_of, new):
    """The graph of the pairs: parallel edges add up, edges inside a pair vanish; returns its number of arcs."""
    indptr, indices, weights, sizes = graph
    new_indptr, new_indices, new_weights, new_sizes = new
    count = new_sizes.shape[0]
    place = np.full(count, -1, np.int64)
    end = 0
    for i in range(mate.shape[0]):
        if mate[i] < i:
            continue
        own, start = coarse_of[i], end
        new_indptr[own] = start
        new_sizes[own] = sizes[i] if mate[i] == i else sizes[i] + sizes[mate[i]]
        for turn in range(1 if mate[i] == i else 2):
            node = i if turn == 0 else mate[i]
            for e in range(indptr[node], indptr[node + 1]):
                other = coarse_of[indices[e]]
                if other == own:
                    continue
                if place[other] < start:
                    place[other] = end
                    new_indices[end] = other
                    new_weights[end] = weights[e]
                    end += 1
                else:
                    new_weights[place[other]] += weights[e]
    new_indptr[count] = end
    return end


@kernel
def grow(graph, seed, target, side):
    """Grow side 0 from a seed node until its size reaches `target`; the rest is side 1.

    The next node is the one whose edges lead most into the region, per edge weight it has.
    """
    indptr, indices, weights, sizes = graph
    n = sizes.shape[0]
    inside, degree = np.zeros(n), np.zeros(n)
    for i in range(n):
        side[i] = 1
        for e in range(indptr[i], indptr[i + 1]):
            degree[i] += weights[e]
    held, node = 0, seed
    while node >= 0:
        side[node] = 0
        held += sizes[node]
        for e in range(indptr[node], indptr[node + 1]):
            inside[indices[e]] += weights[e]
        if held >= target:
            break
        node, most = -1, -1.0
        for i in range(n):
            if side[i] == 1 and held + sizes[i] <= target + sizes[i] // 2:
                share = (inside[i] + 1e-9) / (degree[i] + 1e-6)
                if share > most:
                    node, most = i, share


@kernel
def improve_bisection(graph, target, slack, side):
    """Fiduccia-Mattheyses: passes of best single moves, each node once, rolled back to the best state; the cut.

    The size of side 0 stays within `slack` of `target` where it was, and moves there where it was not.
    """
    indptr, indices, weights, sizes = graph
    n = sizes.shape[0]
    gain, moved = np.empty(n), np.empty(n, np.int64)
    locked = np.empty(n, np.bool_)
    held, cut = np.int64(0), 0.0
    for i in range(n):
        if side[i] == 0:
            held += sizes[i]
        for e in range(indptr[i], indptr[i + 1]):
            if side[i] != side[indices[e]]:
                cut += weights[e] / 2
    for _ in range(6):
        for i in range(n):
            gain[i], locked[i] = 0.0, False
            for e in range(indptr[i], indptr[i + 1]):
                gain[i] += weights[e] if side[i] != side[indices[e]] else -weights[e]
        best_cut, best_off, best_at, count = cut, max(abs(held - target), slack), 0, 0
        first_cut, first_off = cut, best_off
        since = 0
        while since < 60:
            node, most = -1, -1e300
            for i in range(n):
                if locked[i] or gain[i] <= most:
                    continue
                after = held - sizes[i] if side[i] == 0 else held + sizes[i]
                if abs(after - target) <= slack or abs(after - target) < abs(held - target):
                    node, most = i, gain[i]
            if node < 0:
                break
            held += -sizes[node] if side[node] == 0 else sizes[node]
            side[node] = 1 - side[node]
            locked[node] = True
            cut -= most
            for e in range(indptr[node], indptr[node + 1]):
                j = indices[e]
                gain[j] += -2 * weights[e] if side[j] == side[node] else 2 * weights[e]
            moved[count] = node
            count += 1
            off = max(abs(held - target), slack)
            if off < best_off or (off == best_off and cut < best_cut - 1e-9):
                best_cut, best_off, best_at, since = cut, off, count, 0
            else:
                since += 1
        for at in range(count - 1, best_at - 1, -1):
            node = moved[at]
            held += -sizes[node] if side[node] == 0 else sizes[node]
            side[node] = 1 - side[node]
        cut = best_cut
        if best_off == first_off and cut >= first_cut - 1e-9:
            break
    return cut


@kernel
def move_nodes(graph, order, most, pressing, parts, held, near, met):
    """One pass of moves to the part that most edges lead to; returns how many nodes moved.

    A part takes a node only up to a size of `most`. With `pressing` a node leaves a part that is larger than that
    even where the cut grows: for the part that holds most of its edges and has room, or else for the smallest.
    `near` (parts) is clear on entry and on return; `met` has room for every part.
    """
    indptr, indices, weights, sizes = graph
    changed = 0
    for at in range(order.shape[0]):
        i = order[at]
        own, count = parts[i], 0
        crowded = held[own] > most
        if pressing and not crowded:
            continue
        for e in range(indptr[i], indptr[i + 1]):
            j = parts[indices[e]]
            if near[j] == 0.0:
                met[count] = j
                count += 1
            near[j] += weights[e]
        best, best_near = -1, -1.0
        for c in range(count):
            j = met[c]
            if j == own or held[j] + sizes[i] > most:
                continue
            if near[j] > best_near or (near[j] == best_near and held[j] < held[best]):
                best, best_near = j, near[j]
        here = near[own]
        for c in range(count):
            near[met[c]] = 0.0
        if pressing and best < 0:
            for j in range(held.shape[0]):
                if held[j] + sizes[i] <= most and (best < 0 or held[j] < held[best]):
                    best = j
        if best < 0:
            continue
        levels = best_near == here and held[best] + sizes[i] < held[own]
        if best_near > here or levels or pressing:
            parts[i] = best
            held[own] -= sizes[i]
            held[best] += sizes[i]
            changed += 1
    return changed
