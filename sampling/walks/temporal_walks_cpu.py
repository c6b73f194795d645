"""Kernel of temporal walks: a binary search for the edges in time, then a uniform one of them."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import bounded, draw, stream


@kernel
def first_after(time, start, stop, now, also_now):
    """First position in the sorted `time[start:stop]` later than `now`, or not earlier with `also_now`."""
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if time[middle] < now or (time[middle] == now and not also_now):
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def first_beyond(time, start, stop, now, window):
    """First position in the sorted `time[start:stop]` with time - now > window."""
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if time[middle] - now > window:
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def first_within(time, start, stop, now, window):
    """First position in the sorted `time[start:stop]` with now - time <= window."""
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if now - time[middle] > window:
            low = middle + 1
        else:
            high = middle
    return low


@parallel_kernel
def walk(
    indptr,
    indices,
    edge_ids,
    time,
    starts,
    streams,
    start_time,
    has_start,
    backward,
    inclusive,
    window,
    root,
    epoch,
    out,
    out_time,
    out_edge,
):
    """Fill a row of `out`, `out_time` and `out_edge` per walk; -1 from where no edge was allowed."""
    length = out.shape[1] - 1
    for w in numba.prange(out.shape[0]):
        node = starts[w]
        key = stream(root, epoch, node, streams[w])
        if has_start:
            begin = np.float64(start_time[w])
            key = draw(key, np.int64(begin))
            key = draw(key, np.int64((begin - np.floor(begin)) * (1 << 52)))
        counter = np.int64(0)
        out[w, 0] = node
        step = 0
        while step < length:
            low, high = indptr[node], indptr[node + 1]
            if step > 0 or has_start:
                if step > 0:
                    previous = out_time[w, step - 1]
                    if backward:
                        last = first_after(time, low, high, previous, not inclusive)
                        first = first_within(time, low, last, previous, window) if window >= 0 else low
                    else:
                        first = first_after(time, low, high, previous, inclusive)
                        last = first_beyond(time, first, high, previous, window) if window >= 0 else high
                else:
                    now = start_time[w]
                    if backward:
                        last = first_after(time, low, high, now, not inclusive)
                        first = first_within(time, low, last, now, window) if window >= 0 else low
                    else:
                        first = first_after(time, low, high, now, inclusive)
                        last = first_beyond(time, first, high, now, window) if window >= 0 else high
                low, high = first, last
            if low == high:
                break
            chosen, counter = bounded(key, counter, high - low)
            position = low + chosen
            node = np.int64(indices[position])
            out[w, step + 1] = node
            out_time[w, step] = time[position]
            out_edge[w, step] = edge_ids[position]
            step += 1
        for rest in range(step, length):
            out[w, rest + 1] = -1
            out_edge[w, rest] = -1
