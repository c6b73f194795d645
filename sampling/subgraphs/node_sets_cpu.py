"""Kernels that draw node sets: each node with some of what lies one or two steps away, without the square of a matrix.

The candidates of node i are L = N1 ++ N2: its distinct neighbours, then the distinct ends of its walks of two steps.
Two ways give the same distribution. Where there are few walks, all are followed; a byte per node tells which ends were
met before. Where there are many, entries and walks are drawn uniformly and kept only if they are the first that leads
to their candidate, so that each of L is as likely as any other. That ends when it has cost as much as following all
walks would, which are then followed: how many tries it took says nothing about which candidates they gave.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel, prefetch
from ...graphlib.compute.random_cpu import bounded, stream
from ...graphlib.compute.sorting_cpu import first_not_below, sort_words

DRAW, TRIES = 0, 1  # the last word of a node's streams
_ONE, _AHEAD = np.uint64(1), np.uint64(10)
_NEW, _NEAR, _FROM_ONE, _FROM_TWO = np.uint8(1), np.uint8(2), np.uint8(4), np.uint8(8)  # bits of a node's state


@kernel
def follow(i, indptr, indices, new, found):
    """Write L to `found`, N1 ascending and N2 as it is met; returns |N1|, |L|.

    `new` holds a 1 per node that was not met yet, before and after. Positions are unsigned, which spares a check for
    negative ones.
    """
    first, last = np.uint64(indptr[i]), np.uint64(indptr[i + 1])
    count = np.uint64(0)
    for e in range(first, last):
        if e == first or indices[e] != indices[e - _ONE]:
            found[count] = indices[e]
            count += _ONE
    ones = count
    for r in range(np.uint64(0), ones):
        if r + _AHEAD < ones:
            later = indptr[np.uint64(found[r + _AHEAD])]
            prefetch(indices, later)
            prefetch(indices, later + 16)
        j = np.uint64(found[r])
        for f in range(np.uint64(indptr[j]), np.uint64(indptr[j + _ONE])):
            k = np.uint64(indices[f])
            found[count] = indices[f]
            count += np.uint64(new[k])
            new[k] = 0
    for c in range(ones, count):
        new[np.uint64(found[c])] = 1
    return np.int64(ones), np.int64(count)


@kernel
def _draw(key, values, count, out):
    """`out[1:]` of the first `count` values without replacement, by the first steps of a shuffle."""
    counter = np.int64(0)
    for p in range(out.shape[0] - 1):
        q, counter = bounded(key, counter, count - p)
        at = np.uint64(p + q)
        out[np.uint64(1 + p)] = values[at]
        values[at] = values[np.uint64(p)]


@kernel
def _followed(i, indptr, indices, name, new, found, out):
    """Draw by following all walks; fewer candidates than places are repeated in order, N1 and N2 each ascending."""
    root, epoch = name
    picks = out.shape[0] - 1
    ones, whole = follow(i, indptr, indices, new, found)
    if whole >= picks:
        _draw(stream(root, epoch, i, DRAW), found, whole, out)
        return
    sort_words(found[ones:whole])
    for p in range(picks):
        out[1 + p] = found[p % whole]


@kernel
def _leads_first(j, k, back_indptr, back_indices, state):
    """Whether no neighbour below j leads to k: j is the first of what reaches k that is marked as a neighbour."""
    for b in range(np.uint64(back_indptr[k]), np.uint64(back_indptr[k + 1])):
        m = back_indices[b]
        if m >= j:
            return True
        if state[np.uint64(m)] & _NEAR != 0:
            return False
    return True


@kernel
def _round(i, rows, back, key, counter, walks, scratch, found, out):
    """One round of tries: as many as there are places left, each step for all of them, so that reads overlap."""
    indptr, indices = rows
    back_indptr, back_indices = back
    ends, state, codes = scratch
    start, degree = indptr[i], indptr[i + 1] - indptr[i]
    count = out.shape[0] - 1 - found
    for t in range(count):
        at, counter = bounded(key, counter, degree + walks)
        e = at if at < degree else first_not_below(ends, 0, degree, at - degree + 1)
        codes[0, t] = e
        codes[1, t] = -1 if at < degree else indptr[indices[start + e] + 1] - (ends[e] - (at - degree))
        if at >= degree:
            prefetch(indices, codes[1, t])
    for t in range(count):
        if codes[1, t] >= 0:
            prefetch(back_indptr, indices[codes[1, t]])
    for t in range(count):
        if codes[1, t] >= 0:
            prefetch(back_indices, back_indptr[indices[codes[1, t]]])
    for t in range(count):
        e, f = codes[0, t], codes[1, t]
        j = indices[start + e]
        if e > 0 and indices[start + e - 1] == j:
            continue
        chosen, mark = j, _FROM_ONE
        if f >= 0:
            chosen, mark = indices[f], _FROM_TWO
            if f > indptr[j] and indices[f - 1] == chosen:
                continue
            if not _leads_first(j, chosen, back_indptr, back_indices, state):
                continue
        before = state[np.uint64(chosen)]
        if before & mark == 0:
            state[np.uint64(chosen)] = before | mark
            out[1 + found] = chosen
            found += 1
    return found, counter


@kernel
def _tried(i, rows, back, name, budget, ends, state, codes, out):
    """Draw by tries; False where the budget is used up first.

    `ends` gets running numbers of walks; bits of `state` say what is a neighbour and what is taken, and are cleared.
    """
    indptr, indices = rows
    root, epoch = name
    start, degree = indptr[i], indptr[i + 1] - indptr[i]
    walks = np.int64(0)
    for e in range(degree):
        j = indices[start + e]
        walks += indptr[j + 1] - indptr[j]
        ends[e] = walks
        state[np.uint64(j)] |= _NEAR
    key, counter, found, tries = stream(root, epoch, i, TRIES), np.int64(0), 0, np.int64(0)
    picks = out.shape[0] - 1
    while found < picks and tries < budget:
        tries += picks - found
        found, counter = _round(i, rows, back, key, counter, walks, (ends, state, codes), found, out)
    for e in range(degree):
        state[np.uint64(indices[start + e])] = _NEW
    for p in range(found):
        state[np.uint64(out[1 + p])] = _NEW
    return found == picks


@kernel
def _anywhere(i, name, num_nodes, codes, out):
    """Any nodes of the graph, distinct while there are enough."""
    root, epoch = name
    picks = out.shape[0] - 1
    key, counter = stream(root, epoch, i, DRAW), np.int64(0)
    found = 0
    while found < picks:
        chosen, counter = bounded(key, counter, num_nodes)
        taken = False
        for p in range(found if num_nodes >= picks else 0):
            taken |= codes[p] == chosen
        if not taken:
            codes[found] = chosen
            out[1 + found] = chosen
            found += 1


@parallel_kernel
def node_sets(seeds, rows, back, name, random, cost, scratch, out):
    """A row of `out` per seed: the seed, then its draws.

    A node whose neighbours and walks fit a row of `found` is drawn by following them, any other by tries, each of which
    costs as much as following `cost` walks. `scratch` is (new, all ones; found; ends; codes), a row of each per thread.
    A node without candidates gets any nodes of the graph with `random`, else itself.
    """
    new, found, ends, codes = scratch
    for s in numba.prange(seeds.shape[0]):
        i, row = seeds[s], out[s]
        indptr, indices = rows
        worker = numba.get_thread_id()  # type: ignore[attr-defined]
        row[0] = i
        start, last = indptr[i], indptr[i + 1]
        if row.shape[0] == 1:
            continue
        if start == last:
            if random:
                _anywhere(i, name, indptr.shape[0] - 1, codes[worker, 0], row)
            else:
                for p in range(1, row.shape[0]):
                    row[p] = i
            continue
        walks = np.int64(0)
        for e in range(start, last):
            walks += indptr[indices[e] + 1] - indptr[indices[e]]
        if last - start + walks < found.shape[1]:
            _followed(i, indptr, indices, name, new[worker], found[worker], row)
        elif not _tried(i, rows, back, name, walks // cost, ends[worker], new[worker], codes[worker], row):
            room = np.empty(last - start + min(walks, indptr.shape[0] - 1) + 1, indices.dtype)
            _followed(i, indptr, indices, name, new[worker], room, row)
