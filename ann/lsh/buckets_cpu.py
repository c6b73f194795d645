"""Kernels of sorted buckets: any 32-bit keys per band, sorted, merged and looked up; what a key means is for others.

A segment holds, per band, the keys of its rows in ascending order, the row behind every key, and a table `starts`: keys
whose upper bits are p lie at starts[p]..starts[p + 1] - 1, so that a lookup touches two or three cache lines.
"""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel, prefetch

_S32 = np.uint64(32)


@kernel
def fill_starts(keys, starts):
    """The table over the upper bits of ascending keys."""
    table = np.uint64(starts.shape[0] - 1)
    for place in range(starts.shape[0]):
        starts[place] = 0
    for i in range(keys.shape[0]):
        starts[np.int64((np.uint64(keys[i]) * table) >> _S32) + 1] += 1
    for place in range(starts.shape[0] - 1):
        starts[place + 1] += starts[place]


@parallel_kernel
def sort_bands(rows, keys, order, starts):
    """Sort the keys (bands, rows) of each band in place and fill order and table; equal keys keep the order of rows."""
    for band in numba.prange(keys.shape[0]):
        words = np.empty(rows.shape[0], np.uint64)
        key_row, order_row = keys[band], order[band]
        for i in range(rows.shape[0]):
            words[i] = (np.uint64(key_row[i]) << _S32) | np.uint64(i)
        words.sort()
        for i in range(rows.shape[0]):
            key_row[i] = np.uint32(words[i] >> _S32)
            order_row[i] = rows[np.int64(words[i] & np.uint64(0xFFFFFFFF))]
        fill_starts(key_row, starts[band])


@parallel_kernel
def merge_bands(keys, rows, more_keys, more_rows, out_keys, out_rows, starts):
    """Merge two segments, the rows of the second all above those of the first; equal keys keep the order of rows."""
    for band in numba.prange(keys.shape[0]):
        left, right, out, members = keys[band], more_keys[band], out_keys[band], out_rows[band]
        i = j = 0
        for at in range(out.shape[0]):
            if j == right.shape[0] or (i < left.shape[0] and left[i] <= right[j]):
                out[at], members[at] = left[i], rows[band, i]
                i += 1
            else:
                out[at], members[at] = right[j], more_rows[band, j]
                j += 1
        fill_starts(out, starts[band])


@kernel
def bisect(keys, low, high, wanted):
    """The first of keys[low:high], which ascend, that is not below `wanted` (64 bits)."""
    while low < high:
        middle = (low + high) >> 1
        if np.uint64(keys[middle]) < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def lookup(wanted, keys, order, starts, first, last):
    """The range of entries per band whose key is `wanted[band]`: first[band]..last[band] - 1.

    Step by step over all bands, each step asking for the cache lines of the next, so that the waits overlap.
    """
    table = np.uint64(starts.shape[1] - 1)
    for band in range(keys.shape[0]):
        place = np.int64((np.uint64(wanted[band]) * table) >> _S32)
        first[band] = place
        prefetch(starts[band], place)
    for band in range(keys.shape[0]):
        place = first[band]
        first[band], last[band] = starts[band, place], starts[band, place + 1]
        prefetch(keys[band], first[band])
    for band in range(keys.shape[0]):
        key = np.uint64(wanted[band])
        first[band] = bisect(keys[band], first[band], last[band], key)
        last[band] = bisect(keys[band], first[band], last[band], key + np.uint64(1))
        if last[band] > first[band]:
            prefetch(order[band], first[band])


@kernel
def prefix_range(key, bits, keys, starts):
    """The range of one band's entries whose upper `bits` are those of `key`; from the table alone where it suffices."""
    table = np.uint64(starts.shape[0] - 1)
    low = (np.uint64(key) >> np.uint64(32 - bits)) << np.uint64(32 - bits)
    high = low + (np.uint64(1) << np.uint64(32 - bits))
    first, last = np.int64((low * table) >> _S32), np.int64((high * table) >> _S32)
    if (np.uint64(1) << np.uint64(bits)) <= table:
        return np.int64(starts[first]), np.int64(starts[last])
    end = np.int64(starts[min(first + 1, starts.shape[0] - 1)])
    begin = bisect(keys, np.int64(starts[first]), end, low)
    return begin, bisect(keys, begin, end, high)


@kernel
def widest_prefix(key, step, most, keys, starts):
    """The range of the shortest prefix, in steps of bits, of no more than `most` entries, and its bits.

    Where the whole key has more, its range is given with 32 bits.
    """
    bits = 32
    while bits > step and (np.int64(1) << (bits - step)) >= starts.shape[0] - 1:
        bits -= step
    first, last = prefix_range(key, bits, keys, starts)
    while bits < 32 and last - first > most:
        bits += step
        first, last = prefix_range(key, bits, keys, starts)
    while bits > step and last - first <= most:
        begin, end = prefix_range(key, bits - step, keys, starts)
        if end - begin > most:
            break
        first, last, bits = begin, end, bits - step
    return first, last, bits
