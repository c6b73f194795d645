"""Kernels of negative sampling: draw, look the edge up in its sorted row, draw again."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.alias_cpu import alias_pick
from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import bounded, draw, stream
from ...graphlib.compute.sorting_cpu import holds
from ..times_cpu import first_from

TRIES = 64
_PAIR_TRIES = 1000


@kernel
def draw_node(key, counter, num_nodes, keep, alias):
    """A node, uniformly or by the alias table where there is one, and the next unused counter."""
    if keep.shape[0] > 0:
        return alias_pick(draw(key, counter), keep, alias, 0, num_nodes), counter + 1
    return bounded(key, counter, num_nodes)


@kernel
def _draw_left_over(key, counter, indices, start, stop, num_nodes, refused):
    """A node that the row does not list and that is not `refused`, uniformly; -1 if there is none.

    Counts the distinct nodes that cannot be taken, then walks to the chosen one among the rest.
    """
    taken = 0
    seen_refused = refused < 0
    for e in range(start, stop):
        if e == start or indices[e] != indices[e - 1]:
            taken += 1
            if indices[e] == refused:
                seen_refused = True
    if not seen_refused:
        taken += 1
    if taken >= num_nodes:
        return np.int64(-1), counter
    rank, counter = bounded(key, counter, num_nodes - taken)
    node = np.int64(-1)
    e = start
    while rank >= 0:
        node += 1
        while e < stop and indices[e] < node:
            e += 1
        if node != refused and not (e < stop and indices[e] == node):
            rank -= 1
    return node, counter


@parallel_kernel
def draw_negatives(rows, table, num_nodes, reject, nodes, items, again, root, epoch, out):
    """Fill `out[i]` with nodes not linked to `nodes[i]`; streams are called (root, epoch, items[i], again[i]).

    `rows` = (indptr, indices), `table` = (keep, alias), empty for uniform draws, `reject` = (links, the node itself).
    """
    indptr, indices = rows
    keep, alias = table
    reject_edges, reject_self = reject
    for i in numba.prange(nodes.shape[0]):
        key = stream(root, epoch, items[i], again[i])
        counter = np.int64(0)
        start, stop = indptr[nodes[i]], indptr[nodes[i] + 1]
        refused = nodes[i] if reject_self else np.int64(-1)
        last = stop if reject_edges else start
        for j in range(out.shape[1]):
            found = np.int64(-1)
            for _ in range(TRIES):
                node, counter = draw_node(key, counter, num_nodes, keep, alias)
                if node != refused and not holds(indices, start, last, node):
                    found = node
                    break
            if found < 0:
                found, counter = _draw_left_over(key, counter, indices, start, last, num_nodes, refused)
            out[i, j] = found


@parallel_kernel
def draw_pairs(rows, table, num_nodes, reject, items, root, epoch, near, far):
    """Fill `near`, `far` with pairs that are not linked, from streams (root, epoch, items[i]); -1 if none was found."""
    indptr, indices = rows
    keep, alias = table
    reject_edges, reject_self = reject
    num_rows = indptr.shape[0] - 1
    for i in numba.prange(near.shape[0]):
        key = stream(root, epoch, items[i], 0)
        counter = np.int64(0)
        far[i] = -1
        for _ in range(_PAIR_TRIES):
            row, counter = bounded(key, counter, num_rows)
            node, counter = draw_node(key, counter, num_nodes, keep, alias)
            if reject_self and node == row:
                continue
            if reject_edges and holds(indices, indptr[row], indptr[row + 1], node):
                continue
            near[i], far[i] = row, node
            break


@kernel
def draw_in_batch(src, dst, root, epoch, out):
    """Fill `out[i]` with positions of links that differ from link i in destination (and source, where given)."""
    size = dst.shape[0]
    for i in range(size):
        key = stream(root, epoch, i, 0)
        counter = np.int64(0)
        for j in range(out.shape[1]):
            found = np.int64(-1)
            for _ in range(TRIES):
                other, counter = bounded(key, counter, size)
                if dst[other] != dst[i] and (src.shape[0] == 0 or src[other] != src[i]):
                    found = other
                    break
            if found < 0:
                left = 0
                for other in range(size):
                    if dst[other] != dst[i] and (src.shape[0] == 0 or src[other] != src[i]):
                        left += 1
                if left > 0:
                    rank, counter = bounded(key, counter, left)
                    for other in range(size):
                        if dst[other] != dst[i] and (src.shape[0] == 0 or src[other] != src[i]):
                            if rank == 0:
                                found = np.int64(other)
                                break
                            rank -= 1
            out[i, j] = found


@parallel_kernel
def draw_from_history(indptr, indices, time, src, now, items, again, root, epoch, out):
    """Fill `out[i]` with past neighbours of `src[i]` that are not neighbours at time `now[i]`."""
    for i in numba.prange(src.shape[0]):
        key = stream(root, epoch, items[i], again[i])
        counter = np.int64(0)
        start = indptr[src[i]]
        present = first_from(time, start, indptr[src[i] + 1], now[i], False)
        future = first_from(time, present, indptr[src[i] + 1], now[i], True)
        current = np.sort(indices[present:future])
        for j in range(out.shape[1]):
            found = np.int64(-1)
            if present > start:
                for _ in range(TRIES):
                    chosen, counter = bounded(key, counter, present - start)
                    node = np.int64(indices[start + chosen])
                    if not holds(current, 0, current.shape[0], node):
                        found = node
                        break
                if found < 0:
                    left = 0
                    for e in range(start, present):
                        if not holds(current, 0, current.shape[0], indices[e]):
                            left += 1
                    if left > 0:
                        rank, counter = bounded(key, counter, left)
                        for e in range(start, present):
                            if not holds(current, 0, current.shape[0], indices[e]):
                                if rank == 0:
                                    found = np.int64(indices[e])
                                    break
                                rank -= 1
            out[i, j] = found


@kernel
def _met_at_once(src, dst, time, event):
    """The destinations that the source of `event` meets at that very time, repeats kept; events are sorted by time."""
    first, last = event, event + 1
    while first > 0 and time[first - 1] == time[event]:
        first -= 1
    while last < src.shape[0] and time[last] == time[event]:
        last += 1
    met = np.empty(last - first, np.int64)
    count = 0
    for other in range(first, last):
        if src[other] == src[event]:
            met[count] = dst[other]
            count += 1
    return met[:count]


@kernel
def draw_from_pool(src, dst, time, items, positions, pool, refuse, root, epoch, out):
    """Row i of `out`: uniform draws from the sorted `pool` for event `positions[i]`, from stream `items[positions[i]]`.

    With `refuse`, none that the event's source meets at that time, unless the pool has no other.
    """
    for i in range(positions.shape[0]):
        event = positions[i]
        key = stream(root, epoch, items[event], 0)
        counter = np.int64(0)
        refused = np.empty(0, np.int64)
        if refuse:
            refused = np.sort(_met_at_once(src, dst, time, event))
            kept = 0
            for node in refused:  # from nodes to places in the pool, those that it has
                place = np.searchsorted(pool, node)
                if place < pool.shape[0] and pool[place] == node:
                    refused[kept] = place
                    kept += 1
            refused = refused[:kept]
        for j in range(out.shape[1]):
            found = np.int64(-1)
            for _ in range(TRIES):
                chosen, counter = bounded(key, counter, pool.shape[0])
                if not holds(refused, 0, refused.shape[0], chosen):
                    found = chosen
                    break
            if found < 0:
                found, counter = _draw_left_over(key, counter, refused, 0, refused.shape[0], pool.shape[0], -1)
            out[i, j] = pool[found if found >= 0 else chosen]
