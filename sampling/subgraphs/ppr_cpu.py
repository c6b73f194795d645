"""Kernel of personalised PageRank: push residual mass to neighbours until little is left anywhere."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.sorting_cpu import stable_order


@kernel
def _wider(array, size):
    larger = np.empty(size, array.dtype)
    larger[: array.shape[0]] = array
    return larger


@kernel
def _push_one(indptr, indices, weight, seed, alpha, eps, mark, work):
    """Scores of the nodes met from `seed`; the working arrays grow as needed and are returned.

    Nodes are numbered as they are met (`mark`). `work` = (nodes, score, rest, waiting, queue); the queue is a ring that
    holds each number at most once.
    """
    nodes, score, rest, waiting, queue = work
    nodes[0], score[0], rest[0], waiting[0] = seed, 0.0, 1.0, True
    mark[seed] = 0
    met = 1
    queue[0] = 0
    head, size = 0, 1
    while size > 0:
        here = queue[head]
        head = (head + 1) % queue.shape[0]
        size -= 1
        waiting[here] = False
        node = nodes[here]
        start, stop = indptr[node], indptr[node + 1]
        mass = rest[here]
        rest[here] = 0.0
        total = np.float64(stop - start)
        if weight.shape[0] > 0:
            total = np.float64(0.0)
            for e in range(start, stop):
                total += weight[e]
        if total <= 0.0:
            score[here] += mass
            continue
        score[here] += alpha * mass
        for e in range(start, stop):
            share = (1.0 - alpha) * mass / total
            if weight.shape[0] > 0:
                share *= weight[e]
                if share <= 0.0:
                    continue
            other = np.int64(indices[e])
            there = np.int64(mark[other])
            if there < 0:
                there = np.int64(met)
                if met == nodes.shape[0]:
                    nodes, score, rest = _wider(nodes, 2 * met), _wider(score, 2 * met), _wider(rest, 2 * met)
                    waiting = _wider(waiting, 2 * met)
                    ring = np.empty(2 * met, np.int64)
                    for i in range(size):
                        ring[i] = queue[(head + i) % queue.shape[0]]
                    queue, head = ring, 0
                mark[other] = met
                nodes[met], score[met], rest[met], waiting[met] = other, 0.0, 0.0, False
                met += 1
            rest[there] += share
            degree = indptr[other + 1] - indptr[other]
            if not waiting[there] and rest[there] >= eps * max(degree, 1):
                waiting[there] = True
                queue[(head + size) % queue.shape[0]] = there
                size += 1
    for i in range(met):
        mark[nodes[i]] = -1
    return met, (nodes, score, rest, waiting, queue)


@kernel
def _best(nodes, score, met, out, out_score):
    """The highest scores, equal ones by node; returns how many."""
    above = 0
    order = np.empty(met, np.int64)
    for i in range(met):
        if score[i] > 0.0:
            order[above] = i
            above += 1
    by_node = order[:above][stable_order(nodes[order[:above]])]
    best = by_node[stable_order(-score[by_node])]
    count = min(above, out.shape[0])
    for j in range(count):
        out[j] = nodes[best[j]]
        out_score[j] = score[best[j]]
    return count


@parallel_kernel
def push(indptr, indices, weight, seeds, alpha, eps, mark, out, out_score, counts):
    """Fill a row of `out` and `out_score` per seed; each row of `mark` (-1 throughout) serves one thread."""
    work = (
        np.empty(1024, np.int64), np.empty(1024, np.float64), np.empty(1024, np.float64), np.empty(1024, np.bool_),
        np.empty(1024, np.int64),
    )  # fmt: skip
    for i in numba.prange(seeds.shape[0]):
        own = mark[numba.get_thread_id()]  # type: ignore[attr-defined]
        met, work = _push_one(indptr, indices, weight, seeds[i], alpha, eps, own, work)
        counts[i] = _best(work[0], work[1], met, out[i], out_score[i])
