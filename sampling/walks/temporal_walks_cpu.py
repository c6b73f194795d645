"""Kernel of temporal walks: a binary search for the edges in time, then a uniform one of them."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import parallel_kernel
from ...graphlib.compute.random_cpu import bounded, draw, stream
from ..times_cpu import first_beyond, first_from, first_within


@parallel_kernel
def walk(rows, starts, streams, start_time, has_start, rule, root, epoch, out):
    """Fill a row of each array of `out` = (nodes, times, edges) per walk; -1 from where no edge was allowed.

    `rows` = (indptr, indices, edge_ids, time), sorted by time; `rule` = (backward, inclusive, window).
    """
    indptr, indices, edge_ids, time = rows
    backward, inclusive, window = rule
    nodes, times, edges = out
    for w in numba.prange(starts.shape[0]):
        length = times.shape[1]
        node = starts[w]
        key = stream(root, epoch, node, streams[w])
        if has_start:
            begin = np.float64(start_time[w])
            key = draw(key, np.int64(begin))
            key = draw(key, np.int64((begin - np.floor(begin)) * (1 << 52)))
        counter = np.int64(0)
        nodes[w, 0] = node
        step = 0
        while step < length:
            low, high = indptr[node], indptr[node + 1]
            if step > 0 or has_start:
                if step > 0:
                    previous = times[w, step - 1]
                    if backward:
                        last = first_from(time, low, high, previous, inclusive)
                        first = first_within(time, low, last, previous, window) if window >= 0 else low
                    else:
                        first = first_from(time, low, high, previous, not inclusive)
                        last = first_beyond(time, first, high, previous, window) if window >= 0 else high
                else:
                    now = start_time[w]
                    if backward:
                        last = first_from(time, low, high, now, inclusive)
                        first = first_within(time, low, last, now, window) if window >= 0 else low
                    else:
                        first = first_from(time, low, high, now, not inclusive)
                        last = first_beyond(time, first, high, now, window) if window >= 0 else high
                low, high = first, last
            if low == high:
                break
            chosen, counter = bounded(key, counter, high - low)
            position = low + chosen
            node = np.int64(indices[position])
            nodes[w, step + 1] = node
            times[w, step] = time[position]
            edges[w, step] = edge_ids[position]
            step += 1
        for rest in range(step, length):
            nodes[w, rest + 1] = -1
            edges[w, rest] = -1
